"""HTML tables that are called workbooks, as reporting systems and libraries write them."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pandas as pd
import pytest

from app.connectors.requests import ScanRequest
from app.connectors.suite import opened
from app.errors import SimpulError, SourceFormatError, SourceMissing

ROWS = [["F1", "Puskesmas Kedung <1>", "007"], ["F2", "RSUD & Kartini", ""]]


async def read(folder: Path, **source: Any) -> tuple[list[str], list[tuple[Any, ...]]]:
    connector = opened(folder, {"kind": "file", **source})
    names: list[str] = []
    rows: list[tuple[Any, ...]] = []
    try:
        async for batch in connector.scan(ScanRequest()):
            names, rows = list(batch.schema.names), [*rows, *(batch.rows or ())]
            assert not batch.rejects
    finally:
        await connector.close()
    return names, rows


async def test_what_pandas_writes_is_read_as_text(tmp_path: Path) -> None:
    pd.DataFrame(ROWS, columns=["kode", "nama", "no"]).to_html(tmp_path / "a.xls", index=False)

    names, rows = await read(tmp_path, location="a.xls")

    assert names == ["kode", "nama", "no"]
    assert rows == [("F1", "Puskesmas Kedung <1>", "007"), ("F2", "RSUD & Kartini", None)]


async def test_merged_cells_unclosed_tags_tables_in_tables_and_scripts(tmp_path: Path) -> None:
    page = (
        "<html xmlns:x='urn:schemas-microsoft-com:office:excel'><head><meta http-equiv=Content-Type content='text/html; charset=windows-1252'>"
        "<style>td{color:red}</style></head><body><TABLE><tr><td>Laporan<table id=isi><caption>Data  Pokok</caption>"
        "<tr><th rowspan=2>Kec<th colspan=2>Jiwa<tr><th>L<th>P"
        "<tr><td rowspan=2>Kedung &ndash; A<td>1<td>2&nbsp;<tr><td>3<td><script>document.write('x')</script>4<br>lima"
        "</table></table></body>"
    )
    (tmp_path / "a.xls").write_bytes(page.encode("cp1252") + "<!-- – -->".encode("cp1252"))

    names, rows = await read(tmp_path, location="a.xls", sheet="Data Pokok", header={"rows": [1, 2]}, fill_down=["Kec"])

    assert names == ["Kec", "Jiwa L", "Jiwa P"]
    assert rows == [("Kedung – A", "1", "2"), ("Kedung – A", "3", "4\nlima")]


async def test_two_tables_of_one_name_a_hidden_one_and_a_number(tmp_path: Path) -> None:
    table = "<table id=a{}><tr><td>x<tr><td>{}</table>"
    page = "<html>" + table.format(" style='display: none'", 1) + table.format("", 2) + table.format("", 3)
    (tmp_path / "a.html").write_text(page)

    assert await read(tmp_path, location="a.html") == (["x"], [("2",)])
    assert await read(tmp_path, location="a.html", sheet=0) == (["x"], [("1",)])
    assert await read(tmp_path, location="a.html", sheet="a (3)") == (["x"], [("3",)])
    with pytest.raises(SourceMissing, match=r"it has a, a \(2\), a \(3\)"):
        await read(tmp_path, location="a.html", sheet="b")


@pytest.mark.parametrize(
    ("page", "said"),
    [
        (b"<table><tr><td>a<tr><td>1", "cut off"),
        (b"<html><p>Sesi berakhir, masuk lagi</html>", "no table"),
        (b"<table><tr><td>\xe9</table>", "in line 1 the bytes are not utf-8"),
        (b"<meta charset=x-mac-jepara><table></table>", "unknown encoding"),
        (b"<table><tr>" + b"<td colspan=1000>a" * 3 + b"</table>", "more than 2000 columns"),
    ],
)
async def test_what_is_no_whole_table_is_told(tmp_path: Path, page: bytes, said: str) -> None:
    (tmp_path / "a.xls").write_bytes(page)
    with pytest.raises(SourceFormatError, match=said):
        await read(tmp_path, location="a.xls")


async def test_the_stated_encoding_goes_before_what_the_page_says(tmp_path: Path) -> None:
    (tmp_path / "a.html").write_bytes("<meta charset=utf-8><table><tr><td>a<tr><td>é</table>".encode("cp1252"))

    assert await read(tmp_path, location="a.html", encoding="cp1252") == (["a"], [("é",)])


@pytest.mark.parametrize(
    "body",
    ['<!DOCTYPE x [<!ENTITY a "b">]><Workbook/>', "<Workbook><Worksheet>", "<Workbook/>", "<Workbook><b></Workbook>"],
)
async def test_broken_or_bewitched_excel_2003_xml_is_refused(tmp_path: Path, body: str) -> None:
    space = ' xmlns="urn:schemas-microsoft-com:office:spreadsheet"'
    (tmp_path / "a.xls").write_text("<?xml version='1.0'?>" + body.replace("<Workbook", f"<Workbook{space}"))
    with pytest.raises(SimpulError) as caught:
        await read(tmp_path, location="a.xls")
    assert isinstance(caught.value, SourceFormatError)
