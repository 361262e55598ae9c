"""Whole answers in every format, opened with the programs that people open them with."""

from __future__ import annotations

import csv
import io
import json
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import duckdb
import openpyxl
import orjson
import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.datasets.records import MappedRecord, RecordWarning
from app.errors import AnswerTooLarge, NotAcceptable
from app.federation.exports import Columns, Summary, writer_of
from app.federation.exports.writer import MOST_IDLE, RowText
from app.federation.reading.batches import Batch, columns_of
from app.schemas import registry

MOMENT = datetime(2026, 11, 20, 3, 15, tzinfo=UTC)
SUMMARY = Summary(
    sources=[
        {
            "agency": "dinkes", "dataset": "dinkes-faskes", "status": "ok", "rows": 3, "rejected_rows": 1,
            "as_of": MOMENT, "problem": None,
        },
        {
            "agency": "rsud", "dataset": "rsud-rs", "status": "timeout", "rows": 0, "rejected_rows": 0, "as_of": None,
            "problem": {"code": "source_timeout", "detail": "rsud did not answer within 10 s"},
        },
    ],
    complete=False,
    rows=3,
    question="fasilitas_kesehatan@1",
    meta={"schema": "fasilitas_kesehatan@1"},
)  # fmt: skip
ROWS: list[dict[str, Any]] = [
    {"kode_faskes": "P1", "nama": '=HYPERLINK("http://x")', "jenis": "puskesmas", "lat": -6.5, "lng": 110.6},
    {"kode_faskes": "P2", "nama": 'Klinik "A"; B, <C> & D\nbaris dua', "jenis": "klinik", "lat": None, "lng": None},
    {"kode_faskes": "0123", "nama": "Praktik é 你", "jenis": "klinik", "lat": -6.25, "lng": 110.0},
]


class Memory(io.BytesIO):
    """A sink that is only appended to."""

    def seek(self, *_: Any) -> int:
        raise AssertionError("an answer is never written backwards")


def made(form: str, rows: list[dict[str, Any]], name: str = "fasilitas_kesehatan", **options: Any) -> bytes:
    schema = registry.get(name)
    fields = tuple(field for field in schema.fields if any(field in row for row in rows))
    note = (RecordWarning("lat", "outside_region", "di luar", "outside"),)
    records = [MappedRecord(f"k{place}", row, note if place == 1 else ()) for place, row in enumerate(rows)]
    sink = Memory()
    writer = writer_of(form, Columns.of(schema, fields), sink, **options)
    half = len(records) // 2
    try:
        for few in (records[:half], records[half:]):
            if few:
                writer.take(Batch(columns_of(schema, few, fields), "dinkes", "dinkes-faskes", MOMENT, fields))
        writer.finish(SUMMARY)
    finally:
        writer.close()
    return sink.getvalue()


def test_lines_hold_what_a_page_holds() -> None:
    found = [orjson.loads(line) for line in made("ndjson", ROWS).splitlines()]

    assert [row["nama"] for row in found] == [row["nama"] for row in ROWS]
    assert found[1]["lat"] is None
    assert found[0]["_source"] == {
        "agency": "dinkes",
        "dataset": "dinkes-faskes",
        "id": "k0",
        "as_of": "2026-11-20T03:15:00Z",
    }
    assert found[1]["_warnings"] == [{"field": "lat", "code": "outside_region", "detail": "outside"}]
    assert "_warnings" not in found[0]


def test_json_is_the_page_with_everything_in_it() -> None:
    found = json.loads(made("json", ROWS))

    assert [row["kode_faskes"] for row in found["items"]] == ["P1", "P2", "0123"]
    assert (found["next_cursor"], found["complete"]) == (None, False)
    assert found["sources"][1]["problem"]["code"] == "source_timeout"


@pytest.mark.parametrize("form", ["json", "ndjson", "csv", "xlsx", "parquet", "arrow", "geojson"])
def test_an_empty_answer_is_a_valid_file(form: str) -> None:
    schema = registry.get("fasilitas_kesehatan")
    sink = Memory()
    writer = writer_of(form, Columns.of(schema, ("kode_faskes", "lat", "lng")), sink)
    writer.finish(SUMMARY)
    writer.close()
    content = sink.getvalue()

    match form:
        case "json":
            assert json.loads(content)["items"] == []
        case "geojson":
            assert json.loads(content)["features"] == []
        case "ndjson":
            assert content == b""
        case "csv":
            assert content == b"kode_faskes,lat,lng,_agency,_dataset\r\n"
        case "xlsx":
            assert openpyxl.load_workbook(io.BytesIO(content))["Data"].max_row == 1
        case "parquet":
            assert pq.read_table(io.BytesIO(content)).num_rows == 0
        case "arrow":
            assert pa.ipc.open_stream(content).read_all().num_rows == 0


