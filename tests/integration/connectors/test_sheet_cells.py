"""Cells of a sheet keep their kind from the file to the step, in XLSX, XLS and ODS alike."""

from __future__ import annotations

import zipfile
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any

import openpyxl
import pytest
import xlsxwriter

from app.connectors.cells import ErrorCell, LongNumber, Percent
from app.connectors.contract import CountEstimate, RowEstimate
from app.connectors.requests import ScanRequest
from app.datasets.dataset import BY_COLUMNS
from app.datasets.records import ReadResult
from app.errors import SourceFormatError, SourceMissing
from tests.support import workbooks
from tests.support.reading import dataset, read
from tests.support.workbooks import KINDS, Error, Share, Uncomputed

INDICATORS = {"kode_indikator": "Indikator", "kode_wilayah": {"const": "33.20"}, "tahun": "Tahun"}
MOMENT = datetime(2024, 1, 10, 8, 30)  # noqa: DTZ001 - a cell has no zone
HEADER = ["Tahun", "Indikator", "Nilai"]


@pytest.fixture(params=KINDS)
def kind(request: pytest.FixtureRequest) -> str:
    return str(request.param)


def made(folder: Path, kind: str, rows: list[list[Any]], **more: Any) -> dict[str, Any]:
    (folder / "inbox").mkdir(exist_ok=True)
    workbooks.write(folder / "inbox" / f"a.{kind}", rows, **more)
    return {"kind": "file", "location": f"inbox/a.{kind}"}


async def indicators(folder: Path, kind: str, rows: list[list[Any]], value: Any, **more: Any) -> ReadResult:
    source = {**made(folder, kind, [HEADER, *rows]), **more}
    return await read(dataset(folder, "statistik_indikator", source, {**INDICATORS, "nilai": value}))


def values(found: ReadResult) -> dict[int, Any]:
    return {record.values["tahun"]: record.values["nilai"] for record in found.records}


def rules(found: ReadResult) -> list[tuple[str, str, str]]:
    return [(reject.location, reject.field, reject.rule) for reject in found.rejects]


async def test_every_kind_of_cell_arrives_as_what_it_is(tmp_path: Path, kind: str) -> None:
    cells = [
        "0045", 1033201, 0.345, 0.00005, 1e16, Share(0.0609), date(2024, 1, 10), MOMENT, time(8, 30),
        timedelta(hours=36), True, Error("#N/A"), Error("#DIV/0!"), None, "1E5",
    ]  # fmt: skip
    names = [f"k{place}" for place in range(len(cells))]
    source = made(tmp_path, kind, [names, cells], left=2, top=3)
    opened = dataset(tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "k1"})
    batches = [batch async for batch in opened.connector.scan(ScanRequest())]
    await opened.close()
    row = dict(zip(batches[0].schema.names, (batches[0].rows or [])[0], strict=True))
    assert batches[0].numbers == [5]
    assert [row[name] for name in names] == [
        "0045", 1033201, 0.345, 0.00005, LongNumber(1e16), Percent(Decimal("0.0609")), date(2024, 1, 10),
        MOMENT, time(8, 30), timedelta(hours=36), True, ErrorCell("#N/A"), ErrorCell("#DIV/0!"), None, "1E5",
    ]  # fmt: skip
    assert [type(row[name]) for name in ("k1", "k2", "k4", "k10")] == [int, float, LongNumber, bool]


async def test_02_a_number_of_sixteen_digits_is_no_identifier(tmp_path: Path, kind: str) -> None:
    rows = [
        ["nik", "nama", "lahir"],
        [3320011501900010.0, "Warga Satu", "1990-01-15"],
        ["3320010101800007", "Warga Tiga", "1980-01-01"],
    ]
    fields = {
        "nik": {"from": "nik", "as_text": {"digits": 16}},
        "nama": "nama",
        "tanggal_lahir": {"from": "lahir", "date": "iso"},
    }
    found = await read(dataset(tmp_path, "penduduk_verifikasi", made(tmp_path, kind, rows), fields))
    assert [record.values["nik"] for record in found.records] == ["3320010101800007"]
    assert rules(found) == [(f"inbox/a.{kind}, sheet Data, line 2", "nik", "digits_lost")]


