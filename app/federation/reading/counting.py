"""How many records a question has beyond its page: read to the end and counted, or estimated by the sources.

A number that lacks a dataset is none: where one that is asked cannot tell, there is no total, and it is named.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace

from app.connectors.contract import RowEstimate
from app.errors import SimpulError
from app.federation.question.query import Answer, CountedDataset, DatasetRef, Query, RecordCount
from app.federation.reading.leg import estimate, legs_of
from app.federation.reading.runtime import Runtime
from app.federation.reading.verdict import ANSWERED
from app.federation.reading.whole import WholeRead


@dataclass(frozen=True, slots=True)
class Estimated:
    """What one dataset estimates for a question, before anything is read of it; None where nothing tells."""

    agency: str
    dataset: str
    found: RowEstimate | None
    problem: SimpulError | None


async def count_records(query: Query, refs: Sequence[DatasetRef], runtime: Runtime, page: Answer) -> RecordCount:
    """As the question wants it. A first page that holds all of them is the count."""
    first = query.after is None and not query.owed
    if (
        first
        and page.after is None
        and all(status.status in ANSWERED | {"denied", "skipped"} for status in page.sources)
    ):
        return _whole_page(page)
    whole = _of_all(query)
    if query.count == "estimated":
        estimates = await estimate_records(whole, refs, runtime)
        told = [
            CountedDataset(one.agency, one.dataset, one.found.rows if one.found else None, one.problem)
            for one in estimates
        ]
        return _count(told, exact=False)
    return await _read_and_counted(whole, refs, runtime)


async def estimate_records(query: Query, refs: Sequence[DatasetRef], runtime: Runtime) -> list[Estimated]:
    """What each dataset estimates that would be asked, side by side. A fault is no estimate, and never raised."""
    legs = [leg for leg in legs_of(query, refs, runtime, whole=True) if leg.runs]
    found = await asyncio.gather(*[estimate(leg, query, runtime) for leg in legs])
    return [
        Estimated(leg.ref.agency, leg.ref.dataset, rows, leg.status.problem)
        for leg, rows in zip(legs, found, strict=True)
    ]


async def _read_and_counted(query: Query, refs: Sequence[DatasetRef], runtime: Runtime) -> RecordCount:
    read = WholeRead(replace(query, findings=False), refs, runtime)
    async with aclosing(read.together()) as batches:
        async for _ in batches:
            pass
    if query.partial == "never":
        read.finish()
    told = [
        CountedDataset(one.agency, one.dataset, one.rows if one.status in ANSWERED else None, one.problem)
        for one in read.statuses
        if one.status not in ("denied", "skipped")
    ]
    return _count(told, exact=True)


def _of_all(query: Query) -> Query:
    """The question without its page. What it sorts by still has to be granted: the same datasets are asked."""
    sorted_by = frozenset(key.field for key in query.sort)
    return replace(query, sort=(), after=None, owed={}, findings=False, also_needed=query.also_needed | sorted_by)


def _whole_page(page: Answer) -> RecordCount:
    given = Counter(one.dataset for one in page.records)
    asked = [one for one in page.sources if one.status in ANSWERED]
    return _count([CountedDataset(one.agency, one.dataset, given[one.dataset], None) for one in asked], exact=True)


def _count(told: Sequence[CountedDataset], *, exact: bool) -> RecordCount:
    values = [one.value for one in told if one.value is not None]
    whole = len(values) == len(told)
    return RecordCount(sum(values) if whole else None, exact and whole, tuple(told))
