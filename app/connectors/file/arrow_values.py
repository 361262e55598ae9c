"""Columns of Arrow, as libraries read them, to raw values: what the raw types cannot hold exactly is told, never rounded."""

from __future__ import annotations

from collections.abc import Callable
from math import isfinite
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.connectors.cells import DATE_BEYOND, NOT_FINITE, NOT_UTF8, TIME_TOO_FINE, Unreadable
from app.connectors.contract import RawBatch, RawReject
from app.errors import SourceFormatError

_MOST_DIGITS = 38
_NANO_MICROS = 2**63 // 1000
"""Microseconds from 1970 within which nanoseconds are counted in 64 bits."""


def raw_type(found: pa.DataType) -> pa.DataType | None:
    """The raw type that a column is read as; None for what becomes JSON."""
    types = pa.types
    rules: tuple[tuple[Callable[[pa.DataType], bool], pa.DataType], ...] = (
        (types.is_uint64, pa.decimal128(20, 0)),
        (types.is_integer, pa.int64()),
        (types.is_floating, pa.float64()),
        (types.is_boolean, pa.bool_()),
        (types.is_date, pa.date32()),
    )
    if types.is_dictionary(found):
        return raw_type(found.value_type)
    if types.is_timestamp(found):
        return pa.timestamp("us", tz="UTC" if found.tz else None)
    if types.is_decimal(found):
        return pa.decimal128(found.precision, found.scale) if found.precision <= _MOST_DIGITS else pa.string()
    if types.is_nested(found):
        return None
    return next((kind for holds, kind in rules if holds(found)), pa.string())


def raw_cells(column: Any, kind: pa.DataType | None, name: str, location: str, fine: Any = None) -> list[Any]:
    """The values of a column (`kind`: by `raw_type`); `Unreadable` stands for what no Python value holds exactly."""
    if kind is None:
        return _listed(column)
    if (
        pa.types.is_binary(column.type)
        or pa.types.is_large_binary(column.type)
        or pa.types.is_fixed_size_binary(column.type)
    ):
        return [None if value is None else value.hex() for value in column.to_pylist()]
    if pa.types.is_timestamp(kind):
        return _times(column, kind, fine)
    if pa.types.is_string(column.type) or pa.types.is_large_string(column.type):
        return _listed(column)
    try:
        values = _listed(pc.cast(column, kind, safe=True))
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceFormatError(
            f"{location}: the column {name!r} ({column.type}) cannot be read exactly as {kind}",
            field="/source/location",
        ) from None
    if pa.types.is_floating(kind) and not pc.all(pc.is_finite(column)).as_py():
        return [NOT_FINITE if value is not None and not isfinite(value) else value for value in values]
    return values


def _times(column: Any, kind: pa.DataType, fine: Any) -> list[Any]:
    """Moments in microseconds. One with finer digits is unreadable; `fine`: an INT96 column in nanoseconds."""
    micros = pc.cast(column, kind, safe=False)
    values = _listed(micros)
    if fine is not None:
        nanos, counted = pc.cast(fine, pa.int64()).to_pylist(), pc.cast(micros, pa.int64()).to_pylist()
    elif column.type.unit == "ns":
        nanos, counted = pc.cast(column, pa.int64()).to_pylist(), pc.cast(micros, pa.int64()).to_pylist()
    else:
        return values
    return [
        TIME_TOO_FINE if count is not None and abs(count) < _NANO_MICROS and nano != count * 1000 else value
        for value, nano, count in zip(values, nanos, counted, strict=True)
    ]


def _listed(column: Any) -> list[Any]:
    """Python values; cell by cell where one of them is none: a year behind 9999, a text that is no UTF-8."""
    try:
        return list(column.to_pylist())
    except (OverflowError, ValueError):
        return [_value(column[index]) for index in range(len(column))]


def _value(cell: Any) -> Any:
    try:
        return cell.as_py()
    except UnicodeDecodeError:
        return NOT_UTF8
    except (OverflowError, ValueError):
        return DATE_BEYOND


def without_unreadable(batch: RawBatch) -> RawBatch:
    """The batch without the rows that hold an unreadable value; they are rejects with their number."""
    rows, numbers = batch.rows or [], batch.numbers or []
    wrong = {index for index, row in enumerate(rows) if any(type(cell) is Unreadable for cell in row)}
    if not wrong:
        return batch
    for index in sorted(wrong):
        name, flaw = next(
            pair for pair in zip(batch.schema.names, rows[index], strict=True) if type(pair[1]) is Unreadable
        )
        batch.rejects.append(
            RawReject(f"{batch.location}, line {numbers[index]}", flaw.rule, f"column {name!r}: {flaw.detail}")
        )
    batch.rows = [row for index, row in enumerate(rows) if index not in wrong]
    batch.numbers = [number for index, number in enumerate(numbers) if index not in wrong]
    return batch