async def test_03_notation_is_one_of_text_cells_and_a_numeric_cell_is_its_number(tmp_path: Path, kind: str) -> None:
    rows = [
        [2021, "gini", 0.345], [2022, "ipm", 72.361], [2023, "ipm", "72,915"], [2024, "ipm", 73.5],
        [2020, "luas_panen", "12.345,5"], [2019, "luas_panen", 12.345], [2018, "ipm", 0.00005], [2017, "ipm", 1e16],
    ]  # fmt: skip
    found = await indicators(tmp_path, kind, rows, {"from": "Nilai", "number": {"decimal": ",", "thousands": "."}})
    assert values(found) == {
        2021: Decimal("0.345"), 2022: Decimal("72.361"), 2023: Decimal("72.915"), 2024: Decimal("73.5"),
        2020: Decimal("12345.5"), 2019: Decimal("12.345"), 2018: Decimal("0.00005"), 2017: Decimal(10**16),
    }  # fmt: skip
    assert found.rejects == []


async def test_03b_text_stays_text_and_a_number_becomes_text_only_by_as_text(tmp_path: Path, kind: str) -> None:
    rows = [["Kode", "Nama"], [1033201, "Satu"], ["P-77", "Dua"], ["0045", "Tiga"], ["1E5", "Empat"], ["12.0", "Lima"]]
    source = made(tmp_path, kind, rows)
    fields = {"kode_faskes": {"from": "Kode", "as_text": {}}, "nama": "Nama", "jenis": {"const": "puskesmas"}}
    found = await read(dataset(tmp_path, "fasilitas_kesehatan", source, fields))
    assert {record.values["kode_faskes"] for record in found.records} == {"1033201", "P-77", "0045", "1E5", "12.0"}
    plain = await read(dataset(tmp_path, "fasilitas_kesehatan", source, {**fields, "kode_faskes": "Kode"}))
    assert {record.values["kode_faskes"] for record in plain.records} == {"P-77", "0045", "1E5", "12.0"}
    assert rules(plain) == [(f"inbox/a.{kind}, sheet Data, line 2", "kode_faskes", "wrong_type")]


async def test_03c_a_percentage_is_what_the_sheet_shows(tmp_path: Path, kind: str) -> None:
    rows = [
        [2021, "kemiskinan_pct", Share(0.0609)],
        [2023, "kemiskinan_pct", "6.88%"],
        [2024, "kemiskinan_pct", "6.09 %"],
    ]
    found = await indicators(tmp_path, kind, rows, {"from": "Nilai", "number": {"suffix": "%"}})
    assert values(found) == {2021: Decimal("6.09"), 2023: Decimal("6.88"), 2024: Decimal("6.09")}
    bare = await indicators(tmp_path, kind, rows, {"from": "Nilai", "number": {}})
    assert [rule for _, _, rule in rules(bare)] == ["percent_cell", "not_a_number", "not_a_number"]
    share = await indicators(tmp_path, kind, rows, {"from": "Nilai", "number": {"suffix": "%"}, "multiply": 0.01})
    assert values(share)[2021] == Decimal("0.0609")


async def test_04_an_error_is_a_reject_and_never_null(tmp_path: Path, kind: str) -> None:
    rows = [[2021, "ipm", Error("#N/A")], [2022, "ipm", Error("#DIV/0!")], [2024, "ipm", Uncomputed()], [2025, "ipm", 75.1], [2026, "ipm", None]]  # fmt: skip
    found = await indicators(tmp_path, kind, rows, {"from": "Nilai", "number": {}})
    assert values(found) == {2025: Decimal("75.1"), 2026: None}
    place = f"inbox/a.{kind}, sheet Data, line"
    assert rules(found) == [(f"{place} {line}", "nilai", "cell_error") for line in (2, 3, 4)]
    nulled = await indicators(tmp_path, kind, rows, {"from": "Nilai", "number": {}, "else": "null"})
    assert [record.warnings[0].code for record in nulled.records if record.warnings] == ["cell_error"] * 3


