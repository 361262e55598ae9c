"""Global order for whole answers: all parts are sorted in bounded memory (encrypted on disk), then come out.

The order is that of pages: sort keys with nulls last, text by code point, then agency, dataset, key.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Iterator, Mapping
from contextlib import aclosing
from typing import Any

import pyarrow as pa

from app.datasets.records import MappedRecord
from app.federation.question.query import AnswerRecord
from app.federation.reading.batches import Batch
from app.federation.reading.whole import WholeRead
from app.federation.spilling import ExternalSort, OwnThread, Space
from app.lanes import in_bulk
from app.schemas.arrow import rows_of

_PLACED = {"_dataset", "_agency"}

Origins = Mapping[str, Batch]
"""Of each dataset a batch without rows: its agency, its moment, its fields."""


async def sorted_batches(read: WholeRead, space: Space) -> AsyncGenerator[Batch]:
    """The batches of a reading in the order of its question. A batch holds records of one dataset. What is spilled stands in `space`."""
    async with aclosing(_sorted(read, space)) as tables:
        async for rows, origins in tables:
            for run in _runs(rows, origins):
                yield run


async def sorted_records(read: WholeRead, space: Space) -> AsyncGenerator[list[AnswerRecord]]:
    """The records of a reading in the order of its question, some at a time."""
    async with aclosing(_sorted(read, space)) as tables:
        async for rows, origins in tables:
            yield await in_bulk(_records, read, rows, origins)


async def _sorted(read: WholeRead, space: Space) -> AsyncGenerator[tuple[pa.RecordBatch, Origins]]:
    keys = [(key.field, key.descending) for key in read.query.sort]
    thread, sort = OwnThread(), ExternalSort(space, [*keys, ("_agency", False), ("_dataset", False), ("_id", False)])
    try:
        origins: dict[str, Batch] = {}
        async with aclosing(read.together()) as batches:
            async for batch in batches:
                none = batch.columns.slice(0, 0)
                origins[batch.dataset] = Batch(none, batch.agency, batch.dataset, batch.as_of, batch.fields)
                await thread.run(sort.add, _placed(batch))
        blocks = sort.blocks()
        while (rows := await thread.run(next, blocks, None)) is not None:
            yield rows, origins
    finally:
        thread.end(sort.close)


def _placed(batch: Batch) -> pa.RecordBatch:
    """The columns, and who gave them."""
    names = pa.repeat(pa.scalar(batch.dataset, pa.string()), batch.columns.num_rows)
    agencies = pa.repeat(pa.scalar(batch.agency, pa.string()), batch.columns.num_rows)
    return batch.columns.append_column("_dataset", names).append_column("_agency", agencies)


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
