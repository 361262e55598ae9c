"""Who may come in: nobody takes every slot, and one kind of work does not stand in the way of another."""

from __future__ import annotations

import pytest

from app.errors import ServerOverloaded
from app.gateway.admission import Admission, enter


def entered(bulkhead: object, who: str, times: int) -> int:
    count = 0
    for _ in range(times):
        try:
            enter(bulkhead, who)  # type: ignore[arg-type]
        except ServerOverloaded:
            return count
        count += 1
    return count


def test_one_caller_gets_three_quarters_and_another_the_rest():
    working = Admission.of(8).working

    assert entered(working, "a", 20) == 6
    assert entered(working, "b", 20) == 2


def test_who_finds_no_slot_is_told_to_come_back_and_gets_it_when_one_is_left():
    working = Admission.of(1).working
    enter(working, "a")
    with pytest.raises(ServerOverloaded) as caught:
        enter(working, "b")

    assert caught.value.retry_after_seconds == 1
    working.leave("a")
    enter(working, "b")
    assert working.free == 0


def test_bodies_on_their_way_and_strangers_take_no_slot_of_work():
    admission = Admission.of(4)
    assert entered(admission.reading, "a", 9) == 3
    assert entered(admission.strangers, "192.0.2.1", 9) == 3

    assert entered(admission.working, "a", 9) == 3


@pytest.mark.parametrize(("slots", "uploads"), [(1, 2), (8, 2), (40, 10), (1000, 32)])
def test_uploads_have_a_quarter_of_the_slots_within_bounds(slots: int, uploads: int):
    assert Admission.of(slots).uploads.slots == uploads