async def test_04_a_formula_that_openpyxl_wrote_has_no_result_and_one_that_gives_an_empty_text_has(
    tmp_path: Path,
) -> None:
    book = openpyxl.Workbook()
    for row in (HEADER, [2021, "ipm", "=1+1"], [2022, "ipm", 2], [2023, "ipm", "=1/0"]):
        book.active.append(row)
    (tmp_path / "inbox").mkdir()
    book.save(tmp_path / "inbox" / "a.xlsx")
    with xlsxwriter.Workbook(tmp_path / "inbox" / "b.xlsx") as written:
        sheet = written.add_worksheet()
        for place, row in enumerate((HEADER, [2021, "ipm"], [2022, "ipm", 2])):
            sheet.write_row(place, 0, row)
        sheet.write_formula(1, 2, '=""', None, "kosong")
    with zipfile.ZipFile(tmp_path / "inbox" / "b.xlsx") as archive:
        parts = {entry: archive.read(entry).replace(b"<v>kosong</v>", b"<v></v>") for entry in archive.namelist()}
    with zipfile.ZipFile(tmp_path / "inbox" / "b.xlsx", "w") as archive:
        for entry, content in parts.items():
            archive.writestr(entry, content)
    found = []
    for name in ("a", "b"):
        source = {"kind": "file", "location": f"inbox/{name}.xlsx"}
        found.append(await read(dataset(tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "Nilai"})))
    assert [(values(one), [rule for _, _, rule in rules(one)]) for one in found] == [
        ({2022: 2}, ["cell_error", "cell_error"]),
        ({2021: None, 2022: 2}, []),
    ]


async def test_04_an_error_is_never_filled_from_above_and_fills_nothing(tmp_path: Path, kind: str) -> None:
    rows = [[2021, "ipm", 1], [2022, "ipm", Error("#REF!")], [2023, "ipm", None], [2024, "ipm", 4], [2025, "ipm", None]]
    found = await indicators(tmp_path, kind, rows, {"from": "Nilai", "number": {}}, fill_down=["Nilai"])
    assert values(found) == {2021: 1, 2024: 4, 2025: 4}
    assert [rule for _, _, rule in rules(found)] == ["cell_error", "cell_error"]


async def test_04_an_error_in_an_expression_and_in_where_rejects_the_row(tmp_path: Path, kind: str) -> None:
    rows = [HEADER, [2021, "ipm", Error("#N/A")], [2022, "ipm", 2]]
    source = made(tmp_path, kind, rows)
    shown = {**INDICATORS, "nilai": {"expr": "Nilai * 2"}}
    found = await read(dataset(tmp_path, "statistik_indikator", source, shown))
    assert values(found) == {2022: 4}
    assert rules(found)[0][2] == "cell_error"
    kept = dataset(
        tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "Nilai"}, read={"where": "Nilai > 1"}
    )
    found = await read(kept)
    assert values(found) == {2022: 2}
    assert rules(found) == [(f"inbox/a.{kind}, sheet Data, line 2", "", "cell_error")]


