"""From what the engine gave to an answer that every format can hold: distinct names, numbers that are numbers, one type a column.

Whole numbers are numbers below 2^53; a column that holds one beyond is a DECIMAL(38,0) as a whole, and its type says so.
Infinity, NaN and dates outside of the years 1 to 9999 are refused: null in their place would be a silent change.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, date, datetime
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from app.federation.sql.refusals import SqlValueNotFinite

LARGEST_NUMBER: Final = 2**53 - 1
WIDE: Final = frozenset({"HUGEINT", "UBIGINT", "UHUGEINT"})
"""Types of whole numbers that the worker sends as decimals."""
_WHOLE = pa.decimal128(38, 0)
_ADVICE = "write x / nullif(y, 0), or filter the rows before"
_FIRST_DAY, _LAST_DAY = date(1, 1, 1), date(9999, 12, 31)
_FIRST_MOMENT, _LAST_MOMENT = datetime(1, 1, 1, tzinfo=UTC), datetime(9999, 12, 31, 23, 59, 59, 999_999, tzinfo=UTC)


@dataclass(frozen=True, slots=True)
class Settled:
    """The rows of an answer under their final names and types."""

    schema: pa.Schema
    types: tuple[str, ...]
    batches: Sequence[pa.RecordBatch]


def settled(batches: Sequence[pa.RecordBatch], names: Sequence[str], types: Sequence[str]) -> Settled:
    """Raises `SqlValueNotFinite` naming the column. `batches` holds at least one batch, which may be empty."""
    columns: list[list[Any]] = []
    told = []
    for index, (name, kind) in enumerate(zip(names, types, strict=True)):
        chunks = [batch.column(index) for batch in batches]
        for chunk in chunks:
            _check(name, chunk)
        made, shown = _one_type(chunks, kind)
        columns.append(made)
        told.append(shown)
    schema = pa.schema([pa.field(name, column[0].type) for name, column in zip(names, columns, strict=True)])
    rows = [
        pa.RecordBatch.from_arrays([column[index] for column in columns], schema=schema)
        for index in range(len(batches))
    ]
    return Settled(schema, tuple(told), rows)


def _one_type(chunks: list[Any], kind: str) -> tuple[list[Any], str]:
    """All batches of a column as BIGINT or, where one value needs it, all as DECIMAL(38,0)."""
    if not (pa.types.is_integer(chunks[0].type) or kind in WIDE):
        return chunks, kind
    if any(_beyond(chunk) for chunk in chunks):
        return [pc.cast(chunk, _WHOLE) for chunk in chunks], "DECIMAL(38,0)"
    if kind in WIDE:
        return [pc.cast(chunk, pa.int64()) for chunk in chunks], "BIGINT"
    return chunks, kind


def _beyond(chunk: Any) -> bool:
    bounds = pc.min_max(chunk)
    low, high = bounds["min"].as_py(), bounds["max"].as_py()
    return low is not None and (low < -LARGEST_NUMBER or high > LARGEST_NUMBER)


def _check(name: str, chunk: Any) -> None:
    kind = chunk.type
    if pa.types.is_list(kind):
        _check(name, chunk.flatten())
    elif pa.types.is_struct(kind):
        for part in chunk.flatten():
            _check(name, part)
    elif pa.types.is_floating(kind) and not pc.all(pc.is_finite(chunk)).as_py() and len(chunk) > chunk.null_count:
        raise SqlValueNotFinite(f"the column {name[:64]!r} holds Infinity or NaN, which is no number; {_ADVICE}")
    elif (pa.types.is_date(kind) or pa.types.is_timestamp(kind)) and _outside(chunk):
        raise SqlValueNotFinite(
            f"the column {name[:64]!r} holds a time outside of the years 1 to 9999; filter the rows"
        )


def _outside(chunk: Any) -> bool:
    day = pa.types.is_date(chunk.type)
    number = pa.int32() if day else pa.int64()
    first, last = (_FIRST_DAY, _LAST_DAY) if day else (_FIRST_MOMENT, _LAST_MOMENT)
    low = pa.scalar(first, chunk.type).cast(number).as_py()
    high = pa.scalar(last, chunk.type).cast(number).as_py()
    bounds = pc.min_max(chunk.view(number))
    least = bounds["min"].as_py()
    return least is not None and (least < low or bounds["max"].as_py() > high)
