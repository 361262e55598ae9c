"""Runs a bound query over the datasets that may answer, and merges what they give: an honest answer or a refusal.

Scan each dataset as planned (`planner.py`), mask, merge. A fault of one source stays in its leg.
"""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass, field

import structlog

from app.datasets.dataset import ReadRequest, ReadResult
from app.errors import (
    AllSourcesFailed,
    AllSourcesTimedOut,
    FieldForbidden,
    NetworkForbidden,
    NotFound,
    PartialAnswerRefused,
    RecordNotFound,
    ServerOverloaded,
    SimpulError,
    SourceBusy,
    SourceDnsFailed,
    SourceFailed,
    SourceRejected,
    SourceSchemaMismatch,
    SourceSuspended,
    SourceTimeout,
    SourceUnreachable,
)
from app.federation.planning.plan import Scan
from app.federation.planning.planner import Planner
from app.federation.question.query import Answer, AnswerRecord, DatasetRef, Grant, Query, SourceStatus, Status
from app.federation.reading.breaker import Breaker, CircuitState, Guards, Mark
from app.federation.reading.bulkhead import Bulkhead
from app.federation.reading.masks import Cut
from app.federation.reading.merge import merge
from app.federation.reading.paging import Part, next_position, start_of
from app.filters.tree import all_of
from app.lanes import in_bulk
from app.schemas.registry import SchemaDef
from app.settings import Settings

log = structlog.get_logger("simpul.federation")

_RESERVE_SECONDS = 0.25
_RETRY_SECONDS = 0.1
_INLINE_RECORDS = 1_000
SQL_WORKERS = 4
_CUTS_KEPT = 4096
_ANSWERED = frozenset({"ok", "stale"})
_ASKED_AND_FAILED = frozenset({"timeout", "unavailable", "rejected", "open_circuit", "schema_mismatch"})
_ASKED = _ANSWERED | _ASKED_AND_FAILED
NO_FAULT_OF_SOURCE = (SourceRejected, SourceSchemaMismatch, SourceSuspended, NetworkForbidden, SourceBusy)
"""Errors that say nothing about the health of a source: its circuit stays as it is."""


@dataclass(slots=True)
class Runtime:
    """What runs share: guards of connectors, kept plans, the key of hash masks; and the deadline (monotonic) of this request."""

    guards: Guards
    deadline: float | None = None
    planner: Planner = field(default_factory=Planner)
    mask_key: bytes = b""
    workers: Bulkhead = field(default_factory=lambda: Bulkhead(SQL_WORKERS))
    """Processes for callers' SQL at once."""
    client: str = ""
    """Who asks: slots at sources are shared by clients."""
    cuts: dict[int, tuple[Grant, Cut]] = field(default_factory=dict)
    """What grants leave of records, by the grant's identity: a look-up's grants are kept with its plan."""

    @classmethod
    def from_settings(cls, settings: Settings, mask_key: bytes = b"") -> Runtime:
        """The runtime of a process."""
        guards = Guards(settings.breaker_failures, settings.breaker_seconds, settings.source_concurrency)
        return cls(guards, mask_key=mask_key, workers=Bulkhead(settings.sql_workers))

    def until(self, deadline: float, client: str) -> Runtime:
        """The same for one request of a client."""
        return Runtime(self.guards, deadline, self.planner, self.mask_key, self.workers, client, self.cuts)

    def cut(self, schema: SchemaDef, grant: Grant) -> Cut:
        """What this grant leaves of a record."""
        known = self.cuts.get(id(grant))
        if known is not None and known[0] is grant:
            return known[1]
        if len(self.cuts) >= _CUTS_KEPT:
            self.cuts.clear()
        made = Cut(schema, grant, self.mask_key)
        self.cuts[id(grant)] = (grant, made)
        return made

    def circuit(self, connector: str, mark: Mark | None = None) -> CircuitState:
        """State of a connector's circuit, for its health. `mark`: the source as it is now, which may not be the one that failed."""
        breaker = self.guards.breaker(connector)
        if mark is not None:
            breaker.renew(mark)
        return breaker.state

    def cause(self, connector: str) -> SimpulError | None:
        """The fault for which a circuit is open, None while it is closed."""
        breaker = self.guards.breaker(connector)
        return breaker.cause if breaker.state != "closed" else None


@dataclass(slots=True)
class _Leg:
    ref: DatasetRef
    status: SourceStatus
    records: list[AnswerRecord]
    scan: Scan
    more: bool = False


async def execute(query: Query, datasets: Sequence[DatasetRef], runtime: Runtime) -> Answer:
    """The merged answer. Raises `RecordNotFound`, `PartialAnswerRefused`, `AllSourcesFailed`, `AllSourcesTimedOut`.

    The legs of a refused answer stand in the error's `legs`.
    """
    scans = runtime.planner.plan(query, datasets)
    fields = _fields(query, scans)
    waiting = []
    legs: list[_Leg] = []
    for scan in scans:
        leg = _prepared(scan)
        legs.append(leg)
        if leg.status.status == "ok":
            waiting.append(_run(query, leg, runtime))
    if len(waiting) == 1:
        await waiting[0]
    elif waiting:
        await asyncio.gather(*waiting)
    legs += _absent(query, datasets)
    pages = [leg.records for leg in legs]
    many = sum(map(len, pages)) > _INLINE_RECORDS
    found = await in_bulk(merge, pages, query.sort, query.limit) if many else merge(pages, query.sort, query.limit)
    return _answer(query, fields, legs, found)