async def test_dates_and_times_pass_where_the_field_takes_them_and_become_text_by_as_text(
    tmp_path: Path, kind: str
) -> None:
    rows = [["Kode", "Nama", "Buka"], ["A1", "Satu", time(8, 30)], ["A2", "Dua", timedelta(hours=36)], ["A3", "Tiga", date(2024, 1, 10)]]  # fmt: skip
    fields = {"kode_faskes": "Kode", "nama": {"from": "Buka", "as_text": {}}, "jenis": {"const": "klinik"}}
    found = await read(dataset(tmp_path, "fasilitas_kesehatan", made(tmp_path, kind, rows), fields))
    assert [record.values["nama"] for record in found.records] == ["08:30:00", "36:00:00", "2024-01-10"]
    prices = [["tanggal", "pasar", "komoditas", "harga"], [date(2024, 1, 10), "Pasar A", "Beras", 12000], ["11/01/2024", "Pasar A", "Beras", 1]]  # fmt: skip
    fields = {
        "tanggal": {"from": "tanggal", "date": "%d/%m/%Y"},
        "pasar": "pasar",
        "komoditas": "komoditas",
        "harga": "harga",
    }
    found = await read(dataset(tmp_path, "harga_komoditas", made(tmp_path, kind, prices), fields))
    assert [record.values["tanggal"] for record in found.records] == [date(2024, 1, 10), date(2024, 1, 11)]


async def test_a_hidden_first_sheet_is_not_read_and_discover_names_the_sheets(tmp_path: Path, kind: str) -> None:
    source = made(tmp_path, kind, [HEADER, [2021, "ipm", 1]], hidden="Sembunyi")
    opened = dataset(tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "Nilai"})
    found = await opened.connector.discover()
    assert found.tables == ("Sembunyi", "Data")
    assert found.notes == (
        "sheet Sembunyi is hidden",
        "the workbook has 2 sheets and none is named: Data is read; name it in source.sheet",
    )
    assert [(column.name, column.source_type) for column in found.columns] == [
        ("Tahun", "number"),
        ("Indikator", "text"),
        ("Nilai", "number"),
    ]
    assert values(await read(opened)) == {2021: 1}
    with pytest.raises(SourceMissing, match="it has Sembunyi, Data"):
        await read(
            dataset(tmp_path, "statistik_indikator", {**source, "sheet": "Tiada"}, {**INDICATORS, "nilai": "Nilai"})
        )
    named = {**source, "sheet": "Sembunyi", "header": False, "columns": ["a"]}
    found = await dataset(tmp_path, "statistik_indikator", named, {**INDICATORS, "nilai": "a"}).connector.discover()
    assert found.sample == ({"a": "bukan ini"},)
    assert found.notes == ("sheet Sembunyi is hidden",)


async def test_numbers_in_the_header_are_names_as_people_read_them(tmp_path: Path, kind: str) -> None:
    rows = [["Indikator", 2021, 2022], ["ipm", 71.5, 72]]
    read_ = {"unpivot": {"keep": ["Indikator"], "name": "tahun", "value": "nilai"}}
    fields = {"kode_indikator": "Indikator", "kode_wilayah": {"const": "33.20"}, "tahun": {"from": "tahun", "number": {}}, "nilai": "nilai"}  # fmt: skip
    found = await read(dataset(tmp_path, "statistik_indikator", made(tmp_path, kind, rows), fields, read=read_))
    assert values(found) == {2021: Decimal("71.5"), 2022: 72}


async def test_cells_behind_the_last_named_column_are_not_cut_off(tmp_path: Path, kind: str) -> None:
    rows = [[2021, "ipm", 1], [2022, "ipm", 2, "catatan"]]
    source = {**made(tmp_path, kind, rows), "header": False, "columns": HEADER}
    found = await read(dataset(tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "Nilai"}))
    assert values(found) == {2021: 1}
    assert rules(found) == [(f"inbox/a.{kind}, sheet Data, line 2", "", "ragged_row")]


@pytest.mark.parametrize("kind", ["xlsx", "ods"])
async def test_a_sheet_whose_parts_are_broken_is_told(tmp_path: Path, kind: str) -> None:
    source = made(tmp_path, kind, [HEADER, [2021, "ipm", 1]])
    path = tmp_path / "inbox" / f"a.{kind}"
    path.write_bytes(path.read_bytes()[:-200])
    with pytest.raises(SourceFormatError, match=r"cannot be read as a spreadsheet|damaged or cut off"):
        await read(dataset(tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "Nilai"}))


