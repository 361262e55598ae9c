"""Every record of a question, or those of many keys, dataset after dataset, batch after batch: for exports, SQL, matches.

Nothing is kept, and nothing is cut but where any records are enough (`Query.enough`). What a leg gave before it failed is
counted there, and the answer is not called complete.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace

import pyarrow as pa

from app.datasets.records import ReadResult
from app.federation.question.query import DatasetRef, Enough, Query
from app.federation.reading.batches import Batch, columns_of, shown_columns
from app.federation.reading.keyed import Keys, stream_keyed
from app.federation.reading.leg import Leg, fields_of, legs_of, stream
from app.federation.reading.runtime import Runtime
from app.federation.reading.verdict import is_complete, judge
from app.lanes import in_bulk


class WholeRead:
    """One reading. `batches()` gives the records; `finish()` says whether the answer may stand."""

    def __init__(self, query: Query, refs: Sequence[DatasetRef], runtime: Runtime, keys: Keys | None = None) -> None:
        """`keys`: only their records are wanted; batches then tell which (`_key`). They are predicates as a filter is."""
        if keys is not None:
            query = replace(query, also_needed=query.also_needed | {keys.field})
        self.query = query
        self._keys = keys
        self._legs = legs_of(query, refs, runtime, whole=True)
        self._runtime = runtime
        self.fields = fields_of(query, self._legs)
        self.statuses = [leg.status for leg in self._legs]
        self.rows = 0

    @property
    def united(self) -> bool:
        """Whether more than one agency may give records: else no key is held by several."""
        return len({leg.ref.agency for leg in self._legs if leg.runs}) > 1

    @property
    def complete(self) -> bool:
        """Whether every source that this caller may ask answered to its end."""
        return is_complete(self.statuses, self.query.agencies)

    async def batches(self) -> AsyncGenerator[Batch]:
        """The records of one dataset after the other, by agency and dataset. Closing stops the work at the source."""
        for leg in self._legs:
            async with aclosing(self._of(leg)) as batches:
                async for batch in batches:
                    self.rows += batch.columns.num_rows
                    yield batch

    async def together(self) -> AsyncGenerator[Batch]:
        """The same of all datasets side by side, as they come: for what has no order. The slowest source is waited for, not their sum."""
        ready: asyncio.Queue[Batch] = asyncio.Queue(1)

        async def run(leg: Leg) -> None:
            async with aclosing(self._of(leg)) as batches:
                async for batch in batches:
                    await ready.put(batch)

        legs = [asyncio.ensure_future(run(leg)) for leg in self._legs if leg.runs]
        ended = asyncio.gather(*legs)
        next_one = asyncio.ensure_future(ready.get())
        try:
            while legs:
                await asyncio.wait((next_one, ended), return_when=asyncio.FIRST_COMPLETED)
                if not next_one.done():
                    ended.result()  # raises what a leg raised: a fault of ours
                    if ready.empty():
                        break
                    continue
                self.rows += next_one.result().columns.num_rows
                yield next_one.result()
                next_one = asyncio.ensure_future(ready.get())
        finally:
            for work in (next_one, *legs):
                work.cancel()
            await asyncio.gather(next_one, *legs, return_exceptions=True)

    async def _of(self, leg: Leg) -> AsyncGenerator[Batch]:
        """The records of one dataset; none where it is not asked."""
        if not leg.runs:
            return
        left = None if self.query.enough is None else _Left(self.query.enough)
        async with aclosing(self._results(leg)) as results:
            async for result, keys in results:
                batch = await self._batch(leg, result, keys, left)
                if batch.columns.num_rows:
                    yield batch
                if left is not None and not left.rows:
                    return

    def finish(self, *, counted: bool = False) -> bool:
        """Whether the answer is complete; raises as `verdict.judge` does."""
        return judge(self.query, self.statuses, self.rows, counted=counted)

    async def _results(self, leg: Leg) -> AsyncGenerator[tuple[ReadResult, Keys | None]]:
        """The parts of a leg, each with the keys that it was read for."""
        if self._keys is not None:
            async with aclosing(stream_keyed(leg, self.query, self._runtime, self._keys)) as parts:
                async for part in parts:
                    yield part
            return
        async with aclosing(stream(leg, self.query, self._runtime)) as results:
            async for result in results:
                yield result, None

    async def _batch(self, leg: Leg, result: ReadResult, keys: Keys | None, left: _Left | None) -> Batch:
        if result.stale:
            leg.status.status = "stale"
        columns = await in_bulk(self._columns, leg, result, keys)
        if left is not None:
            columns = await in_bulk(left.take, columns)
        leg.status.rows += columns.num_rows
        return Batch(columns, leg.ref.agency, leg.ref.dataset, result.as_of, leg.scan.fields)

    def _columns(self, leg: Leg, result: ReadResult, keys: Keys | None) -> pa.RecordBatch:
        schema, grant, fields = self.query.schema, leg.ref.grant, leg.scan.fields
        cut = self._runtime.cut(schema, grant) if grant is not None else None
        if result.columns is not None:
            made = shown_columns(schema, result.columns if cut is None else cut.columns(result.columns), fields)
        else:
            made = columns_of(schema, result.records if cut is None else cut.records(result.records), fields)
        return made if keys is None else keys.known(made)


class _Left:
    """How many records of a dataset are still wanted."""

    def __init__(self, enough: Enough) -> None:
        self.rows = (enough.rows or 0) + enough.offset
        self._fields = enough.distinct
        self._wanted, self._met = self.rows, list[pa.Table]()

    def take(self, columns: pa.RecordBatch) -> pa.RecordBatch:
        """Those of them that are wanted."""
        if self._fields is None:
            columns = columns.slice(0, self.rows)
            self.rows -= columns.num_rows
        elif columns.num_rows and self.rows:
            fields = list(self._fields)
            part = pa.concat_tables([*self._met, pa.table({name: columns.column(name) for name in fields})])
            self._met = [part.group_by(fields, use_threads=False).aggregate([])] if fields else []
            self.rows = max(self._wanted - self._met[0].num_rows, 0) if fields else 0
        return columns
