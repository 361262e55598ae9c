"""Marks of an XLSX workbook: one pass of expat over the sheet, only where the sheet can hold errors, formulas or percentages."""

from __future__ import annotations

import re
from collections import defaultdict
from typing import IO
from xml.etree import ElementTree as ET
from xml.parsers import expat
from zipfile import BadZipFile, ZipFile

from app.connectors.workbooks.marks import NO_RESULT, PERCENTAGE, Mark, Marks, MarksUnreadable, error, is_percent
from app.connectors.workbooks.parts import BUILT_IN_PERCENTS, local, relations, target, tree

_REFERENCE = re.compile(r"([A-Z]{1,3})(\d{1,7})")
_ID = "id"
_CHUNK = 1 << 20
_OVERLAP = 64


def xlsx_marks(path: str, sheet: str) -> Marks:
    """The marks of a sheet, rows and columns counted from 0; raises `MarksUnreadable`."""
    try:
        with ZipFile(path) as archive:
            book = target(archive, "", "officeDocument")
            part = _sheet(archive, book, sheet)
            percents = _percent_styles(archive, book)
            needles = [b'="e"', b"='e'", b"<f", b":f"]
            needles += [f"s={quote}{style}{quote}".encode() for style in percents for quote in "\"'"]
            with archive.open(part) as stream:
                if not _holds(stream, needles):
                    return {}
            with archive.open(part) as stream:
                return _Pass(percents).marks(stream)
    except (BadZipFile, ET.ParseError, expat.ExpatError, KeyError, ValueError, EOFError) as fault:
        raise MarksUnreadable(str(fault)) from None


def _sheet(archive: ZipFile, book: str, sheet: str) -> str:
    parts = relations(archive, book)
    for element in tree(archive, book).iter():
        if local(element.tag) == "sheet" and element.get("name") == sheet:
            reference = next(value for name, value in element.items() if name.startswith("{") and local(name) == _ID)
            return parts[reference][1]
    raise KeyError(sheet)


def _percent_styles(archive: ZipFile, book: str) -> frozenset[str]:
    """The numbers of the cell styles whose number format is a percentage."""
    part = target(archive, book, "styles")
    if not part:
        return frozenset()
    styled = tree(archive, part)
    formats = set(BUILT_IN_PERCENTS)
    styles = []
    for element in styled.iter():
        if local(element.tag) == "numFmt" and is_percent(element.get("formatCode", "")):
            formats.add(element.get("numFmtId", ""))
        if local(element.tag) == "cellXfs":
            styles = [style.get("numFmtId", "0") for style in element]
    return frozenset(str(index) for index, number in enumerate(styles) if number in formats)


def _holds(stream: IO[bytes], needles: list[bytes]) -> bool:
    """Whether one of the texts stands in the part."""
    before = b""
    while chunk := stream.read(_CHUNK):
        text = before + chunk
        if any(needle in text for needle in needles):
            return True
        before = text[-_OVERLAP:]
    return False


class _Pass:
    """The pass over the cells of a sheet."""

    def __init__(self, percents: frozenset[str]) -> None:
        self._percents = percents
        self._marks: defaultdict[int, dict[int, Mark]] = defaultdict(dict)
        self._row = self._column = -1
        self._kind: str | None = None
        self._style: str | None = None
        self._formula = self._stored = self._inside = False
        self._sign: list[str] = []

    def marks(self, stream: IO[bytes]) -> Marks:
        """The marks found in the part."""
        parser = expat.ParserCreate(namespace_separator="}")
        parser.StartElementHandler = self._start
        parser.EndElementHandler = self._end
        parser.CharacterDataHandler = self._text
        parser.ParseFile(stream)
        return self._marks

    def _start(self, tag: str, attributes: dict[str, str]) -> None:
        name = local(tag)
        if name == "c":
            reference = _REFERENCE.fullmatch(attributes.get("r", ""))
            self._column = _letters(reference[1]) if reference else self._column + 1
            self._kind, self._style = attributes.get("t"), attributes.get("s")
            self._formula = self._stored = False
            self._sign.clear()
        elif name == "v":
            self._inside = True
            self._stored = (
                self._kind == "str"
            )  # an empty text is a result; elsewhere an empty <v/> says that there is none
        elif name == "f":
            self._formula = True
        elif name == "row":
            number = attributes.get("r")
            self._row, self._column = (int(number) - 1 if number else self._row + 1), -1

    def _text(self, text: str) -> None:
        if self._inside:
            self._stored = True
            if self._kind == "e":
                self._sign.append(text)

    def _end(self, tag: str) -> None:
        name = local(tag)
        if name == "v":
            self._inside = False
        if name != "c":
            return
        if self._kind == "e":
            self._marks[self._row][self._column] = error("".join(self._sign))
        elif self._formula and not self._stored:
            self._marks[self._row][self._column] = error(NO_RESULT)
        elif self._style in self._percents and self._kind in (None, "n") and self._stored:
            self._marks[self._row][self._column] = PERCENTAGE
        self._kind = None


def _letters(text: str) -> int:
    number = 0
    for letter in text:
        number = number * 26 + ord(letter) - 64
    return number - 1
