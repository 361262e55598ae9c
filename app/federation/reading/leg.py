"""One dataset's part in an answer: the plan, the guards, what came of it. Pages and whole answers read through here alone.

Guards: the connector's circuit, a slot at the source shared with other clients, the source's own deadline and that of the
request, one more try where nothing was read yet. A copy of the dataset is read without them: its source is not asked. A fault
ends the leg and stands in its status; it never reaches the other legs.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Awaitable, Sequence
from contextlib import aclosing
from dataclasses import dataclass
from types import TracebackType
from typing import Self, TypeVar

import structlog

from app.connectors.contract import RowEstimate
from app.datasets.contract import Dataset, HoldsCopies, Wish
from app.datasets.copies.faults import SnapshotGone
from app.datasets.records import ReadRequest, ReadResult
from app.errors import (
    NotFound,
    ServerOverloaded,
    SimpulError,
    SourceBusy,
    SourceCircuitOpen,
    SourceDnsFailed,
    SourceFailed,
    SourceTimeout,
    SourceUnreachable,
)
from app.federation.planning.plan import Scan
from app.federation.question.query import DatasetRef, Query, SourceStatus
from app.federation.reading.breaker import NO_FAULT_OF_SOURCE, Mark
from app.federation.reading.paging import start_of
from app.federation.reading.runtime import Runtime
from app.federation.reading.verdict import status_of
from app.filters.tree import all_of

log = structlog.get_logger("simpul.federation")

Given = TypeVar("Given")

_RESERVE_SECONDS = 0.25
"""What is kept of a request's time for the answer itself."""
_RETRY_SECONDS = 0.1
_NOT_REACHED = (SourceUnreachable, SourceDnsFailed)


@dataclass(slots=True)
class Leg:
    """What one dataset does for one answer. `status` says how it ended; until it ran it is `ok`, or why it does not run."""

    scan: Scan
    status: SourceStatus

    @property
    def ref(self) -> DatasetRef:
        """The dataset."""
        return self.scan.ref

    @property
    def runs(self) -> bool:
        """Whether it is asked at all: not denied, not left out, not absent."""
        return self.status.status == "ok"


def legs_of(query: Query, refs: Sequence[DatasetRef], runtime: Runtime, *, whole: bool = False) -> list[Leg]:
    """One leg a dataset as planned, then one for each named agency that has none here: it is said, not passed over."""
    legs = []
    for scan in runtime.planner.plan(query, refs, whole=whole):
        ref = scan.ref
        status = SourceStatus(ref.agency, ref.dataset, scan.left_out or "ok", revision=ref.revision)
        status.problem, status.withheld = scan.problem, scan.withheld
        legs.append(Leg(scan, status))
    if query.agencies:
        known = {ref.agency for ref in refs}
        for agency in query.agencies:
            if agency not in known:
                problem = NotFound(f"{agency} provides no dataset of {query.schema.name}")
                nowhere = DatasetRef(agency, "", 0, None, None)  # type: ignore[arg-type]
                legs.append(Leg(Scan(nowhere), SourceStatus(agency, "", "skipped", problem=problem)))
    return legs


def fields_of(query: Query, legs: Sequence[Leg]) -> tuple[str, ...]:
    """The fields of the answer: those that some dataset gives, in the order of the question or of the schema."""
    given = {name for leg in legs for name in leg.scan.fields}
    return tuple(name for name in (query.fields or query.schema.fields) if name in given)


def request_of(query: Query, scan: Scan, deadline: float | None) -> ReadRequest:
    """What one dataset is asked for this question."""
    wanted = query.filter if scan.row_filter is None else all_of(scan.row_filter, query.filter)
    return ReadRequest(
        fields=query.fields,
        filter=wanted,
        order=scan.order,
        after=start_of(query, scan.ref.agency, scan.ref.dataset),
        limit=scan.limit if query.enough is None else query.enough.any_rows,
        key=query.key,
        deadline=deadline,
        findings=query.findings,
    )


async def read(leg: Leg, query: Query, runtime: Runtime) -> ReadResult | None:
    """The records of a page or of a key, in order; None when the leg failed. Never raises but when it is cancelled."""
    async with _Guards(leg, query, runtime, bulk=query.key is None) as guards:
        source = await guards.enter()
        request = request_of(query, leg.scan, time.monotonic() + guards.left())

        async def once_more() -> ReadResult:
            try:
                return await source.read(request)
            except _NOT_REACHED:
                await asyncio.sleep(_RETRY_SECONDS)
                return await source.read(request)

        result = await guards.within(once_more())
        leg.status.note(result)
        return result
    return None


async def stream(leg: Leg, query: Query, runtime: Runtime) -> AsyncGenerator[ReadResult]:
    """Every record, batch by batch, in the source's own order. It ends early when the leg fails; closing stops the source.

    Each wait for a batch has the source's own deadline; all of them together have that of the request.
    """
    begun = False
    async with _Guards(leg, query, runtime, bulk=True) as guards:
        source = await guards.enter()
        request = request_of(query, leg.scan, guards.ends)
        for last in (False, True):
            try:
                async with aclosing(source.stream(request)) as results:
                    while (result := await guards.within(anext(results, None))) is not None:
                        begun = True
                        leg.status.note(result)
                        yield result
                break
            except _NOT_REACHED:
                if begun or last:
                    raise
                await asyncio.sleep(_RETRY_SECONDS)


