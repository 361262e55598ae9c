"""Parsed rows of a sheet: the first ones line by line, those behind them row by row or in blocks of columns."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import repeat
from typing import IO, Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from app.connectors.contract import RawBatch, RawReject
from app.connectors.raw_values import is_json, python_values
from app.connectors.workbooks.blocks import read_blocks
from app.connectors.workbooks.wire import read

Numbered = Iterator[tuple[int, list[Any]]]
_GRAPHIC = (pa.scalar(b"!", pa.binary()), pa.scalar(b"~", pa.binary()))


def row_lines(parsed: IO[bytes]) -> Numbered:
    """The first rows with their numbers, up to where blocks begin."""
    for line in parsed:
        if line == b"\n":
            return
        number, row = orjson.loads(line)
        yield number, read(row)


def all_rows(parsed: IO[bytes]) -> Numbered:
    """Every row with its number."""
    yield from row_lines(parsed)
    for numbers, block in read_blocks(parsed):
        columns = [python_values(field, block.column(at)) for at, field in enumerate(block.schema)]
        rows = zip(*columns, strict=True) if columns else repeat((), len(numbers))
        for number, cells in zip(numbers, rows, strict=True):
            yield number, list(cells)


def empty(cell: Any) -> bool:
    """Whether a cell says nothing. An error says that something is missing."""
    return cell is None or (isinstance(cell, str) and not cell.strip())


def ragged(location: str, number: int, width: int) -> RawReject:
    """A row with cells behind the last column that has a name."""
    detail = f"the row has cells behind column {width}, the last one with a name"
    return RawReject(f"{location}, line {number}", "ragged_row", detail)


def block_batch(numbers: Sequence[int], block: pa.RecordBatch, names: Sequence[str], location: str) -> RawBatch:
    """A block as records: without rows that say nothing, ragged ones as rejects."""
    width, rows = len(names), block.num_rows
    said: Any = pa.repeat(pa.scalar(value=False), rows)
    beyond: Any = None
    for at in range(block.num_columns):
        if at < width and pc.all(said).as_py():
            continue
        filled = _filled(block.schema.field(at), block.column(at))
        said = pc.or_(said, filled)
        if at >= width:
            beyond = filled if beyond is None else pc.or_(beyond, filled)
    rejects = (
        []
        if beyond is None
        else [ragged(location, numbers[at], width) for at in pc.indices_nonzero(beyond).to_pylist()]
    )
    columns = [block.column(at) if at < block.num_columns else pa.nulls(rows, pa.string()) for at in range(width)]
    stated = [block.schema.field(at).metadata if at < block.num_columns else None for at in range(width)]
    fields = [
        pa.field(name, column.type, metadata=kind) for name, column, kind in zip(names, columns, stated, strict=True)
    ]
    arrow = pa.RecordBatch.from_arrays(columns, schema=pa.schema(fields))
    kept = said if beyond is None else pc.and_not(said, beyond)
    if not pc.all(kept, min_count=0).as_py():
        chosen = pc.indices_nonzero(kept)
        arrow, numbers = arrow.take(chosen), [numbers[at] for at in chosen.to_pylist()]
    return RawBatch(arrow.schema, arrow=arrow, location=location, numbers=numbers, rejects=rejects)


def _filled(field: pa.Field[Any], column: Any) -> Any:
    """Which cells say something."""
    there = column.is_valid()
    if is_json(field):
        return pa.array([not empty(value) for value in python_values(field, column)], pa.bool_())
    if not pa.types.is_string(column.type):
        return there
    first = pc.binary_slice(column.cast(pa.binary()), 0, 1)
    sure = pc.fill_null(
        pc.and_(pc.greater_equal(first, _GRAPHIC[0]), pc.less_equal(first, _GRAPHIC[1])), pa.scalar(value=False)
    )
    doubtful = pc.and_not(there, sure)
    if not pc.any(doubtful, min_count=0).as_py():
        return sure
    return pa.array([not empty(value) for value in column.to_pylist()], pa.bool_())
