"""One reader: a page read to its end gives what the whole gives: records, legs, completeness, refusal, state of the circuits."""

from __future__ import annotations

import asyncio
import time
from collections import Counter
from collections.abc import AsyncGenerator, Mapping, Sequence
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from structlog.testing import capture_logs

from app.datasets.records import ReadRequest, ReadResult
from app.errors import (
    AgreementMissing,
    NetworkForbidden,
    PartialAnswerRefused,
    SimpulError,
    SourceBusy,
    SourceDnsFailed,
    SourceFailed,
    SourceRejected,
    SourceSchemaMismatch,
    SourceTimeout,
    SourceUnreachable,
)
from app.federation.question.query import DatasetRef, Grant, Query, SortKey, SourceStatus
from app.federation.reading.breaker import Guards
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.federation.reading.verdict import judge
from app.federation.reading.whole import WholeRead
from app.filters.cql2.parse import parse_filter
from app.filters.tree import TRUE, Filter
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

AGENCIES = ("bappeda", "dinkes", "dpmptsp", "rsud")
ALL = frozenset(FACILITIES.fields)
GRANTS: Mapping[str, Grant | None] = {
    "all": Grant(ALL),
    "denied": None,
    "few": Grant(frozenset({"kode_faskes", "jenis"})),
    "rows": Grant(ALL, row_filter=parse_filter("jenis = 'klinik'")),
    "masked": Grant(ALL, masks={"nama": "last4"}, agreement="pks-1"),
    "hidden": Grant(ALL, masks={"jenis": "hide", "alamat": "hash"}, agreement="pks-2"),
    "masked-key": Grant(ALL, masks={"kode_faskes": "hash"}, agreement="pks-3"),
}
FAULTS: Mapping[str, Exception | None] = {
    "none": None,
    "failed": SourceFailed("x"),
    "late": SourceTimeout("x"),
    "unreachable": SourceUnreachable("x"),
    "no name": SourceDnsFailed("x"),
    "refused": SourceRejected("x"),
    "other columns": SourceSchemaMismatch("x"),
    "not allowed": NetworkForbidden("x"),
    "busy": SourceBusy("x"),
    "ours": RuntimeError("a fault of ours"),
}
FILTERS: Sequence[Filter] = (TRUE, *map(parse_filter, ("jenis = 'klinik'", "nama > 'Nama 3'", "kode_faskes < 'K15'")))
SORTS = ((), (SortKey("jenis"),), (SortKey("nama", descending=True),))
NAMED = (None, ("dinkes",), ("dinkes", "rsud"), ("dinkes", "satpol"))
FIELDS = (None, ("nama",), ("kode_faskes", "jenis", "alamat"))


@dataclass(frozen=True)
class Seen:
    """What a reading came to."""

    records: Counter[str]
    legs: frozenset[tuple[str, str, str | None, tuple[str, ...], int]]
    fields: tuple[str, ...] | None
    complete: bool | None
    error: str | None
    circuits: Mapping[str, int]


def values(number: int) -> dict[str, object]:
    kind = (None, "klinik", "puskesmas", "rs_umum")[number % 4]
    return {"kode_faskes": f"K{number:02}", "nama": f"Nama {number % 7}", "jenis": kind, "alamat": f"Jalan {number}"}


def leg(status: SourceStatus, rows: int) -> tuple[str, str, str | None, tuple[str, ...], int]:
    problem = status.problem.code if status.problem is not None else None
    return status.agency, status.status, problem, status.withheld, rows


def runtime() -> Runtime:
    return Runtime(Guards(failures_to_open=1000, rest_seconds=1.0, concurrency=4), mask_key=b"k" * 32)


def shown(agency: str, key: str, row: Mapping[str, Any], fields: Sequence[str]) -> str:
    return repr((agency, key, [(name, row.get(name)) for name in FACILITIES.fields if name in fields]))


def failures(shared: Runtime) -> dict[str, int]:
    return {name: breaker.failures for name, breaker in shared.guards.breakers.items() if breaker.failures}


