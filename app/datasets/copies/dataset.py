"""A dataset of which copies are taken: what a copy answers is read from it, all else from the source.

Grants, masks and row filters are no part of a copy: they are put on its records when they are read, as on those of a source.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Callable, Iterator
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.connectors.contract import RowEstimate
from app.datasets.columnar.conditions import Conditions
from app.datasets.contract import Dataset, Held, HoldsCopies, Wish
from app.datasets.copies.faults import SnapshotGone, SnapshotOverdue, SnapshotUnreadable
from app.datasets.copies.schedule import Schedule
from app.datasets.copies.shelf import Copy, Shelf
from app.datasets.outline import Outline, Part
from app.datasets.records import MappedRecord, ReadRequest, ReadResult
from app.datasets.selection import LAST_KEY, Position, after_position, position_function
from app.errors import SimpulError, SourceTimeout
from app.filters.tree import conjuncts
from app.lanes import in_bulk
from app.schemas.registry import SchemaDef

_PUSHED = ("snapshot",)
_KEPT_AT_LEAST = 2_000
_LEAST_STEP = 200


class CopiedDataset(HoldsCopies):
    """The dataset of one connector revision that has a `snapshot` in its manifest. `live`: the source itself."""

    def __init__(
        self,
        live: Dataset,
        *,
        connector: str,
        made_of: str,
        schedule: Schedule,
        shelf: Shelf,
        now: Callable[[], datetime] = lambda: datetime.now(UTC),
    ) -> None:
        self.live = live
        self.schema: SchemaDef = live.schema
        self.deadline_seconds = live.deadline_seconds
        self.made_of = made_of
        self.schedule = schedule
        self._connector = connector
        self._shelf = shelf
        self._now = now

    def held(self, wish: Wish) -> Held | None:
        """The copy that answers this wish; None when the source has to be asked. `SnapshotGone` for one that was named."""
        now = self._now()
        if wish.copy is not None:
            named = self._shelf.named(self._connector, self.made_of, wish.copy)
            if named is None:
                detail = "the snapshot that the pages before came from is gone; start again at the first page"
                raise SnapshotGone(detail)
            return self._held(named, now)
        newest = self._shelf.newest(self._connector, self.made_of)
        if newest is None or self.schedule.age(newest.as_of, now) == "over":
            return None
        if wish.max_age_seconds is not None and (now - newest.as_of).total_seconds() > wish.max_age_seconds:
            return None
        return self._held(newest, now)

    def _held(self, copy: Copy, now: datetime) -> Held:
        stale = self.schedule.age(copy.as_of, now) != "fresh"
        return Held(copy.id, _CopyReader(self, copy, self._shelf, self._cause(copy) if stale else None))

    def _cause(self, copy: Copy) -> SimpulError:
        """Why the copy was not followed by another in time."""
        failed = self._shelf.of(self._connector).failed
        if failed is not None:
            return failed.error
        return SnapshotOverdue(f"no snapshot was taken since the one of {copy.as_of.isoformat(timespec='seconds')}")

    async def read(self, request: ReadRequest) -> ReadResult:
        """From the source."""
        return await self.live.read(request)

    async def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """From the source."""
        async with aclosing(self.live.stream(request)) as parts:
            async for part in parts:
                yield part

    async def outline(self, request: ReadRequest) -> Outline:
        """How the source would do it, or that a copy answers."""
        held = self.held(Wish())
        return await (self.live if held is None else held.dataset).outline(request)

    async def estimate(self, request: ReadRequest) -> RowEstimate | None:
        """From the source."""
        return await self.live.estimate(request)

    async def version(self) -> str | None:
        """The source's mark."""
        return await self.live.version()

    async def close(self) -> None:
        """Closes the source; copies stay for the next who opens it."""
        await self.live.close()


