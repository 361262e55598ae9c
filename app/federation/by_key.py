"""The records of each key, key by key, whatever their number: a merge over legs that each give their records in key order.

A leg is read piece by piece behind what it gave, and only as far as somebody asks. One that cannot begin behind a position is
read whole, once, and sorted here in bounded memory.
"""

from __future__ import annotations

import asyncio
import heapq
from collections.abc import AsyncGenerator, Callable, Sequence
from contextlib import AsyncExitStack
from dataclasses import replace
from typing import Any

from app.datasets.records import ReadResult
from app.datasets.selection import LAST_KEY, comparable
from app.federation.question.query import AnswerRecord, Query, SortKey, SourceStatus
from app.federation.reading.leg import Leg, fields_of, legs_of, read
from app.federation.reading.paging import start_of
from app.federation.reading.runtime import Runtime
from app.federation.reading.verdict import judge
from app.federation.reading.whole import WholeRead
from app.federation.sorting import sorted_records
from app.federation.spilling import Space
from app.federation.survivorship import grouped
from app.lanes import in_bulk
from app.schemas.registry import SchemaDef

GROWTH = 4
MOST_PIECE_ROWS = 4096
_IN_ORDER = {"order", "kept"}

Position = tuple[Any, ...]


def in_key_order(schema: SchemaDef) -> tuple[SortKey, ...]:
    """The sort under which the records of one key stand together."""
    return tuple(SortKey(name) for name in schema.meta.key)


class ReadByKey:
    """One reading of a question that is sorted by `in_key_order`, behind its position. `first`: rows of the first pieces."""

    def __init__(self, query: Query, refs: Sequence[Any], runtime: Runtime, space: Space, *, first: int) -> None:
        self.query = query
        legs = legs_of(query, refs, runtime)
        self.fields = fields_of(query, legs)
        self._others = [leg.status for leg in legs if not leg.runs]
        self._legs = [_KeyedLeg(leg, query, runtime, space, first) for leg in legs if leg.runs]

    @property
    def statuses(self) -> list[SourceStatus]:
        """What each dataset did so far."""
        return [*(leg.status for leg in self._legs), *self._others]

    def finish(self) -> bool:
        """Whether what was given is complete; raises as `verdict.judge` does where no source answered."""
        return judge(self.query, self.statuses, 0)

    async def groups(self) -> AsyncGenerator[list[list[AnswerRecord]]]:
        """The records of each key, in key order, many keys at a time. Closing it stops what is under way."""
        async with AsyncExitStack() as stack:
            for leg in self._legs:
                stack.push_async_callback(leg.close)
            while True:
                empty = [leg.fill() for leg in self._legs if leg.wants]
                if empty:
                    await asyncio.gather(*empty)
                if not any(leg.held for leg in self._legs):
                    return
                yield await in_bulk(self._next)

    def _next(self) -> list[list[AnswerRecord]]:
        """The keys that no leg can add a record to any more."""
        edges = [leg.held[-1][0] for leg in self._legs if leg.more]
        edge = min(edges) if edges else None
        taken = [leg.take(edge) for leg in self._legs]
        merged = heapq.merge(*taken, key=lambda one: one[0])
        return list(grouped(found for _, found in merged))


