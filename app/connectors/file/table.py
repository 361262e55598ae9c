"""The header of a table: one row, several joined rows, or names stated in the manifest. A name never vanishes silently."""

from __future__ import annotations

from collections.abc import Iterator, Sequence

from app.connectors.file.source import FileSource, HeaderRows, StopAt
from app.errors import SourceFormatError

MOST_COLUMNS = 2_000


def header_names(source: FileSource, rows: Iterator[tuple[int, Sequence[str]]], location: str) -> list[str]:
    """The column names; takes the header rows off `rows`."""
    if source.header is False:
        if not source.columns:
            raise SourceFormatError(
                f"{location}: header is false, so columns must name the columns", field="/source/columns"
            )
        return _distinct(list(source.columns), location)
    wanted = source.header.rows if isinstance(source.header, HeaderRows) else None
    found: list[Sequence[str]] = []
    for number, row in rows:
        if wanted is None:
            found.append(row)
            break
        if number in wanted:
            found.append(_carried(row) if number != wanted[-1] else row)
        if number >= max(wanted):
            break
    if isinstance(source.header, HeaderRows):
        _pass_over(rows, source.header.skip)
    if not found:
        raise SourceFormatError(f"{location}: there is no header row; the file is empty", field="/source/header")
    width = max(len(row) for row in found)
    if width > MOST_COLUMNS:
        raise SourceFormatError(
            f"{location}: more than {MOST_COLUMNS} columns", field="/source", limit_columns=MOST_COLUMNS
        )
    names = []
    for column in range(width):
        parts = [str(row[column]).strip() for row in found if column < len(row)]
        names.append(" ".join(dict.fromkeys(part for part in parts if part)))
    return _distinct(names, location)


def _pass_over(rows: Iterator[tuple[int, Sequence[str]]], count: int) -> None:
    """Takes so many rows off."""
    for _ in range(count):
        next(rows, None)


def filled_columns(source: FileSource, names: Sequence[str], location: str) -> list[int]:
    """Where the columns of `fill_down` stand. Raises `SourceFormatError` naming those that the file does not have."""
    missing = [name for name in source.fill_down if name not in names]
    if missing:
        detail = f"{location}: there is no column {', '.join(map(repr, missing))} for fill_down"
        raise SourceFormatError(detail, field="/source/fill_down", missing=missing)
    return [names.index(name) for name in source.fill_down]


def _carried(row: Sequence[str]) -> list[str]:
    """An upper header row: a merged cell shows its text only in its first column, the blanks after it mean the same."""
    carried: list[str] = []
    for cell in row:
        carried.append(cell if str(cell).strip() else (carried[-1] if carried else ""))
    return carried


def _distinct(names: list[str], location: str) -> list[str]:
    """An unnamed column is called `column_N`; two of one name are an error, since one of them would be lost."""
    named = [name or f"column_{number}" for number, name in enumerate(names, 1)]
    twice = sorted({name for name in named if named.count(name) > 1})
    if twice:
        detail = f"{location}: the column {twice[0]!r} stands twice; give names with header: false and columns"
        raise SourceFormatError(detail, field="/source/header", columns=twice)
    return named


class Ending:
    """Where a table ends: the row that holds the stated mark. A mark that is never met is told."""

    def __init__(self, source: FileSource, names: Sequence[str], location: str) -> None:
        self._mark = source.stop_at
        self._column: int | None = None
        self._location = location
        self.met = False
        if isinstance(self._mark, StopAt):
            if self._mark.column not in names:
                detail = f"{location}: there is no column {self._mark.column!r} for stop_at"
                raise SourceFormatError(detail, field="/source/stop_at/column")
            self._column = names.index(self._mark.column)

    def here(self, cells: Sequence[str]) -> bool:
        """Whether the table ends before this row; its cells as text."""
        if self._mark is None:
            return False
        if isinstance(self._mark, StopAt):
            cell = cells[self._column] if self._column is not None and self._column < len(cells) else ""
            self.met = cell.strip() == self._mark.text
        else:
            self.met = any(cell.strip() == self._mark for cell in cells)
        return self.met

    def notes(self) -> list[str]:
        """What a reader has to know when the table was read to its end."""
        if self._mark is None or self.met:
            return []
        said = self._mark.text if isinstance(self._mark, StopAt) else self._mark
        return [f"{self._location}: stop_at {said!r} was met in no row; everything was read"]
