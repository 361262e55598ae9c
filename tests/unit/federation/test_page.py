"""One question put to many datasets: what each did is told, one never harms another."""

from __future__ import annotations

import asyncio
import time
from typing import Any

import pytest

from app.errors import (
    AgreementMissing,
    AllSourcesFailed,
    AllSourcesTimedOut,
    PartialAnswerRefused,
    RecordNotFound,
    SimpulError,
    SourceFailed,
    SourceRejected,
    SourceSchemaMismatch,
    SourceTimeout,
    SourceUnreachable,
)
from app.federation.question.query import Answer, DatasetRef, Query, SortKey
from app.federation.reading.breaker import Guards
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.filters.tree import Compare, Literal, Property
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

pytestmark = pytest.mark.anyio


def row(key: str, **more: Any) -> dict[str, Any]:
    return {"kode_faskes": key, "nama": f"Nama {key}", **more}


def runtime(**more: Any) -> Runtime:
    return Runtime(Guards(failures_to_open=2, rest_seconds=60.0, concurrency=2), **more)


def statuses(answer: Answer | SimpulError) -> dict[str, str]:
    legs = answer.sources if isinstance(answer, Answer) else answer.legs
    return {leg.agency: leg.status for leg in legs}


@pytest.fixture
def health() -> MemoryDataset:
    return MemoryDataset([row("P1", jenis="puskesmas"), row("P2")])


@pytest.fixture
def hospital() -> MemoryDataset:
    return MemoryDataset([row("R1", jenis="rs_umum"), row("P2")])


async def test_union_holds_both_sides_of_a_disagreement(health: MemoryDataset, hospital: MemoryDataset) -> None:
    answer = await read_page(
        Query(FACILITIES, sort=(SortKey("kode_faskes"),)),
        [ref_of("dinkes", health), ref_of("rsud", hospital)],
        runtime(),
    )

    assert [(one.record.key, one.agency) for one in answer.records] == [
        ("P1", "dinkes"),
        ("P2", "dinkes"),
        ("P2", "rsud"),
        ("R1", "rsud"),
    ]
    assert answer.complete
    assert {leg.agency: leg.rows for leg in answer.sources} == {"dinkes": 2, "rsud": 2}


@pytest.mark.parametrize(
    ("fault", "status"),
    [
        (SourceFailed("x"), "unavailable"),
        (SourceTimeout("x"), "timeout"),
        (SourceRejected("x"), "rejected"),
        (SourceSchemaMismatch("x"), "schema_mismatch"),
        (RuntimeError("a fault of ours"), "unavailable"),
    ],
)
async def test_fault_stays_in_its_leg(
    health: MemoryDataset, hospital: MemoryDataset, fault: Exception, status: str
) -> None:
    hospital.fault = fault
    answer = await read_page(Query(FACILITIES), [ref_of("dinkes", health), ref_of("rsud", hospital)], runtime())

    assert [one.record.key for one in answer.records] == ["P1", "P2"]
    assert statuses(answer) == {"dinkes": "ok", "rsud": status}
    assert not answer.complete


async def test_slow_source_costs_its_budget_and_no_more(health: MemoryDataset, hospital: MemoryDataset) -> None:
    hospital.delay_seconds, hospital.deadline_seconds = 30.0, 0.2
    started = time.perf_counter()
    answer = await read_page(Query(FACILITIES), [ref_of("dinkes", health), ref_of("rsud", hospital)], runtime())

    assert time.perf_counter() - started < 5
    assert statuses(answer) == {"dinkes": "ok", "rsud": "timeout"}
    assert hospital.cancelled == 1


async def test_deadline_of_the_request_bounds_every_source(health: MemoryDataset) -> None:
    health.delay_seconds = 30.0
    with pytest.raises(AllSourcesTimedOut) as caught:
        await read_page(Query(FACILITIES), [ref_of("dinkes", health)], runtime(deadline=time.monotonic() + 0.4))

    assert statuses(caught.value) == {"dinkes": "timeout"}


async def test_all_failed_is_no_empty_answer(health: MemoryDataset, hospital: MemoryDataset) -> None:
    health.fault, hospital.fault = SourceFailed("x"), SourceTimeout("x")
    with pytest.raises(AllSourcesFailed) as caught:
        await read_page(Query(FACILITIES), [ref_of("dinkes", health), ref_of("rsud", hospital)], runtime())

    assert statuses(caught.value) == {"dinkes": "unavailable", "rsud": "timeout"}


async def test_caller_may_refuse_a_partial_answer(health: MemoryDataset, hospital: MemoryDataset) -> None:
    hospital.fault = SourceFailed("x")
    with pytest.raises(PartialAnswerRefused) as caught:
        await read_page(
            Query(FACILITIES, partial="never"), [ref_of("dinkes", health), ref_of("rsud", hospital)], runtime()
        )

    assert "rsud" in caught.value.detail


async def test_look_up_says_not_found_only_when_all_answered(health: MemoryDataset, hospital: MemoryDataset) -> None:
    refs = [ref_of("dinkes", health), ref_of("rsud", hospital)]
    with pytest.raises(RecordNotFound):
        await read_page(Query(FACILITIES, key="NONE"), refs, runtime())
    hospital.fault = SourceFailed("x")
    with pytest.raises(PartialAnswerRefused):
        await read_page(Query(FACILITIES, key="NONE"), refs, runtime())
    found = await read_page(Query(FACILITIES, key="P2"), refs, runtime())

    assert [one.agency for one in found.records] == ["dinkes"]
    assert not found.complete


