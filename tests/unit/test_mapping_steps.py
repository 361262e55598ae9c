"""The mapping steps on values as agencies write them: what converts, what is rejected and by which rule."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
import pytest

from app.datasets.mapping.codes import CROSSWALK_SCHEMA, REGION_SCHEMA, InMemoryCodeBook
from app.datasets.mapping.compile import compile_field
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.contract import StepContext
from app.errors import ExpressionForbidden, MappingInvalid
from app.schemas import registry

REGIONS = [
    {"kode": "33", "nama": "Jawa Tengah", "tingkat": "provinsi", "kode_induk": None},
    {"kode": "33.20", "nama": "Kabupaten Jepara", "tingkat": "kabupaten", "kode_induk": "33"},
    {"kode": "33.20.06", "nama": "Jepara", "tingkat": "kecamatan", "kode_induk": "33.20"},
    {"kode": "33.20.10", "nama": "Karimunjawa", "tingkat": "kecamatan", "kode_induk": "33.20"},
]
CROSSWALK = [
    {
        "sistem": "bps",
        "kode_asal": "3320080",
        "tingkat": "kecamatan",
        "nama_asal": "JEPARA",
        "kode_kemendagri": "33.20.06",
    },
]


def book() -> InMemoryCodeBook:
    def table(rows: list[dict[str, Any]], schema: pa.Schema) -> pa.Table:
        return pa.table({name: pa.array([row.get(name) for row in rows], pa.string()) for name in schema.names})

    return InMemoryCodeBook("1", table(REGIONS, REGION_SCHEMA), table(CROSSWALK, CROSSWALK_SCHEMA))


def value(schema: str, field: str, mapping: Any, **row: Any) -> Any:
    spec = registry.get(schema).fields[field]
    context = StepContext(f"/fields/{field}", book(), "Asia/Jakarta", spec=spec)
    return compile_field(field, mapping, spec, context).value(row)


@pytest.mark.parametrize(
    ("schema", "field", "mapping", "raw", "wanted"),
    [
        ("wilayah", "nama", {"from": "x", "text": "squeeze"}, "  BANGSRI   I ", "BANGSRI I"),
        ("wilayah", "nama", {"from": "x", "text": ["squeeze", "title"]}, "PAKIS  AJI", "Pakis Aji"),
        ("wilayah", "nama", "x", "   ", None),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {"thousands": ".", "decimal": ",", "prefix": "Rp"}}, "-Rp 1.234,50", Decimal("-1234.50")),
        ("kejadian_bencana", "kedalaman_km", {"from": "x", "number": {"suffix": "km"}}, "41 km", 41.0),
        ("kejadian_bencana", "lat", {"from": "x", "hemisphere": True}, "4.61 LS", -4.61),
        ("kejadian_bencana", "lng", {"from": "x", "hemisphere": True}, "102.75 BT", 102.75),
        ("harga_komoditas", "tanggal", {"from": "x", "date": "%d %b %y", "months": "id"}, "20 Agu 20", date(2020, 8, 20)),
        ("harga_komoditas", "tanggal", {"from": "x", "date": ["%Y-%m-%d", "%d/%m/%Y"]}, "01/11/2026", date(2026, 11, 1)),
        ("kejadian_bencana", "waktu", {"from": "x", "datetime": {"formats": "%d %b %Y %H:%M:%S"}}, "23 Mei 2022 19:32:02 WIB", datetime(2022, 5, 23, 12, 32, 2, tzinfo=UTC)),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": "33.20", "strip": ["KEC. "]}}, "KEC. JEPARA", "33.20.06"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "crosswalk": {"from": "bps", "level": "kecamatan"}}, "3320080", "33.20.06"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": "33.20", "blanks": "ignore"}}, "Karimun Jawa", "33.20.10"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": ["33.19", "33.20"]}}, "JEPARA", "33.20.06"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": "33.20", "search": True}}, "Jl. Pemuda 3, Kec. Karimunjawa", "33.20.10"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": "33.20", "search": True, "blanks": "ignore"}}, "Kec. Karimun-Jawa 59455", "33.20.10"),
        ("batas_wilayah", "geometri", {"from": "x", "geometry": {"notation": "wkt"}}, "POLYGON ((110 -6, 111 -6, 111 -7, 110 -6))", {"type": "Polygon", "coordinates": [[[110.0, -6.0], [111.0, -6.0], [111.0, -7.0], [110.0, -6.0]]]}),
        ("batas_wilayah", "geometri", {"from": "x", "geometry": {"notation": "wkt", "axis": "latlng"}}, "MULTIPOLYGON Z (((-6 110 5, -6 111 5, -7 111 5, -6 110 5)))", {"type": "MultiPolygon", "coordinates": [[[[110.0, -6.0], [111.0, -6.0], [111.0, -7.0], [110.0, -6.0]]]]}),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {"decimal": ","}}, ",75", Decimal("0.75")),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {"prefix": "Rp"}}, "-Rp .5", Decimal("-0.5")),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {"thousands": " ", "decimal": ","}}, "1\u00a0234\u202f567,5", Decimal("1234567.5")),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {"thousands": " ", "decimal": ","}}, "1 234", Decimal(1234)),
        ("penduduk_verifikasi", "nik", {"from": "x", "as_text": {"digits": 16}}, 3320990101900001, "3320990101900001"),
        ("penduduk_verifikasi", "nik", {"from": "x", "as_text": {"digits": 16}}, Decimal("3320990101900001"), "3320990101900001"),
        ("fasilitas_kesehatan", "rawat_inap", {"from": "x", "boolean": {True: "Ya", False: ["Tidak", "T"]}}, "T", False),
        ("fasilitas_kesehatan", "lat", {"from": "x", "position": {"notation": "wkt", "part": "lat"}}, "POINT(110.5 -6.5)", -6.5),
        ("fasilitas_kesehatan", "lng", {"from": "x", "position": {"notation": "latlng", "part": "lng"}}, "-6.5, 110.5", 110.5),
        ("kejadian_bencana", "dirasakan", {"from": "x", "felt": "mmi"}, "III-IV Jepara", [{"mmi_min": 3, "mmi_max": 4, "tempat": "Jepara"}]),
        ("wilayah", "tingkat", {"when": [{"if": "length(x) = 2", "const": "provinsi"}, {"const": "desa"}]}, "33", "provinsi"),
    ],
)  # fmt: skip
def test_value_converts(schema: str, field: str, mapping: Any, raw: Any, wanted: Any) -> None:
    assert value(schema, field, mapping, x=raw) == wanted


@pytest.mark.parametrize(
    ("schema", "field", "mapping", "raw", "rule"),
    [
        ("realisasi_apbd", "belanja", {"from": "x", "number": {"thousands": ".", "decimal": ","}}, "1.23,4", "not_a_number"),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {}}, "1e5", "not_a_number"),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {}}, "１２", "not_a_number"),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {}}, float("nan"), "not_finite"),
        ("harga_komoditas", "tanggal", {"from": "x", "date": "%d/%m/%Y"}, "31/02/2026", "not_a_date"),
        ("penduduk_verifikasi", "nik", {"from": "x", "as_text": {"digits": 16}}, 3.3200115019000017e16, "digits_lost"),
        ("penduduk_verifikasi", "nik", "x", 3320990101900001, "wrong_type"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "crosswalk": {"from": "bps", "level": "kecamatan"}}, "3320999", "crosswalk_unmatched"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": "33.20"}}, "Entah", "lookup_unmatched"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": "33.20", "search": True}}, "dari Jepara ke Karimunjawa", "lookup_ambiguous"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": "33.20", "search": True}}, "Jeparadise", "lookup_unmatched"),
        ("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": "33.20"}}, "Karimun Jawa", "lookup_unmatched"),
        ("batas_wilayah", "geometri", {"from": "x", "geometry": {"notation": "wkt"}}, "POINT (110 -6)", "geometry_malformed"),
        ("batas_wilayah", "geometri", {"from": "x", "geometry": {"notation": "wkt"}}, "POLYGON EMPTY", "geometry_malformed"),
        ("batas_wilayah", "geometri", {"from": "x", "geometry": {"notation": "wkt"}}, "CURVEPOLYGON (CIRCULARSTRING (0 0, 4 0, 4 4, 0 4, 0 0))", "geometry_malformed"),
        ("batas_wilayah", "geometri", {"from": "x", "geometry": {"notation": "wkt"}}, "SRID=4326;POLYGON ((110 -6, 111 -6, 111 -7, 110 -6))", "geometry_malformed"),
        ("batas_wilayah", "geometri", {"from": "x", "geometry": {"notation": "wkt"}}, "POLYGON ((110 -6, 111", "geometry_malformed"),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {"decimal": ","}}, ",", "not_a_number"),
        ("realisasi_apbd", "belanja", {"from": "x", "number": {"thousands": " "}}, "12 34", "not_a_number"),
        ("kejadian_bencana", "lat", {"from": "x", "hemisphere": True}, "4.61 XX", "not_a_coordinate"),
        ("batas_wilayah", "geometri", {"from": "x", "geometry": {"notation": "coordinates", "axis": "latlng"}}, "[1, 2]", "geometry_depth"),
        ("wilayah", "nama", {"from": "x", "slice": [1, 9]}, "pendek", "slice_out_of_range"),
    ],
)  # fmt: skip
def test_value_is_rejected_and_never_guessed(schema: str, field: str, mapping: Any, raw: Any, rule: str) -> None:
    with pytest.raises(StepReject) as caught:
        value(schema, field, mapping, x=raw)

    assert caught.value.rule == rule


@pytest.mark.parametrize(
    "mapping",
    [{"from": "x", "txt": "trim"}, {"from": "x", "text": "shout"}, {"from": "x", "else": "skip"}, {"const": 1, "from": "x"}, 7, {"from": "x", "number": {"decimal": ",,"}}],
)  # fmt: skip
def test_faulty_mapping_is_refused(mapping: Any) -> None:
    with pytest.raises(MappingInvalid):
        value("wilayah", "nama", mapping, x="a")


@pytest.mark.parametrize(
    "text",
    ["(SELECT 1)", "read_csv('x')", "getenv('HOME')", "a; DROP TABLE t", "a -- b", "a, b", "1 FROM t", "sum(a)", "a::json", "(" * 100, "x" * 5000, "__class__.y"],
)  # fmt: skip
def test_forbidden_expression_is_refused(text: str) -> None:
    with pytest.raises(ExpressionForbidden):
        value("wilayah", "nama", {"expr": text}, x="a")


@pytest.mark.parametrize(
    "text",
    [
        "rpad(x, 4, '0')", "ltrim(x)", "rtrim(x)", "trim(LEADING FROM x)", "x BETWEEN SYMMETRIC 9 AND 1", "CAST(x AS DECIMAL(10,0))",
        "CAST(x AS DECIMAL(18,3))", "x::varchar(2)", "TRY_CAST(x AS INT)", "pad(x, 3, '0')", "x ILIKE 'a'", "x LIKE 'a' ESCAPE '!'",
    ],
)  # fmt: skip
def test_a_variant_that_is_not_computed_is_refused_and_never_taken_for_another(text: str) -> None:
    with pytest.raises(ExpressionForbidden):
        value("wilayah", "nama", {"expr": text}, x="a")


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("CASE WHEN x NOT LIKE 'Kec%' THEN 'bukan' ELSE 'ya' END", "ya"),
        ("CASE WHEN x NOT LIKE 'Desa%' THEN 'bukan' ELSE 'ya' END", "bukan"),
        ("CASE WHEN NOT x LIKE 'Desa%' THEN 'bukan' ELSE 'ya' END", "bukan"),
        ("CASE WHEN x NOT IN ('Kec. Keling') THEN 'bukan' ELSE 'ya' END", "ya"),
        ("lpad('7', 3, '0')", "007"),
        ("concat(x, ' (', CAST(7 AS TEXT), ')')", "Kec. Keling (7)"),
        ("CASE WHEN x = 'DECIMAL (' THEN 'a' ELSE 'b' END", "b"),
    ],
)
def test_what_is_offered_is_computed_as_sql_does(text: str, expected: str) -> None:
    assert value("wilayah", "nama", {"expr": text}, x="Kec. Keling") == expected


ODD = [[], [[]], {}, {1: 2}, None, 7, True, "x", [None], {"a": []}]


def _options_of(step: str) -> list[str]:
    """The options that a step says it knows."""
    try:
        value("wilayah", "nama", {"from": "x", step: {"?": 1}}, x="a")
    except MappingInvalid as refused:
        known = refused.detail.partition("known: ")[2]
        return [name.strip() for name in known.split(",") if name]
    except StepReject:
        pass
    return []


@pytest.mark.parametrize("step", [*STEPS, "each"])
def test_options_of_a_wrong_form_are_refused_at_their_place_and_never_fail_otherwise(step: str) -> None:
    whole: list[Any] = [*ODD, *({name: odd} for name in _options_of(step) for odd in ODD)]
    whole += [{"level": "kecamatan", "parent": "33.20", "strip": odd} for odd in (None, "KEC. ", [1])]
    refused = 0
    for options in whole:
        try:
            value("wilayah", "nama", {"from": "x", step: options}, x="a")
        except MappingInvalid as error:
            refused += error.errors[0].pointer.startswith(f"/fields/nama/{step}")
        except StepReject:
            pass
    assert refused


def test_strip_is_a_list_and_never_taken_letter_by_letter() -> None:
    with pytest.raises(MappingInvalid, match="strip is a list of texts"):
        value("satuan_pendidikan", "kode_wilayah", {"from": "x", "lookup": {"level": "kecamatan", "parent": "33.20", "strip": "KEC. "}}, x="a")  # fmt: skip


LATLNG = {"from": "x", "position": {"notation": "latlng", "part": "lat"}}
LNG = {"from": "x", "position": {"notation": "latlng", "part": "lng"}}


@pytest.mark.parametrize(
    ("raw", "lat", "lng"),
    [
        ("-6.58,110.7", -6.58, 110.7), ("-6.58, 110", -6.58, 110), ("-6,110.7", -6, 110.7), ("-6, 58", -6, 58), ("-6 58", -6, 58), ("6,-58", 6, -58),
        ("-6,58 110,7", -6.58, 110.7), ("-6,58; 110,7", -6.58, 110.7), ("-6,58;110", -6.58, 110), ("-6,58, 110,7", -6.58, 110.7), ("-6; 110", -6, 110),
        ("[-6,58]", -6, 58), (["-6.58", "110.7"], -6.58, 110.7), ([-6.58, 110, 3], -6.58, 110), ([Decimal("-6.58"), 110], -6.58, 110),
    ],
)  # fmt: skip
def test_a_pair_is_read_where_its_comma_can_mean_one_thing_only(raw: Any, lat: float, lng: float) -> None:
    assert value("fasilitas_kesehatan", "lat", LATLNG, x=raw) == lat
    assert value("fasilitas_kesehatan", "lng", LNG, x=raw) == lng


@pytest.mark.parametrize(
    "raw",
    [
        "-6,58", "6,110", "-6,58,110,7", "-6,58 110.7", "-6.58,110,7", "-6,58,110", "[-6,58", "-6.58", "-6,5,8", ["a", "b"], [None, 1], [True, 1], [1, "-6,5"],
        [1], [1, 2, 3, 4], [[1], 2], [{}, 1], [float("nan"), 1], [1, Decimal("Infinity")],
    ],
)  # fmt: skip
def test_a_pair_that_may_mean_two_things_or_holds_no_numbers_is_rejected(raw: Any) -> None:
    for mapping in (LATLNG, LNG):
        with pytest.raises(StepReject) as caught:
            value("fasilitas_kesehatan", "lat", mapping, x=raw)
        assert caught.value.rule == "not_a_coordinate"


@pytest.mark.parametrize(
    ("step", "options", "pointer", "detail"),
    [
        ("date", "%d/%m/%d", "/date", "%d and %d tell the same"),
        ("date", ["iso", "%d/%m %B %Y"], "/date", "%m and %B tell the same"),
        ("date", "%y %Y", "/date", "%y and %Y tell the same"),
        ("datetime", "%d/%m/%Y %H:%M:%M", "/datetime", "%M and %M tell the same"),
        ("lookup", {"level": "kecamatan", "parent": 33.20}, "/lookup/parent", "parent is a text in quotes"),
        ("lookup", {"level": "kecamatan", "parent": 33}, "/lookup/parent", "parent is a text in quotes"),
        ("lookup", {"level": "kecamatan", "parent": []}, "/lookup/parent", "parent is a text in quotes"),
        ("lookup", {"level": "kecamatan", "search": True}, "/lookup/search", "search needs a parent"),
        ("lookup", {"level": "kecamatan", "parent": "33", "blanks": "no"}, "/lookup/blanks", "count (the default) or ignore"),
        ("lookup", {"level": "kecamatan", "parent_from": 33}, "/lookup/parent_from", "names a raw column"),
        ("lookup", {"level": "desa", "parent": "33", "parent_from": "y"}, "/lookup/parent_from", "without parent"),
        ("slice", [True, True], "/slice", "slice is"),
        ("as_text", {"digits": True}, "/as_text", "digits is"),
        ("number", {"thousands": "."}, "/number/thousands", 'so is decimal where it is left out; state the decimal sign: decimal: ","'),
        ("number", {"thousands": ",", "decimal": ","}, "/number/thousands", 'decimal is too; state the decimal sign: decimal: "."'),
        ("number", {"prefix": ["Rp"]}, "/number/prefix", "text in quotes"),
        ("list", "last", "/list", "list is first, keep, or {join: text}"),
        ("boolean", {"true": "ya", "false": ["T", "ya"]}, "/boolean", "ya stands under true and under false"),
    ],
)  # fmt: skip
def test_an_option_that_cannot_be_meant_is_refused_at_its_pointer(
    step: str, options: Any, pointer: str, detail: str
) -> None:
    with pytest.raises(MappingInvalid, match=re.escape(detail)) as caught:
        value("wilayah", "nama", {"from": "x", step: options}, x="a")

    assert caught.value.errors[0].pointer == f"/fields/nama{pointer}"


@pytest.mark.parametrize(
    "steps", [{"number": {}, "crosswalk": {"from": "bps", "level": "kecamatan"}}, {"multiply": 1, "lookup": {"level": "kecamatan"}}]
)  # fmt: skip
def test_a_number_never_comes_to_a_step_on_codes_of_regions(steps: dict[str, Any]) -> None:
    with pytest.raises(MappingInvalid, match="it takes text, and what comes to it is number"):
        value("satuan_pendidikan", "kode_wilayah", {"from": "x", **steps}, x="3320080")