async def by_pages(query: Query, refs: Sequence[DatasetRef]) -> Seen:
    shared, records, rows = runtime(), Counter[str](), Counter[str]()
    circuits: dict[str, int] = {}
    query = replace(query, limit=3)
    while True:
        try:
            answer = await read_page(query, refs, shared)
        except SimpulError as error:
            legs = [status for status in error.legs if isinstance(status, SourceStatus)]
            return Seen(Counter(), frozenset(leg(one, 0) for one in legs), None, None, error.code, failures(shared))
        circuits = circuits or failures(shared)  # of one page: every page asks again
        for one in answer.records:
            records[shown(one.agency, one.record.key, one.record.values, one.fields)] += 1
        for status in answer.sources:
            rows[status.agency] += status.rows
        if answer.after is None:
            legs = frozenset(leg(one, rows[one.agency]) for one in answer.sources)
            return Seen(records, legs, answer.fields, answer.complete, None, circuits)
        query = replace(query, after=answer.after, owed=answer.owed)


async def by_whole(query: Query, refs: Sequence[DatasetRef], *, together: bool) -> Seen:
    shared, records = runtime(), Counter[str]()
    read = WholeRead(query, refs, shared)
    try:
        async for batch in read.together() if together else read.batches():
            for row in batch.columns.to_pylist():
                records[shown(batch.agency, row["_id"], row, batch.fields)] += 1
        read.finish()
    except SimpulError as error:
        legs = [status for status in error.legs if isinstance(status, SourceStatus)]
        return Seen(Counter(), frozenset(leg(one, 0) for one in legs), None, None, error.code, failures(shared))
    return Seen(
        records,
        frozenset(leg(one, one.rows) for one in read.statuses),
        read.fields,
        read.complete,
        None,
        failures(shared),
    )


@given(
    held=st.tuples(*[st.sets(st.integers(0, 30), max_size=9) for _ in AGENCIES]),
    grants=st.tuples(*[st.sampled_from(sorted(GRANTS)) for _ in AGENCIES]),
    faults=st.tuples(*[st.sampled_from([*["none"] * 8, *FAULTS]) for _ in AGENCIES]),
    wanted=st.sampled_from(FILTERS),
    sort=st.sampled_from(SORTS),
    named=st.sampled_from(NAMED),
    fields=st.sampled_from(FIELDS),
    partial=st.sampled_from(["allow", "never"]),
)
def test_page_read_to_its_end_is_the_whole(
    held: tuple[set[int], ...],
    grants: tuple[str, ...],
    faults: tuple[str, ...],
    wanted: Filter,
    sort: tuple[SortKey, ...],
    named: tuple[str, ...] | None,
    fields: tuple[str, ...] | None,
    partial: Any,
) -> None:
    refs = []
    for agency, rows, name, fault in zip(AGENCIES, held, grants, faults, strict=True):
        if named is not None and agency not in named:
            continue
        source, grant = MemoryDataset(values(one) for one in rows), GRANTS[name]
        source.fault = FAULTS[fault]
        denied = None if grant is not None else AgreementMissing("none")
        refs.append(DatasetRef(agency, f"{agency}-set", 1, source, grant, denied))
    query = Query(FACILITIES, fields=fields, filter=wanted, sort=sort, agencies=named, partial=partial)

    with capture_logs():  # a fault of ours is told with its traceback, which takes longer to draw than all else
        paged = asyncio.run(by_pages(query, refs))
        assert paged == asyncio.run(by_whole(query, refs, together=False))
        assert paged == asyncio.run(by_whole(query, refs, together=True))


class SlowSource(MemoryDataset):
    """Gives its records in two batches, and takes its time for the second."""

    pause_seconds = 0.0
    late_fault: Exception | None = None

    async def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """The first record; after the delay all others."""
        whole = await super().read(request)
        yield replace(whole, records=whole.records[:1])
        await asyncio.sleep(self.pause_seconds)
        if self.late_fault is not None:
            raise self.late_fault
        yield replace(whole, records=whole.records[1:])


