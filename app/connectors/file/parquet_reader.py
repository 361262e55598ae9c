"""Parquet in batches: columns keep their types; lists and structures are read as JSON, bytes as hexadecimal digits.

Only the columns asked for are read. What the raw types cannot hold exactly is an error that names the column, never a rounding.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from math import isfinite
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
import pyarrow.parquet as pq

from app.connectors.cells import DATE_BEYOND, NOT_FINITE, NOT_UTF8, TIME_TOO_FINE, Unreadable
from app.connectors.contract import JSON_COLUMN, RawBatch, RawReject
from app.connectors.environment import Limits
from app.errors import SourceFormatError, SourceSchemaMismatch, SourceTooLarge

BATCH_ROWS = 1_000
MOST_COLUMNS = 2_000
_THRIFT_BYTES = 16_777_216
_MOST_DIGITS = 38
_NANO_MICROS = 2**63 // 1000
"""Microseconds from 1970 within which nanoseconds are counted in 64 bits."""


def read_parquet(path: Path, location: str, columns: Sequence[str] | None, limits: Limits) -> Iterator[RawBatch]:
    """The records of the file. Row numbers count from 1."""
    try:
        with pq.ParquetFile(path, thrift_string_size_limit=_THRIFT_BYTES, pre_buffer=False) as file:
            _check_size(file, location, limits)
            names = _chosen(file.schema_arrow, columns, location)
            old = _int96(file)
            if not old:
                yield from _batches(file, names, location)
                return
            # As nanoseconds, the default, INT96 times before 1678 and behind 2261 become others; as microseconds finer digits are cut.
            with pq.ParquetFile(
                path, thrift_string_size_limit=_THRIFT_BYTES, pre_buffer=False, coerce_int96_timestamp_unit="us"
            ) as coarse:
                yield from _batches(
                    coarse,
                    names,
                    location,
                    fine=file.iter_batches(batch_size=BATCH_ROWS, columns=[name for name in names if name in old]),
                )
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise _damaged(location) from None


def parquet_rows(path: Path, location: str) -> int:
    """How many records the footer tells of."""
    try:
        with pq.ParquetFile(path, thrift_string_size_limit=_THRIFT_BYTES, pre_buffer=False) as file:
            return max(0, int(file.metadata.num_rows))
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise _damaged(location) from None


def _damaged(location: str) -> SourceFormatError:
    return SourceFormatError(
        f"{location}: the file cannot be read as Parquet, or it is damaged", field="/source/format"
    )


def _check_size(file: pq.ParquetFile, location: str, limits: Limits) -> None:
    """What the footer says is believed only to refuse."""
    shown = file.metadata
    size = sum(shown.row_group(number).total_byte_size for number in range(shown.num_row_groups))
    if shown.num_rows > limits.rows or size > limits.bytes or len(file.schema_arrow.names) > MOST_COLUMNS:
        detail = f"{location}: {shown.num_rows} rows, {size} bytes unpacked, {len(file.schema_arrow.names)} columns"
        raise SourceTooLarge(detail, field="/source/location", limit_rows=limits.rows, limit_bytes=limits.bytes)


def _chosen(schema: pa.Schema, columns: Sequence[str] | None, location: str) -> list[str]:
    names = schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceFormatError(
            f"{location}: the column {twice[0]!r} stands twice", field="/source/location", columns=twice
        )
    if columns is None:
        return list(names)
    missing = [name for name in columns if name not in names]
    if missing:
        raise SourceSchemaMismatch(f"the source has no column {', '.join(missing)}", field="/fields", missing=missing)
    return list(columns)


def _int96(file: pq.ParquetFile) -> frozenset[str]:
    """The columns whose times are in the old form of 96 bits."""
    columns = (file.schema.column(index) for index in range(len(file.schema)))
    return frozenset(column.path for column in columns if column.physical_type == "INT96")


def _batches(
    file: pq.ParquetFile, names: list[str], location: str, fine: Iterator[pa.RecordBatch] | None = None
) -> Iterator[RawBatch]:
    """`fine`: the same batches with the INT96 columns alone, in nanoseconds."""
    kinds = [_kind(file.schema_arrow.field(name).type) for name in names]
    schema = pa.schema(
        [
            pa.field(name, kind or pa.string(), metadata=None if kind is not None else JSON_COLUMN)
            for name, kind in zip(names, kinds, strict=True)
        ]
    )
    first = 1
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names):
        finer = next(fine) if fine is not None else None
        cells = [
            _cells(
                batch.column(name),
                kind,
                name,
                location,
                finer.column(name) if finer and name in finer.schema.names else None,
            )
            for name, kind in zip(names, kinds, strict=True)
        ]
        rows = list(zip(*cells, strict=True)) if cells else []
        yield _checked(RawBatch(schema, rows=rows, location=location, numbers=range(first, first + len(rows))))
        first += len(rows)
    if first == 1:
        yield RawBatch(schema, rows=[], location=location, numbers=[])


def _kind(found: pa.DataType) -> pa.DataType | None:
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
        return _kind(found.value_type)
    if types.is_timestamp(found):
        return pa.timestamp("us", tz="UTC" if found.tz else None)
    if types.is_decimal(found):
        return pa.decimal128(found.precision, found.scale) if found.precision <= _MOST_DIGITS else pa.string()
    if types.is_nested(found):
        return None
    return next((kind for holds, kind in rules if holds(found)), pa.string())


def _cells(column: Any, kind: pa.DataType | None, name: str, location: str, fine: Any = None) -> list[Any]:
    """The values of a column; `Unreadable` stands for what no Python value holds exactly."""
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


def _checked(batch: RawBatch) -> RawBatch:
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
