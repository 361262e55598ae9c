"""CSV in batches: every cell is text, a ragged row is a reject with its line, wrong bytes end the read with the line."""

from __future__ import annotations

import csv
from collections.abc import Iterator
from pathlib import Path

import pyarrow as pa

from app.connectors.contract import RawBatch, RawReject
from app.connectors.file.source import FileSource
from app.connectors.file.table import header_names
from app.errors import SourceFormatError

BATCH_ROWS = 5_000
FIELD_CHARACTERS = 1_000_000


def read_csv(path: Path, source: FileSource, place: str) -> Iterator[RawBatch]:
    """The records of the file. Line numbers are those of the file, also with line breaks inside quotes."""
    csv.field_size_limit(FIELD_CHARACTERS)
    encoding = "utf-8-sig" if source.encoding.lower().replace("_", "-") in {"utf-8", "utf8"} else source.encoding
    with path.open("r", encoding=encoding, newline="") as file:
        reader = csv.reader(file, delimiter=source.delimiter, quotechar=source.quote, strict=False)
        rows = _numbered(reader, place)
        for _ in range(source.skip):
            next(rows, None)
        names = header_names(source, rows, place)
        schema = pa.schema([(name, pa.string()) for name in names])
        yield from _batches(rows, schema, source, place)


def _numbered(reader: csv._reader, place: str) -> Iterator[tuple[int, list[str]]]:  # type: ignore[name-defined]
    line = 0
    while True:
        try:
            row = next(reader)
        except StopIteration:
            return
        except UnicodeDecodeError:
            detail = f"{place}: near line {reader.line_num + 1} the bytes are not in the stated encoding"
            raise SourceFormatError(detail, field="/source/encoding", line=reader.line_num + 1) from None
        except csv.Error as error:
            detail = f"{place}: line {reader.line_num}: {error}"
            raise SourceFormatError(detail, field="/source", line=reader.line_num) from None
        first, line = line + 1, reader.line_num
        if row:
            yield first, row


def _batches(
    rows: Iterator[tuple[int, list[str]]], schema: pa.Schema, source: FileSource, place: str
) -> Iterator[RawBatch]:
    width = len(schema.names)
    filled = [schema.names.index(name) for name in source.fill_down if name in schema.names]
    above: dict[int, str] = {}
    batch = RawBatch(schema, rows=[], place=place, numbers=[])
    kept: list[tuple[str, ...]] = []
    numbers: list[int] = []
    for line, row in rows:
        if source.stop_at is not None and row and row[0].strip() == source.stop_at:
            break
        if len(row) != width:
            detail = f"the row has {len(row)} cells, the header has {width}"
            batch.rejects.append(RawReject(f"{place}, line {line}", "ragged_row", detail))
            continue
        for column in filled:
            row[column] = above[column] = row[column] if row[column].strip() else above.get(column, "")
        kept.append(tuple(row))
        numbers.append(line)
        if len(kept) >= BATCH_ROWS:
            batch.rows, batch.numbers = kept, numbers
            yield batch
            batch, kept, numbers = RawBatch(schema, place=place), [], []
    batch.rows, batch.numbers = kept, numbers
    yield batch