async def whole_of(source: MemoryDataset, shared: Runtime, **question: Any) -> tuple[WholeRead, int]:
    read = WholeRead(Query(FACILITIES, **question), [ref_of("dinkes", source)], shared)
    return read, sum([batch.columns.num_rows async for batch in read.batches()])


@pytest.mark.anyio
async def test_whole_answer_keeps_each_wait_to_the_deadline_of_the_source_not_their_sum() -> None:
    source = SlowSource(values(one) for one in range(4))
    source.deadline_seconds, source.pause_seconds = 0.2, 0.15
    source.delay_seconds = 0.15
    _, rows = await whole_of(source, runtime())
    assert rows == 4

    source.pause_seconds = 5.0
    shared = runtime()
    read, rows = await whole_of(source, shared)
    assert (rows, read.statuses[0].status, read.statuses[0].rows, read.complete) == (1, "timeout", 1, False)
    assert failures(shared) == {"dinkes-set": 1}


@pytest.mark.anyio
async def test_what_a_leg_gave_before_it_failed_is_counted_and_never_called_complete() -> None:
    source = SlowSource(values(one) for one in range(4))
    source.late_fault = SourceUnreachable("the line was cut")
    read, rows = await whole_of(source, runtime())
    assert (rows, read.statuses[0].rows, read.statuses[0].status, read.complete) == (1, 1, "unavailable", False)
    assert len(source.asked) == 1  # what was given cannot be taken back: it is not tried again
    read.finish()  # the caller takes what there is

    read, _ = await whole_of(source, runtime(), partial="never")
    with pytest.raises(PartialAnswerRefused, match="no answer from dinkes"):
        read.finish()


@pytest.mark.anyio
async def test_whole_answer_tries_once_more_what_was_not_reached() -> None:
    source = MemoryDataset([values(1)])
    source.fault = SourceUnreachable("x")
    read, _ = await whole_of(source, runtime())
    assert (len(source.asked), read.statuses[0].status) == (2, "unavailable")


@pytest.mark.anyio
async def test_closed_whole_answer_gives_back_its_slot_and_says_nothing_of_the_source() -> None:
    source, shared = SlowSource(values(one) for one in range(4)), runtime()
    read = WholeRead(Query(FACILITIES), [ref_of("dinkes", source)], shared)
    async with aclosing(read.batches()) as batches:
        async for _ in batches:
            break
    assert failures(shared) == {}
    assert shared.guards.bulkhead("dinkes-set").free == 4


@pytest.mark.anyio
async def test_datasets_that_are_read_together_are_waited_for_together() -> None:
    sources = [MemoryDataset([values(number)]) for number in range(4)]
    for source in sources:
        source.delay_seconds = 0.2
    read = WholeRead(
        Query(FACILITIES), [ref_of(name, source) for name, source in zip(AGENCIES, sources, strict=True)], runtime()
    )
    started = time.perf_counter()
    given = [batch.agency async for batch in read.together()]
    assert sorted(given) == sorted(AGENCIES)
    assert time.perf_counter() - started < 0.6


@pytest.mark.anyio
async def test_who_leaves_what_is_read_together_leaves_every_source() -> None:
    sources, shared = [SlowSource(values(one) for one in range(4)) for _ in AGENCIES], runtime()
    for source in sources:
        source.pause_seconds = 30.0
    refs = [ref_of(name, source) for name, source in zip(AGENCIES, sources, strict=True)]
    read = WholeRead(Query(FACILITIES), refs, shared)
    async with aclosing(read.together()) as batches:
        async for _ in batches:
            break
    assert [shared.guards.bulkhead(ref.dataset).free for ref in refs] == [4, 4, 4, 4]
    assert failures(shared) == {}


def test_refusal_names_the_dataset_where_another_one_of_the_agency_answered() -> None:
    query = Query(FACILITIES, partial="never")
    legs = [SourceStatus("dinkes", "dinkes-a", "ok"), SourceStatus("dinkes", "dinkes-b", "timeout")]
    with pytest.raises(PartialAnswerRefused, match=r"no answer from dinkes \(dinkes-b\)"):
        judge(query, legs, 1)
