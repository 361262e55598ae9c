"""Where the table stands among the rows of a sheet or a CSV: title rows above, header rows, section rows, totals and footnotes below."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from app.connectors.diagnosis import Findings

Row = tuple[int, list[str]]
"""The number of a row as the program shows it, and its cells as text."""
MOST_TITLE_ROWS = 40
_NUMBER = re.compile(r"[-(]?\s*(?:rp\.?\s*)?[\d][\d.,' ]*\s*%?\)?|[-–—]|\.{2,3}", re.IGNORECASE)
_YEAR = re.compile(r"(?:19|20)\d\d")
_DATE = re.compile(r"\d{1,4}[-/.]\d{1,2}[-/.]\d{1,4}.*")
_COUNTED = re.compile(r"\(?\s*(\d{1,3})\s*\)?")
_TOTAL = re.compile(r"(?:grand\s+)?(?:sub\s*)?(?:jumlah|total|rata-rata|average)\b.*", re.IGNORECASE)
_FOOT = re.compile(r"(?:sumber|source|catatan|note|keterangan|ket\b|\*|mengetahui|kepala)", re.IGNORECASE)
_NUMBERS_IN_ORDER = 3
_MOST_HEADER_ROWS = 4


@dataclass(frozen=True, slots=True)
class Layout:
    """Numbers of the header rows (none: the table has no header), the first row of data, the width in columns."""

    header: tuple[int, ...]
    counted: bool
    """A row (1) (2) (3) stands below the header."""
    first: int
    width: int


def filled(cells: Sequence[str]) -> list[int]:
    """The columns that say something."""
    return [index for index, cell in enumerate(cells) if cell.strip()]


def layout_of(rows: Sequence[Row]) -> Layout | None:
    """The layout by the first rows of a table; None where nothing looks like one."""
    said = [(number, cells) for number, cells in rows if filled(cells)]
    if not said:
        return None
    ends = Counter(filled(cells)[-1] + 1 for _, cells in said[-max(len(said) - 1, 1) :])
    width = max((size for size, count in ends.items() if count * 10 >= max(ends.values())), default=1)
    for index, (number, cells) in enumerate(said[:MOST_TITLE_ROWS]):
        if not _heads(cells, width, [below for _, below in said[index + 1 : index + 8]]):
            continue
        if _is_data(cells):
            return Layout((), counted=False, first=number, width=width)
        header = _header(said, index)
        below = index + len(header)
        counted = below < len(said) and _counts(said[below][1])
        return Layout(tuple(header), counted, said[min(below + counted, len(said) - 1)][0], width)
    return None


def _header(said: Sequence[Row], index: int) -> list[int]:
    """The numbers of the rows of a header that begins at this index."""
    header = [said[index][0]]
    while index + 1 < len(said) and _continues(said[index][1], said[index + 1][1]) and len(header) < _MOST_HEADER_ROWS:
        index += 1
        header.append(said[index][0])
    return header


def _heads(cells: Sequence[str], width: int, below: Sequence[Sequence[str]]) -> bool:
    """Whether a row can be the header: filled over most of its width, or over merged cells with a second row below."""
    columns = filled(cells)
    enough = max(2, (width + 1) // 2) if width > 1 else 1
    if len(columns) >= enough:
        return True
    return bool(below) and len(columns) >= 2 and _continues(cells, below[0])


def _is_data(cells: Sequence[str]) -> bool:
    """Whether a first row holds values and not names: a number that is no year, or a date."""
    said = [cell.strip() for cell in cells if cell.strip()]
    values = [cell for cell in said if (_NUMBER.fullmatch(cell) and not _YEAR.fullmatch(cell)) or _DATE.fullmatch(cell)]
    return bool(values) and not _counts(cells)


def _continues(upper: Sequence[str], lower: Sequence[str]) -> bool:
    """Whether the lower row goes on with a header: it fills blanks of the upper one with names, and nothing else stands in it."""
    above, below = set(filled(upper)), set(filled(lower))
    words = [lower[index].strip() for index in below]
    if not below or any(_NUMBER.fullmatch(word) and not _YEAR.fullmatch(word) for word in words):
        return False
    return bool(below - above) and len(below - above) >= len(below & above) and not (below - above) <= {0}


def _counts(cells: Sequence[str]) -> bool:
    """Whether the cells count 1, 2, 3 as a row below a header does."""
    said = [_COUNTED.fullmatch(cell.strip()) for cell in cells if cell.strip()]
    numbers = [int(match[1]) for match in said if match is not None]
    return len(numbers) == len(said) >= _NUMBERS_IN_ORDER and all(
        after == before + 1 for before, after in pairwise(numbers)
    )


def told_below(rows: Sequence[Row], layout: Layout, names: Sequence[str], found: Findings) -> None:
    """What stands among the data and below it: totals and footnotes (`stop_at`), section rows, blank rows, cells merged downwards.

    `rows`: those from the first row of data on; the last of them are the end of the table.
    """
    data = [(number, cells) for number, cells in rows if filled(cells)]
    end = _end(data, layout.width)
    if end is not None:
        number, text = data[end][0], _mark(data[end][1])
        before = [at for at, cells in data[:end] if any(cell.strip() == text for cell in cells)]
        if before:
            found.note(
                f"{text!r} stands in row {number} at the end, and already in row {before[0]}: subtotals are read as records"
            )
        else:
            found.source("stop_at", text, f"row {number} begins with it: a total or a footnote, not a record")
        data = data[:end]
    _sections(data, layout, names, found)
    _merged(data, layout, names, found)


def _end(data: Sequence[Row], width: int) -> int | None:
    """Where the records end: the first of the last rows that are totals, footnotes or nearly empty."""
    index = len(data)
    while index > 1:
        cells = data[index - 1][1]
        text = _mark(cells)
        thin = width >= 3 and len(filled(cells)) == 1
        if not (_TOTAL.fullmatch(text) or _FOOT.match(text) or thin):
            break
        index -= 1
    return index if index < len(data) else None


def _mark(cells: Sequence[str]) -> str:
    """The first cell with words."""
    said = [cell.strip() for cell in cells if cell.strip()]
    return next((cell for cell in said if not _NUMBER.fullmatch(cell)), said[0] if said else "")


def _sections(data: Sequence[Row], layout: Layout, names: Sequence[str], found: Findings) -> None:
    """Rows with one cell alone, between records: headings of sections."""
    if layout.width < 3:
        return
    lone = [(number, cells) for number, cells in data if len(filled(cells)) == 1]
    full = [cells for _, cells in data if len(filled(cells)) > 1]
    if not lone or len(lone) * 2 > len(full):
        return
    always = [
        index
        for index in range(min(layout.width, len(names)))
        if all(index < len(cells) and cells[index].strip() for cells in full)
        and not any(index < len(cells) and cells[index].strip() for _, cells in lone)
    ]
    if always:
        shown = ", ".join(f"{number} ({_mark(cells)[:30]})" for number, cells in lone[:3])
        why = f"{len(lone)} rows have one cell alone and head a section: {shown}"
        found.read("rows_without", [names[always[0]]], why)
        at = {filled(cells)[0] for _, cells in lone}
        column = at.pop()
        if not at and column < len(names) and not any(cells[column].strip() for cells in full if column < len(cells)):
            found.source("fill_down", [names[column]], f"{names[column]} stands in the rows that head a section alone")


def _merged(data: Sequence[Row], layout: Layout, names: Sequence[str], found: Findings) -> None:
    """Leading columns whose cells are merged downwards: filled at the first of several records, blank at the others."""
    records = [cells for _, cells in data if len(filled(cells)) > 1]
    down = []
    for index in range(min(layout.width - 1, len(names), 3)):
        column = [index < len(cells) and bool(cells[index].strip()) for cells in records]
        blank = column.count(False)
        others = [
            len(filled(cells)) >= (layout.width + 1) // 2
            for cells, here in zip(records, column, strict=True)
            if not here
        ]
        if column and column[0] and 0.3 <= blank / len(column) <= 0.97 and all(others):
            down.append(names[index])
    if down and not found.has("fill_down"):
        found.source("fill_down", down, f"{', '.join(down)}: filled in the first of several rows, as merged cells are")
