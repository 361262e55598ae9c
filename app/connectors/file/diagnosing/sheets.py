"""Which sheet of a workbook holds the table and where it stands there; what cells lost or hide."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path
from typing import Any

import orjson

from app.connectors.cells import ErrorCell, LongNumber, Percent, cell_text
from app.connectors.diagnosis import Findings
from app.connectors.environment import Limits
from app.connectors.file.diagnosing.grid import Layout, Row, filled, layout_of, told_below
from app.connectors.file.sheet import parse_sheet
from app.connectors.file.sheet.parsed import all_rows
from app.connectors.file.source import FileSource, HeaderRows
from app.connectors.file.table import header_names
from app.errors import SimpulError

MOST_SHEETS = 12
_HEAD, _TAIL = 2_000, 300
_SHOWN = 5


def diagnose_sheet(path: Path, source: FileSource, cache: Path, limits: Limits, found: Findings) -> None:
    """Looks at every visible sheet, then at the one that is read."""
    first, sheets = _parsed(path, source, cache, limits)
    hidden = [name for name, visible in sheets if not visible]
    if hidden:
        found.note(f"hidden sheets are not looked at: {', '.join(hidden[:_SHOWN])}")
    chosen, cells = source, first
    if source.sheet is None and len(visible := [name for name, shown in sheets if shown]) > 1:
        chosen, cells = _largest(path, source, cache, limits, visible, first, found)
    if source.range is None:
        _table(cells, chosen, found)
    _kinds(cells, found)


def _parsed(
    path: Path, source: FileSource, cache: Path, limits: Limits
) -> tuple[list[tuple[int, list[Any]]], list[tuple[str, bool]]]:
    """The first and the last rows of the sheet with their numbers, and all sheets with whether each is visible."""
    head: list[tuple[int, list[Any]]] = []
    tail: list[tuple[int, list[Any]]] = []
    with parse_sheet(path, source, cache, limits) as lines:
        told = orjson.loads(lines.readline())
        for number, row in all_rows(lines):
            (head if len(head) < _HEAD else tail).append((number, row))
            if len(tail) > 2 * _TAIL:
                del tail[:_TAIL]
    return [*head, *tail[-_TAIL:]], [(name, visible) for name, visible in told["sheets"]]


def _largest(
    path: Path,
    source: FileSource,
    cache: Path,
    limits: Limits,
    names: Sequence[str],
    first: list[tuple[int, list[Any]]],
    found: Findings,
) -> tuple[FileSource, list[tuple[int, list[Any]]]]:
    """The visible sheet with the most rows of more than one cell."""
    sizes: dict[str, int] = {}
    best: tuple[int, FileSource, list[tuple[int, list[Any]]]] | None = None
    for name in names[:MOST_SHEETS]:
        one = source.model_copy(update={"sheet": name})
        rows = first if name == names[0] else _parsed(path, one, cache, limits)[0]
        sizes[name] = sum(len(filled(_texts(cells))) > 1 for _, cells in rows)
        if best is None or sizes[name] > best[0]:
            best = sizes[name], one, rows
    if best is None:
        return source, first
    counted = ", ".join(f"{name} {size}" for name, size in sizes.items())
    found.source(
        "sheet", best[1].sheet, f"the largest of {len(names)} visible sheets (rows with more than one cell: {counted})"
    )
    return best[1], best[2]


def _table(rows: Sequence[tuple[int, list[Any]]], source: FileSource, found: Findings) -> None:
    if source.model_fields_set & {"header", "skip", "columns"}:
        return
    texts: list[Row] = [(number, _texts(cells)) for number, cells in rows]
    layout = layout_of(texts)
    if layout is None:
        return
    names = _names(texts, layout, source, found)
    data = [(number, cells) for number, cells in texts if number >= layout.first]
    if names:
        told_below(data, layout, names, found)


def _names(rows: Sequence[Row], layout: Layout, source: FileSource, found: Findings) -> list[str]:
    """Says where the header is; the names as a read gives them."""
    if not layout.header:
        names = [f"column_{number}" for number in range(1, layout.width + 1)]
        found.source(
            "header",
            value=False,
            why=f"row {layout.first} holds values already: the sheet has no header; name its columns",
        )
        found.source("columns", names, f"{layout.width} cells in a row")
        return names
    above = [(number, cells) for number, cells in rows if number < layout.header[0] and filled(cells)]
    for _, cells in above:
        found.title(" ".join(cells).strip())
    header = HeaderRows(rows=layout.header, skip=int(layout.counted))
    if above or len(layout.header) > 1 or layout.counted:
        said = f", below {' '.join(above[0][1]).strip()[:60]!r}" if above else ""
        counted = "; the row below it counts the columns" if layout.counted else ""
        rows_said = (
            f"rows {' and '.join(map(str, layout.header))}" if len(layout.header) > 1 else f"row {layout.header[0]}"
        )
        why = f"the header stands in {rows_said}{said}{counted}"
        stated: dict[str, Any] = {"rows": list(layout.header)}
        found.source("header", stated | ({"skip": 1} if layout.counted else {}), why)
    try:
        start = [(number, cells) for number, cells in rows if number >= layout.header[0]]
        return header_names(source.model_copy(update={"header": header}), iter(start), source.location)
    except SimpulError:
        return []


def _texts(cells: Sequence[Any]) -> list[str]:
    return [cell_text(cell) for cell in cells]


def _kinds(rows: Sequence[tuple[int, list[Any]]], found: Findings) -> None:
    """Cells that a reader has to know of."""
    errors = [f"row {number} ({cell})" for number, cells in rows for cell in cells if isinstance(cell, ErrorCell)]
    long = [str(number) for number, cells in rows for cell in cells if isinstance(cell, LongNumber)]
    if errors:
        found.note(f"{len(errors)} cells hold an error and reject their record: {', '.join(errors[:_SHOWN])}")
    if long:
        found.note(
            f"{len(long)} numbers have 16 digits or more, of which the sheet keeps 15 (rows {', '.join(long[:_SHOWN])}): "
            "have the column written as text"
        )
    if any(isinstance(cell, Percent) for _, cells in rows for cell in cells):
        found.note('percentages: 6.09 % is read as 6.09 with number: {suffix: "%"}')
