"""What a workbook holds beside its cells is told: macros, links to other workbooks."""

from __future__ import annotations

import zipfile
from pathlib import Path

import xlsxwriter

from app.connectors.file.sniff import settled
from app.connectors.file.source import FileSource
from app.connectors.suite import opened


def _with_parts(path: Path, **parts: bytes) -> None:
    with zipfile.ZipFile(path, "a") as archive:
        for name, content in parts.items():
            archive.writestr(name, content)


async def test_macros_and_links_are_named_and_the_cells_are_read(tmp_path: Path) -> None:
    path = tmp_path / "a.xlsm"
    with xlsxwriter.Workbook(path) as book:
        sheet = book.add_worksheet()
        sheet.write_row(0, 0, ["kode", "jumlah"])
        sheet.write(1, 0, "F1")
        sheet.write_formula(1, 1, "=[1]Data!A1", None, 7)
    _with_parts(path, **{"xl/vbaProject.bin": b"x", "xl/externalLinks/externalLink1.xml": b"<x/>"})

    connector = opened(tmp_path, {"kind": "file", "location": path.name})
    found = await connector.discover()
    await connector.close()

    assert list(found.sample) == [{"kode": "F1", "jumlah": 7}]
    assert any("macros" in note for note in found.notes)
    assert any("links to other workbooks" in note for note in found.notes)


def test_the_content_of_a_workbook_decides_and_a_stated_format_does_not_yield(tmp_path: Path) -> None:
    path = tmp_path / "a.xls"
    with xlsxwriter.Workbook(path) as book:
        book.add_worksheet().write(0, 0, "kode")
    found = settled(path, FileSource.model_validate({"kind": "file", "location": "a.xls", "range": "A1:B2"}))
    assert (found.kind_of_file, found.range) == ("xlsx", "A1:B2")
