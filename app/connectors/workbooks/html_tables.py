"""Tables of an HTML page, which reporting systems write as `.xls`: each table is a sheet, each cell the text that a browser shows.

Merged cells hold their text in the upper left one, as in a workbook. Runs in the child process (`parser_child.py`).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from html.parser import HTMLParser
from pathlib import Path
from typing import Any, Final

from app.connectors.workbooks.marks import SheetFlaw

_MOST_ROWS: Final = 65_534
_MOST_COLUMNS: Final = 1_000
"""Bounds of `rowspan` and `colspan` in the HTML standard."""
_META = re.compile(rb"<meta[^>]{0,200}?charset\s*=\s*[\"']?\s*([A-Za-z0-9_.:-]{1,40})", re.IGNORECASE)
_BLANKS = re.compile(r"[ \t\r\n\f]+")
_UNSEEN = frozenset({"script", "style", "template", "noscript"})
_BREAKS = frozenset({"br", "p", "div", "li"})
_HIDDEN = re.compile(r"display\s*:\s*none", re.IGNORECASE)


class HtmlTables:
    """The tables of a page, in the order in which they begin. Raises `SheetFlaw` for bytes in another encoding, or a page that is cut."""

    def __init__(self, path: str, encoding: str) -> None:
        pages = _Page()
        pages.feed(_decoded(Path(path).read_bytes(), encoding))
        pages.close()
        if pages.open_tables:
            raise SheetFlaw("a table of the page is never closed: the file is cut off; export it again")
        self._tables = pages.tables
        names: dict[str, _Table] = {}
        for number, table in enumerate(self._tables, 1):
            said = table.name() or f"table {number}"
            names[said if said not in names else f"{said} ({number})"] = table
        self._names = names

    @property
    def sheets(self) -> list[tuple[str, bool]]:
        """Names (caption, else id, else `table N`) and whether a browser shows the table."""
        return [(name, not table.hidden) for name, table in self._names.items()]

    def rows(self, name: str, sink: Callable[[int, list[Any]], object]) -> None:
        """Gives the rows of one table, numbered from 0, to `sink`."""
        for row, cells in enumerate(self._names[name].grid()):
            sink(row, cells)


def _decoded(content: bytes, encoding: str) -> str:
    """The text: by its mark, by the stated encoding, by what the page says of itself, else UTF-8."""
    if content.startswith((b"\xff\xfe", b"\xfe\xff")):
        encoding = "utf-16"
    elif content.startswith(b"\xef\xbb\xbf"):
        encoding = "utf-8-sig"
    elif encoding.lower().replace("_", "-") in {"utf-8", "utf8"} and (said := _META.search(content[:8_192])):
        encoding = said[1].decode("ascii")
        if encoding.lower() in {"iso-8859-1", "latin1", "us-ascii"}:
            encoding = "cp1252"  # as the HTML standard reads these labels
    try:
        return content.decode(encoding)
    except UnicodeDecodeError as error:
        line = content.count(b"\n", 0, error.start) + 1
        raise SheetFlaw(f"in line {line} the bytes are not {encoding}: state the encoding, such as cp1252") from None
    except LookupError:
        raise SheetFlaw(f"the page says that it is {encoding!r}, an unknown encoding: state encoding") from None


class _Table:
    """One table while it is read, and its cells."""

    def __init__(self, attributes: dict[str, str | None]) -> None:
        self._id = (attributes.get("id") or "").strip()
        self.hidden = bool(_HIDDEN.search(attributes.get("style") or "")) or "hidden" in attributes
        self.rows: list[list[tuple[str, int, int]]] = []
        self.caption = ""
        self.text: list[str] | None = None
        self._spans = (1, 1)
        self._of_caption = False

    def name(self) -> str:
        return (self.caption or self._id)[:200]

    def begin(self, attributes: dict[str, str | None]) -> None:
        """A cell begins; one that was not closed ends."""
        self.end()
        if not self.rows:
            self.rows.append([])
        self._spans = (
            _span(attributes.get("rowspan"), _MOST_ROWS),
            max(_span(attributes.get("colspan"), _MOST_COLUMNS), 1),
        )
        self.text = []

    def begin_caption(self) -> None:
        self.end()
        self.text, self._of_caption = [], True

    def end(self) -> None:
        """The cell or caption ends."""
        if self.text is None:
            return
        said = "\n".join(line for part in "".join(self.text).split("\0") if (line := _BLANKS.sub(" ", part).strip()))
        if self._of_caption:
            self.caption = self.caption or said.replace("\n", " ")
        else:
            self.rows[-1].append((said, *self._spans))
        self.text, self._of_caption = None, False

    def grid(self) -> Iterator[list[Any]]:
        """The cells at their columns; what a merged cell covers is empty."""
        below: dict[int, int] = {}
        for row in self.rows:
            cells: list[Any] = []
            covered = {column for column, left in below.items() if left > 0}
            below = {column: left - 1 for column, left in below.items() if left > 1}
            for said, down, across in row:
                while len(cells) in covered:
                    cells.append(None)
                if len(cells) + across > _MOST_COLUMNS * 2:
                    raise SheetFlaw(f"a row of the table has more than {_MOST_COLUMNS * 2} columns")
                if down != 1:
                    below.update(dict.fromkeys(range(len(cells), len(cells) + across), (down or len(self.rows)) - 1))
                cells += [said or None, *[None] * (across - 1)]
            yield cells


def _span(said: str | None, most: int) -> int:
    text = (said or "").strip()
    return min(int(text), most) if text.isdecimal() and len(text) < 10 else 1


class _Page(HTMLParser):
    """All tables of a page; a table within a cell is one of its own."""

    def __init__(self) -> None:
        super().__init__(convert_charrefs=True)
        self.tables: list[_Table] = []
        self.open_tables: list[_Table] = []
        self._unseen = 0

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        if tag in _UNSEEN:
            self._unseen += 1
        elif tag == "table":
            table = _Table(dict(attrs))
            self.tables.append(table)
            self.open_tables.append(table)
        elif self.open_tables:
            self._inside(self.open_tables[-1], tag, dict(attrs))

    def _inside(self, table: _Table, tag: str, attributes: dict[str, str | None]) -> None:
        if tag == "tr":
            table.end()
            table.rows.append([])
        elif tag in {"td", "th"}:
            table.begin(attributes)
        elif tag == "caption":
            table.begin_caption()
        elif tag in _BREAKS and table.text is not None:
            table.text.append("\0")

    def handle_endtag(self, tag: str) -> None:
        if tag in _UNSEEN:
            self._unseen = max(self._unseen - 1, 0)
        elif self.open_tables:
            table = self.open_tables[-1]
            if tag in {"td", "th", "tr", "caption", "table"}:
                table.end()
            elif tag in _BREAKS and table.text is not None:
                table.text.append("\0")
            if tag == "table":
                self.open_tables.pop()

    def handle_data(self, data: str) -> None:
        if self.open_tables and not self._unseen and self.open_tables[-1].text is not None:
            self.open_tables[-1].text.append(data)
