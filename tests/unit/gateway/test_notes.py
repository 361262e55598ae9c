"""What reads met is noted without waiting for the store, put together, and kept for a while when the store is down."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from app.datasets.records import Reject
from app.errors import SourceTimeout, StoreUnavailable
from app.federation.question.query import SourceStatus
from app.gateway import notes
from app.gateway.notes import Notes

pytestmark = pytest.mark.anyio

EARLY, LATE = datetime(2026, 11, 20, 1, tzinfo=UTC), datetime(2026, 11, 20, 2, tzinfo=UTC)


class ClosedStore:
    """A store that takes nothing; counts how often it was asked."""

    def __init__(self) -> None:
        self.asked = 0

    @asynccontextmanager
    async def begin(self) -> AsyncIterator[Any]:
        self.asked += 1
        raise StoreUnavailable("down")
        yield


def noting(store: ClosedStore | None = None, failures: list[int] | None = None, **options: float) -> Notes:
    told = [] if failures is None else failures
    return Notes(store or ClosedStore(), 1000, lambda: told.append(1), **options)  # type: ignore[arg-type]


def leg(status: str, **members: Any) -> SourceStatus:
    return SourceStatus("dinkes", "faskes", status, **members)  # type: ignore[arg-type]


def rejecting(
    records: int, *, version: str | None = "v1", whole: bool = False, location: str = "row 1"
) -> SourceStatus:
    sample = [Reject(location, "nik", "format", "16 digits")]
    rules = {("nik", "format"): records}
    return leg("ok", rejected_rows=records, rejects=sample, by_rule=rules, whole=whole, version=version, as_of=EARLY)


def test_health_tells_the_latest_answer_and_the_latest_fault():
    noted = noting()
    noted.take([leg("ok", as_of=LATE), leg("ok", as_of=EARLY)])
    noted.take([leg("timeout", problem=SourceTimeout("slow")), leg("unavailable")])

    health = noted._health["faskes"]
    assert (health.last_success_at, health.last_error) == (LATE, "unavailable")
    assert health.last_error_at is not None


@pytest.mark.parametrize("status", ["open_circuit", "denied", "skipped", "stale"])
def test_who_was_not_asked_or_answered_from_memory_says_nothing_new_of_its_source(status: str):
    noted = noting()
    noted.take([leg(status)])

    assert (noted._health, noted._rejected) == ({}, {})


def test_a_fault_is_noted_by_its_code():
    noted = noting()
    noted.take([leg("timeout", problem=SourceTimeout("slow"))])

    assert noted._health["faskes"].last_error == "source_timeout"


def test_two_partial_reads_of_one_version_are_put_together_by_the_higher_count():
    noted = noting()
    noted.take([rejecting(3), rejecting(2, location="row 9")])

    found = noted._rejected["faskes"]
    assert (found.records, dict(found.by_rule), found.whole) == (3, {("nik", "format"): 3}, False)
    assert [reject.location for reject in found.sample] == ["row 1", "row 9"]


def test_a_whole_read_replaces_partial_ones_and_is_not_replaced_by_one():
    noted = noting()
    noted.take([rejecting(3), rejecting(1, whole=True), rejecting(9)])

    assert (noted._rejected["faskes"].records, noted._rejected["faskes"].whole) == (1, True)


def test_another_version_of_the_source_replaces_what_was_noted_of_the_one_before():
    noted = noting()
    noted.take([rejecting(9, whole=True), rejecting(2, version="v2")])

    assert (noted._rejected["faskes"].version, noted._rejected["faskes"].records) == ("v2", 2)


def test_a_clean_whole_read_is_noted_because_it_heals():
    noted = noting()
    noted.take([leg("ok", whole=True)])
    assert noted._rejected["faskes"].records == 0
    other = noting()
    other.take([leg("ok")])

    assert other._rejected == {}


async def test_nothing_noted_asks_no_store():
    store = ClosedStore()
    await noting(store).flush()

    assert store.asked == 0


async def test_notes_are_kept_while_the_store_is_down_and_later_ones_are_added():
    failures: list[int] = []
    noted = noting(failures=failures)
    noted.take([leg("ok", as_of=EARLY), rejecting(2)])
    with pytest.raises(StoreUnavailable):
        await noted.flush()
    noted.take([leg("ok", as_of=LATE)])
    with pytest.raises(StoreUnavailable):
        await noted.flush()

    assert len(failures) == 2
    assert noted._health["faskes"].last_success_at == LATE
    assert noted._rejected["faskes"].records == 2


async def test_notes_are_let_go_after_many_tries():
    noted = noting()
    noted.take([leg("ok", as_of=EARLY)])
    for _ in range(notes._MOST_TRIES):
        with pytest.raises(StoreUnavailable):
            await noted.flush()

    assert (noted._health, noted._rejected) == ({}, {})


async def test_the_store_is_not_asked_again_before_it_is_time():
    store = ClosedStore()
    early, due = noting(store), noting(store, flush_seconds=0.0)
    for noted in (early, due):
        noted.take([leg("ok", as_of=EARLY)])
    await early.follow()
    assert store.asked == 0
    with pytest.raises(StoreUnavailable):
        await due.follow()

    assert store.asked == 1


async def test_a_whole_read_that_could_not_be_written_is_not_replaced_by_a_partial_one():
    class Meanwhile(ClosedStore):
        def begin(self) -> Any:
            noted.take([rejecting(1), leg("ok", as_of=EARLY)])
            return super().begin()

    noted = noting(Meanwhile())
    noted.take([rejecting(7, whole=True), leg("ok", as_of=LATE)])
    with pytest.raises(StoreUnavailable):
        await noted.flush()

    assert (noted._rejected["faskes"].records, noted._rejected["faskes"].whole) == (7, True)
    assert noted._health["faskes"].last_success_at == LATE
