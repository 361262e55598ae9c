"""Several files as one dataset: in the order of their names, the parts of each name as columns, each fault with its file."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest
import xlsxwriter

from app.connectors.contract import RawBatch
from app.connectors.file import KIND
from app.connectors.file.source import FileSource
from app.connectors.requests import ScanRequest
from app.errors import SimpulError, SourceMissing, SourceSchemaMismatch
from tests.support.reading import environment

PRICES = "inbox/harga-{bulan}-{tahun}.csv"


def put(root: Path, name: str, content: str) -> None:
    file = root / "inbox" / name
    file.parent.mkdir(exist_ok=True)
    file.write_text(content)


def opened(root: Path, location: str = PRICES, **more: Any) -> Any:
    return KIND.open(FileSource(location=location, **more), environment(root))


async def read(connector: Any, columns: tuple[str, ...] | None = None) -> list[RawBatch]:
    try:
        return [batch async for batch in connector.scan(ScanRequest(columns=columns))]
    finally:
        await connector.close()


def rows(batches: list[RawBatch]) -> list[dict[str, Any]]:
    return [dict(zip(batch.schema.names, row, strict=True)) for batch in batches for row in batch.rows or ()]


def test_files_are_one_dataset_with_the_parts_of_their_names(tmp_path: Path) -> None:
    put(tmp_path, "harga-02-2024.csv", "komoditas,harga\nGula,17000\n")
    put(tmp_path, "harga-01-2024.csv", "komoditas,harga\nBeras,13500\n")
    put(tmp_path, "catatan.csv", "a,b\n1,2\n")

    batches = asyncio.run(read(opened(tmp_path)))

    assert rows(batches) == [
        {"komoditas": "Beras", "harga": "13500", "bulan": "01", "tahun": "2024"},
        {"komoditas": "Gula", "harga": "17000", "bulan": "02", "tahun": "2024"},
    ]
    assert [batch.location for batch in batches if len(batch)] == ["inbox/harga-01-2024.csv", "inbox/harga-02-2024.csv"]


def test_only_the_columns_that_are_asked_for_in_their_order(tmp_path: Path) -> None:
    put(tmp_path, "harga-01-2024.csv", "komoditas,harga\nBeras,13500\n")

    assert rows(asyncio.run(read(opened(tmp_path), ("tahun", "harga")))) == [{"tahun": "2024", "harga": "13500"}]
    assert rows(asyncio.run(read(opened(tmp_path), ("bulan",)))) == [{"bulan": "01"}]


def test_a_workbook_of_each_month_by_a_pattern_of_its_sheet(tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    for month in ("Januari", "Februari"):
        with xlsxwriter.Workbook(tmp_path / "inbox" / f"laporan {month}.xlsx") as book:
            book.add_worksheet("Petunjuk").write(0, 0, "Isi")
            sheet = book.add_worksheet(f"Data {month}")
            sheet.write_row(0, 0, ["komoditas", "harga"])
            sheet.write_row(1, 0, ["Beras", 13500])

    found = rows(asyncio.run(read(opened(tmp_path, "inbox/laporan {bulan}.xlsx", sheet="Data*"))))

    assert found == [{"komoditas": "Beras", "harga": 13500, "bulan": month} for month in ("Februari", "Januari")]


def test_a_file_that_lacks_a_column_is_named(tmp_path: Path) -> None:
    put(tmp_path, "harga-01-2024.csv", "komoditas,harga\nBeras,13500\n")
    put(tmp_path, "harga-02-2024.csv", "komoditi,harga\nGula,17000\n")

    with pytest.raises(SourceSchemaMismatch, match=r"inbox/harga-02-2024\.csv: .*komoditas"):
        asyncio.run(read(opened(tmp_path), ("komoditas", "bulan")))
    found = asyncio.run(opened(tmp_path).discover())
    assert any("harga-02-2024.csv has other columns" in note for note in found.notes)
    assert [column.name for column in found.columns] == ["komoditas", "harga", "bulan", "tahun"]
    assert found.tables == ("inbox/harga-01-2024.csv", "inbox/harga-02-2024.csv")


def test_a_column_of_the_name_of_a_part_is_refused(tmp_path: Path) -> None:
    put(tmp_path, "harga-01-2024.csv", "bulan,harga\n1,13500\n")

    with pytest.raises(SourceSchemaMismatch, match="has a column bulan of its own"):
        asyncio.run(read(opened(tmp_path)))


def test_no_file_is_told_and_a_link_that_leads_out_refused(tmp_path: Path) -> None:
    (tmp_path / "dinas" / "inbox").mkdir(parents=True)
    with pytest.raises(SourceMissing, match="no file in the agency's folder fits"):
        asyncio.run(read(opened(tmp_path / "dinas")))
    (tmp_path / "rahasia.csv").write_text("a\n1\n")
    (tmp_path / "dinas" / "inbox" / "harga-01-2024.csv").symlink_to(tmp_path / "rahasia.csv")
    with pytest.raises(SimpulError, match="leads out"):
        asyncio.run(read(opened(tmp_path / "dinas")))


def test_the_mark_changes_with_any_file_and_with_their_number(tmp_path: Path) -> None:
    put(tmp_path, "harga-01-2024.csv", "a\n1\n")
    first = asyncio.run(opened(tmp_path).version())
    put(tmp_path, "harga-02-2024.csv", "a\n1\n")
    second = asyncio.run(opened(tmp_path).version())
    put(tmp_path, "harga-01-2024.csv", "a\n1\n2\n")

    assert len({first, second, asyncio.run(opened(tmp_path).version())}) == 3


def test_a_check_tells_the_file_that_fails(tmp_path: Path) -> None:
    put(tmp_path, "harga-01-2024.csv", "a,b\n1,2\n")
    assert [step.error for step in asyncio.run(opened(tmp_path).check())] == [None, None]
    put(tmp_path, "harga-02-2024.csv", 'a,b\n"1,2\n')

    steps = asyncio.run(opened(tmp_path).check())

    assert steps[-1].error is not None
    assert steps[-1].note == "inbox/harga-02-2024.csv"


@pytest.mark.parametrize(
    ("location", "said"),
    [
        ("inbox/*/harga.csv", "in the name of the file"),
        ("inbox/harga-{bulan-2}.csv", "letters, digits and _"),
        ("inbox/harga-{a}-{a}.csv", "named once"),
        ("inbox/harga-{a.csv", "letters, digits and _"),
    ],
)
def test_a_pattern_that_is_none_is_refused(location: str, said: str) -> None:
    with pytest.raises(ValueError, match=said):
        FileSource(location=location)
