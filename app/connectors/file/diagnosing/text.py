"""How a text file of rows is written: encoding, delimiter, quotes, and where the table stands in it."""

from __future__ import annotations

import csv
from collections import Counter
from collections.abc import Sequence
from pathlib import Path

from app.connectors.diagnosis import Findings
from app.connectors.file.diagnosing.grid import Row, filled, layout_of, told_below
from app.connectors.file.source import FileSource, HeaderRows
from app.connectors.file.table import header_names
from app.errors import SimpulError

HEAD_BYTES = 1_048_576
TAIL_BYTES = 65_536
_DELIMITERS = (",", ";", "\t", "|")
_SHOWN = {"\t": "a tab", ",": "a comma", ";": "a semicolon", "|": "a bar"}
_MARKS = ((b"\xff\xfe", "utf-16"), (b"\xfe\xff", "utf-16"))
_ROWS = 2_000


def diagnose_text(path: Path, source: FileSource, found: Findings) -> None:
    """Looks at the first megabyte and the last 64 KiB; the encoding is tried on the whole file."""
    stated = source.model_fields_set
    encoding = source.encoding
    if "encoding" not in stated:
        encoding = _encoding(path, found)
    with path.open("rb") as file:
        head = file.read(HEAD_BYTES)
        size = path.stat().st_size
        file.seek(max(len(head), size - TAIL_BYTES))
        tail = file.read()
    text = _decoded(head, encoding, whole=size <= HEAD_BYTES)
    lines = text.splitlines(keepends=True)
    delimiter = source.delimiter
    if "delimiter" not in stated:
        delimiter = _delimiter(lines, found, source)
    if "delimiter" not in stated and not any(delimiter in line for line in lines):
        found.note("no line has a comma, a semicolon, a tab or a bar: the file has one column")
    last = _decoded(tail, encoding, whole=False).splitlines(keepends=True)[1:]
    _table(_rows(lines, delimiter, 1), _rows(last, delimiter, None), source, found)


def _encoding(path: Path, found: Findings) -> str:
    """UTF-8 where all bytes are; else the one that the marks or the bytes allow."""
    with path.open("rb") as file:
        start = file.read(4)
        for mark, name in _MARKS:
            if start.startswith(mark):
                found.source("encoding", name, "the file begins with the mark of UTF-16")
                return name
        file.seek(0)
        for number, line in enumerate(file, 1):
            try:
                line.decode("utf-8")
            except UnicodeDecodeError:
                found.source("encoding", "cp1252", f"line {number} has bytes that are no UTF-8; Windows writes cp1252")
                return "cp1252"
    return "utf-8"


def _decoded(content: bytes, encoding: str, *, whole: bool) -> str:
    """The text; a character that is cut at the end of a part is left out, and so is a byte order mark."""
    text = content.decode(encoding, errors="replace" if whole else "ignore")
    return text.removeprefix("\ufeff")


def _delimiter(lines: Sequence[str], found: Findings, source: FileSource) -> str:
    """The sign that cuts most lines into the same number of cells, more than one."""
    best: tuple[float, int, str] = (0.0, 1, source.delimiter)
    for sign in _DELIMITERS:
        widths = Counter(len(cells) for _, cells in _rows(lines[:_ROWS], sign, 1) if cells)
        if not widths:
            continue
        width, count = max(widths.items(), key=lambda item: (item[1] * min(item[0], 3), item[0]))
        share = count / sum(widths.values())
        if width > 1 and (share * min(width, 3), width) > best[:2]:
            best = share * min(width, 3), width, sign
    if best[2] != source.delimiter and best[0]:
        found.source("delimiter", best[2], f"{_SHOWN[best[2]]} cuts the lines into {best[1]} cells")
    return best[2]


def _rows(lines: Sequence[str], delimiter: str, first: int | None) -> list[Row]:
    """The rows with the line they begin in; without `first` they are counted from 0 (the end of a long file)."""
    reader = csv.reader(lines, delimiter=delimiter)
    rows: list[Row] = []
    before = 0
    try:
        for cells in reader:
            rows.append(((first or 0) + before, cells))
            before = reader.line_num
    except csv.Error:
        pass  # told by the read of the source
    return rows


def _table(rows: Sequence[Row], last: Sequence[Row], source: FileSource, found: Findings) -> None:
    stated = source.model_fields_set
    if stated & {"header", "skip", "columns"}:
        return
    layout = layout_of(rows)
    if layout is None:
        return
    if not layout.header:
        names = [f"column_{number}" for number in range(1, layout.width + 1)]
        found.source(
            "header",
            value=False,
            why=f"row {layout.first} holds values already: the file has no header; name its columns",
        )
        found.source("columns", names, f"{layout.width} cells in a row")
    elif len(layout.header) > 1 or layout.counted:
        _stated_rows(layout.header, layout.counted, found)
    elif (above := _said_above(rows, layout.header[0])) is not None:
        found.source("skip", layout.header[0] - 1, f"the header stands in line {layout.header[0]}, below {above!r}")
    for number, cells in rows:
        if number < (layout.header or (layout.first,))[0] and filled(cells):
            found.title(" ".join(cells).strip())
    data = [(number, cells) for number, cells in rows if number >= layout.first]
    if any(cells and not filled(cells) for _, cells in data):
        found.read("skip_blank_rows", value=True, why="rows of delimiters alone stand among the data")
    with_names = names if not layout.header else _names(rows, layout.header, source)
    if with_names:
        told_below([*data, *last], layout, with_names, found)


def _stated_rows(header: Sequence[int], counted: bool, found: Findings) -> None:
    rows: dict[str, object] = {"rows": list(header)}
    why = (
        f"the header takes rows {', '.join(map(str, header))}"
        if len(header) > 1
        else f"the header stands in row {header[0]}"
    )
    if counted:
        rows["skip"] = 1
        why += "; the row below it counts the columns"
    found.source("header", rows, why)


def _said_above(rows: Sequence[Row], header: int) -> str | None:
    """What stands above the header."""
    return next((" ".join(cells).strip()[:60] for number, cells in rows if number < header and filled(cells)), None)


def _names(rows: Sequence[Row], header: Sequence[int], source: FileSource) -> list[str]:
    """The names as a read gives them."""
    stated = source.model_copy(update={"header": source.header if len(header) == 1 else _header(header)})
    start = [(number, cells) for number, cells in rows if number >= header[0]]
    try:
        return header_names(stated, iter(start), source.location)
    except SimpulError:
        return []


def _header(rows: Sequence[int]) -> object:

    return HeaderRows(rows=tuple(rows))