TOTAL = [["Tahun", "Indikator", "Nilai"], [2021, "ipm", 1], [2022, "ipm", 2], [None, "JUMLAH", 3], [2023, "ipm", 9]]


@pytest.mark.parametrize("mark", ["JUMLAH", {"column": "Indikator", "text": "JUMLAH"}, "3"])
async def test_a_table_ends_where_any_cell_or_that_of_a_column_is_the_mark(
    tmp_path: Path, kind: str, mark: Any
) -> None:
    source = {**made(tmp_path, kind, TOTAL), "stop_at": mark}
    opened = dataset(tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "Nilai"})
    trial = await opened.trial(1_000, 60.0)
    assert values(await read(opened)) == {2021: 1, 2022: 2}
    assert (trial.rows, trial.hints) == (2, [])


@pytest.mark.parametrize("mark", ["TOTAL", {"column": "Tahun", "text": "JUMLAH"}])
async def test_a_mark_that_is_never_met_is_told(tmp_path: Path, kind: str, mark: Any) -> None:
    source = {**made(tmp_path, kind, [row for row in TOTAL if row[0]]), "stop_at": mark}
    opened = dataset(tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "Nilai"})
    trial = await opened.trial(1_000, 60.0)
    await opened.close()
    said = mark if isinstance(mark, str) else mark["text"]
    assert trial.hints == [f"inbox/a.{kind}, sheet Data: stop_at {said!r} was met in no row; everything was read"]
    wrong = dataset(
        tmp_path,
        "statistik_indikator",
        {**source, "stop_at": {"column": "Tiada", "text": "x"}},
        {**INDICATORS, "nilai": "Nilai"},
    )
    with pytest.raises(SourceFormatError, match="no column 'Tiada' for stop_at"):
        await read(wrong)


async def test_marks_that_mean_no_value_are_null_in_every_column(tmp_path: Path, kind: str) -> None:
    rows = [[2021, "ipm", "-"], [2022, "ipm", " – "], [2023, "ipm", "..."], [2024, "ipm", 4], [2025, "-", 5]]
    source = made(tmp_path, kind, [HEADER, *rows])
    fields = {**INDICATORS, "nilai": {"from": "Nilai", "number": {}}}
    found = await read(dataset(tmp_path, "statistik_indikator", source, fields, read={"missing": ["-", "–", "..."]}))
    assert values(found) == {2021: None, 2022: None, 2023: None, 2024: 4}
    assert rules(found) == [(f"inbox/a.{kind}, sheet Data, line 6", "kode_indikator", "missing")]


async def test_a_sheet_tells_how_many_rows_it_has_once_it_was_parsed(tmp_path: Path, kind: str) -> None:
    source = made(tmp_path, kind, [HEADER, *[[2000 + n, "UJI-1", n] for n in range(5)]])
    made_of = dataset(tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "Nilai"})
    assert isinstance(made_of.connector, CountEstimate)
    assert await made_of.connector.estimate(ScanRequest()) is None
    await read(made_of)

    assert await made_of.connector.estimate(ScanRequest()) == RowEstimate(6)


async def test_a_large_sheet_begins_with_as_many_records_as_columns_are_worth(tmp_path: Path) -> None:
    """Else a check of it would go row by row to its end."""
    rows = [["Rekap"], [], HEADER, *[[2000, f"UJI-{n}", n] for n in range(BY_COLUMNS + 500)]]
    source = {**made(tmp_path, "xlsx", rows), "header": {"rows": [3]}}
    opened = dataset(tmp_path, "statistik_indikator", source, {**INDICATORS, "nilai": "Nilai"})
    sizes = [len(batch) async for batch in opened.connector.scan(ScanRequest())]

    assert sizes[0] >= BY_COLUMNS
    assert sum(sizes) == BY_COLUMNS + 500