async def estimate(leg: Leg, query: Query, runtime: Runtime) -> RowEstimate | None:
    """About how many records the leg would give; None where nothing tells, or when it failed. Never raises but when it is cancelled."""
    async with _Guards(leg, query, runtime, bulk=False, judges=False) as guards:
        source = await guards.enter()
        request = request_of(query, leg.scan, time.monotonic() + guards.left())
        return estimate_shown(leg.scan, await guards.within(source.estimate(request)))
    return None


def estimate_shown(scan: Scan, found: RowEstimate | None) -> RowEstimate | None:
    """An estimate as the caller may know it. Under a row filter a source's guess rests on rows that are not the caller's: none is told."""
    return found if found is None or found.sure or scan.row_filter is None else None


class _Guards:
    """Around one read. What the read raises is taken into the leg's status; only cancellation goes on.

    `judges`: its end speaks of the source. An estimate's does not: what is cheap may work, and fail, where reading does not.
    """

    __slots__ = (
        "_asked", "_breaker", "_bulk", "_bulkhead", "_copied", "_held", "_judges", "_leg", "_runtime", "_started", "_wish", "ends",
    )  # fmt: skip

    def __init__(self, leg: Leg, query: Query, runtime: Runtime, *, bulk: bool, judges: bool = True) -> None:
        self._leg, self._runtime, self._bulk, self._judges = leg, runtime, bulk, judges
        self._wish = Wish(runtime.max_age_seconds, query.copies.get(leg.ref.dataset))
        self._copied = False
        self._breaker = runtime.guards.breaker(leg.ref.dataset)
        self._bulkhead = runtime.guards.bulkhead(leg.ref.dataset, leg.ref.slots)
        self._asked = self._held = False
        self._started = 0.0
        self.ends = None if runtime.deadline is None else runtime.deadline - _RESERVE_SECONDS
        """Until when the source may work for this request (monotonic seconds)."""

    async def enter(self) -> Dataset:
        """What is read: a copy at once; the source itself through the circuit, then to a slot.

        `SourceCircuitOpen`; `SourceBusy` when there is no slot in time: it was not asked. `SnapshotGone` for a copy that was named.
        """
        self._started, source = time.perf_counter(), self._leg.ref.source
        if isinstance(source, HoldsCopies):
            held = source.held(self._wish)
            if held is not None:
                self._copied = self._asked = True
                return held.dataset
        if not (self._breaker.allow() or self._breaker.renew(await self._mark())):
            raise self._breaker.refusal()
        self._asked = True
        client, bulkhead = self._runtime.client, self._bulkhead
        if not bulkhead.enter(client, bulk=self._bulk):
            try:
                await bulkhead.wait(client, bulk=self._bulk, until=self.ends)
            except ServerOverloaded:
                agency = self._leg.ref.agency
                detail = f"{bulkhead.slots} reads of {agency} are under way, and none ended in time; it was not asked"
                raise SourceBusy(detail, limit=bulkhead.slots) from None
        self._held = True
        return source

    def left(self) -> float:
        """Seconds for the next wait: the source's own deadline, or what is left of the request."""
        whole = self._leg.ref.source.deadline_seconds
        return whole if self.ends is None else min(whole, self.ends - time.monotonic())

    async def within(self, wait: Awaitable[Given]) -> Given:
        """The wait's result. `SourceTimeout` when it is late; cut short by the request, that says nothing about the source."""
        whole, budget = self._leg.ref.source.deadline_seconds, self.left()
        try:
            async with asyncio.timeout(max(budget, 0)):
                return await wait
        except (TimeoutError, SourceTimeout) as late:
            if isinstance(late, SourceTimeout) and budget >= whole:
                raise
            detail = f"{self._leg.ref.agency} did not answer within {budget:.3g} s"
            raise SourceTimeout(detail, limit_seconds=round(budget, 3), cut_short=budget < whole) from None

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> bool:
        if self._held:
            self._bulkhead.leave(self._runtime.client, bulk=self._bulk)
        if self._asked:
            self._leg.status.elapsed_ms = round((time.perf_counter() - self._started) * 1000, 1)
        if self._copied and (error is None or not isinstance(error, Exception)):
            return False
        if error is None and self._judges:
            self._breaker.succeed()
        elif error is None:
            self._breaker.release()
        elif isinstance(error, Exception):
            await self._failed(error)
        else:  # cancelled, or nobody wants the rest
            self._breaker.release()
            return False
        return True

    async def _failed(self, error: Exception) -> None:
        status, breaker = self._leg.status, self._breaker
        if isinstance(error, SourceCircuitOpen) and not self._asked:
            status.status, status.problem = "open_circuit", error
            return
        if not isinstance(error, SimpulError):
            log.error("leg_failed", dataset=self._leg.ref.dataset, kind=type(error).__name__, exc_info=error)
            error = SourceFailed("the gateway could not read this source")
        status.status, status.problem = status_of(error), error
        if self._copied or isinstance(error, SnapshotGone):
            return
        if not self._judges or isinstance(error, NO_FAULT_OF_SOURCE) or error.facts.get("cut_short"):
            breaker.release()
        else:
            breaker.fail(error, await self._mark())

    async def _mark(self) -> Mark:
        ref = self._leg.ref
        return ref.revision, await ref.source.version()
