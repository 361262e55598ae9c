"""CSV in batches: every cell is text, a ragged row is a reject with its line, wrong bytes end the read with the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.connectors.contract import RawBatch, RawReject
from app.connectors.file.csv_lines import Lines
from app.connectors.file.source import NO_QUOTE, FileSource
from app.connectors.file.table import Ending, filled_columns, header_names
from app.errors import SourceFormatError

BATCH_ROWS = 1_000
FIELD_CHARACTERS = 1_000_000


def read_csv(path: Path, source: FileSource, location: str) -> Iterator[RawBatch]:
    """The records of the file. Line numbers are those of the file, also with line breaks inside quotes."""
    with path.open("rb") as file:
        rows = CsvRows(Lines(file, source.encoding, location), source, location)
        last: RawBatch | None = None
        for batch in rows.until(None):
            if last is not None:
                yield last
            last = batch
        end = rows.end()
        if last is not None:
            last.notes += end.notes
        yield end if last is None else last


class CsvRows:
    """The rows of a file one by one; its header is taken off at once."""

    def __init__(self, lines: Lines, source: FileSource, location: str) -> None:
        csv.field_size_limit(FIELD_CHARACTERS)
        self._lines, self._source, self._location = lines, source, location
        self._rejects: list[RawReject] = []
        self.names = header_names(source, self._numbered(), location)
        self.ended = False
        """Whether the table ends before the file does."""
        self._schema = pa.schema([(name, pa.string()) for name in self.names])
        self._ending = Ending(source, self.names, location)
        self._filled = filled_columns(source, self.names, location)
        self._above: dict[int, str] = {}

    def until(self, offset: int | None) -> Iterator[RawBatch]:
        """The rows that begin before this offset, those to the end of the table without it."""
        kept, numbers = list[tuple[str, ...]](), list[int]()
        for line, row in self._numbered():
            if self._ending.here(row):
                self.ended = True
                break
            if self._fits(line, row):
                kept.append(tuple(row))
                numbers.append(line)
            if len(kept) >= BATCH_ROWS:
                yield self._batch(kept, numbers)
                kept, numbers = [], []
            if offset is not None and self._lines.offset >= offset:
                break
        if kept or self._rejects:
            yield self._batch(kept, numbers)

    def end(self) -> RawBatch:
        """A batch without rows: what is left to tell."""
        batch = self._batch([], [])
        batch.notes += self._ending.notes()
        return batch

    def _batch(self, rows: list[tuple[str, ...]], numbers: list[int]) -> RawBatch:
        rejects, self._rejects = self._rejects, []
        return RawBatch(self._schema, rows=rows, location=self._location, numbers=numbers, rejects=rejects)

    def _fits(self, line: int, row: list[str]) -> bool:
        """Whether the row is as wide as the header, else it is a reject; blanks are filled from above."""
        if len(row) != len(self.names):
            detail = f"the row has {len(row)} cells, the header has {len(self.names)}"
            self._rejects.append(RawReject(f"{self._location}, line {line}", "ragged_row", detail))
            return False
        above = self._above
        for column in self._filled:
            row[column] = above[column] = row[column] if row[column].strip() else above.get(column, "")
        return True

    def _numbered(self) -> Iterator[tuple[int, list[str]]]:
        """The rows from here on with the line they begin in, counted as an editor counts, without the first `skip` lines and blank ones.

        Text behind a closing quote rejects the lines that it spans. A quote that is never closed would swallow the rest of the
        file: it is refused.
        """
        lines, location, skip = self._lines, self._location, self._source.skip
        reader = csv.reader(lines, strict=True, **_dialect(self._source))
        while True:
            first = lines.number + 1
            try:
                row = next(reader)
            except StopIteration:
                return
            except csv.Error as error:
                if "expected after" in str(error):
                    if first > skip:
                        self._rejects.append(_after_quote(location, first, lines.number))
                    continue
                raise _unreadable(location, first, lines.number, str(error)) from None
            if row and first > skip:
                yield first, row


def _dialect(source: FileSource) -> dict[str, Any]:
    if source.quote == NO_QUOTE:
        return {"delimiter": source.delimiter, "quoting": csv.QUOTE_NONE, "quotechar": None}
    return {"delimiter": source.delimiter, "quotechar": source.quote}


def _after_quote(location: str, first: int, last: int) -> RawReject:
    where = f"line {first}" if first == last else f"lines {first} to {last}"
    detail = "text stands behind a closing quote; double the quotes inside a value, or state quote: none"
    return RawReject(f"{location}, {where}", "csv_quote", detail)


def _unreadable(location: str, first: int, last: int, said: str) -> SourceFormatError:
    if "unexpected end of data" in said:
        detail = (
            f"{location}: a quote opens in the row of line {first} and is never closed, so that the rest of the file would stand in "
            "one value; close it, or state quote: none"
        )
        return SourceFormatError(detail, field="/source/quote", line=first)
    return SourceFormatError(f"{location}: line {last}: {said}", field="/source", line=last)