def _fields(query: Query, scans: Sequence[Scan]) -> tuple[str, ...]:
    """The fields of the answer: those that some dataset gives, in the schema's order."""
    given = {name for scan in scans for name in scan.fields}
    return tuple(name for name in (query.fields or query.schema.fields) if name in given)


def _prepared(scan: Scan) -> _Leg:
    """A leg before it runs; denied and left-out ones are done already."""
    ref = scan.ref
    status = SourceStatus(ref.agency, ref.dataset, scan.left_out or "ok", revision=ref.revision)
    status.problem, status.withheld = scan.problem, scan.withheld
    return _Leg(ref, status, [], scan)


async def _run(query: Query, leg: _Leg, runtime: Runtime) -> None:
    """Runs one leg. Never raises but when it is cancelled."""
    breaker = runtime.guards.breaker(leg.ref.dataset)
    started = time.perf_counter()
    if not await admitted(breaker, leg.ref):
        leg.status.status, leg.status.problem = "open_circuit", breaker.refusal()
        return
    try:
        result = await _read(query, leg.scan, runtime)
    except SimpulError as error:
        leg.status.status, leg.status.problem = _status_of(error), error
        if isinstance(error, NO_FAULT_OF_SOURCE) or error.facts.get("cut_short"):
            breaker.release()
        else:
            breaker.fail(error, await mark_of(leg.ref))
    except asyncio.CancelledError:
        breaker.release()
        raise
    except Exception as error:
        log.exception("leg_failed", dataset=leg.ref.dataset, kind=type(error).__name__, exc_info=error)
        leg.status.status, leg.status.problem = "unavailable", SourceFailed("the gateway could not read this source")
        breaker.fail(leg.status.problem, await mark_of(leg.ref))
    else:
        breaker.succeed()
        await _take(query, leg, result, runtime)
    leg.status.elapsed_ms = round((time.perf_counter() - started) * 1000, 1)


async def mark_of(ref: DatasetRef) -> Mark:
    """What the source is now."""
    return ref.revision, await ref.source.version()


async def admitted(breaker: Breaker, ref: DatasetRef) -> bool:
    """Whether the source may be asked: its circuit is closed, a probe is due, or it is not the source that failed."""
    return breaker.allow() or breaker.renew(await mark_of(ref))


async def _read(query: Query, scan: Scan, runtime: Runtime) -> ReadResult:
    """One read within the leg's budget, which begins when it has its slot; one retry where nothing was read yet."""
    ref, bulk = scan.ref, query.key is None
    ends = None if runtime.deadline is None else runtime.deadline - _RESERVE_SECONDS
    bulkhead, client = runtime.guards.bulkhead(ref.dataset), runtime.client
    if not bulkhead.enter(client, bulk=bulk):
        await wait_for_slot(bulkhead, client, ref.agency, ends, bulk=bulk)
    try:
        whole = ref.source.deadline_seconds
        budget = whole if ends is None else min(whole, ends - time.monotonic())
        request = request_of(query, scan, time.monotonic() + budget)
        try:
            async with asyncio.timeout(max(budget, 0)):
                try:
                    return await ref.source.read(request)
                except (SourceUnreachable, SourceDnsFailed):
                    await asyncio.sleep(_RETRY_SECONDS)
                    return await ref.source.read(request)
        except (TimeoutError, SourceTimeout) as late:
            if isinstance(late, SourceTimeout) and budget >= whole:
                raise
            detail = f"{ref.agency} did not answer within {budget:.3g} s"
            # Less than its own deadline was left of the request: that says nothing about the source.
            raise SourceTimeout(detail, limit_seconds=round(budget, 3), cut_short=budget < whole) from None
    finally:
        bulkhead.leave(client, bulk=bulk)


async def wait_for_slot(bulkhead: Bulkhead, client: str, agency: str, ends: float | None, *, bulk: bool) -> None:
    """A slot at a source, shared with other clients. `SourceBusy` when there is none in time: it was not asked."""
    try:
        await bulkhead.wait(client, bulk=bulk, until=ends)
    except ServerOverloaded:
        detail = f"{bulkhead.slots} reads of {agency} are under way, and none ended in time; it was not asked"
        raise SourceBusy(detail, limit=bulkhead.slots) from None


def request_of(query: Query, scan: Scan, deadline: float | None) -> ReadRequest:
    """What one dataset is asked for this question."""
    wanted = query.filter if scan.row_filter is None else all_of(scan.row_filter, query.filter)
    return ReadRequest(
        fields=query.fields,
        filter=wanted,
        order=scan.order,
        after=start_of(query, scan.ref.agency, scan.ref.dataset),
        limit=scan.limit,
        key=query.key,
        deadline=deadline,
    )