def test_hostile_56_csv_neutralises_formulas_and_quotes_by_the_rule() -> None:
    rows = list(csv.DictReader(io.StringIO(made("csv", ROWS).decode(), newline="")))

    assert rows[0]["nama"] == '\'=HYPERLINK("http://x")'
    assert rows[1]["nama"] == ROWS[1]["nama"]
    assert (rows[1]["lat"], rows[2]["lat"], rows[2]["kode_faskes"]) == ("", "-6.25", "0123")
    assert (rows[0]["_agency"], rows[0]["_dataset"]) == ("dinkes", "dinkes-faskes")


def test_csv_for_excel_in_indonesia() -> None:
    content = made("csv", ROWS, indonesian=True)
    rows = list(csv.DictReader(io.StringIO(content.decode("utf-8-sig"), newline=""), delimiter=";"))

    assert content.startswith(b"\xef\xbb\xbf")
    assert rows[0]["lat"] == "-6,5"
    assert rows[1]["nama"] == ROWS[1]["nama"]


@pytest.mark.parametrize("start", ["=", "+", "-", "@", "\t", "\r"])
def test_hostile_56_no_cell_is_a_formula(start: str) -> None:
    row = {"kode_faskes": "P1", "nama": f"{start}cmd|'/c calc'!A0", "jenis": "klinik"}

    cell = next(csv.DictReader(io.StringIO(made("csv", [row]).decode(), newline="")))["nama"]
    sheet = openpyxl.load_workbook(io.BytesIO(made("xlsx", [row])))["Data"]
    shown = next(found for found in sheet[2] if "calc" in str(found.value))

    assert cell == "'" + row["nama"]
    assert shown.data_type == "s"
    assert shown.quotePrefix


def test_sheet_holds_numbers_texts_and_who_did_not_answer() -> None:
    book = openpyxl.load_workbook(io.BytesIO(made("xlsx", ROWS)))
    head, *rows = book["Data"].iter_rows(values_only=True)
    shown = [dict(zip(head, row, strict=True)) for row in rows]
    notes = list(book["Keterangan"].iter_rows(values_only=True))

    assert book.sheetnames == ["Data", "Keterangan"]
    assert [row["kode_faskes"] for row in shown] == ["P1", "P2", "0123"]
    assert shown[1]["nama"] == ROWS[1]["nama"]
    assert (shown[0]["lat"], shown[1]["lat"]) == (-6.5, None)
    assert any("source_timeout" in str(cell) for row in notes for cell in row)
    assert any("TIDAK" in str(cell) for row in notes for cell in row)


def test_sheet_refuses_a_cell_that_it_cannot_hold() -> None:
    with pytest.raises(AnswerTooLarge) as caught:
        made("xlsx", [{"kode_faskes": "P1", "nama": "x" * 32_768, "jenis": "klinik"}])

    assert caught.value.facts["field"] == "nama"


@pytest.mark.parametrize("form", ["parquet", "arrow"])
def test_typed_columns_keep_their_types(form: str) -> None:
    content = made(form, ROWS)
    table = pq.read_table(io.BytesIO(content)) if form == "parquet" else pa.ipc.open_stream(content).read_all()

    assert table.column("nama").to_pylist() == [row["nama"] for row in ROWS]
    assert table.schema.field("lat").type == pa.float64()
    assert table.column("_agency").to_pylist() == ["dinkes"] * 3
    assert table.schema.metadata[b"simpul:schema"] == b"fasilitas_kesehatan@1"


def test_parquet_says_whether_it_is_complete() -> None:
    notes = pq.read_metadata(io.BytesIO(made("parquet", ROWS))).metadata

    assert notes[b"simpul:complete"] == b"false"
    assert b"source_timeout" in notes[b"simpul:sources"]


def test_features_stand_where_the_records_say() -> None:
    found = json.loads(made("geojson", ROWS))

    assert found["type"] == "FeatureCollection"
    assert found["features"][0]["geometry"] == {"type": "Point", "coordinates": [110.6, -6.5]}
    assert found["features"][1]["geometry"] is None
    assert found["features"][2]["properties"]["nama"] == ROWS[2]["nama"]


def test_what_has_no_place_is_no_geojson() -> None:
    with pytest.raises(NotAcceptable):
        made("geojson", [{"kode_faskes": "P1", "nama": "A"}])


