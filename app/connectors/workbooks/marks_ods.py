"""Marks of an ODS document: one pass of expat over its content, only where it can hold errors, formulas or percentages."""

from __future__ import annotations

import re
from datetime import timedelta
from typing import IO
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from app.connectors.workbooks.marks import NO_RESULT, PERCENTAGE, Mark, Marks, MarksUnreadable, error

_CONTENT = "content.xml"
_MOST_ROWS, _MOST_COLUMNS = 1_048_576, 16_384
_NEEDLES = (b"percentage", b"time-value", b":formula", b'"error"', b"'error'")
_DURATION = re.compile(r"(-)?PT(?:(\d{1,9})H)?(?:(\d{1,9})M)?(?:(\d{1,9}(?:[.,]\d+)?)S)?", re.ASCII)
_ERROR_TEXT = re.compile(r"#N/A|#DIV/0!|#VALUE!|#REF!|#NAME\?|#NUM!|#NULL!|Err:\d{3}")


def ods_marks(path: str, sheet: str) -> Marks:
    """The marks of a sheet, rows and columns counted from 0; raises `MarksUnreadable`."""
    try:
        with ZipFile(path) as archive:
            content = archive.read(_CONTENT)
            if not any(needle in content for needle in _NEEDLES):
                return {}
            del content
            with archive.open(_CONTENT) as stream:
                return _Pass(sheet).marks(stream)
    except (BadZipFile, expat.ExpatError, KeyError, ValueError, EOFError) as fault:
        raise MarksUnreadable(str(fault)) from None


class _Pass:
    """The pass over the rows of one table. Repeated rows share one mapping of marks."""

    def __init__(self, sheet: str) -> None:
        self._sheet = sheet
        self._marks: dict[int, dict[int, Mark]] = {}
        self._depth = 0
        self._row = self._column = 0
        self._repeat = self._cells = 1
        self._found: dict[int, Mark] = {}
        self._cell: tuple[str | None, str | None, str] | None = None
        self._text: list[str] = []

    def marks(self, stream: IO[bytes]) -> Marks:
        """The marks found in the document."""
        parser = expat.ParserCreate(namespace_separator="}")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._said
        parser.ParseFile(stream)
        return self._marks

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = _local(tag)
        if name == "table" and (self._depth or _of(attributes, "name") == self._sheet):
            self._depth += 1
        elif self._depth != 1:
            return
        elif name == "table-row":
            self._repeat = min(int(_of(attributes, "number-rows-repeated") or 1), _MOST_ROWS - self._row)
            self._column, self._found = 0, {}
        elif name in {"table-cell", "covered-table-cell"}:
            self._cells = min(int(_of(attributes, "number-columns-repeated") or 1), _MOST_COLUMNS)
            kinds = {value for key, value in attributes.items() if _local(key) == "value-type"}
            kind = "error" if "error" in kinds else next(iter(kinds), None)
            self._cell = (kind, _of(attributes, "formula"), _of(attributes, "time-value") or "")
            self._text.clear()

    def _said(self, text: str) -> None:
        if self._cell is not None and len(self._text) < 16:
            self._text.append(text)

    def _end(self, tag: str) -> None:
        name = _local(tag)
        if name == "table" and self._depth:
            self._depth -= 1
        elif self._depth != 1:
            return
        elif name in {"table-cell", "covered-table-cell"}:
            mark = self._mark()
            if mark is not None:
                self._found.update(dict.fromkeys(range(self._column, self._column + self._cells), mark))
            self._column += self._cells
            self._cell = None
        elif name == "table-row":
            if self._found:
                self._marks.update(dict.fromkeys(range(self._row, self._row + self._repeat), self._found))
            self._row += self._repeat

    def _mark(self) -> Mark | None:
        kind, formula, duration = self._cell or (None, None, "")
        text = "".join(self._text).strip()
        if kind == "error" or (formula is not None and kind == "string" and _ERROR_TEXT.fullmatch(text)):
            return error(text)
        if formula is not None and kind is None:
            return error(NO_RESULT)
        if kind == "time":
            return _long(duration)
        return PERCENTAGE if kind == "percentage" else None


def _long(text: str) -> Mark | None:
    """The mark of a time that is no time of day: the parser gives `PT36H00M00S` as text."""
    match = _DURATION.fullmatch(text)
    if match is None:
        return None
    sign, hours, minutes, seconds = match.groups()
    length = timedelta(
        hours=int(hours or 0), minutes=int(minutes or 0), seconds=float((seconds or "0").replace(",", "."))
    )
    if not sign and length < timedelta(days=1):
        return None
    return Mark("duration", str((-length if sign else length) // timedelta(microseconds=1)))


def _local(name: str) -> str:
    return name.rpartition("}")[2]


def _of(attributes: dict[str, str], wanted: str) -> str | None:
    return next((value for name, value in attributes.items() if _local(name) == wanted), None)
