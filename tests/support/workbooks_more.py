"""The table of `workbooks.py` as the XML of Excel 2003 and as XLSB, as Excel writes them."""

from __future__ import annotations

import struct
import zipfile
from datetime import datetime, time, timedelta
from pathlib import Path
from typing import Any
from xml.sax.saxutils import escape

FORMATS = {
    "Share": "0.00%",
    "datetime": "dd/mm/yyyy hh:mm",
    "date": "dd/mm/yyyy",
    "time": "hh:mm",
    "timedelta": "[h]:mm",
}
_ERRORS = {"#NULL!": 0, "#DIV/0!": 7, "#VALUE!": 15, "#REF!": 23, "#NAME?": 29, "#NUM!": 36, "#N/A": 42}
_DAY_ZERO = datetime.fromisoformat("1899-12-31")
_LEAP_DAY = datetime.fromisoformat("1900-03-01")
_XML_SPACE = "urn:schemas-microsoft-com:office:"


def _kind(cell: Any) -> str:
    return type(cell).__name__


def _moment(cell: Any) -> str:
    if isinstance(cell, timedelta):
        cell = _DAY_ZERO + cell
        cell -= timedelta(days=cell >= _LEAP_DAY)
    elif isinstance(cell, time):
        cell = datetime.combine(_DAY_ZERO.date(), cell)
    elif not isinstance(cell, datetime):
        cell = datetime.combine(cell, time())
    return cell.isoformat(timespec="milliseconds")


def _xml_cell(cell: Any, column: int) -> str:
    at = f'<Cell ss:Index="{column + 1}"'

    def data(kind: str, text: str, more: str = "") -> str:
        return f'{at}{more}><Data ss:Type="{kind}">{text}</Data></Cell>'

    kind = _kind(cell)
    if kind == "Share":
        return data("Number", repr(cell.value), ' ss:StyleID="Share"')
    if kind == "Error":
        return data("Error", cell.sign, ' ss:Formula="=NA()"')
    if kind == "Uncomputed":
        return f'{at} ss:Formula="={cell.formula}"/>'
    if isinstance(cell, bool):
        return data("Boolean", str(int(cell)))
    if kind in FORMATS:
        return data("DateTime", _moment(cell), f' ss:StyleID="{kind}"')
    if isinstance(cell, int | float):
        return data("Number", repr(cell))
    return data("String", escape(cell).replace("\n", "&#10;").replace("\t", "&#9;"))


def write_xml(path: Path, rows: list[list[Any]], name: str, hidden: str | None, left: int, top: int) -> None:
    """A SpreadsheetML workbook."""
    styles = "".join(
        f'<Style ss:ID="{kind}"><NumberFormat ss:Format="{escape(text)}"/></Style>' for kind, text in FORMATS.items()
    )
    body = "".join(
        f'<Row ss:Index="{number + 1}">'
        + "".join(_xml_cell(cell, column) for column, cell in enumerate(cells, left) if cell is not None)
        + "</Row>"
        for number, cells in enumerate(rows, top)
    )
    first = ""
    if hidden is not None:
        first = (
            f'<Worksheet ss:Name="{hidden}"><Table><Row><Cell><Data ss:Type="String">bukan ini</Data></Cell></Row></Table>'
            f'<WorksheetOptions xmlns="{_XML_SPACE}excel"><Visible>SheetHidden</Visible></WorksheetOptions></Worksheet>'
        )
    path.write_text(
        f'<?xml version="1.0"?>\r\n<?mso-application progid="Excel.Sheet"?>\r\n<Workbook xmlns="{_XML_SPACE}spreadsheet"'
        f' xmlns:ss="{_XML_SPACE}spreadsheet" xmlns:x="{_XML_SPACE}excel"><Styles>{styles}</Styles>{first}'
        f'<Worksheet ss:Name="{escape(name)}"><Table>{body}</Table></Worksheet></Workbook>\r\n',
        "utf-8",
        newline="",
    )


def _record(kind: int, content: bytes = b"") -> bytes:
    head = bytes([kind]) if kind < 128 else bytes([kind & 0x7F | 0x80, kind >> 7])
    size, length = b"", len(content)
    while True:
        size += bytes([length & 0x7F | (0x80 if length > 127 else 0)])
        length >>= 7
        if not length:
            return head + size + content


