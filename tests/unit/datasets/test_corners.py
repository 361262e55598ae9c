"""An area whose corners stand in two columns: made exactly as stated, rejected otherwise, by rows as by columns, and proposed."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.contract import JSON_COLUMN, RawBatch
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import CompiledMapping, compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.datasets.mapping.compile import compile_field
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps.contract import StepContext
from app.errors import MappingInvalid
from app.schemas import registry
from tests.unit.datasets.test_columnar import assert_same
from tests.unit.datasets.test_suggesting import mapping as proposal

BOUNDARIES = registry.get("batas_wilayah")
RING = {"type": "Polygon", "coordinates": [[[110.6, -6.5], [110.7, -6.5], [110.7, -6.6], [110.6, -6.5]]]}
LAT, LNG = [-6.5, -6.5, -6.6, -6.5], [110.6, 110.7, 110.7, 110.6]


def made(options: dict[str, Any], first: Any, second: Any) -> Any:
    context = StepContext("/fields/geometri", empty_code_book(), "Asia/Jakarta", spec=BOUNDARIES.fields["geometri"])
    given = {"from": ["a", "b"], "geometry": {"notation": "columns", **options}}
    return compile_field("geometri", given, BOUNDARIES.fields["geometri"], context).value({"a": first, "b": second})


@pytest.mark.parametrize(
    ("options", "first", "second"),
    [
        ({"axis": "latlng"}, LAT, LNG),
        ({"axis": "lnglat"}, LNG, LAT),
        ({"axis": "latlng"}, str(LAT), str(LNG)),
        ({"axis": "latlng", "by": ";"}, "-6.5; -6.5 ;-6.6;-6.5", "110.6;110.7;110.7;110.6"),
        ({"axis": "latlng", "by": " "}, "-6.5 -6.5 -6.6 -6.5", "110.6 110.7 110.7 110.6"),
        ({"axis": "lnglat", "by": ";", "decimal": ","}, "110,6;110,7;110,7;110,6", "-6,5;-6,5;-6,6;-6,5"),
        (
            {"axis": "latlng", "by": ";", "hemisphere": True},
            "6.5 LS;6,5 LS;6.6 ls;6.5°S",
            "110.6 BT;110.7 E;110.7 BT;110.6 BT",
        ),
    ],
)
def test_corners_are_the_ring_of_an_area(options: dict[str, Any], first: Any, second: Any) -> None:
    assert made(options, first, second) == RING


@pytest.mark.parametrize(
    ("options", "first", "second", "rule"),
    [
        ({"axis": "latlng", "by": ";"}, "-6.5;-6.6", "110.6", "geometry_malformed"),
        ({"axis": "latlng", "by": ";"}, "-6.5;-6.6", None, "geometry_malformed"),
        ({"axis": "latlng", "by": ";"}, "-6.5;x", "110.6;110.7", "not_a_coordinate"),
        ({"axis": "latlng", "by": ";"}, "-6,5;-6,6", "110,6;110,7", "not_a_coordinate"),
        ({"axis": "latlng", "by": ";", "decimal": ","}, "-6.5;-6.6", "110.6;110.7", "not_a_coordinate"),
        ({"axis": "latlng", "by": ";", "hemisphere": True}, "6.5;6.6", "110.6 BT;110.7 BT", "not_a_coordinate"),
        ({"axis": "latlng"}, "-6.5", "110.6", "geometry_depth"),
        ({"axis": "latlng"}, -6.5, 110.6, "geometry_depth"),
        ({"axis": "latlng"}, [], [], "geometry_malformed"),
        ({"axis": "latlng"}, [True], [False], "not_a_coordinate"),
        ({"axis": "latlng"}, "[1, 2", "[1, 2]", "json_malformed"),
    ],
)
def test_what_is_no_ring_is_rejected_and_never_guessed(
    options: dict[str, Any], first: Any, second: Any, rule: str
) -> None:
    with pytest.raises(StepReject) as told:
        made(options, first, second)

    assert told.value.rule == rule


def test_no_corners_in_either_column_is_no_geometry() -> None:
    assert made({"axis": "latlng", "by": ";"}, None, " ") is None


@pytest.mark.parametrize(
    ("given", "pointer", "said"),
    [
        ({"from": ["a", "b"], "geometry": {"notation": "columns"}}, "/geometry", "two columns need axis"),
        ({"from": "a", "geometry": {"notation": "columns", "axis": "latlng"}}, "/geometry", "takes two columns"),
        ({"from": ["a", "b", "c"], "geometry": {"notation": "columns", "axis": "latlng"}}, "/geometry", "takes two"),
        ({"from": "a", "geometry": {"by": ";"}}, "/geometry/by", "by is for notation columns"),
        (
            {"from": ["a", "b"], "geometry": {"notation": "columns", "axis": "latlng", "by": ",", "decimal": ","}},
            "/geometry/by",
            "whose decimal mark it is",
        ),
        (
            {"from": ["a", "b"], "geometry": {"notation": "columns", "axis": "latlng", "by": " ", "hemisphere": True}},
            "/geometry/by",
            "a blank stands before the hemisphere",
        ),
        (
            {"from": ["a", "b"], "geometry": {"notation": "columns", "axis": "latlng", "decimal": "x"}},
            "/geometry",
            "a point or a comma",
        ),
    ],
)
def test_a_mapping_that_cannot_mean_corners_is_refused(given: dict[str, Any], pointer: str, said: str) -> None:
    context = StepContext("/fields/geometri", empty_code_book(), "Asia/Jakarta", spec=BOUNDARIES.fields["geometri"])
    with pytest.raises(MappingInvalid, match=said) as told:
        compile_field("geometri", given, BOUNDARIES.fields["geometri"], context)

    assert told.value.errors[0].pointer == f"/fields/geometri{pointer}"


def _compiled(options: dict[str, Any], *, nulls: bool) -> CompiledMapping:
    geometry = {"from": ["a", "b"], "geometry": {"notation": "columns", **options}}
    document = {
        "connector": "uji-batas",
        "agency": "uji",
        "schema": "batas_wilayah@1",
        "source": {"kind": "file", "location": "inbox/a.csv"},
        "fields": {"kode_wilayah": "kode", "geometri": geometry | ({"else": "null"} if nulls else {})},
    }
    return compile_mapping(parse_manifest(document), BOUNDARIES, empty_code_book())


TEXTS = st.sampled_from(
    [
        "-6.5;-6.5;-6.6;-6.5",
        "110.6;110.7;110.7;110.6",
        "-6.5;-6.6",
        "-6,5;-6,6;-6,7;-6,5",
        "[-6.5, -6.5]",
        "",
        " ",
        "x;y",
        "1",
        "6.5 LS;6.5 LS;6.6 LS;6.5 LS",
        "110.6 BT;110.7 BT;110.7 BT;110.6 BT",
        "110,6;110,7;110,7;110,6",
    ]
)
LISTS = st.sampled_from([LAT, LNG, [], [1], ["1", "2"], [None], {"a": 1}, 3, "t"])
OPTIONS: list[dict[str, Any]] = [
    {"axis": "latlng", "by": ";"},
    {"axis": "lnglat", "by": ";", "decimal": ","},
    {"axis": "latlng", "by": ";", "hemisphere": True},
    {"axis": "latlng"},
]


@given(data=st.data(), options=st.sampled_from(OPTIONS), nulls=st.booleans(), nested=st.booleans())
def test_columns_say_what_rows_say(data: st.DataObject, options: dict[str, Any], nulls: bool, nested: bool) -> None:
    kind = JSON_COLUMN if nested else None
    schema = pa.schema([pa.field("kode", pa.string()), *(pa.field(name, pa.string(), metadata=kind) for name in "ab")])
    cells = st.none() | (LISTS if nested else TEXTS)
    codes = st.sampled_from(["33.20", "33.20.01", "33.20.02", None])
    rows = data.draw(st.lists(st.tuples(codes, cells, cells), max_size=12))
    batch = RawBatch(schema, rows=rows, location="inbox/a.csv", numbers=list(range(2, 2 + len(rows))))
    if not nested and data.draw(st.booleans()):
        columns = [list(column) for column in zip(*rows, strict=True)] or [[], [], []]
        batch.rows = None
        batch.arrow = pa.RecordBatch.from_arrays([pa.array(one, pa.string()) for one in columns], schema=schema)
    assert_same(_compiled(options, nulls=nulls), [batch])


@pytest.mark.parametrize(
    ("lat", "lng", "more"),
    [
        (LAT, LNG, {}),
        ("-6.5;-6.5;-6.6;-6.5", "110.6;110.7;110.7;110.6", {"by": ";"}),
        ("-6,5|-6,5|-6,6|-6,5", "110,6|110,7|110,7|110,6", {"by": "|", "decimal": ","}),
        ("6.5 LS;6.5 LS;6.6 LS;6.5 LS", "110.6 BT;110.7 BT;110.7 BT;110.6 BT", {"by": ";", "hemisphere": True}),
    ],
)
def test_two_columns_of_corners_are_proposed_for_a_geometry(lat: Any, lng: Any, more: dict[str, Any]) -> None:
    rows = [{"Kode": f"33.20.0{number}", "Bujur": lng, "Lintang": lat} for number in range(1, 5)]

    assert proposal("batas_wilayah", rows, "geometri") == {
        "from": ["Lintang", "Bujur"],
        "geometry": {"notation": "columns", "axis": "latlng", **more},
    }
