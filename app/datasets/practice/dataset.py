"""A dataset of synthetic records in memory. Its magic keys play a source that is slow and one that is down."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator, Sequence
from dataclasses import replace
from typing import Any, Final

from app.connectors.contract import RowEstimate
from app.datasets.keeping import KeptTable
from app.datasets.outline import Outline, Part
from app.datasets.practice.records import AS_OF, synthetic
from app.datasets.records import MappedRecord, ReadRequest, ReadResult
from app.datasets.selection import position_function
from app.errors import SourceTimeout, SourceUnreachable
from app.filters.tree import Compare, Filter, In, Literal, Property, conjuncts
from app.schemas.definition import SchemaDef

SLOW_SECONDS: Final = 2.0
DEADLINE_SECONDS: Final = 10.0
VERSION: Final = "uji-1"


class PracticeDataset:
    """The invented records of one agency. `plays`: whether it is the one whose magic keys are slow and down."""

    def __init__(self, schema: SchemaDef, records: Sequence[MappedRecord], *, plays: bool) -> None:
        self.schema = schema
        self.deadline_seconds = DEADLINE_SECONDS
        found = sorted(records, key=position_function(schema, ()))
        whole = ReadResult(found, 0, [], ("kept",), AS_OF, whole=True, version=VERSION)
        self._table = KeptTable(schema, whole)
        self._plays = plays

    async def read(self, request: ReadRequest) -> ReadResult:
        """From memory. `SourceUnreachable` and slowness where a magic key is asked for."""
        await self._play(request)
        found = await self._table.answer(request, request.filter)
        return replace(found, pushed=())

    async def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """The same in one part."""
        yield await self.read(replace(request, order=(), after=None, key=None, limit=None))

    async def outline(self, request: ReadRequest) -> Outline:
        """That no source is asked."""
        parts = tuple(Part(part, "none", "filtered here, from synthetic records") for part in conjuncts(request.filter))
        why = ("practice: answered from synthetic records, without a source",)
        return Outline(("synthetic records",), (), ("filter", "order", "limit"), parts, exact=False, why=why)

    async def estimate(self, request: ReadRequest) -> RowEstimate | None:
        """Counted."""
        return RowEstimate(await self._table.count(request.filter), sure=True)

    async def version(self) -> str | None:
        """They never change."""
        return VERSION

    async def close(self) -> None:
        """Nothing is open."""

    async def _play(self, request: ReadRequest) -> None:
        if request.deadline is not None and request.deadline <= time.monotonic():
            raise SourceTimeout("the time of this request was over before the invented source was asked")
        if not self._plays:
            return
        keys = synthetic(self.schema).keys
        asked = {request.key} if request.key is not None else set(keys_named(self.schema, request.filter))
        if keys["down"] in asked:
            raise SourceUnreachable("the invented source is down for this key, as practice has it")
        if keys["slow"] in asked:
            left = SLOW_SECONDS if request.deadline is None else request.deadline - time.monotonic()
            await asyncio.sleep(max(min(SLOW_SECONDS, left), 0.0))
            if left < SLOW_SECONDS:
                raise SourceTimeout("the invented source is slow for this key, as practice has it")


def keys_named(schema: SchemaDef, wanted: Filter) -> Iterator[str]:
    """The keys that a filter asks for by equality or in a list, where the key is one field."""
    if len(schema.meta.key) != 1:
        return
    (name,) = schema.meta.key
    for part in conjuncts(wanted):
        for value in _values(part, name):
            yield schema.key_of({name: value})


def _values(part: Filter, name: str) -> list[Any]:
    match part:
        case Compare("=", Property(field), Literal(value)) if field == name:
            return [value]
        case In(Property(field)) if field == name:
            return list(part.plain)
    return []
