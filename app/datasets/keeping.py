"""Keeps small open datasets mapped in memory, until their source's freshness mark changes or their `refresh` time is over.

Never used for schemas with personal fields. A source that fails while a `refresh` time is set is answered from here, marked stale.
"""

from __future__ import annotations

import asyncio
import time
from dataclasses import replace
from datetime import datetime
from typing import Protocol

from app.connectors.contract import Connector, Freshness
from app.datasets.manifest import Manifest
from app.datasets.records import MappedRecord, ReadRequest, ReadResult
from app.datasets.selection import after_position, position_function
from app.errors import SourceError
from app.filters.evaluation import compile_predicate
from app.filters.tree import TRUE, Filter
from app.lanes import in_bulk
from app.schemas.registry import SchemaDef


class Readable(Protocol):
    """What is kept: a dataset that can be read whole and may have a freshness mark."""

    schema: SchemaDef
    manifest: Manifest
    connector: Connector

    async def version(self) -> str | None:
        """The source's mark."""

    async def read_all(self, deadline: float | None, most: int) -> ReadResult | None:
        """Every valid record, None when there are too many."""


MOST_RECORDS = 50_000
_INLINE_RECORDS = 1_000


class KeptTable:
    """A dataset as it was read: all its valid records in key order, and what was rejected."""

    def __init__(self, schema: SchemaDef, result: ReadResult) -> None:
        self.as_of: datetime = result.as_of
        self.read_at = time.monotonic()
        self.stale = False
        self._schema = schema
        self._records = result.records
        self._by_key = {record.key: record for record in result.records}
        self._all = result

    async def answer(self, request: ReadRequest, wanted: Filter) -> ReadResult:
        """The records that a read asks for; where many have to be looked at, in a thread, so that others go on."""
        looks = request.key is None and (wanted != TRUE or bool(request.order) or request.after is not None)
        if looks and len(self._records) > _INLINE_RECORDS:
            return await in_bulk(self.select, request, wanted)
        return self.select(request, wanted)

    async def count(self, wanted: Filter) -> int:
        """How many records the filter lets through."""
        return len((await self.answer(ReadRequest(filter=wanted), wanted)).records)

    def select(self, request: ReadRequest, wanted: Filter) -> ReadResult:
        """The records that a read asks for."""
        found = self._found(request, wanted)
        limit = request.limit
        more = limit is not None and len(found) > limit
        return ReadResult(
            records=found[:limit],
            rejected_rows=self._all.rejected_rows,
            rejects=self._all.rejects,
            by_rule=self._all.by_rule,
            whole=True,
            version=self._all.version,
            pushed=("kept",),
            as_of=self.as_of,
            stale=self.stale,
            more=more,
        )

    def _found(self, request: ReadRequest, wanted: Filter) -> list[MappedRecord]:
        if request.key is not None:
            record = self._by_key.get(request.key)
            candidates = [record] if record is not None else []
        else:
            candidates = self._records
        if wanted != TRUE:
            holds = compile_predicate(wanted)
            candidates = [record for record in candidates if holds(record.values) is True]
        position = position_function(self._schema, request.order)
        if request.order:
            candidates = sorted(candidates, key=position)
        if request.after is not None:
            last = after_position(self._schema, request) or ()
            candidates = [record for record in candidates if last < position(record)]
        return candidates


class Keeper:
    """Decides whether a dataset may be kept, and holds it."""

    def __init__(self, source: Readable, *, personal: bool) -> None:
        self._source = source
        self._refresh_seconds = source.manifest.source.refresh.total_seconds()
        self._allowed = not personal
        self._too_large_for: str | None = None
        self._mark: str | None = None
        self._table: KeptTable | None = None
        self._reading = asyncio.Lock()

    @property
    def possible(self) -> bool:
        """Whether this dataset may be kept at all: it is open, and has a freshness mark or a `refresh` time."""
        return self._allowed and (self._refresh_seconds > 0 or isinstance(self._source.connector, Freshness))

    def forget(self) -> None:
        """Lets go of what is kept."""
        self._table = None

    async def at_hand(self) -> KeptTable | None:
        """What is kept and still holds; nothing is read for it."""
        if not self._allowed or self._table is None:
            return None
        return self._table if self._fresh(await self._source.version()) else None

    async def table(self, deadline: float | None) -> KeptTable | None:
        """The kept dataset, read again when it must be; None when this read has to go to the source itself."""
        if not self._allowed:
            return None
        mark = await self._source.version()
        if mark is None and self._refresh_seconds == 0:
            return None
        async with self._reading:  # one read serves all who wait for it
            if self._fresh(mark):
                return self._table
            if mark is not None and mark == self._too_large_for:
                return None
            return await self._read(mark, deadline)

    def _fresh(self, mark: str | None) -> bool:
        if self._table is None:
            return False
        if mark is not None:
            return mark == self._mark
        return time.monotonic() - self._table.read_at < self._refresh_seconds

    async def _read(self, mark: str | None, deadline: float | None) -> KeptTable | None:
        try:
            result = await self._source.read_all(deadline, MOST_RECORDS)
        except SourceError:
            if self._table is None or self._refresh_seconds == 0:
                raise
            self._table.stale = True
            return self._table
        if result is None:
            self._too_large_for, self._table, self._allowed = mark, None, mark is not None
            return None
        self._mark = mark
        self._table = KeptTable(self._source.schema, replace(result))
        return self._table
