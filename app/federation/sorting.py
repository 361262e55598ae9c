"""Global order for whole answers: all parts go into an engine that sorts in bounded memory (encrypted spill), then come out.

The order is that of pages: sort keys with nulls last, text by code point, then agency, dataset, key.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator
from contextlib import aclosing
from datetime import datetime
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from app.children import passing_folder
from app.federation.exports.expressions import quoted
from app.federation.reading.batches import Batch
from app.federation.reading.whole import WholeRead

_MEMORY = "256MB"
SPILL_BYTES = 4 << 30
"""Most bytes that one sorted answer may stand on disk with."""
_BATCH_ROWS = 16_384


async def sorted_batches(read: WholeRead, root: Path) -> AsyncGenerator[Batch]:
    """The batches of a reading in the order of its question. A batch holds records of one dataset. What is spilled stands in `root`."""
    with passing_folder(root, "sort") as folder:
        engine = await asyncio.to_thread(_engine, folder)
        try:
            moments: dict[str, tuple[str, datetime, tuple[str, ...]]] = {}
            made = False
            async with aclosing(read.batches()) as batches:
                async for batch in batches:
                    moments[batch.dataset] = (batch.agency, batch.as_of, batch.fields)
                    await asyncio.to_thread(_insert, engine, batch, made)
                    made = True
            if not made:
                return
            reader = await asyncio.to_thread(_ordered, engine, read)
            while (rows := await asyncio.to_thread(_next, reader)) is not None:
                for run in _runs(rows, moments):
                    yield run
        finally:
            await asyncio.to_thread(engine.close)


def _engine(folder: Path) -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(":memory:", config={"threads": 2, "memory_limit": _MEMORY})
    engine.execute("SET temp_file_encryption = true")
    engine.execute("SET temp_directory = '" + str(folder).replace("'", "''") + "'")
    engine.execute(f"SET max_temp_directory_size = '{SPILL_BYTES}B'")
    engine.execute("SET TimeZone = 'UTC'")
    return engine


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


def _next(reader: pa.RecordBatchReader) -> pa.RecordBatch | None:
    try:
        return reader.read_next_batch()
    except StopIteration:
        return None


def _runs(batch: pa.RecordBatch, moments: dict[str, tuple[str, datetime, tuple[str, ...]]]) -> list[Batch]:
    """Runs of records of one dataset, in order."""
    datasets: list[Any] = batch.column("_dataset").to_pylist()
    columns = [column for column in batch.schema.names if column not in {"_dataset", "_agency"}]
    plain = batch.select(columns)
    found = []
    first = 0
    for index in range(1, len(datasets) + 1):
        if index == len(datasets) or datasets[index] != datasets[first]:
            agency, as_of, fields = moments[datasets[first]]
            found.append(Batch(plain.slice(first, index - first), agency, datasets[first], as_of, fields))
            first = index
    return found
