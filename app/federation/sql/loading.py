"""Fills the tables of a statement: granted rows only, the selective side of a join first, its keys then narrow the other side."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from app.connectors.contract import FAR_BEYOND
from app.federation.question.query import DatasetRef, Partial, Query, SourceStatus
from app.federation.reading.batches import Batch
from app.federation.reading.counting import estimate_records
from app.federation.reading.runtime import Runtime
from app.federation.reading.whole import WholeRead
from app.federation.sql.engine import SqlWorker
from app.federation.sql.refusals import SqlInputExceeded
from app.federation.sql.regenerate import Bound, TableUse
from app.federation.sql.structure import SOURCE_COLUMNS
from app.filters.tree import TRUE, Filter, In, Literal, Property, all_of

MOST_INPUT_ROWS: Final = 3_000_000
MOST_KEYS: Final = 50_000
KEYS_A_READ: Final = 20_000
LOOKING_SECONDS: Final = 1.0
"""How long sources are asked ahead how much they hold."""


class Loader:
    """The reads of one statement. `reads` and `rows` (read so far) are there also when loading fails."""

    def __init__(
        self,
        bound: Bound,
        refs: Mapping[str, Sequence[DatasetRef]],
        partial: Partial,
        runtime: Runtime,
        progress: Callable[[Loader], None] | None = None,
        *,
        most_rows: int = MOST_INPUT_ROWS,
    ) -> None:
        self.reads: list[WholeRead] = []
        self.rows = 0
        self._progress, self._most_rows = progress, most_rows
        self._bound, self._refs, self._partial, self._runtime = bound, refs, partial, runtime
        self._narrowed: dict[str, tuple[str, list[str]]] = {}

    async def fill(self, worker: SqlWorker) -> None:
        """Reads every table into the worker; raises as `WholeRead.finish` does, and `SqlInputExceeded`."""
        await self._refuse_far_beyond()
        waiting = list(self._bound.tables)
        while waiting:
            ready = [table for table in waiting if self._selective(table)]
            table = (ready or waiting)[0]
            waiting.remove(table)
            await self._table(table, worker, {found.schema.name for found in waiting})

    async def _refuse_far_beyond(self) -> None:
        """Before anything is read: what sources are sure to hold of tables that nothing narrows. A guess counts for nothing."""
        linked = {link.target for link in self._bound.links}
        whole = [table for table in self._bound.tables if table.filter == TRUE and table.schema.name not in linked]
        runtime = self._runtime.until(self._ends_of_looking(), self._runtime.client)
        sure = 0
        for table in whole:
            estimates = await estimate_records(self._query(table, TRUE), self._refs[table.schema.name], runtime)
            sure += sum(one.found.rows for one in estimates if one.found is not None and one.found.sure)
        if sure >= FAR_BEYOND * self._most_rows:
            raise self._exceeded()

    def _ends_of_looking(self) -> float:
        """Estimates are not waited for as reads are."""
        ends = time.monotonic() + LOOKING_SECONDS
        return ends if self._runtime.deadline is None else min(ends, self._runtime.deadline)

    def _query(self, table: TableUse, wanted: Filter) -> Query:
        return Query(
            schema=table.schema,
            fields=_fields(table),
            filter=wanted,
            partial=self._partial,
            also_needed=table.deciding,
        )

    def _selective(self, table: TableUse) -> bool:
        return table.filter != TRUE or table.schema.name in self._narrowed

    async def _table(self, table: TableUse, worker: SqlWorker, waiting: set[str]) -> None:
        name = table.schema.name
        links = [link for link in self._bound.links if link.source == name and link.target in waiting]
        keys: dict[str, set[str] | None] = {link.field: set() for link in links if self._selective(table)}
        fields = _fields(table)
        await worker.add(name, _empty(table, fields))
        for wanted in self._filters(table):
            read = WholeRead(self._query(table, wanted), self._refs[name], self._runtime)
            self.reads.append(read)
            self._show()
            async with aclosing(read.batches()) as batches:
                async for batch in batches:
                    self._count(batch)
                    _collect(keys, batch)
                    await worker.add(name, _rows(batch, fields))
            read.finish()
        for link in links:
            found = keys.get(link.field)
            if found is not None and link.target not in self._narrowed:
                self._narrowed[link.target] = (link.target_field, sorted(found))

    def _filters(self, table: TableUse) -> list[Filter]:
        """One read, or one a chunk of the keys that the other side of a join gave."""
        narrowed = self._narrowed.get(table.schema.name)
        if narrowed is None:
            return [table.filter]
        field, keys = narrowed
        return [
            all_of(In(Property(field), tuple(map(Literal, keys[first : first + KEYS_A_READ]))), table.filter)
            for first in range(0, max(len(keys), 1), KEYS_A_READ)
            if keys
        ]

    def _show(self) -> None:
        if self._progress is not None:
            self._progress(self)

    def _count(self, batch: Batch) -> None:
        self.rows += batch.columns.num_rows
        self._show()
        if self.rows > self._most_rows:
            raise self._exceeded()

    def _exceeded(self) -> SqlInputExceeded:
        detail = f"the statement would read more than {self._most_rows} records; filter its tables more narrowly"
        return SqlInputExceeded(detail, limit_rows=self._most_rows)


def _fields(table: TableUse) -> tuple[str, ...]:
    return (*table.fields, *table.also) or (table.schema.meta.key[0],)


def merged_statuses(reads: Sequence[WholeRead]) -> list[SourceStatus]:
    """One status a dataset: counts added, the first fault kept."""
    found: dict[tuple[str, str], SourceStatus] = {}
    for read in reads:
        for status in read.statuses:
            known = found.get((status.agency, status.dataset))
            if known is None:
                found[status.agency, status.dataset] = replace(status)
                continue
            known.rows += status.rows
            known.elapsed_ms = round(known.elapsed_ms + status.elapsed_ms, 1)
            known.rejected_rows = max(known.rejected_rows, status.rejected_rows)
            if status.problem is not None and known.problem is None:
                known.status, known.problem = status.status, status.problem
    return list(found.values())


def _collect(keys: dict[str, set[str] | None], batch: Batch) -> None:
    """The values that the other side is asked for; too many of them and it is read whole."""
    for field, known in keys.items():
        if known is None:
            continue
        column: Any = batch.columns.column(field)
        known.update(value for value in pc.unique(column).to_pylist() if value is not None)
        if len(known) > MOST_KEYS:
            keys[field] = None


def _rows(batch: Batch, fields: Sequence[str]) -> pa.RecordBatch:
    """The granted fields and who gave them."""
    rows = batch.columns.num_rows
    columns = [batch.columns.column(name) for name in fields]
    columns += [pa.repeat(pa.scalar(text, pa.string()), rows) for text in (batch.agency, batch.dataset)]
    return pa.RecordBatch.from_arrays(columns, names=[*fields, *SOURCE_COLUMNS])


def _empty(table: TableUse, fields: Sequence[str]) -> pa.RecordBatch:
    """No rows: the table is there whatever the sources give."""
    columns = [pa.field(name, table.schema.arrow.field(name).type) for name in fields]
    columns += [pa.field(name, pa.string()) for name in SOURCE_COLUMNS]
    return pa.RecordBatch.from_pylist([], schema=pa.schema(columns))
