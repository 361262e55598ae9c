"""Reads every record of a bound question, dataset after dataset, batch after batch: for exports, SQL and matches.

Nothing is kept and nothing is cut. A fault of one source stays in its leg; what it gave before is counted there. Pages,
whose order is global, live in `executor.py`.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from datetime import datetime
from typing import Any

import orjson
import pyarrow as pa
import structlog

from app.datasets.dataset import MappedRecord, ReadRequest, ReadResult
from app.errors import (
    AllSourcesFailed,
    AllSourcesTimedOut,
    FieldForbidden,
    PartialAnswerRefused,
    SimpulError,
    SourceFailed,
    SourceRejected,
    SourceSchemaMismatch,
    SourceTimeout,
)
from app.federation.question.query import Answer, DatasetRef, Query, SourceStatus, Status
from app.federation.reading.executor import (
    NO_FAULT_OF_SOURCE,
    Runtime,
    admitted,
    mark_of,
    source_documents,
    wait_for_slot,
)
from app.federation.reading.masks import visible
from app.filters.tree import all_of, properties
from app.lanes import in_bulk
from app.schemas.arrow import batch_of
from app.schemas.base import SharedPart
from app.schemas.registry import SchemaDef

log = structlog.get_logger("simpul.federation")

_ANSWERED = frozenset({"ok", "stale"})
_LEFT_OUT = frozenset({"denied", "skipped"})


@dataclass(frozen=True, slots=True)
class Part:
    """Some records of one dataset: the schema's Arrow columns, then `_id` and `_warnings` (JSON text or null).

    `fields` are those of the answer that this agency grants; all other columns are null.
    """

    batch: pa.RecordBatch
    agency: str
    dataset: str
    as_of: datetime
    fields: tuple[str, ...]


class BulkRead:
    """One reading. `parts()` gives the records; `finish()` says whether the answer may stand."""

    def __init__(self, query: Query, refs: Sequence[DatasetRef], runtime: Runtime) -> None:
        granted = {name for ref in refs for name in visible(ref.grant)}
        asked = query.fields if query.fields is not None else tuple(query.schema.fields)
        self.query = query
        self.fields = tuple(name for name in asked if name in granted)
        self.statuses = [_status(query, ref, asked) for ref in refs] + _absent(query, refs)
        self.rows = 0
        self._refs = refs
        self._runtime = runtime

    @property
    def complete(self) -> bool:
        """Whether every source that this caller may ask answered to its end."""
        named = set(self.query.agencies or ())
        return all(
            status.status in _ANSWERED or (status.status == "denied" and status.agency not in named)
            for status in self.statuses
        )

    async def parts(self) -> AsyncGenerator[Part]:
        """The records of one dataset after the other, by agency and dataset. Closing stops the work at the source."""
        for ref, status in zip(self._refs, self.statuses, strict=False):
            if status.status == "ok":
                async with aclosing(self._leg(ref, status)) as leg:
                    async for part in leg:
                        self.rows += part.batch.num_rows
                        yield part

    def finish(self) -> None:
        """Raises `AllSourcesFailed`, `AllSourcesTimedOut` or `PartialAnswerRefused`, with the legs, as a page does."""
        failed = [status for status in self.statuses if status.status not in _ANSWERED | _LEFT_OUT]
        if not failed:
            return
        answered = [status for status in self.statuses if status.status in _ANSWERED]
        names = ", ".join(sorted({status.agency for status in failed}))
        facts = source_documents(self.statuses)
        error: SimpulError
        if not answered and not self.rows:
            late = all(status.status == "timeout" for status in failed)
            error = (AllSourcesTimedOut if late else AllSourcesFailed)(f"no answer from {names}", sources=facts)
        elif self.query.partial == "never":
            error = PartialAnswerRefused(f"no answer from {names}", sources=facts)
        else:
            return
        error.legs = self.statuses
        raise error

    async def _leg(self, ref: DatasetRef, status: SourceStatus) -> AsyncGenerator[Part]:
        """One dataset. Faults end the leg and stand in its status."""
        breaker = self._runtime.guards.breaker(ref.dataset)
        started = time.perf_counter()
        if not await admitted(breaker, ref):
            status.status, status.problem = "open_circuit", breaker.refusal()
            return
        deadline, entered, began = self._runtime.deadline, False, time.monotonic()
        bulkhead, client = self._runtime.guards.bulkhead(ref.dataset), self._runtime.client
        try:
            if not bulkhead.enter(client, bulk=True):
                await wait_for_slot(bulkhead, client, ref.agency, deadline, bulk=True)
            entered, began = True, time.monotonic()
            async with aclosing(ref.source.stream(self._request(ref))) as read:
                async for result in read:
                    part = await self._part(ref, status, result)
                    if part.batch.num_rows:
                        yield part
        except (SimpulError, TimeoutError) as caught:
            error = caught if isinstance(caught, SimpulError) else SourceTimeout(f"{ref.agency} did not answer in time")
            status.status, status.problem = _named(error), error
            # A read that had less than the source's own deadline says nothing about the source.
            short = deadline is not None and deadline - began < ref.source.deadline_seconds
            if isinstance(error, NO_FAULT_OF_SOURCE) or (isinstance(error, SourceTimeout) and short):
                breaker.release()
            else:
                breaker.fail(error, await mark_of(ref))
        except (asyncio.CancelledError, GeneratorExit):
            breaker.release()
            raise
        except Exception as error:
            log.exception("leg_failed", dataset=ref.dataset, kind=type(error).__name__, exc_info=error)
            status.status, status.problem = "unavailable", SourceFailed("the gateway could not read this source")
            breaker.fail(status.problem, await mark_of(ref))
        else:
            breaker.succeed()
        finally:
            if entered:
                bulkhead.leave(client, bulk=True)
        status.elapsed_ms = round((time.perf_counter() - started) * 1000, 1)

    def _request(self, ref: DatasetRef) -> ReadRequest:
        query, row_filter = self.query, ref.grant.row_filter if ref.grant is not None else None
        wanted = query.filter if row_filter is None else all_of(row_filter, query.filter)
        return ReadRequest(fields=query.fields, filter=wanted, deadline=self._runtime.deadline)

    async def _part(self, ref: DatasetRef, status: SourceStatus, result: ReadResult) -> Part:
        granted = visible(ref.grant)
        fields = tuple(name for name in self.fields if name in granted)
        status.note(result)
        status.rows += len(result.records)
        if result.stale:
            status.status = "stale"
        batch = await in_bulk(self._batch, ref, result.records, fields)
        return Part(batch, ref.agency, ref.dataset, result.as_of, fields)

    def _batch(self, ref: DatasetRef, records: Sequence[MappedRecord], fields: tuple[str, ...]) -> pa.RecordBatch:
        if ref.grant is not None:
            records = self._runtime.cut(self.query.schema, ref.grant).records(records)
        return part_batch(self.query.schema, records, fields)


def part_batch(schema: SchemaDef, records: Sequence[MappedRecord], fields: tuple[str, ...]) -> pa.RecordBatch:
    """Records as a batch: only these fields have values."""
    rows = [{name: record.values.get(name) for name in fields} for record in records]
    for name in fields:
        spec = schema.fields[name]
        if spec.kind == "object" or spec.item_kind == "object":
            for row in rows:
                row[name] = _plain(row[name])
    batch = batch_of(schema, rows)
    ids = pa.array([record.key for record in records], pa.string())
    notes = pa.array([_warnings(record) for record in records], pa.string())
    return pa.RecordBatch.from_arrays(
        [*batch.columns, ids, notes],
        schema=batch.schema.append(pa.field("_id", pa.string())).append(pa.field("_warnings", pa.string())),
    )


def parts_of(answer: Answer) -> list[Part]:
    """A page as parts, in its order: one part a run of records of one dataset."""
    parts: list[Part] = []
    first = 0
    records = answer.records
    for index in range(1, len(records) + 1):
        head = records[first]
        if index < len(records) and records[index].dataset == head.dataset:
            continue
        batch = part_batch(answer.schema, [found.record for found in records[first:index]], head.fields)
        parts.append(Part(batch, head.agency, head.dataset, head.as_of, head.fields))
        first = index
    return parts


def _plain(value: Any) -> Any:
    """Nested objects as dicts, which Arrow takes."""
    if isinstance(value, SharedPart):
        return {name: _plain(part) for name, part in value.__dict__.items()}
    return [_plain(item) for item in value] if isinstance(value, list) else value


def _warnings(record: MappedRecord) -> str | None:
    if not record.warnings:
        return None
    found = [{"field": note.field, "code": note.code, "detail": note.detail_en} for note in record.warnings]
    return orjson.dumps(found).decode()


def _status(query: Query, ref: DatasetRef, asked: Sequence[str]) -> SourceStatus:
    """A leg before it runs; denied and left-out ones are done already."""
    status = SourceStatus(ref.agency, ref.dataset, "ok", revision=ref.revision)
    if ref.grant is None:
        status.status, status.problem = "denied", ref.denied
        return status
    shown = visible(ref.grant)
    status.withheld = tuple(name for name in asked if name not in shown)
    masked_key = sorted(set(ref.grant.masks) & set(query.schema.meta.key))
    if masked_key:
        detail = f"{ref.agency} masks the key ({', '.join(masked_key)})"
        status.status, status.problem = "denied", FieldForbidden(detail, rule="key_masked")
        return status
    needed = properties(query.filter) | {key.field for key in query.sort} | query.also_needed
    hidden = sorted(needed - ref.grant.fields) or sorted(needed & set(ref.grant.masks))
    if hidden:
        detail = f"{ref.agency} does not let you filter, sort or compare by {', '.join(hidden)}"
        status.status, status.problem = "skipped", FieldForbidden(detail, rule="field_not_granted")
    return status


def _absent(query: Query, refs: Sequence[DatasetRef]) -> list[SourceStatus]:
    known = {ref.agency for ref in refs}
    return [SourceStatus(agency, "", "skipped") for agency in query.agencies or () if agency not in known]


def _named(error: SimpulError) -> Status:
    if isinstance(error, SourceTimeout):
        return "timeout"
    if isinstance(error, SourceSchemaMismatch):
        return "schema_mismatch"
    return "rejected" if isinstance(error, SourceRejected) else "unavailable"
