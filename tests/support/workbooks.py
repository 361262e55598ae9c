"""One table as XLSX, XLS, ODS, XLSB and Excel 2003 XML, as the common programs write them: numbers, shares, dates, errors, formulas."""

from __future__ import annotations

import zipfile
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

import xlsxwriter
import xlwt

from tests.support.workbooks_more import write_xlsb, write_xml

KINDS = ("xlsx", "xls", "ods", "xlsb", "xml")


@dataclass(frozen=True)
class Share:
    """A number that the sheet shows as a percentage."""

    value: float


@dataclass(frozen=True)
class Error:
    """An error cell."""

    sign: str


@dataclass(frozen=True)
class Uncomputed:
    """A formula whose result was never stored (XLSX and ODS; an XLS formula always has one)."""

    formula: str = "1+1"


Rows = list[list[Any]]


def write(
    path: Path, rows: Rows, *, sheet: str = "Data", hidden: str | None = None, left: int = 0, top: int = 0
) -> None:
    """The rows as a workbook of the kind that the ending says; `hidden`: a hidden sheet of this name stands first."""
    writer = {"xlsx": _xlsx, "xls": _xls, "ods": _ods, "xlsb": write_xlsb, "xml": write_xml}[path.suffix[1:]]
    writer(path, rows, sheet, hidden, left, top)


_FORMATS = {Share: "0.00%", datetime: "dd/mm/yyyy hh:mm", date: "dd/mm/yyyy", time: "hh:mm", timedelta: "[h]:mm"}


def _xlsx(path: Path, rows: Rows, name: str, hidden: str | None, left: int, top: int) -> None:
    with xlsxwriter.Workbook(path) as book:
        if hidden is not None:
            book.add_worksheet(hidden).write_string(0, 0, "bukan ini")
            book.worksheets()[0].hide()
        sheet = book.add_worksheet(name)
        sheet.activate()
        formats = {kind: book.add_format({"num_format": text}) for kind, text in _FORMATS.items()}
        for row, cells in enumerate(rows, top):
            for column, cell in enumerate(cells, left):
                style = formats.get(type(cell))
                match cell:
                    case Share(value):
                        sheet.write_number(row, column, value, style)
                    case Error(sign):
                        sheet.write_formula(row, column, "=NA()", None, sign)
                    case Uncomputed(formula):
                        sheet.write_formula(row, column, f"={formula}", None, _NO_RESULT)
                    case str():
                        sheet.write_string(row, column, cell)
                    case _ if cell is not None:
                        sheet.write(row, column, cell, style)
    _without_results(path)


_NO_RESULT = "simpul-no-result"


def _without_results(path: Path) -> None:
    """Takes the marked results out: XlsxWriter stores one for every formula."""
    with zipfile.ZipFile(path) as archive:
        parts = {entry: archive.read(entry) for entry in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for entry, content in parts.items():
            archive.writestr(
                entry, content.replace(f"<v>{_NO_RESULT}</v>".encode(), b"").replace(b' t="str"><f>1+1', b"><f>1+1")
            )


_XLS_ERRORS = {"#NULL!": 0, "#DIV/0!": 7, "#VALUE!": 15, "#REF!": 23, "#NAME?": 29, "#NUM!": 36, "#N/A": 42}


def _xls(path: Path, rows: Rows, name: str, hidden: str | None, left: int, top: int) -> None:
    book = xlwt.Workbook()
    if hidden is not None:
        first = book.add_sheet(hidden)
        first.write(0, 0, "bukan ini")
        first.visibility = 1
        book.set_active_sheet(1)
    sheet = book.add_sheet(name)
    styles = {kind: xlwt.easyxf(num_format_str=text) for kind, text in _FORMATS.items()}
    for row, cells in enumerate(rows, top):
        for column, cell in enumerate(cells, left):
            match cell:
                case None:
                    pass
                case Error(sign):
                    sheet.row(row).set_cell_error(column, _XLS_ERRORS[sign])
                case Uncomputed():
                    sheet.row(row).set_cell_error(column, 42)
                case Share(value):
                    sheet.write(row, column, value, styles[Share])
                case timedelta():
                    sheet.write(row, column, cell / timedelta(days=1), styles[timedelta])
                case _ if type(cell) in styles:
                    sheet.write(row, column, cell, styles[type(cell)])
                case _:
                    sheet.write(row, column, cell)
    book.save(str(path))


def _cell(cell: Any) -> str:
    def of(kind: str, value: str, shown: str, more: str = "") -> str:
        given = f' office:{"value" if kind in {"float", "percentage"} else kind + "-value"}="{value}"' if value else ""
        return f'<table:table-cell{more} office:value-type="{kind}"{given}><text:p>{escape(shown)}</text:p></table:table-cell>'

    match cell:
        case None:
            return "<table:table-cell/>"
        case Share(value):
            return of("percentage", repr(value), f"{value:.2%}")
        case Error(sign):
            return of("string", "", sign, ' table:formula="of:=NA()" calcext:value-type="error"')
        case Uncomputed(formula):
            return f'<table:table-cell table:formula="of:={formula}"/>'
        case bool():
            return of("boolean", str(cell).lower(), str(cell).upper())
        case datetime() | date():
            return of("date", cell.isoformat(), "x")
        case time():
            return of("time", f"PT{cell.hour:02}H{cell.minute:02}M{cell.second:02}S", "x")
        case timedelta():
            hours, rest = divmod(int(cell.total_seconds()), 3600)
            return of("time", f"PT{hours:02}H{rest // 60:02}M{rest % 60:02}S", "x")
        case int() | float():
            return of("float", repr(cell), "x")
        case _:
            return of("string", "", cell)


def _ods(path: Path, rows: Rows, name: str, hidden: str | None, left: int, top: int) -> None:
    space = "urn:oasis:names:tc:opendocument:xmlns"
    names = "".join(f' xmlns:{short}="{space}:{short}:1.0"' for short in ("office", "table", "text", "style"))
    names += ' xmlns:calcext="urn:org:documentfoundation:names:experimental:calc:xmlns:calcext:1.0"'
    blank = f'<table:table-cell table:number-columns-repeated="{left}"/>' if left else ""
    above = f'<table:table-row table:number-rows-repeated="{top}"><table:table-cell/></table:table-row>' if top else ""
    body = "".join(f"<table:table-row>{blank}{''.join(map(_cell, cells))}</table:table-row>" for cells in rows)
    first = ""
    if hidden is not None:
        row = f"<table:table-row>{_cell('bukan ini')}</table:table-row>"
        first = f'<table:table table:name="{hidden}" table:style-name="ta2">{row}</table:table>'
    content = (
        f'<?xml version="1.0" encoding="UTF-8"?><office:document-content{names} office:version="1.3"><office:automatic-styles>'
        '<style:style style:name="ta2" style:family="table"><style:table-properties table:display="false"/></style:style>'
        f'</office:automatic-styles><office:body><office:spreadsheet>{first}<table:table table:name="{name}">{above}{body}</table:table>'
        "</office:spreadsheet></office:body></office:document-content>"
    )
    pack_ods(path, content)


def pack_ods(path: Path, content: str) -> None:
    """The content as an ODS document."""
    kind = "application/vnd.oasis.opendocument.spreadsheet"
    manifest = (
        '<manifest:manifest xmlns:manifest="urn:oasis:names:tc:opendocument:xmlns:manifest:1.0">'
        f'<manifest:file-entry manifest:full-path="/" manifest:media-type="{kind}"/></manifest:manifest>'
    )
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("mimetype", kind)
        archive.writestr("content.xml", content)
        archive.writestr("META-INF/manifest.xml", manifest)