class _CopyReader:
    """Reads of one copy. `cause`: why it is stale, None while it is fresh."""

    def __init__(self, dataset: CopiedDataset, copy: Copy, shelf: Shelf, cause: SimpulError | None) -> None:
        self.schema = dataset.schema
        self.deadline_seconds = dataset.deadline_seconds
        self._live = dataset.live
        self._copy, self._shelf, self._cause = copy, shelf, cause

    async def read(self, request: ReadRequest) -> ReadResult:
        """The wanted records in order, cut to the limit."""
        selection = _Wanted(self.schema, self._copy, request)
        parts = selection.parts()
        try:
            while await in_bulk(_next_taken, selection, parts):
                _in_time(request.deadline)
        except SnapshotUnreadable:
            self._shelf.drop(self._copy)
            raise
        return replace(self._result(), records=selection.records(), more=selection.more)

    async def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """Every wanted record, part by part, in the order of the key."""
        selection = _Wanted(self.schema, self._copy, replace(request, order=(), after=None, key=None))
        parts, left = selection.parts(), request.limit
        try:
            while left is None or left > 0:
                rows = await in_bulk(next, parts, None)
                if rows is None:
                    break
                _in_time(request.deadline)
                columns = await in_bulk(self._copy.file.columns, rows, findings=request.findings)
                left = None if left is None else left - rows.num_rows
                yield replace(self._result(), columns=columns)
        except SnapshotUnreadable:
            self._shelf.drop(self._copy)
            raise
        yield self._result()

    async def outline(self, request: ReadRequest) -> Outline:
        """That it is read through here."""
        moment = self._copy.as_of.isoformat(timespec="seconds")
        why = f"answered from the snapshot of {moment}, without asking the source"
        parts = tuple(Part(part, "none", "filtered here, from the snapshot") for part in conjuncts(request.filter))
        return Outline((f"snapshot of {moment}",), (), ("filter", "order", "limit"), parts, exact=False, why=(why,))

    async def estimate(self, request: ReadRequest) -> RowEstimate | None:
        """Counted, as the records stand here."""
        selection = _Wanted(self.schema, self._copy, replace(request, order=(), after=None, limit=None))
        if selection.all:
            return RowEstimate(self._copy.rows, sure=True)
        parts, rows = selection.parts(), 0
        while (part := await in_bulk(next, parts, None)) is not None:
            _in_time(request.deadline)
            rows += part.num_rows
        return RowEstimate(rows, sure=True)

    async def version(self) -> str | None:
        """The copy is its own mark."""
        return self._copy.id

    async def close(self) -> None:
        """The copy stays."""

    def _result(self) -> ReadResult:
        return ReadResult(
            records=[],
            rejected_rows=self._copy.rejected_rows,
            rejects=[],
            pushed=_PUSHED,
            as_of=self._copy.as_of,
            stale=self._cause is not None,
            copy=self._copy.id,
            cause=self._cause,
        )


class _Wanted:
    """The best `limit` records of a copy for one request. For the bulk thread."""

    def __init__(self, schema: SchemaDef, copy: Copy, request: ReadRequest) -> None:
        self._schema, self._copy, self._request = schema, copy, request
        self._conditions = Conditions(request.filter)
        self._position = position_function(schema, request.order)
        self._after = after_position(schema, request)
        self._found: list[tuple[Position, MappedRecord]] = []
        self._done = False

    @property
    def all(self) -> bool:
        """Whether every record is wanted."""
        return not list(conjuncts(self._request.filter)) and self._request.key is None

    @property
    def more(self) -> bool:
        """Whether there are more than the limit."""
        limit = self._request.limit
        return limit is not None and len(self._found) > limit

    def parts(self) -> Iterator[pa.RecordBatch]:
        """The rows that hold, part by part."""
        for rows in self._copy.file.groups(*self._bounds()):
            mask: Any = self._conditions.hold(rows)
            if self._request.key is not None:
                same: Any = pc.equal(rows.column("_id"), pa.scalar(self._request.key))
                mask = same if mask is None else pc.and_(mask, same)
            held = rows if mask is None else rows.filter(mask)
            step = self._step
            for start in range(0, held.num_rows, step) if step else ():
                yield held.slice(start, step)
            if not step:
                yield held

    @property
    def _step(self) -> int:
        """How many rows are made records at once: few where a page in the order of the key ends soon; 0: all."""
        limit = self._request.limit
        return 0 if self._request.order or limit is None else max(limit + 1, _LEAST_STEP)

    def take(self, rows: pa.RecordBatch) -> bool:
        """Takes some of the rows; False when no further ones are wanted."""
        limit = self._request.limit
        for record in self._copy.file.records(rows, findings=self._request.findings):
            position = self._position(record)
            if self._after is None or self._after < position:
                self._found.append((position, record))
        if limit is not None and len(self._found) > max(2 * limit, _KEPT_AT_LEAST):
            self._trim()
        return self._request.order != () or limit is None or len(self._found) <= limit

    def records(self) -> list[MappedRecord]:
        """The records in order, cut to the limit."""
        self._found.sort(key=_order_of)
        return [record for _, record in self._found[: self._request.limit]]

    def _trim(self) -> None:
        self._found.sort(key=_order_of)
        del self._found[(self._request.limit or 0) + 1 :]

    def _bounds(self) -> tuple[Any, Any]:
        """The first value of the key below and above which nothing is wanted."""
        request = self._request
        if request.key is not None:
            value = next(iter(self._schema.key_values(request.key).values()))
            return value, value
        if request.after is not None and not request.order and request.after[-1] not in ("", LAST_KEY):
            return next(iter(self._schema.key_values(request.after[-1]).values())), None
        return None, None


def _next_taken(selection: _Wanted, parts: Iterator[pa.RecordBatch]) -> bool:
    rows = next(parts, None)
    return rows is not None and selection.take(rows)


def _order_of(found: tuple[Position, MappedRecord]) -> Position:
    return found[0]


def _in_time(deadline: float | None) -> None:
    if deadline is not None and time.monotonic() > deadline:
        raise SourceTimeout("the snapshot was not read to its end in time")
