"""What a mapping can never do is refused when it is written; what a record cannot be is rejected, never merged or half filled."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.datasets.mapping.codes import CROSSWALK_SCHEMA, REGION_SCHEMA, InMemoryCodeBook
from app.datasets.records import ReadRequest, ReadResult
from app.errors import MappingInvalid
from app.schemas.warnings import Box
from tests.support.reading import dataset, file, read
from tests.support.sources import SourceServer

REGIONS = [
    ("33", "Jawa Tengah", "provinsi", None),
    ("33.20", "Kabupaten Jepara", "kabupaten", "33"),
    ("33.20.01", "Kedung", "kecamatan", "33.20"),
    ("33.20.02", "Pecangaan", "kecamatan", "33.20"),
]
BOOK = InMemoryCodeBook(
    "1",
    pa.table(dict(zip(REGION_SCHEMA.names, zip(*REGIONS, strict=True), strict=True)), schema=REGION_SCHEMA),
    CROSSWALK_SCHEMA.empty_table(),
)
BOX: Box = (110.0, -7.1, 111.2, -5.6)
INDICATOR = {
    "kode_indikator": "indikator",
    "tahun": {"from": "tahun", "number": {}},
    "nilai": {"from": "nilai", "number": {}},
}
FACILITY = {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "klinik"}}


async def records(
    folder: Path, schema: str, found: list[dict[str, Any]], fields: dict[str, Any], **more: Any
) -> ReadResult:
    return await read(dataset(folder, schema, file(folder, "a.json", json.dumps(found)), fields, codes=BOOK, **more))


async def test_a_part_of_the_key_is_never_null_where_its_lookup_fails(tmp_path: Path) -> None:
    text = "indikator,daerah,tahun,nilai\nipm,Kedung,2024,1\nipm,Kedng,2024,2\nipm,Pecangan,2024,3\n"
    lookup = {"from": "daerah", "lookup": {"level": "kecamatan", "parent": "33.20"}, "else": "null"}
    source = file(tmp_path, "a.csv", text)
    found = await read(
        dataset(tmp_path, "statistik_indikator", source, {**INDICATOR, "kode_wilayah": lookup}, codes=BOOK)
    )
    assert [record.values["kode_wilayah"] for record in found.records] == ["33.20.01"]
    assert [(reject.field, reject.rule) for reject in found.rejects] == [("kode_wilayah", "lookup_unmatched")] * 2
    branch = {"when": [{"if": "daerah = 'x'", "const": "33.20"}, dict(lookup)]}
    found = await read(
        dataset(tmp_path, "statistik_indikator", source, {**INDICATOR, "kode_wilayah": branch}, codes=BOOK)
    )
    assert [(reject.field, reject.rule) for reject in found.rejects] == [("kode_wilayah", "lookup_unmatched")] * 2


@pytest.mark.parametrize(
    ("field", "given", "pointer", "said"),
    [
        (
            "tahun",
            {"from": "tahun", "boolean": {"true": "ya"}},
            "/fields/tahun/boolean",
            "gives boolean, and the field is integer",
        ),
        (
            "tahun",
            {"from": "tahun", "as_text": {}},
            "/fields/tahun/as_text",
            "gives text, and the field is integer; end with number",
        ),
        ("nilai", {"from": "nilai", "date": "iso"}, "/fields/nilai/date", "gives date, and the field is decimal"),
        (
            "kode_indikator",
            {"from": "x", "number": {}},
            "/fields/kode_indikator/number",
            "gives number, and the field is text",
        ),
        (
            "kode_indikator",
            {"from": "x", "split": {"by": ","}},
            "/fields/kode_indikator/split",
            "gives list, and the field is text",
        ),
        (
            "nilai",
            {"from": "nilai", "number": {}, "text": "trim"},
            "/fields/nilai/text",
            "takes text, and what comes to it is number",
        ),
        ("nilai", {"from": ["a", "b"], "number": {}}, "/fields/nilai/number", "what comes to it is list"),
        ("nilai", {"const": "banyak"}, "/fields/nilai/const", "gives text, and the field is decimal"),
        ("nilai", {"when": [{"if": "a = 1", "const": 5}, {"const": "x"}]}, "/fields/nilai/when/1/const", "gives text"),
        ("tahun", {"from": "x", "multiply": 2, "each": {"text": "trim"}}, "/fields/tahun/each", "takes list"),
    ],
)
def test_steps_that_can_never_give_the_type_of_their_field_are_refused(
    tmp_path: Path, field: str, given: Any, pointer: str, said: str
) -> None:
    source = file(tmp_path, "a.csv", "a\n")
    with pytest.raises(MappingInvalid, match=said) as caught:
        dataset(
            tmp_path, "statistik_indikator", source, {**INDICATOR, "kode_wilayah": {"const": "33.20"}, field: given}
        )
    assert [error.pointer for error in caught.value.errors] == [pointer]


def test_steps_that_may_give_it_are_taken(tmp_path: Path) -> None:
    source = file(tmp_path, "a.csv", "a\n")
    chains = [
        {"from": "x", "split": {"by": ",", "part": 2}, "number": {}},
        {"from": "x", "codes": {"a": 1}},
        {"from": ["a", "b"], "list": "first", "number": {}},
        {"from": ["a", "b"], "join": " ", "number": {}},
        {"from": "x", "as_text": {}, "slice": [1, 2], "number": {}},
        {"const": 5},
        {"const": "5", "number": {}},
        {"expr": "a || b"},
    ]
    for chain in chains:
        fields = {**INDICATOR, "kode_wilayah": {"const": "33.20"}, "nilai": chain}
        assert dataset(tmp_path, "statistik_indikator", source, fields).mapping.fields


async def test_the_loaded_list_is_asked_for_regions(tmp_path: Path) -> None:
    found = await records(
        tmp_path,
        "statistik_indikator",
        [{"i": "ipm", "k": kode, "t": 2024, "n": 1} for kode in ("33.20.01", "33.20.99", "33.21", "33")],
        {"kode_indikator": "i", "kode_wilayah": "k", "tahun": "t", "nilai": "n"},
    )
    told = {record.values["kode_wilayah"]: [warning.code for warning in record.warnings] for record in found.records}
    assert told == {"33.20.01": [], "33": [], "33.20.99": ["region_unknown"], "33.21": ["region_unknown"]}


async def test_places_outside_the_box_of_the_region_are_told(tmp_path: Path) -> None:
    found = await records(
        tmp_path,
        "fasilitas_kesehatan",
        [
            {"kode": f"F{place}", "nama": "K", "lat": lat, "lng": lng}
            for place, (lat, lng) in enumerate([(-6.5, 110.6), (-6.5, 112.0), (-6.5, None)])
        ],
        {**FACILITY, "lat": "lat", "lng": "lng"},
        bbox=BOX,
    )
    assert [[(w.field, w.code) for w in record.warnings if w.field == "lat"] for record in found.records] == [
        [],
        [("lat", "outside_region")],
        [],
    ]
    ring = [[110.5, -6.7], [110.9, -6.7], [110.9, -6.4], [110.5, -6.7]]
    shapes = [
        ring,
        [[lng + 1, lat] for lng, lat in ring],
        ring[::-1],
        [[110, -7], [111, -6], [111, -7], [110, -6], [110, -7]],
    ]
    areas = [
        {"kode": f"33.20.0{place}", "nama": "K", "batas": {"type": "Polygon", "coordinates": [shape]}}
        for place, shape in enumerate(shapes, 1)
    ]
    fields = {"kode_wilayah": "kode", "geometri": "batas"}
    for mapped in ("batas", {"from": "batas", "geometry": {"notation": "geojson"}}):
        found = await records(tmp_path, "batas_wilayah", areas, {**fields, "geometri": mapped}, bbox=BOX)
        told = {
            r.values["kode_wilayah"]: sorted(w.code for w in r.warnings if w.field == "geometri") for r in found.records
        }
        assert told == {"33.20.01": [], "33.20.02": ["outside_region"], "33.20.03": ["geometry_turned"]}
        assert found.records[2].values["geometri"]["coordinates"] == [ring]
        assert [(reject.field, reject.rule) for reject in found.rejects] == [("geometri", "geometry_invalid")]


@pytest.mark.parametrize("number", [2**63, 2**64, -(10**25), 10**40])
async def test_a_whole_number_beyond_64_bits_is_shown_and_rejects_an_integer(tmp_path: Path, number: int) -> None:
    source = file(
        tmp_path,
        "a.json",
        json.dumps([{"i": "ipm", "k": "33.20", "t": number, "n": number, "lain": {"dalam": [number]}}]),
    )
    opened = dataset(
        tmp_path,
        "statistik_indikator",
        source,
        {"kode_indikator": "i", "kode_wilayah": "k", "tahun": "t", "nilai": "n"},
    )
    shown = await opened.preview()
    assert shown[0].raw["lain"] == {"dalam": [str(number) if not -(2**63) <= number < 2**64 else number]}
    found = await opened.read(ReadRequest())
    await opened.close()
    assert found.records == []
    assert "tahun" in {reject.field for reject in found.rejects}


async def test_a_member_called_rank_is_no_column_of_the_portal(tmp_path: Path) -> None:
    services = SourceServer()
    result = {"total": 1, "records": [{"_id": 1, "kode": "F1", "rank": "Satu"}]}
    services.json("/api/3/action/datastore_search", json.dumps({"success": True, "result": result}).encode())
    try:
        source = {"kind": "ckan", "url": services.url, "resource": "r1"}
        found = await read(dataset(tmp_path, "fasilitas_kesehatan", source, {**FACILITY, "nama": "rank"}))
    finally:
        services.close()
    assert [record.values["nama"] for record in found.records] == ["Satu"]


async def test_members_with_dots_and_other_signs_are_reached_by_a_path(tmp_path: Path) -> None:
    found = [{"@id": {"a.b": ["F1"]}, "nama lengkap": {"x": "Satu"}}]
    fields = {
        "kode_faskes": "$['@id']['a.b'][0]",
        "nama": {"from": "$['nama lengkap'].x"},
        "jenis": {"const": "klinik"},
    }
    result = await records(tmp_path, "fasilitas_kesehatan", found, fields)
    assert [(record.values["kode_faskes"], record.values["nama"]) for record in result.records] == [("F1", "Satu")]


@pytest.mark.parametrize("path", ["$.a..b", "$[0].a", "$.a[x]", "$['a", "$.a b[", "$.", "$[a]"])
@pytest.mark.parametrize(
    "form", [lambda path: path, lambda path: {"from": path}, lambda path: {"from": [path], "list": "first"}]
)
def test_a_path_that_is_none_is_refused_in_every_form(tmp_path: Path, path: str, form: Any) -> None:
    with pytest.raises(MappingInvalid, match="a path is written"):
        dataset(tmp_path, "fasilitas_kesehatan", file(tmp_path, "a.json", "[]"), {**FACILITY, "nama": form(path)})