async def test_circuit_opens_and_the_source_is_left_alone(health: MemoryDataset, hospital: MemoryDataset) -> None:
    hospital.fault, shared = SourceFailed("x"), runtime()
    refs = [ref_of("dinkes", health), ref_of("rsud", hospital)]
    for _ in range(2):
        await read_page(Query(FACILITIES), refs, shared)
    answer = await read_page(Query(FACILITIES), refs, shared)

    assert statuses(answer)["rsud"] == "open_circuit"
    assert len(hospital.asked) == 2
    assert shared.circuit("rsud-set") == "open"


async def test_refusals_do_not_open_a_circuit(hospital: MemoryDataset) -> None:
    hospital.fault, shared = SourceRejected("x"), runtime()
    for _ in range(4):
        with pytest.raises(AllSourcesFailed):
            await read_page(Query(FACILITIES), [ref_of("rsud", hospital)], shared)

    assert shared.circuit("rsud-set") == "closed"


async def test_unreachable_source_is_tried_once_more(health: MemoryDataset) -> None:
    health.fault = SourceUnreachable("x")
    with pytest.raises(AllSourcesFailed):
        await read_page(Query(FACILITIES), [ref_of("dinkes", health)], runtime())

    assert len(health.asked) == 2


async def test_denied_agency_is_said_and_makes_the_answer_incomplete_only_when_named(health: MemoryDataset) -> None:
    denied = DatasetRef("rsud", "rsud-set", 1, MemoryDataset(), None, AgreementMissing("no agreement"))
    refs = [ref_of("dinkes", health), denied]

    assert (await read_page(Query(FACILITIES), refs, runtime())).complete
    named = await read_page(Query(FACILITIES, agencies=("dinkes", "rsud")), refs, runtime())
    assert not named.complete
    assert statuses(named)["rsud"] == "denied"


async def test_named_agency_without_dataset_is_said(health: MemoryDataset) -> None:
    answer = await read_page(Query(FACILITIES, agencies=("dinkes", "bps")), [ref_of("dinkes", health)], runtime())

    assert statuses(answer) == {"dinkes": "ok", "bps": "skipped"}
    assert not answer.complete


async def test_field_not_granted_leaves_the_agency_out_of_a_filter_and_is_absent_in_records(
    health: MemoryDataset, hospital: MemoryDataset
) -> None:
    narrow = ref_of("rsud", hospital, fields={"kode_faskes", "nama"})
    refs = [ref_of("dinkes", health), narrow]
    wanted = Compare("=", Property("jenis"), Literal("puskesmas"))

    answer = await read_page(Query(FACILITIES, filter=wanted), refs, runtime())
    assert statuses(answer) == {"dinkes": "ok", "rsud": "skipped"}
    assert hospital.asked == []
    listed = await read_page(Query(FACILITIES), refs, runtime())
    assert {one.agency: "jenis" in one.fields for one in listed.records} == {"dinkes": True, "rsud": False}
    assert "jenis" in next(leg.withheld for leg in listed.sources if leg.agency == "rsud")


async def test_row_filter_of_the_grant_is_part_of_every_read(hospital: MemoryDataset) -> None:
    only = Compare("=", Property("jenis"), Literal("rs_umum"))
    answer = await read_page(Query(FACILITIES), [ref_of("rsud", hospital, row_filter=only)], runtime())

    assert [one.record.key for one in answer.records] == ["R1"]
    with pytest.raises(RecordNotFound):
        await read_page(Query(FACILITIES, key="P2"), [ref_of("rsud", hospital, row_filter=only)], runtime())


async def test_leaving_caller_cancels_every_source(health: MemoryDataset, hospital: MemoryDataset) -> None:
    health.delay_seconds = hospital.delay_seconds = 30.0
    shared = runtime()
    task = asyncio.create_task(
        read_page(Query(FACILITIES), [ref_of("dinkes", health), ref_of("rsud", hospital)], shared)
    )
    await asyncio.sleep(0.05)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (health.cancelled, hospital.cancelled) == (1, 1)
    assert shared.circuit("rsud-set") == "closed"


async def test_bulkhead_bounds_the_reads_of_one_source_at_once(health: MemoryDataset) -> None:
    health.delay_seconds, most = 0.05, 0
    shared = Runtime(Guards(failures_to_open=2, rest_seconds=60.0, concurrency=4))
    read = MemoryDataset.read
    under_way = 0

    class Counted(MemoryDataset):
        async def read(self, request: Any) -> Any:
            nonlocal under_way, most
            under_way += 1
            most = max(most, under_way)
            try:
                return await read(self, request)
            finally:
                under_way -= 1

    counted = Counted([row("P1")])
    counted.delay_seconds = 0.02
    await asyncio.gather(*[read_page(Query(FACILITIES), [ref_of("dinkes", counted)], shared) for _ in range(6)])

    assert most == 2  # of four one is for look-ups alone, and one for the lists of others
