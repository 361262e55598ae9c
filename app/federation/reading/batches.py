"""The unit of a whole answer: some records of one dataset as columns, with their keys and findings. Made from records; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import numpy as np
import orjson
import pyarrow as pa

from app.datasets.records import MappedRecord, RecordColumns, RecordWarning
from app.federation.question.query import Answer, AnswerRecord
from app.schemas.arrow import batch_of, rows_of
from app.schemas.base import SharedPart
from app.schemas.registry import SchemaDef


@dataclass(frozen=True, slots=True)
class Batch:
    """Some records of one dataset: the schema's Arrow columns, then `_id` and `_warnings` (JSON text or null).

    `fields` are those of the answer that this agency grants; all other columns are null.
    """

    columns: pa.RecordBatch
    agency: str
    dataset: str
    as_of: datetime
    fields: tuple[str, ...]


def columns_of(schema: SchemaDef, records: Sequence[MappedRecord], fields: Sequence[str]) -> pa.RecordBatch:
    """Records as columns: only these fields have values."""
    rows = [{name: record.values.get(name) for name in fields} for record in records]
    for name in fields:
        spec = schema.fields[name]
        if spec.kind == "object" or spec.item_kind == "object":
            for row in rows:
                row[name] = _plain(row[name])
    batch = batch_of(schema, rows)
    ids = pa.array([record.key for record in records], pa.string())
    notes = pa.array([_told(record.warnings) for record in records], pa.string())
    return pa.RecordBatch.from_arrays([*batch.columns, ids, notes], schema=_with_keys(batch.schema))


def shown_columns(schema: SchemaDef, columns: RecordColumns, fields: Sequence[str]) -> pa.RecordBatch:
    """The same of records that come as columns."""
    rows, shown = columns.rows, frozenset(fields)
    arrays = [
        rows.column(index) if column.name in shown else pa.nulls(rows.num_rows, column.type)
        for index, column in enumerate(schema.arrow)
    ]
    notes = _notes(columns.warnings, rows.num_rows)
    return pa.RecordBatch.from_arrays([*arrays, columns.keys, notes], schema=_with_keys(schema.arrow))


def batches_of(answer: Answer) -> list[Batch]:
    """A page as batches, in its order: one a run of records of one dataset."""
    found: list[Batch] = []
    first = 0
    records = answer.records
    for end in range(1, len(records) + 1):
        head = records[first]
        if end < len(records) and records[end].dataset == head.dataset:
            continue
        columns = columns_of(answer.schema, [one.record for one in records[first:end]], head.fields)
        found.append(Batch(columns, head.agency, head.dataset, head.as_of, head.fields))
        first = end
    return found


def answer_records(schema: SchemaDef, batch: Batch) -> list[AnswerRecord]:
    """The records of a batch."""
    keys: list[Any] = batch.columns.column("_id").to_pylist()
    notes: list[Any] = batch.columns.column("_warnings").to_pylist()
    found = []
    for key, row, told in zip(keys, rows_of(schema, batch.columns.select(schema.arrow.names)), notes, strict=True):
        warnings = tuple(
            RecordWarning(note["field"], note["code"], "", note["detail"]) for note in orjson.loads(told or "[]")
        )
        record = MappedRecord(key, row, warnings)
        found.append(AnswerRecord(record, batch.agency, batch.dataset, batch.as_of, batch.fields))
    return found


def _plain(value: Any) -> Any:
    """Nested objects as dicts, which Arrow takes."""
    if isinstance(value, SharedPart):
        return {name: _plain(part) for name, part in value.__dict__.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _notes(warnings: Mapping[int, tuple[RecordWarning, ...]], rows: int) -> Any:
    """The text of each row's findings; rows that share them share the text."""
    if not warnings:
        return pa.nulls(rows, pa.string())
    texts: list[str | None] = []
    known: dict[int, int] = {}
    found = np.full(rows, -1, np.int32)
    for row, told in warnings.items():
        index = known.get(id(told))
        if index is None:
            index = known[id(told)] = len(texts)
            texts.append(_told(told))
        found[row] = index
    indexes: Any = pa.array(found, mask=found < 0)
    return pa.array(texts, pa.string()).take(indexes)


def _with_keys(schema: pa.Schema) -> pa.Schema:
    return schema.append(pa.field("_id", pa.string())).append(pa.field("_warnings", pa.string()))


def _told(warnings: Sequence[RecordWarning]) -> str | None:
    if not warnings:
        return None
    found = [{"field": note.field, "code": note.code, "detail": note.detail_en} for note in warnings]
    return orjson.dumps(found).decode()
