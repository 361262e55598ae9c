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

from app.connectors.contract import JSON_COLUMN, RawBatch, RawReject
from app.connectors.environment import Limits
from app.errors import SourceFormatError, SourceSchemaMismatch, SourceTooLarge

BATCH_ROWS = 5_000
MOST_COLUMNS = 2_000
_THRIFT_BYTES = 16_777_216
_MOST_DIGITS = 38


def read_parquet(path: Path, place: str, columns: Sequence[str] | None, limits: Limits) -> Iterator[RawBatch]:
    """The records of the file. Row numbers count from 1."""
    try:
        with pq.ParquetFile(path, thrift_string_size_limit=_THRIFT_BYTES, pre_buffer=False) as file:
            _check_size(file, place, limits)
            names = _chosen(file.schema_arrow, columns, place)
            yield from _batches(file, names, place)
    except (pa.ArrowException, OSError) as error:
        if isinstance(error, PermissionError):
            raise
        raise SourceFormatError(
            f"{place}: the file cannot be read as Parquet, or it is damaged", field="/source/format"
        ) from None


def _check_size(file: pq.ParquetFile, place: str, limits: Limits) -> None:
    """What the footer says is believed only to refuse."""
    shown = file.metadata
    size = sum(shown.row_group(number).total_byte_size for number in range(shown.num_row_groups))
    if shown.num_rows > limits.rows or size > limits.bytes or len(file.schema_arrow.names) > MOST_COLUMNS:
        detail = f"{place}: {shown.num_rows} rows, {size} bytes unpacked, {len(file.schema_arrow.names)} columns"
        raise SourceTooLarge(detail, field="/source/location", limit_rows=limits.rows, limit_bytes=limits.bytes)


def _chosen(schema: pa.Schema, columns: Sequence[str] | None, place: str) -> list[str]:
    names = schema.names
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice:
        raise SourceFormatError(
            f"{place}: the column {twice[0]!r} stands twice", field="/source/location", columns=twice
        )
    if columns is None:
        return list(names)
    missing = [name for name in columns if name not in names]
    if missing:
        raise SourceSchemaMismatch(f"the source has no column {', '.join(missing)}", field="/fields", missing=missing)
    return list(columns)


def _batches(file: pq.ParquetFile, names: list[str], place: str) -> Iterator[RawBatch]:
    kinds = [_kind(file.schema_arrow.field(name).type) for name in names]
    schema = pa.schema(
        [
            pa.field(name, kind or pa.string(), metadata=None if kind is not None else JSON_COLUMN)
            for name, kind in zip(names, kinds, strict=True)
        ]
    )
    first = 1
    for batch in file.iter_batches(batch_size=BATCH_ROWS, columns=names):
        cells = [_cells(batch.column(name), kind, name, place) for name, kind in zip(names, kinds, strict=True)]
        rows = list(zip(*cells, strict=True)) if cells else []
        yield _checked(RawBatch(schema, rows=rows, place=place, numbers=range(first, first + len(rows))))
        first += len(rows)
    if first == 1:
        yield RawBatch(schema, rows=[], place=place, numbers=[])


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


def _cells(column: Any, kind: pa.DataType | None, name: str, place: str) -> list[Any]:
    if kind is None:
        return list(column.to_pylist())
    if (
        pa.types.is_binary(column.type)
        or pa.types.is_large_binary(column.type)
        or pa.types.is_fixed_size_binary(column.type)
    ):
        return [None if value is None else value.hex() for value in column.to_pylist()]
    try:
        return list(pc.cast(column, kind, safe=True).to_pylist())
    except (pa.ArrowInvalid, pa.ArrowNotImplementedError):
        raise SourceFormatError(
            f"{place}: the column {name!r} ({column.type}) cannot be read exactly as {kind}", field="/source/location"
        ) from None


def _checked(batch: RawBatch) -> RawBatch:
    """The batch without the rows that hold NaN or infinity; they are rejects with their number."""
    places = [place for place, field in enumerate(batch.schema) if pa.types.is_floating(field.type)]
    rows, numbers = batch.rows or [], batch.numbers or []
    wrong = {
        index: place
        for index, row in enumerate(rows)
        for place in places
        if row[place] is not None and not isfinite(row[place])
    }
    if not wrong:
        return batch
    batch.rejects = [
        RawReject(
            f"{batch.place}, line {numbers[index]}",
            "not_finite",
            f"column {batch.schema.names[place]!r}: the number is NaN or infinite",
        )
        for index, place in wrong.items()
    ]
    batch.rows = [row for index, row in enumerate(rows) if index not in wrong]
    batch.numbers = [number for index, number in enumerate(numbers) if index not in wrong]
    return batch
