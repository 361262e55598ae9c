"""Many rows of a sheet at once, by columns: made in the child process, read in the gateway.

A column of one block is text, whole numbers, numbers with fractions, or true and false; where it holds both kinds of numbers it says so
(`NUMBERS_COLUMN`), and where it holds anything else each cell is JSON as `wire.py` has it (`CELLS_COLUMN`). Empty texts are null.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator, Sequence
from itertools import chain, repeat, zip_longest
from typing import IO, Any, Final

import numpy as np
import orjson
import pyarrow as pa

from app.connectors.cells import CELLS_COLUMN, FIRST_LONG, NUMBERS_COLUMN
from app.connectors.workbooks.wire import written

_LENGTH: Final = struct.Struct(">Q")
_FEW_ROWS = 256
_NOTHING = type(None)


def write_block(out: IO[bytes], numbers: Sequence[int], rows: Sequence[Sequence[Any]]) -> None:
    """Rows with their numbers (from 1); rows that are shorter than others end with empty cells."""
    columns = [_column(values) for values in _turned(rows)]
    fields = [pa.field(str(at), values.type, metadata=said) for at, (values, said) in enumerate(columns)]
    schema = pa.schema([pa.field("row", pa.int64()), *fields])
    batch = pa.RecordBatch.from_arrays(
        [pa.array(numbers, pa.int64()), *(values for values, _ in columns)], schema=schema
    )
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, schema) as stream:
        stream.write_batch(batch)
    content = sink.getvalue()
    out.write(_LENGTH.pack(content.size))
    out.write(content)


def read_blocks(parsed: IO[bytes]) -> Iterator[tuple[Sequence[int], pa.RecordBatch]]:
    """The blocks that follow, each as the numbers of its rows and its columns."""
    while len(head := parsed.read(_LENGTH.size)) == _LENGTH.size:
        with pa.ipc.open_stream(parsed.read(_LENGTH.unpack(head)[0])) as stream:
            batch = stream.read_next_batch()
        numbers: list[Any] = batch.column(0).to_pylist()
        yield numbers, batch.select(batch.schema.names[1:])


def _turned(rows: Sequence[Sequence[Any]]) -> list[list[Any]]:
    """The columns of rows. A few rows at once: turning all of them would go back and forth through memory."""
    width = max(map(len, rows))
    columns: list[list[Any]] = [[] for _ in range(width)]
    for start in range(0, len(rows), _FEW_ROWS):
        few = rows[start : start + _FEW_ROWS]
        parts = chain(zip_longest(*few), repeat((None,) * len(few)))
        for column, part in zip(columns, parts, strict=False):
            column.extend(part)
    return columns


def _column(values: Sequence[Any]) -> tuple[Any, dict[bytes, bytes] | None]:
    kinds = set(map(type, values)) - {_NOTHING}
    if str in kinds and len(kinds) > 1 and "" in values:
        values = [None if value == "" else value for value in values]
        kinds = set(map(type, values)) - {_NOTHING}
    if kinds == {str}:
        return pa.array([value or None for value in values] if "" in values else values, pa.string()), None
    if not kinds:
        return pa.nulls(len(values), pa.string()), None
    if kinds == {bool}:
        return pa.array(values, pa.bool_()), None
    if kinds <= {int, float}:
        found = _numbers(values)
        if found is not None:
            return found
    cells = [
        None if value is None else orjson.dumps(value if type(value) is list else written(value)).decode()
        for value in values
    ]
    return pa.array(cells, pa.string()), CELLS_COLUMN


def _numbers(values: Sequence[Any]) -> tuple[Any, dict[bytes, bytes] | None] | None:
    """A column of numbers; None where one is so long that it has to say so."""
    try:
        column = pa.array(values, pa.float64())
    except (pa.ArrowInvalid, OverflowError):
        return None
    plain = column.drop_null().to_numpy(zero_copy_only=False)
    if not (np.abs(plain) < FIRST_LONG).all():
        return None
    whole = plain == np.floor(plain)
    if whole.all():
        return column.cast(pa.int64()), None
    return column, NUMBERS_COLUMN if whole.any() else None