class _KeyedLeg:
    """One dataset in key order. `held` are records not yet taken; `more`: others follow them."""

    def __init__(self, leg: Leg, query: Query, runtime: Runtime, space: Space, first: int) -> None:
        self.held: list[tuple[Position, AnswerRecord]] = []
        self.more = True
        self.status = leg.status
        self._leg, self._query, self._runtime, self._space = leg, query, runtime, space
        self._size = min(first, MOST_PIECE_ROWS)
        self._position = position_of(query.schema)
        self._after = start_of(query, leg.ref.agency, leg.ref.dataset)
        self._sorted: AsyncGenerator[list[AnswerRecord]] | None = None
        self._whole: WholeRead | None = None
        self._in_order = True

    @property
    def wants(self) -> bool:
        """Whether it has to be read on before anything can be said of the next keys."""
        return self.more and not self.held

    async def fill(self) -> None:
        """The next piece. A fault ends the leg and stands in its status."""
        while self.wants:
            if self._in_order:
                await self._piece()
            else:
                await self._part()

    def take(self, edge: Position | None) -> list[tuple[Position, AnswerRecord]]:
        """What is held up to a position and at it, all of it without one."""
        count = len(self.held)
        while edge is not None and count and self.held[count - 1][0] > edge:
            count -= 1
        taken, self.held = self.held[:count], self.held[count:]
        return taken

    async def close(self) -> None:
        """Stops the reading of a dataset that is sorted here."""
        if self._sorted is not None:
            await self._sorted.aclose()

    async def _piece(self) -> None:
        leg, before = self._leg, self.status
        at = replace(self._query, owed={leg.ref.dataset: self._after})
        piece = Leg(replace(leg.scan, limit=self._size), replace(before, rows=0, elapsed_ms=0.0))
        result = await read(piece, at, self._runtime)
        self._add(piece.status)
        if result is None:
            self.more = False
            return
        if result.stale:
            self.status.status = "stale"
        self.held = await in_bulk(self._cut, result)
        self.status.rows += len(self.held)
        self.more = result.more
        self._size = min(self._size * GROWTH, MOST_PIECE_ROWS)
        if self.held:
            last = self.held[-1][1].record
            self._after = (*[last.values.get(key.field) for key in self._query.sort], last.key)
        self._in_order = not _IN_ORDER.isdisjoint(result.pushed)

    def _cut(self, result: ReadResult) -> list[tuple[Position, AnswerRecord]]:
        ref, fields = self._leg.ref, self._leg.scan.fields
        assert ref.grant is not None  # noqa: S101 - a leg without a grant does not run
        cut = self._runtime.cut(self._query.schema, ref.grant).records(result.records)
        records = [AnswerRecord(record, ref.agency, ref.dataset, result.as_of, fields) for record in cut]
        return [(self._position(one), one) for one in records]

    async def _part(self) -> None:
        """The next records of a dataset that is read whole and sorted here."""
        if self._sorted is None:
            question = replace(self._query, agencies=None, after=None, owed={})
            self._whole = WholeRead(question, [self._leg.ref], self._runtime)
            self._sorted = sorted_records(self._whole, self._space)
        part = await anext(self._sorted, None)
        if part is None:
            self.more = False
        else:
            self.held = await in_bulk(self._behind, part)
            self.status.rows += len(self.held)
        if self._whole is not None and self._whole.statuses[0].problem is not None:
            self._add(replace(self._whole.statuses[0], elapsed_ms=0.0))
            self._whole = None

    def _behind(self, part: list[AnswerRecord]) -> list[tuple[Position, AnswerRecord]]:
        start = self._start()
        found = [(self._position(one), one) for one in part]
        return found if start is None else [one for one in found if start(one[0])]

    def _start(self) -> Callable[[Position], bool] | None:
        if self._after is None:
            return None
        *values, key = self._after
        last = tuple([comparable(value, descending=False) for value in values])
        return (lambda at: at >= last) if key == "" else (lambda at: at > last)

    def _add(self, piece: SourceStatus) -> None:
        """Times add up, the fault stands, what was rejected is that of the latest piece."""
        status = self.status
        status.elapsed_ms = round(status.elapsed_ms + piece.elapsed_ms, 1)
        status.status, status.problem, status.receipts = piece.status, piece.problem, piece.receipts
        status.rejected_rows, status.rejects = piece.rejected_rows, piece.rejects
        status.by_rule, status.whole = piece.by_rule, piece.whole
        status.version, status.pushed, status.as_of = piece.version, piece.pushed, piece.as_of


def position_of(schema: SchemaDef) -> Callable[[AnswerRecord], Position]:
    """The function that gives the position of a record in key order."""
    names = schema.meta.key

    def position(found: AnswerRecord) -> Position:
        values = found.record.values
        return tuple([comparable(values.get(name), descending=False) for name in names])

    return position


def behind(key_values: Sequence[Any]) -> Position:
    """The position of a question behind every record of a key."""
    return (*key_values, LAST_KEY, "", LAST_KEY)
