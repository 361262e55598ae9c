"""A dataset in memory that answers as a real one does, with faults and delays on demand."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.datasets.dataset import MappedRecord, MappedSource, ReadRequest, ReadResult
from app.datasets.keeping import KeptTable
from app.federation.question.query import DatasetRef, Grant
from app.filters.tree import Compare, Literal, Property, all_of
from app.schemas import registry
from app.schemas.registry import SchemaDef
from app.schemas.validation import validate_row

FACILITIES = registry.get("fasilitas_kesehatan")


def record(schema: SchemaDef, **values: Any) -> MappedRecord:
    """A valid record of these values."""
    model, failures = validate_row(schema, values)
    assert model is not None, failures
    return MappedRecord(schema.key_of(model.__dict__), dict(model.__dict__))


class MemorySource(MappedSource):
    """Records by key. `fault` is raised by every read while it is set; `delay_seconds` passes before each."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = (), schema: SchemaDef = FACILITIES) -> None:
        self.schema = schema
        self.deadline_seconds = 5.0
        self.delay_seconds = 0.0
        self.fault: Exception | None = None
        self.asked: list[ReadRequest] = []
        self.cancelled = 0
        self.held: dict[str, MappedRecord] = {}
        for row in rows:
            self.put(**row)

    def put(self, **values: Any) -> str:
        """Adds or replaces a record; returns its key."""
        found = record(self.schema, **values)
        self.held[found.key] = found
        return found.key

    async def version(self) -> str | None:
        """Memory has no mark of freshness."""
        return None

    async def read(self, request: ReadRequest) -> ReadResult:
        """As `MappedSource.read`."""
        self.asked.append(request)
        try:
            await asyncio.sleep(self.delay_seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fault is not None:
            raise self.fault
        wanted = request.filter
        if request.key is not None:
            parts = self.schema.key_values(request.key)
            wanted = all_of(*[Compare("=", Property(name), Literal(value)) for name, value in parts.items()], wanted)
        records = [self.held[key] for key in sorted(self.held)]
        whole = ReadResult(records, 0, [], (), datetime.now(UTC))
        return KeptTable(self.schema, whole).select(request, wanted)

    async def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """As `MappedSource.stream`: all of it in one piece."""
        yield await self.read(request)

    async def close(self) -> None:
        """Nothing is open."""


def ref_of(agency: str, source: MappedSource, schema: SchemaDef = FACILITIES, **grant: Any) -> DatasetRef:
    """The dataset `<agency>-set` with a grant of every field, or of what is given."""
    fields = grant.pop("fields", frozenset(schema.fields))
    return DatasetRef(agency, f"{agency}-set", 1, source, Grant(fields=frozenset(fields), **grant))