async def _take(query: Query, leg: _Leg, result: ReadResult, runtime: Runtime) -> None:
    status, ref, scan = leg.status, leg.ref, leg.scan
    status.status = "stale" if result.stale else "ok"
    status.note(result)
    leg.more = result.more
    if ref.grant is None:
        return

    def answered(grant: Grant) -> list[AnswerRecord]:
        records = runtime.cut(query.schema, grant).records(result.records)
        return [AnswerRecord(record, ref.agency, ref.dataset, result.as_of, scan.fields) for record in records]

    many = len(result.records) > _INLINE_RECORDS
    leg.records = await in_bulk(answered, ref.grant) if many else answered(ref.grant)


def _absent(query: Query, datasets: Sequence[DatasetRef]) -> list[_Leg]:
    """Agencies that the caller named and that have no dataset here: said, not passed over."""
    known = {ref.agency for ref in datasets}
    missing = []
    for agency in query.agencies or ():
        if agency not in known:
            problem = NotFound(f"{agency} provides no dataset of {query.schema.name}")
            status = SourceStatus(agency, "", "skipped", problem=problem)
            nowhere = DatasetRef(agency, "", 0, None, None)  # type: ignore[arg-type]
            missing.append(_Leg(nowhere, status, [], Scan(nowhere)))
    return missing


def _answer(query: Query, fields: tuple[str, ...], legs: list[_Leg], records: list[AnswerRecord]) -> Answer:
    statuses = [leg.status for leg in legs]
    named = set(query.agencies or ())
    complete = all(
        status.status in _ANSWERED or (status.status in {"denied", "skipped"} and status.agency not in named)
        for status in statuses
    )
    complete = complete and not any(status.status == "skipped" for status in statuses)
    failed = [status for status in statuses if status.status in _ASKED_AND_FAILED]
    answered = [status for status in statuses if status.status in _ANSWERED]
    if failed and not answered:
        raise _all_failed(failed, statuses)
    refused = [status.problem for status in statuses if isinstance(status.problem, FieldForbidden)]
    if refused and not answered:
        raise _with_legs(FieldForbidden(refused[0].detail, rule=refused[0].facts.get("rule")), statuses)
    if failed and (query.partial == "never" or (query.key is not None and not records)):
        names = ", ".join(sorted({status.agency for status in failed}))
        raise _with_legs(PartialAnswerRefused(f"no answer from {names}", sources=source_documents(statuses)), statuses)
    if query.key is not None and not records:
        raise _with_legs(RecordNotFound(sources=source_documents(statuses)), statuses)
    total = sum(len(leg.records) for leg in legs)
    more = total > len(records) or any(leg.more for leg in legs)
    if len(answered) == 1:
        answered[0].rows = len(records)
    else:
        given = Counter(found.dataset for found in records)
        for status in answered:
            status.rows = given[status.dataset]
    answer = Answer(query.schema, fields, records, statuses, complete)
    if more and records:
        parts = [Part(leg.ref.agency, leg.ref.dataset, _given(leg)) for leg in legs if leg.status.status in _ASKED]
        position = next_position(query, records, parts)
        answer.after, answer.owed = position.after, position.owed
    return answer


def _given(leg: _Leg) -> list[AnswerRecord] | None:
    return leg.records if leg.status.status in _ANSWERED else None


def _all_failed(failed: list[SourceStatus], statuses: list[SourceStatus]) -> SimpulError:
    names = ", ".join(sorted({status.agency for status in failed}))
    if all(isinstance(status.problem, SourceBusy) for status in failed):
        busy = ServerOverloaded(f"too much is asked of {names} at once", retry_after_seconds=1)
        return _with_legs(busy, statuses)
    kind = AllSourcesTimedOut if all(status.status == "timeout" for status in failed) else AllSourcesFailed
    return _with_legs(kind(f"no answer from {names}", sources=source_documents(statuses)), statuses)


def _with_legs(error: SimpulError, statuses: list[SourceStatus]) -> SimpulError:
    error.legs = statuses
    return error


def _status_of(error: SimpulError) -> Status:
    if isinstance(error, SourceTimeout):
        return "timeout"
    if isinstance(error, SourceSchemaMismatch):
        return "schema_mismatch"
    if isinstance(error, SourceRejected):
        return "rejected"
    return "unavailable"


def source_documents(statuses: Sequence[SourceStatus]) -> list[dict[str, object]]:
    """`sources[]` as it goes on the wire. Details of a source's fault name no secret and no value (contract of the kinds)."""
    return [
        {
            "agency": status.agency,
            "dataset": status.dataset,
            "status": status.status,
            "rows": status.rows,
            "rejected_rows": status.rejected_rows,
            "elapsed_ms": status.elapsed_ms,
            "as_of": status.as_of,
            "pushed": status.pushed,
            **({"withheld": status.withheld} if status.withheld else {}),
            "problem": {"code": status.problem.code, "detail": status.problem.detail} if status.problem else None,
        }
        for status in statuses
    ]
