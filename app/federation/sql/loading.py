"""Fills the tables of a statement: granted rows only, the selective side of a join first, its keys then narrow the other side."""

from __future__ import annotations

import asyncio
import math
import time
from collections.abc import Callable, Coroutine, Mapping, Sequence
from contextlib import aclosing
from dataclasses import replace
from types import TracebackType
from typing import Any, Final, Self

import pyarrow as pa
import pyarrow.compute as pc

from app.connectors.contract import FAR_BEYOND
from app.federation.question.query import DatasetRef, Enough, Partial, Query, SourceStatus
from app.federation.reading.batches import Batch
from app.federation.reading.counting import Estimated, estimate_records
from app.federation.reading.keyed import FieldValues
from app.federation.reading.runtime import Runtime
from app.federation.reading.whole import WholeRead
from app.federation.sql.engine import MOST_ROWS, SqlWorker
from app.federation.sql.refusals import SqlInputExceeded
from app.federation.sql.regenerate import Bound, TableUse
from app.federation.sql.structure import SOURCE_COLUMNS
from app.filters.tree import TRUE, Filter

MOST_INPUT_ROWS: Final = 3_000_000
MOST_KEYS: Final = 50_000
"""Values that the other side of a join is asked for. With more of them it is read as its own filter says."""
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
        most_keys: int = MOST_KEYS,
        most_rows: int = MOST_INPUT_ROWS,
        answer_rows: int = MOST_ROWS,
    ) -> None:
        """`answer_rows`: so many the answer may have."""
        self.reads: list[WholeRead] = []
        self.rows = 0
        self._answer_rows = answer_rows
        self._progress, self._most_keys, self._most_rows = progress, most_keys, most_rows
        self._bound, self._refs, self._partial, self._runtime = bound, refs, partial, runtime
        self._narrowed: dict[str, FieldValues] = {}

    def united(self, schema: str) -> bool:
        """Whether more than one agency may give records of a table: else no key of it is held by several."""
        return len({ref.agency for ref in self._refs[schema] if ref.grant is not None}) > 1

    async def fill(self, worker: SqlWorker) -> None:
        """Reads every table into the worker; raises as `WholeRead.finish` does, and `SqlInputExceeded`.

        Tables that cannot narrow one another are read side by side: the slowest is waited for, not their sum.
        """
        await self._refuse_far_beyond()
        await _side_by_side([self._linked(tables, worker) for tables in _groups(self._bound)])

    async def _linked(self, tables: list[TableUse], worker: SqlWorker) -> None:
        """Tables that joins link: those that few rows are wanted of first, one after the other; the rest together."""
        waiting = list(tables)
        while waiting:
            table = await self._first([found for found in waiting if self._selective(found)])
            if table is None:
                await _side_by_side([self._table(found, worker, set()) for found in waiting])
                return
            waiting.remove(table)
            await self._table(table, worker, {found.schema.name for found in waiting})

    async def _first(self, selective: list[TableUse]) -> TableUse | None:
        """The one that fewest rows are wanted of, as far as sources tell: its keys narrow the others most."""
        if len(selective) < 2:
            return selective[0] if selective else None
        rows = await asyncio.gather(*[self._about(table) for table in selective])
        return selective[rows.index(min(rows))]

    async def _about(self, table: TableUse) -> float:
        """How many rows that will be; of what nobody can tell, as many as keys are put to a source."""
        narrowed = self._narrowed.get(table.schema.name)
        if narrowed is not None:
            return len(narrowed.values)
        estimates = await self._estimates(table, table.filter)
        known = [one.found.rows for one in estimates if one.found is not None]
        return sum(known) if len(known) == len(estimates) else self._most_keys

    async def _estimates(self, table: TableUse, wanted: Filter) -> list[Estimated]:
        runtime = self._runtime.until(self._ends_of_looking(), self._runtime.client, self._runtime.max_age_seconds)
        return await estimate_records(self._query(table, wanted), self._refs[table.schema.name], runtime)

    async def _refuse_far_beyond(self) -> None:
        """Before anything is read: what sources are sure to hold of tables that nothing narrows. A guess counts for nothing."""
        linked = {link.target for link in self._bound.links}
        whole = [table for table in self._bound.tables if table.filter == TRUE and table.schema.name not in linked]
        sure = 0.0
        for table in whole:
            enough = self._enough(table)
            most = math.inf if enough is None else 0 if enough.any_rows is None else enough.any_rows
            estimates = await self._estimates(table, TRUE)
            sure += sum(min(one.found.rows, most) for one in estimates if one.found is not None and one.found.sure)
        if sure >= FAR_BEYOND * self._most_rows:
            raise self._exceeded()

    def _ends_of_looking(self) -> float:
        """Estimates are not waited for as reads are."""
        ends = time.monotonic() + LOOKING_SECONDS
        return ends if self._runtime.deadline is None else min(ends, self._runtime.deadline)

    def _query(self, table: TableUse, wanted: Filter) -> Query:
        return Query(
            schema=table.schema,
            fields=self._fields(table),
            filter=wanted,
            partial=self._partial,
            also_needed=table.deciding,
            findings=False,
            enough=self._enough(table),
        )

    def _selective(self, table: TableUse) -> bool:
        return table.filter != TRUE or table.schema.name in self._narrowed

    async def _table(self, table: TableUse, worker: SqlWorker, waiting: set[str]) -> None:
        name = table.schema.name
        links = [link for link in self._bound.links if link.source == name and link.target in waiting]
        keys = {link.field: _Values(self._most_keys) for link in links}
        fields, sourced = self._fields(table), table.sourced or self._checked(table)
        await worker.add(name, _empty(table, fields, sourced=sourced))
        wanted = self._narrowed.get(name)
        if wanted is None or len(wanted.values):
            read = WholeRead(self._query(table, table.filter), self._refs[name], self._runtime, wanted)
            self.reads.append(read)
            self._show()
            async with aclosing(read.batches()) as batches, _Sending(worker, name) as sending:
                async for batch in batches:
                    self._count(batch)
                    for field, values in keys.items():
                        values.add(batch.columns.column(field))
                    await sending.next(_rows(batch, fields, sourced=sourced))
            read.finish()
        for link in links:
            found = keys[link.field].distinct()
            if found is not None and link.target not in self._narrowed:
                self._narrowed[link.target] = FieldValues.of(link.target_field, found)

    def _checked(self, table: TableUse) -> bool:
        """Whether the worker is asked for keys of several agencies."""
        return self.united(table.schema.name) and any(check.schema == table.schema.name for check in self._bound.checks)

    def _fields(self, table: TableUse) -> tuple[str, ...]:
        also = table.also if self._checked(table) else ()
        return (*table.fields, *also) or (table.schema.meta.key[0],)

    def _enough(self, table: TableUse) -> Enough | None:
        found = table.enough
        return found if found is None or found.rows is not None else replace(found, rows=self._answer_rows + 1)

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


