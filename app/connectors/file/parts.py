"""What the name of one file of several says, as columns beside its own."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any

import pyarrow as pa

from app.connectors.contract import RawBatch
from app.errors import SourceSchemaMismatch


def with_parts(batch: RawBatch, name: str, said: Mapping[str, str], columns: Sequence[str] | None) -> RawBatch:
    """The batch with the parts of its file's name, its columns in the order that was asked for. Raises `SourceSchemaMismatch`."""
    clash = next((part for part in said if part in batch.schema.names), None)
    if clash is not None:
        detail = f"{name} has a column {clash} of its own; name the part of the file's name otherwise"
        raise SourceSchemaMismatch(detail, field="/source/location", columns=[clash])
    parts = [(part, value) for part, value in said.items() if columns is None or part in columns]
    schema = batch.schema
    for part, _ in parts:
        schema = schema.append(pa.field(part, pa.string()))
    names = list(columns) if columns is not None else schema.names
    order = [schema.names.index(name) for name in names]
    made = replace(batch, schema=pa.schema([schema.field(at) for at in order]))
    values = tuple(value for _, value in parts)
    if batch.rows is not None:
        made.rows = [_picked((*row, *values), order) for row in batch.rows]
    if batch.arrow is not None:
        arrays = [*batch.arrow.columns, *[pa.array([value] * batch.arrow.num_rows, pa.string()) for value in values]]
        made.arrow = pa.RecordBatch.from_arrays([arrays[at] for at in order], schema=made.schema)
    return made


def _picked(row: tuple[Any, ...], order: Sequence[int]) -> tuple[Any, ...]:
    return tuple(row[at] for at in order)