def test_pandas_opens_tables(tmp_path: Path) -> None:
    for form in ("csv", "xlsx", "parquet"):
        (tmp_path / f"jawaban.{form}").write_bytes(made(form, ROWS))
    texts = {"kode_faskes": str}
    tables = {
        "csv": pd.read_csv(tmp_path / "jawaban.csv", dtype=texts),
        "xlsx": pd.read_excel(tmp_path / "jawaban.xlsx", sheet_name="Data", dtype=texts, engine="openpyxl"),
        "parquet": pd.read_parquet(tmp_path / "jawaban.parquet"),
    }

    for table in tables.values():
        assert list(table["kode_faskes"]) == ["P1", "P2", "0123"]
        assert list(table["lat"].isna()) == [False, True, False]
        assert table["lng"].sum() == pytest.approx(220.6)


@pytest.mark.parametrize("schema", [found.name for found in registry.all_schemas()])
def test_every_schema_fits_every_format(schema: str) -> None:
    found = registry.get(schema)
    document = {name: spec.example for name, spec in found.fields.items()}
    values = found.model.model_validate_json(orjson.dumps(document)).__dict__
    page = orjson.loads(made("ndjson", [values], schema))

    for name, value in orjson.loads(
        orjson.dumps(found.model.model_validate_json(orjson.dumps(document)).model_dump(mode="json"))
    ).items():
        assert same(page[name], value), name
    assert len(list(csv.reader(io.StringIO(made("csv", [values], schema).decode(), newline="")))) == 2
    assert openpyxl.load_workbook(io.BytesIO(made("xlsx", [values], schema)))["Data"].max_row == 2
    assert pq.read_table(io.BytesIO(made("parquet", [values], schema))).num_rows == 1


def same(left: Any, right: Any) -> bool:
    """Decimals differ in trailing zeros only."""
    if isinstance(left, str) and isinstance(right, str) and left != right:
        return float(left) == float(right)
    if isinstance(left, list):
        return len(left) == len(right) and all(same(one, other) for one, other in zip(left, right, strict=True))
    if isinstance(left, dict) and isinstance(right, dict):
        return all(same(left[name], right[name]) for name in left)
    return bool(left == right)


@pytest.mark.parametrize(
    ("field", "value", "characters"),
    [
        ("nama", "😀" * 16_384, 32_768),
        ("telepon", ["0812"] * 8_000, 8_000 * 7 - 3),
    ],
)
def test_every_cell_of_a_sheet_is_measured_as_a_sheet_counts(field: str, value: Any, characters: int) -> None:
    with pytest.raises(AnswerTooLarge) as caught:
        made("xlsx", [{"kode_faskes": "P1", "nama": "x", field: value}])

    assert f"{field} has {characters}" in caught.value.detail


def test_a_cell_just_short_enough_is_whole() -> None:
    content = made("xlsx", [{"kode_faskes": "P1", "nama": "😀" * 16_383 + "é"}])
    cell = openpyxl.load_workbook(io.BytesIO(content))["Data"]["B2"].value

    assert cell == "😀" * 16_383 + "é"


def test_a_list_in_a_sheet_is_marked_as_text_and_not_changed() -> None:
    content = made("xlsx", [{"kode_faskes": "P1", "nama": "x", "telepon": ["+62 291", "=1+1"]}])
    cell = openpyxl.load_workbook(io.BytesIO(content))["Data"]["C2"]

    assert (cell.value, cell.data_type, cell.quotePrefix) == ("+62 291 | =1+1", "s", True)


def test_an_engine_that_is_given_back_serves_the_next_answer_and_holds_nothing_of_the_last() -> None:
    first = RowText.idle()
    part = pa.RecordBatch.from_pydict({"a": ["x", "y"]})
    assert first.render(part, "a") == b"xy"
    first.give_back()

    second = RowText.idle()

    assert second is first
    with pytest.raises(duckdb.CatalogException):
        second._engine.sql("SELECT * FROM part")
    assert second.render(pa.RecordBatch.from_pydict({"b": ["z"]}), "b") == b"z"
    second.close()


def test_an_engine_in_which_something_failed_serves_no_other_answer() -> None:
    failed = RowText.idle()
    with pytest.raises(duckdb.Error):
        failed.render(pa.RecordBatch.from_pydict({"a": ["x"]}), "CAST(a AS INTEGER)")
    failed.give_back()

    assert RowText.idle() is not failed


def test_no_more_engines_wait_than_write_at_once() -> None:
    many = [RowText.idle() for _ in range(MOST_IDLE + 2)]
    for one in many:
        one.give_back()
    again = [RowText.idle() for _ in many]
    assert len([one for one in again if one in many]) == MOST_IDLE
    for one in again:
        one.close()
