"""CSV in batches: every cell is text, a ragged row is a reject with its line, wrong bytes end the read with the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.connectors.contract import RawBatch, RawReject
from app.connectors.file.source import NO_QUOTE, FileSource
from app.connectors.file.table import Ending, filled_columns, header_names
from app.errors import SourceFormatError

BATCH_ROWS = 1_000
FIELD_CHARACTERS = 1_000_000


def read_csv(path: Path, source: FileSource, location: str) -> Iterator[RawBatch]:
    """The records of the file. Line numbers are those of the file, also with line breaks inside quotes."""
    csv.field_size_limit(FIELD_CHARACTERS)
    encoding = "utf-8-sig" if source.encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else source.encoding
    with path.open("r", encoding=encoding, newline="") as file:
        reader = csv.reader(file, strict=True, **_dialect(source))
        rejects: list[RawReject] = []
        rows = _numbered(reader, location, source.skip, rejects)
        names = header_names(source, rows, location)
        schema = pa.schema([(name, pa.string()) for name in names])
        yield from _batches(rows, schema, source, location, rejects)


def _dialect(source: FileSource) -> dict[str, Any]:
    if source.quote == NO_QUOTE:
        return {"delimiter": source.delimiter, "quoting": csv.QUOTE_NONE, "quotechar": None}
    return {"delimiter": source.delimiter, "quotechar": source.quote}


def _numbered(
    reader: csv._reader,  # type: ignore[name-defined]
    location: str,
    skip: int,
    rejects: list[RawReject],
) -> Iterator[tuple[int, list[str]]]:
    """The rows with the line they begin in, counted as an editor counts, without the first `skip` lines and without blank ones.

    Text behind a closing quote rejects the lines that it spans. A quote that is never closed would swallow the rest of the
    file: it is refused.
    """
    line = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except UnicodeDecodeError:
            detail = f"{location}: near line {reader.line_num + 1} the bytes are not in the stated encoding"
            raise SourceFormatError(detail, field="/source/encoding", line=reader.line_num + 1) from None
        except csv.Error as error:
            first, line = line + 1, reader.line_num
            if "expected after" in str(error):
                if first > skip:
                    rejects.append(_after_quote(location, first, line))
                continue
            raise _unreadable(location, first, line, str(error)) from None
        first, line = line + 1, reader.line_num
        if row and first > skip:
            yield first, row


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


def _batches(
    rows: Iterator[tuple[int, list[str]]],
    schema: pa.Schema,
    source: FileSource,
    location: str,
    rejects: list[RawReject],
) -> Iterator[RawBatch]:
    width, ending = len(schema.names), Ending(source, schema.names, location)
    filled = filled_columns(source, schema.names, location)
    above: dict[int, str] = {}
    batch = RawBatch(schema, rows=[], location=location, numbers=[])
    kept: list[tuple[str, ...]] = []
    numbers: list[int] = []
    for line, row in rows:
        if source.stop_at is not None and ending.here(row):
            break
        if len(row) != width:
            detail = f"the row has {len(row)} cells, the header has {width}"
            batch.rejects.append(RawReject(f"{location}, line {line}", "ragged_row", detail))
            continue
        for column in filled:
            row[column] = above[column] = row[column] if row[column].strip() else above.get(column, "")
        kept.append(tuple(row))
        numbers.append(line)
        if len(kept) >= BATCH_ROWS:
            batch.rows, batch.numbers = kept, numbers
            batch.rejects += rejects
            rejects.clear()
            yield batch
            batch, kept, numbers = RawBatch(schema, location=location), [], []
    batch.rejects += rejects
    batch.rows, batch.numbers = kept, numbers
    batch.notes += ending.notes()
    yield batch
