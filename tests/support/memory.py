"""A dataset in memory that answers as a real one does, with faults and delays on demand."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Iterable, Mapping
from datetime import UTC, datetime
from typing import Any

from app.connectors.contract import RowEstimate
from app.datasets.keeping import KeptTable
from app.datasets.outline import Outline, Part
from app.datasets.records import MappedRecord, ReadRequest, ReadResult, RecordWarning, Reject
from app.datasets.selection import position_function
from app.errors import SourceTimeout
from app.federation.question.query import DatasetRef, Grant
from app.filters.evaluation import compile_predicate
from app.filters.tree import Compare, Literal, Property, all_of, conjuncts
from app.schemas import registry
from app.schemas.registry import SchemaDef
from app.schemas.validation import validate_row
from app.schemas.warnings import soft_warnings

FACILITIES = registry.get("fasilitas_kesehatan")


def record(schema: SchemaDef, **values: Any) -> MappedRecord:
    """A valid record of these values."""
    model, failures = validate_row(schema, values)
    assert model is not None, failures
    found = soft_warnings(schema, model.__dict__)
    warnings = tuple(RecordWarning(item.field, item.code, item.detail_id, item.detail_en) for item in found)
    return MappedRecord(schema.key_of(model.__dict__), dict(model.__dict__), warnings)


class MemoryDataset:
    """A `Dataset`: records by key. `fault` is raised by every read while it is set; `delay_seconds` passes before each."""

    def __init__(self, rows: Iterable[Mapping[str, Any]] = (), schema: SchemaDef = FACILITIES) -> None:
        self.schema = schema
        self.deadline_seconds = 5.0
        self.delay_seconds = 0.0
        self.fault: Exception | None = None
        self.estimated: RowEstimate | None = None
        self.asked: list[ReadRequest] = []
        self.cancelled = 0
        self.held: dict[str, MappedRecord] = {}
        self.rejects: list[list[Reject]] = []
        for row in rows:
            self.put(**row)

    def put(self, **values: Any) -> str:
        """Adds or replaces a record; returns its key."""
        found = record(self.schema, **values)
        self.held[found.key] = found
        return found.key

    def offer(self, **values: Any) -> None:
        """Adds a record, or counts a reject where it is none or a record of its key is held."""
        model, failures = validate_row(self.schema, values)
        location = f"row {len(self.held) + len(self.rejects) + 1}"
        if model is None:
            self.rejects.append([Reject(location, fault.field, fault.rule, fault.detail) for fault in failures])
        elif self.schema.key_of(model.__dict__) in self.held:
            self.rejects.append([Reject(location, self.schema.meta.key[0], "duplicate_key", "the first one stands")])
        else:
            self.put(**values)

    async def version(self) -> str | None:
        """Memory has no mark of freshness."""
        return None

    async def read(self, request: ReadRequest) -> ReadResult:
        """As `Dataset.read`."""
        self.asked.append(request)
        try:
            await asyncio.sleep(self.delay_seconds)
        except asyncio.CancelledError:
            self.cancelled += 1
            raise
        if self.fault is not None:
            raise self.fault
        if request.deadline is not None and time.monotonic() > request.deadline:
            raise SourceTimeout("memory was not read to its end in time")
        wanted = request.filter
        if request.key is not None:
            parts = self.schema.key_values(request.key)
            wanted = all_of(*[Compare("=", Property(name), Literal(value)) for name, value in parts.items()], wanted)
        records = sorted(self.held.values(), key=position_function(self.schema, ()))
        rejects = [fault for faults in self.rejects for fault in faults]
        by_rule = Counter((fault.field, fault.rule) for fault in rejects)
        whole = ReadResult(records, len(self.rejects), rejects, (), datetime.now(UTC), by_rule=by_rule)
        return KeptTable(self.schema, whole).select(request, wanted)

    async def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """As `Dataset.stream`: all of it in one part."""
        yield await self.read(ReadRequest(fields=request.fields, filter=request.filter, deadline=request.deadline))

    async def outline(self, request: ReadRequest) -> Outline:
        """Everything is done here."""
        parts = tuple(Part(part, "none", "memory cannot filter") for part in conjuncts(request.filter))
        return Outline(("memory",), (), ("filter", "order", "limit"), parts, exact=False, why=())

    async def estimate(self, request: ReadRequest) -> RowEstimate | None:
        """Counted, or what `estimated` says."""
        if self.fault is not None:
            raise self.fault
        if self.estimated is not None:
            return self.estimated if self.estimated.rows >= 0 else None
        if request.deadline is not None and time.monotonic() > request.deadline:
            raise SourceTimeout("memory was not counted in time")
        holds = compile_predicate(request.filter)
        return RowEstimate(len([one for one in self.held.values() if holds(one.values) is True]), sure=True)

    async def close(self) -> None:
        """Nothing is open."""


def ref_of(agency: str, source: MemoryDataset, schema: SchemaDef = FACILITIES, **grant: Any) -> DatasetRef:
    """The dataset `<agency>-set` with a grant of every field, or of what is given."""
    fields = grant.pop("fields", frozenset(schema.fields))
    return DatasetRef(agency, f"{agency}-set", 1, source, Grant(fields=frozenset(fields), **grant))
