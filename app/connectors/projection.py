"""Columns of a batch, where the batch is read: never on the event loop."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace

import pyarrow as pa

from app.connectors.contract import ABSENT_COLUMN, JSON_COLUMN, RawBatch
from app.errors import SourceSchemaMismatch


def projected(batches: Iterator[RawBatch], columns: Sequence[str] | None) -> Iterator[RawBatch]:
    """Each batch with these columns only; None keeps all."""
    return batches if columns is None else (project(batch, columns) for batch in batches)


def project(batch: RawBatch, columns: Sequence[str]) -> RawBatch:
    """The batch with these columns only, in this order. Raises `SourceSchemaMismatch` naming those that are gone."""
    names = batch.schema.names
    json = bool(names) and all(field.metadata == JSON_COLUMN for field in batch.schema)
    missing = [name for name in columns if name not in names]
    if missing and not json and (len(batch) or names):
        raise SourceSchemaMismatch(f"the source has no column {', '.join(missing)}", field="/fields", missing=missing)
    if batch.arrow is not None:
        arrow = batch.arrow.select(list(columns))
        return replace(batch, schema=arrow.schema, arrow=arrow)
    indexes = [names.index(name) if name in names else None for name in columns]
    rows = [tuple(None if index is None else row[index] for index in indexes) for row in batch.rows or ()]
    absent = [pa.field(name, pa.string(), metadata=ABSENT_COLUMN) for name in columns]
    schema = pa.schema([absent[at] if index is None else batch.schema.field(index) for at, index in enumerate(indexes)])
    return RawBatch(
        schema, rows=rows, location=batch.location, numbers=batch.numbers, rejects=batch.rejects, notes=batch.notes
    )
