"""What a question would do at each agency, without reading a record: the same decisions and the same plan as a real read."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from dataclasses import dataclass

from app.datasets.outline import Outline
from app.datasets.records import ReadRequest
from app.errors import LookupOnly, SimpulError, SourceError, SourceTimeout
from app.federation.planning.plan import Scan
from app.federation.question.binder import RawQuery
from app.federation.question.query import Query, SourceStatus
from app.federation.reading.leg import estimate_shown, request_of
from app.gateway import records
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services
from app.gateway.under import begin
from app.schemas.registry import SchemaDef


@dataclass(frozen=True, slots=True)
class Explained:
    """One dataset: how it would be read and about how many records that gives, or why it would not be."""

    scan: Scan
    outline: Outline | None
    problem: SimpulError | None
    rows: int | None = None


async def explain(
    state: Services, exchange: Exchange, schema: SchemaDef, raw_of: Callable[[], RawQuery], *, whole: bool
) -> list[Explained]:
    """One explanation a dataset that provides the schema, in the order of agencies. `whole`: every record, not a page."""
    if schema.meta.lookup_only:
        slug = schema.meta.slug
        raise LookupOnly(f"{schema.name} is never listed; use POST /v1/records/{slug}/verify", allow="POST")
    asked = records.authorise(state, exchange, schema, "explain", raw_of)
    await begin(state, exchange, asked.refs)  # a source may be looked at: its columns and keys
    scans = state.runtime.planner.plan(asked.query, asked.refs, whole=whole)
    found = list(await asyncio.gather(*[_one(asked.query, scan) for scan in scans]))
    legs = [SourceStatus(one.scan.ref.agency, one.scan.ref.dataset, one.scan.left_out or "skipped") for one in found]
    exchange.answered(ReadOutcome(0, sources=legs))
    return found


async def _one(query: Query, scan: Scan) -> Explained:
    if scan.left_out is not None:
        return Explained(scan, None, scan.problem)
    seconds = scan.ref.source.deadline_seconds
    try:
        async with asyncio.timeout(seconds):
            request = request_of(query, scan, time.monotonic() + seconds)
            shown = await scan.ref.source.outline(request)
            rows = await _estimated(scan, request)
    except TimeoutError:
        return Explained(scan, None, SourceTimeout(f"{scan.ref.agency} did not answer within {seconds:.3g} s"))
    except SimpulError as error:
        return Explained(scan, None, error)
    return Explained(scan, shown, None, rows)


async def _estimated(scan: Scan, request: ReadRequest) -> int | None:
    """What the source estimates; that it cannot is no fault of the question."""
    try:
        found = estimate_shown(scan, await scan.ref.source.estimate(request))
    except SourceError:
        return None
    return found.rows if found is not None else None
