"""Workbooks in the XML of Excel 2003 (SpreadsheetML): one pass of expat, cells keep their kind. Runs in the child process.

A document type or an entity of its own is refused: no such workbook has one.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import suppress
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any, Final
from xml.parsers import expat

from app.connectors.workbooks.marks import NO_RESULT, SheetFlaw, is_duration, is_percent
from app.connectors.workbooks.wire import ERROR, PERCENT, written

_SPREADSHEET = "urn:schemas-microsoft-com:office:spreadsheet}"
_EXCEL = "urn:schemas-microsoft-com:office:excel}"
_MOST_COLUMNS: Final = 16_384
_MOST_ROWS: Final = 1_048_576
_DAY_ZERO: Final = datetime(1899, 12, 31)  # noqa: DTZ001 - times of a sheet have no zone
_LEAP_DAY: Final = datetime(1900, 3, 1)  # noqa: DTZ001 - before it Excel counts a day that was not
_UNZONED = len("2024-02-29T00:00:00.000")


class Xml2003:
    """The worksheets of a workbook."""

    def __init__(self, path: str) -> None:
        self._path = path
        self.sheets = _Pass(path).names()

    def rows(self, name: str, sink: Callable[[int, list[Any]], object]) -> None:
        """Gives the rows of one sheet, numbered from 0, to `sink`, in order."""
        _Pass(self._path, name, sink).run()


class _Pass:
    """One pass over the document."""

    def __init__(
        self, path: str, sheet: str | None = None, sink: Callable[[int, list[Any]], object] | None = None
    ) -> None:
        self._path, self._sheet, self._sink = path, sheet, sink
        self._formats: dict[str, str] = {}
        self._style = ""
        self._sheets: list[tuple[str, bool]] = []
        self._here = False
        self._row = self._next_row = self._column = 0
        self._cells: list[Any] = []
        self._cell: dict[str, str] | None = None
        self._kind: str | None = None
        self._stored = False
        self._in_comment = False
        self._text: list[str] | None = None
        self._visible: list[str] | None = None

    def names(self) -> list[tuple[str, bool]]:
        self.run()
        return self._sheets

    def run(self) -> None:
        parser = expat.ParserCreate(namespace_separator="}")
        parser.buffer_text = True
        parser.StartDoctypeDeclHandler = _refused
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._said
        with Path(self._path).open("rb") as stream:
            try:
                parser.ParseFile(stream)
            except expat.ExpatError as error:
                said = expat.ErrorString(error.code)
                raise SheetFlaw(f"line {error.lineno}: the XML is broken ({said}); export the workbook again") from None

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        if tag == f"{_EXCEL}Visible":
            self._visible = []
        if not tag.startswith(_SPREADSHEET):
            return
        name = tag.removeprefix(_SPREADSHEET)
        given = {key.removeprefix(_SPREADSHEET): value for key, value in attributes.items()}
        if name == "Style":
            self._style = given.get("ID", "")
        elif name == "NumberFormat":
            self._formats[self._style] = given.get("Format", "")
        elif name == "Worksheet":
            self._sheets.append((given.get("Name", ""), True))
            self._here = self._sink is not None and given.get("Name", "") == self._sheet
            self._next_row = 0
        elif self._here:
            self._in_sheet(name, given)

    def _in_sheet(self, name: str, given: dict[str, str]) -> None:
        if name == "Row":
            self._row = _number(given.get("Index"), self._next_row + 1) - 1
            self._next_row = self._row + 1 + _number(given.get("Span"), 0)
            self._column, self._cells = 0, []
            if self._next_row > _MOST_ROWS:
                raise SheetFlaw(f"the sheet has more than {_MOST_ROWS} rows")
        elif name == "Cell":
            self._column = _number(given.get("Index"), self._column + 1) - 1
            self._cell, self._kind, self._stored = given, None, False
            if self._column >= _MOST_COLUMNS:
                raise SheetFlaw(f"a row has more than {_MOST_COLUMNS} columns")
            self._cells += [None] * (self._column - len(self._cells))
        elif name == "Comment":
            self._in_comment = True
        elif name == "Data" and self._cell is not None and not self._in_comment:
            self._kind, self._text, self._stored = given.get("Type", "String"), [], True

    def _said(self, text: str) -> None:
        if self._text is not None:
            self._text.append(text)
        if self._visible is not None:
            self._visible.append(text)

    def _end(self, tag: str) -> None:
        if tag == f"{_EXCEL}Visible":
            if "".join(self._visible or ()).strip() in {"SheetHidden", "SheetVeryHidden"} and self._sheets:
                self._sheets[-1] = self._sheets[-1][0], False
            self._visible = None
        if not self._here:
            return
        name = tag.removeprefix(_SPREADSHEET)
        if name == "Comment":
            self._in_comment = False
        elif name == "Data" and not self._in_comment and self._text is not None and self._cell is not None:
            style = self._formats.get(self._cell.get("StyleID", ""), "")
            self._cells[self._column :] = [_value(self._kind or "", "".join(self._text), style, self._row + 1)]
            self._text = None
        elif name == "Cell" and self._cell is not None:
            if not self._stored:
                empty = [ERROR, NO_RESULT] if "Formula" in self._cell else None
                self._cells[self._column :] = [empty]
            self._column += 1 + _number(self._cell.get("MergeAcross"), 0)
            self._cell = None
        elif name == "Row" and self._sink is not None:
            self._sink(self._row, self._cells)
        elif name == "Worksheet":
            self._here = False


def _refused(*_: Any) -> None:
    raise SheetFlaw("the file declares a document type, which no workbook has; it is not read")


def _number(said: str | None, absent: int) -> int:
    text = (said or "").strip()
    return int(text) if text.isdecimal() and len(text) < 10 else absent


def _value(kind: str, text: str, style: str, row: int) -> Any:
    """A cell in the form of `wire.py`. Raises `SheetFlaw` for what is no value of its type."""
    if kind == "Number":
        with suppress(ValueError):
            number = written(float(text))
            if style.lower() == "percent" or is_percent(style):
                return [PERCENT, number[1] if isinstance(number, list) else repr(number)]
            return number
    elif kind == "Boolean":
        if text.strip() in {"0", "1"}:
            return text.strip() == "1"
    elif kind == "DateTime":
        with suppress(ValueError):
            return _moment(datetime.fromisoformat(text.strip()[:_UNZONED]), style)
    elif kind == "Error":
        return [ERROR, text.strip()[:40] or "#?"]
    else:
        return text or None
    raise SheetFlaw(f"row {row}: a cell of type {kind} holds what is none; export the workbook again")


def _moment(found: datetime, style: str) -> Any:
    """A date, a time of day (which Excel writes on the last day of 1899), a duration where the format counts hours."""
    if is_duration(style):
        length = found - _DAY_ZERO
        return written(length + timedelta(days=1) if found >= _LEAP_DAY else length)
    if found.date() == _DAY_ZERO.date():
        return written(found.time())
    return written(found.date() if found.time() == datetime.min.time() else found)
