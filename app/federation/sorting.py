"""Global order for whole answers: all parts go into an engine that sorts in bounded memory (encrypted spill), then come out.

The order is that of pages: sort keys with nulls last, text by code point, then agency, dataset, key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from app.datasets.records import MappedRecord
from app.federation.exports.expressions import quoted
from app.federation.question.query import AnswerRecord
from app.federation.reading.batches import Batch
from app.federation.reading.whole import WholeRead
from app.federation.spilling import spilling_engine
from app.lanes import in_bulk
from app.schemas.arrow import rows_of

_BATCH_ROWS = 16_384
_PLACED = {"_dataset", "_agency"}

Origins = Mapping[str, Batch]
"""Of each dataset a batch without rows: its agency, its moment, its fields."""


async def sorted_batches(read: WholeRead, root: Path) -> AsyncGenerator[Batch]:
    """The batches of a reading in the order of its question. A batch holds records of one dataset. What is spilled stands in `root`."""
    async with aclosing(_sorted(read, root)) as tables:
        async for rows, origins in tables:
            for run in _runs(rows, origins):
                yield run


async def sorted_records(read: WholeRead, root: Path) -> AsyncGenerator[list[AnswerRecord]]:
    """The records of a reading in the order of its question, some at a time."""
    async with aclosing(_sorted(read, root)) as tables:
        async for rows, origins in tables:
            yield await in_bulk(_records, read, rows, origins)


async def _sorted(read: WholeRead, root: Path) -> AsyncGenerator[tuple[pa.RecordBatch, Origins]]:
    async with spilling_engine(root) as engine:
        origins: dict[str, Batch] = {}
        made = False
        async with aclosing(read.batches()) as batches:
            async for batch in batches:
                origins[batch.dataset] = Batch(
                    batch.columns.slice(0, 0), batch.agency, batch.dataset, batch.as_of, batch.fields
                )
                await engine.run(_insert, batch, made)
                made = True
        if not made:
            return
        reader = await engine.run(_ordered, read)
        while (rows := await engine.run(_next, reader)) is not None:
            yield rows, origins


def _insert(engine: duckdb.DuckDBPyConnection, batch: Batch, made: bool) -> None:
    rows = batch.columns.num_rows
    names = pa.repeat(pa.scalar(batch.dataset, pa.string()), rows)
    agencies = pa.repeat(pa.scalar(batch.agency, pa.string()), rows)
    table = pa.Table.from_batches([batch.columns]).append_column("_dataset", names).append_column("_agency", agencies)
    engine.register("part", table)
    engine.execute("INSERT INTO whole SELECT * FROM part" if made else "CREATE TABLE whole AS SELECT * FROM part")
    engine.unregister("part")


def _ordered(engine: duckdb.DuckDBPyConnection, read: WholeRead) -> pa.RecordBatchReader:
    keys = [f"{quoted(key.field)} {'DESC' if key.descending else 'ASC'} NULLS LAST" for key in read.query.sort]
    order = ", ".join([*keys, "_agency", "_dataset", "_id"])
    found = engine.sql(f"SELECT * FROM whole ORDER BY {order}")  # noqa: S608 - names are quoted
    reader: pa.RecordBatchReader = found.to_arrow_reader(_BATCH_ROWS)
    return reader


def _next(_: duckdb.DuckDBPyConnection, reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _records(read: WholeRead, batch: pa.RecordBatch, origins: Origins) -> list[AnswerRecord]:
    datasets: list[Any] = batch.column("_dataset").to_pylist()
    keys: list[Any] = batch.column("_id").to_pylist()
    values = rows_of(read.query.schema, batch.select(read.query.schema.arrow.names))
    found = []
    for dataset, key, row in zip(datasets, keys, values, strict=True):
        origin = origins[dataset]
        record = MappedRecord(key, row)
        found.append(AnswerRecord(record, origin.agency, dataset, origin.as_of, origin.fields))
    return found


def _runs(batch: pa.RecordBatch, origins: Origins) -> Iterator[Batch]:
    """Runs of records of one dataset, in order."""
    datasets: list[Any] = batch.column("_dataset").to_pylist()
    plain = batch.select([column for column in batch.schema.names if column not in _PLACED])
    first = 0
    for index in range(1, len(datasets) + 1):
        if index == len(datasets) or datasets[index] != datasets[first]:
            origin = origins[datasets[first]]
            rows = plain.slice(first, index - first)
            yield Batch(rows, origin.agency, origin.dataset, origin.as_of, origin.fields)
            first = index
