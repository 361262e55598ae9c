"""Parquet in batches: columns keep their types; lists and structures are read as JSON, bytes as hexadecimal digits.

Only the columns asked for are read. What the raw types cannot hold exactly is an error that names the column, never a rounding.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq

from app.connectors.contract import JSON_COLUMN, RawBatch
from app.connectors.environment import Limits
from app.connectors.file.arrow_values import raw_cells, raw_type, without_unreadable
from app.errors import SourceFormatError, SourceSchemaMismatch, SourceTooLarge

BATCH_ROWS = 1_000
MOST_COLUMNS = 2_000
_THRIFT_BYTES = 16_777_216


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
    kinds = [raw_type(file.schema_arrow.field(name).type) for name in names]
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
            raw_cells(
                batch.column(name),
                kind,
                name,
                location,
                finer.column(name) if finer and name in finer.schema.names else None,
            )
            for name, kind in zip(names, kinds, strict=True)
        ]
        rows = list(zip(*cells, strict=True)) if cells else []
        yield without_unreadable(
            RawBatch(schema, rows=rows, location=location, numbers=range(first, first + len(rows)))
        )
        first += len(rows)
    if first == 1:
        yield RawBatch(schema, rows=[], location=location, numbers=[])