def _wide(text: str) -> bytes:
    raw = text.encode("utf-16-le")
    return struct.pack("<I", len(raw) // 2) + raw


def _serial(cell: Any) -> float:
    if isinstance(cell, timedelta):
        return cell / timedelta(days=1)
    if isinstance(cell, time):
        return (cell.hour * 3600 + cell.minute * 60 + cell.second) / 86400
    moment = cell if isinstance(cell, datetime) else datetime.combine(cell, time())
    return (moment - _DAY_ZERO + timedelta(days=1)) / timedelta(days=1)


def _bin_cell(cell: Any, column: int) -> bytes:
    kind = _kind(cell)
    style = list(FORMATS).index(kind) + 1 if kind in FORMATS else 0
    head = struct.pack("<II", column, style)
    if kind in {"Error", "Uncomputed"}:
        return _record(3, head + bytes([_ERRORS[getattr(cell, "sign", "#N/A")]]))
    if isinstance(cell, bool):
        return _record(4, head + bytes([cell]))
    if isinstance(cell, str):
        return _record(6, head + _wide(cell))
    number = cell.value if kind == "Share" else _serial(cell) if kind in FORMATS else float(cell)
    return _record(5, head + struct.pack("<d", number))


def _bin_sheet(rows: list[list[Any]], left: int, top: int) -> bytes:
    width = max(map(len, rows), default=1)
    parts = [
        _record(129),
        _record(148, struct.pack("<4I", top, top + len(rows) - 1, left, left + width - 1)),
        _record(145),
    ]
    for number, cells in enumerate(rows, top):
        parts.append(_record(0, struct.pack("<I", number) + bytes(13)))
        parts += [_bin_cell(cell, column) for column, cell in enumerate(cells, left) if cell is not None]
    return b"".join([*parts, _record(146), _record(130)])


def write_xlsb(path: Path, rows: list[list[Any]], name: str, hidden: str | None, left: int, top: int) -> None:
    """An XLSB workbook: the records of [MS-XLSB] that readers need."""
    sheets = [(hidden, [["bukan ini"]], 0, 0)] if hidden is not None else []
    sheets += [(name, rows, left, top)]
    bundle = [
        _record(156, struct.pack("<II", int(title == hidden), number) + _wide(f"rId{number}") + _wide(title))
        for number, (title, *_) in enumerate(sheets, 1)
    ]
    book = b"".join([_record(131), _record(153, bytes(12)), _record(143), *bundle, _record(144), _record(132)])
    formats = [_record(44, struct.pack("<H", 164 + at) + _wide(text)) for at, text in enumerate(FORMATS.values())]
    cells = [_record(47, struct.pack("<HH", 0, number) + bytes(12)) for number in [0, *range(164, 164 + len(FORMATS))]]
    styles = [_record(278), _record(615, struct.pack("<I", len(formats))), *formats, _record(616)]
    styles += [_record(617, struct.pack("<I", len(cells))), *cells, _record(618), _record(279)]
    office = "http://schemas.openxmlformats.org/officeDocument/2006/relationships"
    space = "http://schemas.openxmlformats.org/package/2006"

    def relations(*parts: tuple[str, str, str]) -> str:
        inside = "".join(f'<Relationship Id="{at}" Type="{office}/{kind}" Target="{to}"/>' for at, kind, to in parts)
        return f'<Relationships xmlns="{space}/relationships">{inside}</Relationships>'

    numbered = [(f"rId{at}", "worksheet", f"worksheets/sheet{at}.bin") for at in range(1, len(sheets) + 1)]
    kinds = '<Default Extension="bin" ContentType="application/vnd.ms-excel.sheet.binary.macroEnabled.main"/>'
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        archive.writestr("[Content_Types].xml", f'<Types xmlns="{space}/content-types">{kinds}</Types>')
        archive.writestr("_rels/.rels", relations(("rId1", "officeDocument", "xl/workbook.bin")))
        archive.writestr("xl/_rels/workbook.bin.rels", relations(*numbered, ("rIdS", "styles", "styles.bin")))
        archive.writestr("xl/workbook.bin", book)
        archive.writestr("xl/styles.bin", b"".join(styles))
        for at, (_, inside, from_left, from_top) in enumerate(sheets, 1):
            archive.writestr(f"xl/worksheets/sheet{at}.bin", _bin_sheet(inside, from_left, from_top))
