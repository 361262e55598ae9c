"""Large CSV files by columns: what is plainly a table is taken as one, piece by piece; all else goes the way of rows.

A piece is plain where Arrow's reader and the reader of rows cannot differ: quotes open and close whole cells, every row has the cells of
the header, lines end with LF or CR LF, the bytes are UTF-8. Then the rows, their lines and their cells are the same in either way.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Final

import numpy as np
import pyarrow as pa
from pyarrow import csv as arrow_csv

from app.connectors.contract import RawBatch
from app.connectors.file.csv_lines import Lines
from app.connectors.file.csv_reader import FIELD_CHARACTERS, CsvRows, read_csv
from app.connectors.file.source import NO_QUOTE, FileSource, StopAt
from app.connectors.projection import projected

SMALL_BYTES: Final = 1 << 20
"""A file up to this size is read by rows."""
FIRST_BYTES: Final = 1 << 18
"""Of the first piece, so that whoever wants a few rows has not to wait for many."""
PIECE_BYTES: Final = 1 << 22
MOST_ROWS: Final = 65_536
_FEED, _RETURN = 10, 13


@dataclass(frozen=True, slots=True)
class _Piece:
    """Whole rows: their bytes, the line that each begins in, how many lines they are."""

    content: bytes
    numbers: Sequence[int]
    lines: int


def read_table(path: Path, source: FileSource, location: str, columns: Sequence[str] | None) -> Iterator[RawBatch]:
    """The records of a CSV file of any size, with these columns only (None: all)."""
    small = path.stat().st_size <= SMALL_BYTES
    batches = read_csv(path, source, location) if small else read_csv_columns(path, source, location, columns)
    return projected(batches, columns)


def estimated_rows(path: Path) -> int:
    """About how many rows a file holds that is as long in each line as in its first ones; 0 of a small one."""
    size = path.stat().st_size
    with path.open("rb") as file:
        first = file.read(FIRST_BYTES)
    return size * first.count(b"\n") // len(first) if size > SMALL_BYTES else 0


def read_csv_columns(
    path: Path,
    source: FileSource,
    location: str,
    columns: Sequence[str] | None,
    *,
    first_bytes: int = FIRST_BYTES,
    piece_bytes: int = PIECE_BYTES,
) -> Iterator[RawBatch]:
    """The records of the file as `read_csv` gives them, most of them as columns and those with these columns only (None: all)."""
    with path.open("rb") as file:
        lines = Lines(file, source.encoding, location)
        rows = CsvRows(lines, source, location)
        plain = _Plain(source, rows.names, columns)
        size = first_bytes
        while not rows.ended:
            block = lines.block(size)
            if not block:
                break
            piece, table = plain.read(block, lines.number) if lines.whole(block) else (None, None)
            if piece is None or table is None:
                yield from rows.until(lines.offset + len(block))
            else:
                lines.take(len(piece.content), piece.lines)
                for start in range(0, table.num_rows, MOST_ROWS):
                    part = table.slice(start, MOST_ROWS).combine_chunks().to_batches()[0]
                    numbers = piece.numbers[start : start + MOST_ROWS]
                    yield RawBatch(part.schema, arrow=part, location=location, numbers=numbers)
            size = min(4 * size, piece_bytes)
        yield rows.end()


class _Plain:
    """Tells which pieces of a file are plain tables, and reads them."""

    def __init__(self, source: FileSource, names: Sequence[str], columns: Sequence[str] | None) -> None:
        self._names = list(names)
        self._columns = list(columns) if columns is not None and set(columns) <= set(names) else self._names
        self._delimiter = source.delimiter
        self._quote = "" if source.quote == NO_QUOTE else source.quote
        stop = source.stop_at.text if isinstance(source.stop_at, StopAt) else source.stop_at
        self._stop = None if stop is None else stop.encode()
        """Rows with this text are looked at one by one."""
        ascii_marks = self._delimiter.isascii() and self._quote.isascii()
        hidden = stop is not None and bool(self._quote) and self._quote in stop
        self._never = bool(source.fill_down) or not ascii_marks or hidden or not self._columns

    def read(self, block: bytes, line: int) -> tuple[_Piece | None, Any]:
        """The whole rows at the beginning of a block, which begins behind `line` lines, and their columns; None where they are not
        plainly a table.
        """
        piece = self._piece(block, line, blank=False)
        table = None if piece is None else self._table(piece)
        if piece is not None and table is None:
            piece = self._piece(block, line, blank=True)
            table = None if piece is None else self._table(piece)
        return piece, table

    def _piece(self, block: bytes, line: int, *, blank: bool) -> _Piece | None:
        """`blank`: there may be blank lines. Without, each line is taken for a row, which shows when they are read: blank ones are none."""
        if self._never or b"\0" in block or (self._stop is not None and self._stop in block):
            return None
        if not block.isascii() and not _is_utf8(block):
            return None
        returned, quoted = b"\r" in block, bool(self._quote) and self._quote.encode() in block
        content = np.frombuffer(block, np.uint8)
        if not (blank or returned or quoted) and _in_short_lines(block):
            lines = int(np.count_nonzero(content == _FEED)) + (not block.endswith(b"\n"))
            return _Piece(block, range(line + 1, line + 1 + lines), lines)
        if returned:
            returns = np.flatnonzero(content == _RETURN)
            if returns[-1] == len(content) - 1 or (content[returns + 1] != _FEED).any():
                return None
        feeds = np.flatnonzero(content == _FEED)
        if quoted:
            return self._quoted(block, content, line, feeds)
        return _rows_of(block, content, line, feeds, feeds)

    def _table(self, piece: _Piece) -> Any:
        """The rows of a piece as columns; None where they are not all as wide as the header, or a line is none."""
        try:
            table = arrow_csv.read_csv(
                pa.BufferReader(piece.content),  # type: ignore[arg-type]
                read_options=arrow_csv.ReadOptions(
                    use_threads=False, block_size=len(piece.content) + 1, column_names=self._names
                ),
                parse_options=arrow_csv.ParseOptions(
                    delimiter=self._delimiter,
                    quote_char=self._quote or False,
                    double_quote=True,
                    escape_char=False,
                    newlines_in_values=bool(self._quote),
                    ignore_empty_lines=True,
                ),
                convert_options=arrow_csv.ConvertOptions(
                    check_utf8=False,
                    column_types=dict.fromkeys(self._names, pa.string()),
                    strings_can_be_null=False,
                    include_columns=self._columns,
                ),
            )
        except pa.ArrowInvalid:
            return None
        return table if table.num_rows == len(piece.numbers) else None

    def _quoted(self, block: bytes, content: Any, line: int, feeds: Any) -> _Piece | None:
        """A block with quotes: plain where each opens a cell, closes one, or stands for itself in a quoted one."""
        quotes = np.flatnonzero(content == ord(self._quote))
        opening, closing = quotes[::2], quotes[1::2]
        marks = (ord(self._delimiter), _FEED, ord(self._quote))
        before = content[opening[opening > 0] - 1]
        after = content[closing[closing < len(content) - 1] + 1]
        if not np.isin(before, marks).all() or not np.isin(after, (*marks, _RETURN)).all():
            return None
        ends = feeds[np.searchsorted(quotes, feeds) % 2 == 0]
        if len(quotes) % 2 or len(ends) < len(feeds):
            if not len(ends):
                return None
            block = block[: int(ends[-1]) + 1]
            feeds = feeds[feeds < len(block)]
        return _rows_of(block, content, line, feeds, ends)


def _rows_of(block: bytes, content: Any, line: int, feeds: Any, ends: Any) -> _Piece | None:
    """The rows that end at `ends`, some of the feeds, without blank ones. None where a row may hold a cell that is too long."""
    whole = block.endswith(b"\n")
    stops = ends if whole else np.append(ends, len(block))
    starts = np.concatenate([[0], stops[:-1] + 1])
    lengths = stops - starts
    if not len(lengths) or lengths.max() > FIELD_CHARACTERS:
        return None
    lines = len(feeds) + (not whole)
    if lengths.min() > 1 and len(ends) == len(feeds):
        return _Piece(block, range(line + 1, line + 1 + lines), lines)
    filled = (lengths > 1) | ((lengths == 1) & (content[np.minimum(starts, len(block) - 1)] != _RETURN))
    numbers = line + 1 + np.searchsorted(feeds, starts[filled])
    return _Piece(block, numbers.tolist(), lines)


def _in_short_lines(block: bytes) -> bool:
    """Whether surely none is too long: there is a feed in each half of that length."""
    half = FIELD_CHARACTERS // 2
    return all(block.find(b"\n", start, start + half) >= 0 for start in range(0, len(block) - half + 1, half))


def _is_utf8(block: bytes) -> bool:
    try:
        block.decode()
    except UnicodeDecodeError:
        return False
    return True
