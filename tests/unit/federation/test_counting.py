"""How many records a question has beyond its page: exact or estimated, under the grants, and null where one dataset cannot tell."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors.contract import RowEstimate
from app.errors import AgreementMissing, PartialAnswerRefused, SourceFailed
from app.federation.question.query import CountMode, DatasetRef, Query, RecordCount, SortKey
from app.federation.reading.breaker import Guards
from app.federation.reading.counting import count_records
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.filters.cql2.parse import parse_filter
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

pytestmark = pytest.mark.anyio


def row(key: str, **more: Any) -> dict[str, Any]:
    return {"kode_faskes": key, "nama": f"Nama {key}", **more}


def runtime() -> Runtime:
    return Runtime(Guards(failures_to_open=2, rest_seconds=60.0, concurrency=2))


async def counted(
    refs: list[DatasetRef], mode: CountMode, failing: MemoryDataset | None = None, **asked: Any
) -> RecordCount:
    """The count beside a page of one record. `failing`: a dataset that fails once the page is read."""
    query, shared = Query(FACILITIES, limit=1, count=mode, **asked), runtime()
    page = await read_page(query, refs, shared)
    if failing is not None:
        failing.fault = SourceFailed("gone")
    return await count_records(query, refs, shared, page)


@pytest.fixture
def health() -> MemoryDataset:
    return MemoryDataset([row("P1", jenis="puskesmas"), row("P2", jenis="klinik"), row("P3", jenis="klinik")])


@pytest.fixture
def hospital() -> MemoryDataset:
    return MemoryDataset([row("R1", jenis="rs_umum"), row("P2", jenis="klinik")])


@pytest.fixture
def refs(health: MemoryDataset, hospital: MemoryDataset) -> list[DatasetRef]:
    return [ref_of("dinkes", health), ref_of("rsud", hospital)]


def told(count: RecordCount) -> dict[str, int | None]:
    return {one.agency: one.value for one in count.by_dataset}


async def test_an_exact_count_is_of_all_pages_under_the_filter(refs) -> None:
    clinics = parse_filter("jenis = 'klinik'")

    for sort in ((), (SortKey("nama", descending=True),)):
        assert await counted(refs, "exact", sort=sort) == await counted(refs, "exact")
    whole, some = await counted(refs, "exact"), await counted(refs, "exact", filter=clinics)
    assert (whole.value, whole.exact, told(whole)) == (5, True, {"dinkes": 3, "rsud": 2})
    assert (some.value, some.exact, told(some)) == (3, True, {"dinkes": 2, "rsud": 1})


async def test_it_counts_only_what_the_caller_may_see(health, hospital) -> None:
    seen = [
        ref_of("dinkes", health, row_filter=parse_filter("jenis = 'klinik'")),
        DatasetRef("rsud", "rsud-set", 1, hospital, None, AgreementMissing("no agreement")),
    ]
    for mode in ("exact", "estimated"):
        found = await counted(seen, mode)  # type: ignore[arg-type]
        assert (found.value, told(found)) == (2, {"dinkes": 2})


async def test_who_may_not_sort_by_it_is_not_counted_either(health, hospital) -> None:
    refs = [ref_of("dinkes", health), ref_of("rsud", hospital, fields={"kode_faskes", "nama"})]
    for mode in ("exact", "estimated"):
        found = await counted(refs, mode, sort=(SortKey("jenis"),))  # type: ignore[arg-type]
        assert told(found) == {"dinkes": 3}


@pytest.mark.parametrize("mode", ["exact", "estimated"])
async def test_one_that_fails_leaves_no_total_and_is_named(refs, hospital, mode) -> None:
    found = await counted(refs, mode, failing=hospital)

    assert (found.value, found.exact) == (None, False)
    assert told(found)["rsud"] is None
    assert told(found)["dinkes"] == 3
    assert [one.problem.code for one in found.by_dataset if one.problem] == ["source_failed"]


async def test_all_or_nothing_holds_for_the_count_too(refs, hospital) -> None:
    with pytest.raises(PartialAnswerRefused):
        await counted(refs, "exact", failing=hospital, partial="never")


async def test_estimates_are_added_where_every_dataset_gives_one(refs, health, hospital) -> None:
    health.estimated, hospital.estimated = RowEstimate(1000), RowEstimate(20, sure=True)
    both = await counted(refs, "estimated")
    hospital.estimated = RowEstimate(-1)  # one that cannot tell
    one = await counted(refs, "estimated")

    assert (both.value, both.exact, told(both)) == (1020, False, {"dinkes": 1000, "rsud": 20})
    assert (one.value, one.exact, told(one)) == (None, False, {"dinkes": 1000, "rsud": None})
    assert [one.problem for one in one.by_dataset] == [None, None]


async def test_a_page_that_holds_all_is_the_count_and_nothing_is_asked_again(refs, health) -> None:
    query, shared = Query(FACILITIES, count="estimated"), runtime()
    page = await read_page(query, refs, shared)
    asked = len(health.asked)

    found = await count_records(query, refs, shared, page)
    assert (found.value, found.exact, told(found)) == (5, True, {"dinkes": 3, "rsud": 2})
    assert len(health.asked) == asked


async def test_a_later_page_counts_all_of_them(refs) -> None:
    query, shared = Query(FACILITIES, limit=4, count="exact"), runtime()
    first = await read_page(query, refs, shared)
    last = Query(FACILITIES, limit=4, count="exact", after=first.after)
    page = await read_page(last, refs, shared)

    assert len(page.records) == 1
    assert (await count_records(last, refs, shared, page)).value == 5