class _Values:
    """The different values of a column; too many of them are none."""

    def __init__(self, most: int) -> None:
        self._parts: list[Any] | None = []
        self._held, self._most = 0, most

    def add(self, column: Any) -> None:
        if self._parts is None:
            return
        part = pc.unique(column.drop_null())
        self._parts.append(part)
        self._held += len(part)
        if self._held > self._most:
            self._parts = [pc.unique(pa.chunked_array(self._parts))]
            self._held = len(self._parts[0])
            if self._held > self._most:
                self._parts = None

    def distinct(self) -> Any:
        """In order, so that equal questions are asked alike; None when there are too many."""
        if self._parts is None:
            return None
        found = pc.unique(pa.chunked_array(self._parts, pa.string()))
        return found.take(pc.array_sort_indices(found))


def _groups(bound: Bound) -> list[list[TableUse]]:
    """The tables by the links between them, in the order of the statement."""
    groups: list[list[TableUse]] = []
    for table in bound.tables:
        names = {
            name
            for link in bound.links
            for name in (link.source, link.target)
            if table.schema.name in (link.source, link.target)
        }
        near = [group for group in groups if any(found.schema.name in names for found in group)]
        groups = [group for group in groups if group not in near]
        groups.append([*(found for group in near for found in group), table])
    return groups


async def _side_by_side(work: Sequence[Coroutine[Any, Any, None]]) -> None:
    """All of them; with the first that fails the others end."""
    if len(work) == 1:
        await work[0]
        return
    tasks = [asyncio.ensure_future(one) for one in work]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


class _Sending:
    """Gives rows to the worker while the next ones are read: at most one part is on its way."""

    def __init__(self, worker: SqlWorker, table: str) -> None:
        self._worker, self._table = worker, table
        self._under_way: asyncio.Task[None] | None = None

    async def next(self, rows: pa.RecordBatch) -> None:
        """Begins to give them, as soon as the worker has those before."""
        if self._under_way is not None:
            await self._under_way
        self._under_way = asyncio.create_task(self._worker.add(self._table, rows))

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._under_way is None:
            return
        if error is None:
            await self._under_way
            return
        self._under_way.cancel()
        await asyncio.gather(self._under_way, return_exceptions=True)


def _rows(batch: Batch, fields: Sequence[str], *, sourced: bool) -> pa.RecordBatch:
    """The granted fields and, where that is asked for, who gave them."""
    columns = [batch.columns.column(name) for name in fields]
    if not sourced:
        return pa.RecordBatch.from_arrays(columns, names=list(fields))
    only: Any = pa.repeat(pa.scalar(0, pa.int8()), batch.columns.num_rows)
    columns += [pa.DictionaryArray.from_arrays(only, pa.array([text])) for text in (batch.agency, batch.dataset)]
    return pa.RecordBatch.from_arrays(columns, names=[*fields, *SOURCE_COLUMNS])


def _empty(table: TableUse, fields: Sequence[str], *, sourced: bool) -> pa.RecordBatch:
    """No rows: the table is there whatever the sources give."""
    columns = [pa.field(name, table.schema.arrow.field(name).type) for name in fields]
    columns += [pa.field(name, pa.string()) for name in SOURCE_COLUMNS] if sourced else []
    return pa.RecordBatch.from_pylist([], schema=pa.schema(columns))
