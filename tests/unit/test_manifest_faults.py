"""Options of a manifest that cannot be meant, or that would do nothing, are refused at their place; what they need is named."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.connectors.contract import RawBatch
from app.connectors.file.csv_reader import read_csv
from app.connectors.file.source import FileSource
from app.connectors.file.table import filled_columns
from app.datasets.manifest import canonical_manifest, load_manifest, parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import CROSSWALK_SCHEMA, REGION_SCHEMA, InMemoryCodeBook
from app.datasets.preview import Previewer
from app.errors import ManifestInvalid, SourceFormatError
from app.schemas import registry

SCHEMA = registry.get("harga_komoditas")
FIELDS = {name: name for name, spec in SCHEMA.fields.items() if spec.required}
CSV = {"kind": "file", "location": "inbox/harga.csv"}
SHEET = {"kind": "file", "location": "inbox/harga.xlsx"}
JSON = {"kind": "file", "location": "inbox/harga.json"}
SQL = {"kind": "sql", "url": "sqlite:harga.db", "table": "harga"}
REST = {"kind": "rest", "url": "https://layanan.example/harga"}
CKAN = {"kind": "ckan", "url": "https://portal.example"}
OGC = {"kind": "ogc", "url": "https://geo.example/ogc", "collection": "desa"}
WFS = {**OGC, "service": "wfs"}
KEY = "${secret:KUNCI}"


def document(source: dict[str, Any], **more: Any) -> dict[str, Any]:
    base = {"connector": "contoh", "agency": "uji", "schema": SCHEMA.meta.ref, "fields": FIELDS}
    return {**base, "source": source, **more}


def faults(source: dict[str, Any], **more: Any) -> dict[str, str]:
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(document(source, **more))
    found = [(fault.pointer, fault.detail) for fault in caught.value.errors]
    assert len(found) == len(dict(found)), found
    return dict(found)


def test_freshness_names_a_mapped_field_of_the_schema() -> None:
    slo = {"slo": "1d"}
    assert "no field tidak_ada" in faults(CSV, freshness={"field": "tidak_ada", **slo})["/freshness/field"]
    assert "is not mapped" in faults(CSV, freshness={"field": "sumber", **slo})["/freshness/field"]
    assert parse_manifest(document(CSV, freshness={"field": "tanggal", **slo})).freshness is not None


@pytest.mark.parametrize(
    ("source", "option", "pointer"),
    [
        (SHEET, {"range": "K200:B4"}, "/source/range"),
        (SHEET, {"range": "B200:K4"}, "/source/range"),
        (SHEET, {"header": {"rows": [0]}}, "/source/header/rows"),
        (SHEET, {"header": {"rows": [4, 3]}}, "/source/header/rows"),
        (SHEET, {"header": {"rows": [3, 3]}}, "/source/header/rows"),
        (SHEET, {"header": {"rows": [True]}}, "/source/header/rows"),
        (SHEET, {"sheet": True}, "/source/sheet"),
        (CSV, {"skip": True}, "/source/skip"),
        (CSV, {"encoding": "utf-99"}, "/source/encoding"),
        (CSV, {"encoding": "base64"}, "/source/encoding"),
        (JSON, {"record_path": "data.items"}, "/source/record_path"),
        (CKAN, {"resource": "r", "encoding": "utf-99"}, "/source/encoding"),
        (REST, {"record_path": "data.items"}, "/source/record_path"),
        (REST, {"paging": {"preset": "django"}}, "/source/paging/preset"),
        (REST, {"format": "xml", "record_path": "$.a"}, "/source/record_path"),
        (REST, {"format": "xml", "record_path": "/a/b", "paging": {"kind": "page", "total": "$.n"}}, "/source"),
        (OGC, {"url": "https://geo.example/ogc/collections/desa/items"}, "/source/url"),
        (OGC, {"url": "ftp://geo.example"}, "/source/url"),
        (OGC, {"url": "https://geo.example/ogc?f=json"}, "/source"),
        (OGC, {"bbox": [110, -5, 111, -7]}, "/source/bbox"),
        (OGC, {"bbox": [-7, 110, -5, 111]}, "/source/bbox"),
        (OGC, {"datetime": "kemarin"}, "/source/datetime"),
        (OGC, {"datetime": "2025-02-30"}, "/source/datetime"),
        (OGC, {"datetime": "../.."}, "/source/datetime"),
        (OGC, {"datetime": "2025-01-01T00:00:00"}, "/source/datetime"),
        (OGC, {"headers": {"X-Api-Key": "abc"}}, "/source/headers"),
        (OGC, {"rate": "5"}, "/source/rate"),
        (OGC, {"size": 0}, "/source/size"),
        (OGC, {"auth": {"kind": "bearer"}}, "/source/auth/token"),
        (REST, {"paging": {"preset": "drf", "kind": "page"}}, "/source/paging/kind"),
        (REST, {"paging": {"preset": "drf", "total": "$.n"}}, "/source/paging/total"),
        (REST, {"paging": {"preset": "drf", "size": 50}}, "/source/paging/size"),
        (REST, {"paging": {"kind": "cursor", "path": "$.a", "header": "X-A"}}, "/source/paging/header"),
        (REST, {"paging": {"kind": "offset", "last": "$.a"}}, "/source/paging/last"),
        (REST, {"rate": "5"}, "/source/rate"),
        (REST, {"rate": "0/s"}, "/source/rate"),
        (REST, {"body": {"a": 1}}, "/source"),
        (REST, {"method": "POST", "body": {"a": [{"password": "x"}]}}, "/source/body"),
        (REST, {"method": "POST", "paging": {"kind": "next_link"}}, "/source"),
        (REST, {"method": "POST", "pushdown": {"a": "$[0]"}}, "/source"),
        (REST, {"auth": {"kind": "bearer"}}, "/source/auth/token"),
        (REST, {"auth": {"kind": "basic", "password": KEY}}, "/source/auth/user"),
        (REST, {"auth": {"kind": "api_key", "name": "kunci"}}, "/source/auth/value"),
        (REST, {"auth": {"kind": "oauth2", "client_id": "a", "client_secret": KEY}}, "/source/auth/token_url"),
        (REST, {"auth": {"kind": "oauth2", "client_id": "a", "client_secret": KEY, "token_url": "nix"}}, "/source/auth/token_url"),
    ],
)  # fmt: skip
def test_a_malformed_option_is_refused_at_its_pointer(
    source: dict[str, Any], option: dict[str, Any], pointer: str
) -> None:
    assert list(faults({**source, **option})) == [pointer]


@pytest.mark.parametrize(
    ("source", "option", "pointer"),
    [
        (CSV, {"columns": ["a"]}, "/source/columns"),
        (SHEET, {"columns": ["a"]}, "/source/columns"),
        (CSV, {"sheet": "a"}, "/source/sheet"),
        (CSV, {"range": "A1:B2"}, "/source/range"),
        (CSV, {"record_path": "$.a"}, "/source/record_path"),
        (SHEET, {"delimiter": ";"}, "/source/delimiter"),
        ({**SHEET, "format": "xlsx"}, {"encoding": "cp1252"}, "/source/encoding"),
        (SHEET, {"record_path": "$.a"}, "/source/record_path"),
        (JSON, {"skip": 3}, "/source/skip"),
        (JSON, {"fill_down": ["a"]}, "/source/fill_down"),
        ({**CSV, "location": "inbox/a.ndjson"}, {"record_path": "$.a"}, "/source/record_path"),
        ({**CSV, "location": "inbox/a.parquet"}, {"stop_at": "JUMLAH"}, "/source/stop_at"),
        ({**CSV, "format": "json"}, {"quote": "'"}, "/source/quote"),
        (REST, {"auth": {"token": KEY}}, "/source/auth/token"),
        (REST, {"auth": {"kind": "bearer", "token": KEY, "scope": "a"}}, "/source/auth/scope"),
        (REST, {"paging": {"size_param": "n"}}, "/source/paging/size_param"),
        (REST, {"paging": {"kind": "page", "path": "$.a"}}, "/source/paging/path"),
        (OGC, {"sort": "kode"}, "/source/sort"),
        (WFS, {"datetime": "2025-01-01"}, "/source/datetime"),
        (CKAN, {"resource": "r", "query": "a"}, "/source/query"),
        (CKAN, {"resource": "r", "package": "a"}, "/source/package"),
        (CKAN, {"mode": "packages", "resource": "r"}, "/source/resource"),
    ],
)  # fmt: skip
def test_an_option_without_effect_is_refused(source: dict[str, Any], option: dict[str, Any], pointer: str) -> None:
    assert list(faults({**source, **option})) == [pointer]


@pytest.mark.parametrize(
    "source",
    [
        {
            **CSV,
            "delimiter": ";",
            "quote": "none",
            "encoding": "cp1252",
            "header": False,
            "columns": ["a"],
            "skip": 1,
            "fill_down": ["a"],
            "stop_at": "b",
        },
        {
            **SHEET,
            "sheet": 0,
            "range": "B4:K200",
            "header": {"rows": [3, 4]},
            "skip": 1,
            "fill_down": ["a"],
            "stop_at": {"column": "a", "text": "b"},
        },
        {**JSON, "record_path": "$.data[*]", "delimiter": ",", "skip": 0, "header": True},
        {
            **REST,
            "auth": {
                "kind": "oauth2",
                "token_url": "https://a.example/t",
                "client_id": "a",
                "client_secret": KEY,
                "scope": "b",
            },
        },
        {
            **REST,
            "auth": {"kind": "basic", "user": "a"},
            "paging": {"kind": "cursor", "param": "c", "path": "$.a", "more": "$.b", "total": "$.c"},
        },
        {**CKAN, "package": "a", "resource_name": "b", "delimiter": ";", "encoding": "latin-1"},
        {**CKAN, "mode": "packages", "query": "a"},
        {
            **OGC,
            "bbox": [170, -20, -170, 0],
            "datetime": "2025-01-01/2025-12-31T23:59:59.5+07:00",
            "size": 10,
            "rate": "5/s",
        },
        {**WFS, "url": "https://geo.example/wfs?map=peta", "sort": "kode", "auth": {"kind": "bearer", "token": KEY}},
        {
            **REST,
            "format": "xml",
            "record_path": "/a/b",
            "paging": {"kind": "next_link", "path": "/a/link[@rel=next]/@href"},
        },
    ],
)
def test_options_with_effect_are_taken_and_stay_so_when_stored(source: dict[str, Any]) -> None:
    first = canonical_manifest(parse_manifest(document(source)))
    assert canonical_manifest(parse_manifest(load_manifest(first))) == first


def test_a_form_that_was_not_written_is_not_told_of() -> None:
    assert faults({**SHEET, "header": {"row": [1]}}) == {
        "/source/header/rows": "Field required",
        "/source/header/row": "unknown key row; did you mean rows?",
    }
    assert set(faults({**SHEET, "stop_at": {"column": "a"}})) == {"/source/stop_at/text"}


@pytest.mark.parametrize("source", [SQL, {**CKAN, "resource": "r"}, CSV])
def test_a_record_path_in_read_is_refused_where_it_was_written(source: dict[str, Any]) -> None:
    found = faults(source, read={"record_path": "$.data"})

    assert list(found) == ["/read/record_path"]
    assert "leave" in found["/read/record_path"]


def test_a_malformed_record_path_in_read_is_told_once() -> None:
    assert list(faults(JSON, read={"record_path": "data.items"})) == ["/read/record_path"]
    assert list(faults(JSON, read={"record_path": 5})) == ["/read/record_path"]


@pytest.mark.parametrize(
    ("name", "value", "pointer"), [("Tahun", "Tahun", "value"), ("Nilai", "Pasar", "value"), ("Pasar", "Nilai", "name")]
)
def test_columns_that_unpivot_makes_have_names_of_their_own(name: str, value: str, pointer: str) -> None:
    unpivot = {"keep": ["Pasar"], "name": name, "value": value}
    assert list(faults(CSV, read={"unpivot": unpivot})) == [f"/read/unpivot/{pointer}"]


def test_fill_down_names_columns_that_the_file_has(tmp_path: Path) -> None:
    path = tmp_path / "a.csv"
    path.write_text("Pasar,Harga\nJepara,1\n,2\n", "utf-8")
    wrong = FileSource(location="a.csv", fill_down=("Pasar", "Psar"))

    with pytest.raises(SourceFormatError, match="there is no column 'Psar' for fill_down") as caught:
        list(read_csv(path, wrong, "a.csv"))
    assert caught.value.facts["field"] == "/source/fill_down"
    (batch,) = read_csv(path, FileSource(location="a.csv", fill_down=("Pasar",)), "a.csv")
    assert batch.rows == [("Jepara", "1"), ("Jepara", "2")]
    assert filled_columns(FileSource(location="a.xlsx", fill_down=("Harga",)), ["Pasar", "Harga"], "a") == [1]


def test_a_preview_shows_no_value_as_none_also_where_the_field_is_personal() -> None:
    schema = registry.get("penduduk_verifikasi")
    fields = {"nik": "nik", "nama": "nama", "tanggal_lahir": "lahir"}
    manifest = parse_manifest({**document(CSV), "schema": schema.meta.ref, "fields": fields})
    book = InMemoryCodeBook("1", REGION_SCHEMA.empty_table(), CROSSWALK_SCHEMA.empty_table())
    names = pa.schema([(name, pa.string()) for name in fields.values()])
    batch = RawBatch(names, rows=[("3320990101900001", "Siti", None)], location="a", numbers=[1])

    (shown,) = Previewer(schema, compile_mapping(manifest, schema, book)).rows(batch)

    assert shown.raw["lahir"] is None
    assert shown.mapped is not None, shown.rejects
    assert shown.mapped["nik"] == "#…# (9-16)"
    assert [name for name, value in shown.mapped.items() if value is None] == [
        "tanggal_lahir",
        "status_dasar",
        "kode_wilayah",
    ]
