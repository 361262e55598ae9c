"""Marks of an XLSB workbook: one pass over the binary records of the sheet ([MS-XLSB] 2.1.4), which python-calamine gives without them.

Formulas always stand there with a result.
"""

from __future__ import annotations

import struct
from collections import defaultdict
from collections.abc import Iterator
from xml.etree import ElementTree as ET
from zipfile import BadZipFile, ZipFile

from app.connectors.workbooks.marks import PERCENTAGE, Mark, Marks, MarksUnreadable, error, is_percent
from app.connectors.workbooks.parts import BUILT_IN_PERCENTS, relations, target

_ROW, _RK, _ERROR, _REAL, _FORMULA_NUMBER, _FORMULA_ERROR = 0, 2, 3, 5, 9, 11
_NUMBERS = frozenset({_RK, _REAL, _FORMULA_NUMBER})
_ERRORS = frozenset({_ERROR, _FORMULA_ERROR})
_FORMAT, _STYLE, _SHEET, _STYLES_BEGIN, _STYLES_END = 44, 47, 156, 617, 618
_SIGNS = {
    0x00: "#NULL!", 0x07: "#DIV/0!", 0x0F: "#VALUE!", 0x17: "#REF!", 0x1D: "#NAME?", 0x24: "#NUM!", 0x2A: "#N/A", 0x2B: "#GETTING_DATA",
}  # fmt: skip


def xlsb_marks(path: str, sheet: str) -> Marks:
    """The marks of a sheet, rows and columns counted from 0; raises `MarksUnreadable`."""
    try:
        with ZipFile(path) as archive:
            book = target(archive, "", "officeDocument")
            percents = _percent_styles(archive, book)
            return _marks(archive.read(_sheet(archive, book, sheet)), percents)
    except (BadZipFile, ET.ParseError, KeyError, ValueError, IndexError, EOFError, struct.error) as fault:
        raise MarksUnreadable(str(fault)) from None


def _marks(part: bytes, percents: frozenset[int]) -> Marks:
    marks: defaultdict[int, dict[int, Mark]] = defaultdict(dict)
    row = 0
    for kind, start, _ in _records(part):
        if kind == _ROW:
            row = struct.unpack_from("<I", part, start)[0]
        elif kind in _ERRORS:
            column = struct.unpack_from("<I", part, start)[0]
            marks[row][column] = error(_SIGNS.get(part[start + 8], "#?"))
        elif percents and kind in _NUMBERS:
            column, style = struct.unpack_from("<II", part, start)
            if style & 0xFFFFFF in percents:
                marks[row][column] = PERCENTAGE
    return marks


def _records(part: bytes) -> Iterator[tuple[int, int, int]]:
    """Kind, start and length of each record."""
    at, end = 0, len(part)
    while at < end:
        kind, at = part[at], at + 1
        if kind & 0x80:
            kind, at = kind & 0x7F | (part[at] & 0x7F) << 7, at + 1
        length = 0
        for shift in range(0, 28, 7):
            byte, at = part[at], at + 1
            length |= (byte & 0x7F) << shift
            if not byte & 0x80:
                break
        if at + length > end:
            raise ValueError("a record is cut off")
        yield kind, at, length
        at += length


def _text(part: bytes, start: int) -> tuple[str, int]:
    """A text and where it ends; none (a length of all ones) is empty."""
    length = struct.unpack_from("<I", part, start)[0]
    if length == 0xFFFFFFFF:
        return "", start + 4
    end = start + 4 + 2 * length
    return part[start + 4 : end].decode("utf-16-le"), end


def _sheet(archive: ZipFile, book: str, sheet: str) -> str:
    parts, content = relations(archive, book), archive.read(book)
    for kind, start, _ in _records(content):
        if kind == _SHEET:
            reference, after = _text(content, start + 8)
            if _text(content, after)[0] == sheet:
                return parts[reference][1]
    raise KeyError(sheet)


def _percent_styles(archive: ZipFile, book: str) -> frozenset[int]:
    """The numbers of the cell styles whose number format is a percentage."""
    part = target(archive, book, "styles")
    if not part:
        return frozenset()
    content = archive.read(part)
    formats = {int(number) for number in BUILT_IN_PERCENTS}
    styles: list[int] = []
    inside = False
    for kind, start, _ in _records(content):
        if kind == _FORMAT and is_percent(_text(content, start + 2)[0]):
            formats.add(struct.unpack_from("<H", content, start)[0])
        elif kind in {_STYLES_BEGIN, _STYLES_END}:
            inside = kind == _STYLES_BEGIN
        elif kind == _STYLE and inside:
            styles.append(struct.unpack_from("<H", content, start + 2)[0])
    return frozenset(index for index, number in enumerate(styles) if number in formats)
