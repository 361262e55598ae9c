"""Circuits: opened by failures in a row, tried again by one probe."""

from __future__ import annotations

import pytest

from app.federation.reading.breaker import Breaker, Guards


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def breaker(clock: Clock) -> Breaker:
    return Breaker(failures_to_open=3, rest_seconds=10.0, clock=clock)


def opened(breaker: Breaker) -> Breaker:
    for _ in range(breaker.failures_to_open):
        assert breaker.allow()
        breaker.fail()
    return breaker


def test_hostile_50_opens_after_failures_in_a_row(breaker: Breaker) -> None:
    for _ in range(2):
        breaker.fail()
    assert breaker.allow()
    breaker.fail()

    assert (breaker.state, breaker.allow()) == ("open", False)


def test_success_in_between_starts_the_count_again(breaker: Breaker) -> None:
    breaker.fail()
    breaker.fail()
    breaker.succeed()
    breaker.fail()
    breaker.fail()

    assert breaker.state == "closed"


def test_hostile_50_one_probe_after_the_rest(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10.0

    assert breaker.state == "half_open"
    assert [breaker.allow(), breaker.allow(), breaker.allow()] == [True, False, False]


def test_good_probe_closes(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10.0
    assert breaker.allow()
    breaker.succeed()

    assert [breaker.allow(), breaker.allow()] == [True, True]


def test_bad_probe_rests_again(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10.0
    assert breaker.allow()
    breaker.fail()
    clock.now += 9.9
    assert not breaker.allow()
    clock.now += 0.1

    assert breaker.allow()


def test_cancelled_probe_makes_room_for_the_next(breaker: Breaker, clock: Clock) -> None:
    opened(breaker)
    clock.now += 10.0
    assert breaker.allow()
    breaker.release()

    assert breaker.allow()


def test_each_connector_has_its_own_guards() -> None:
    guards = Guards(failures_to_open=1, rest_seconds=10.0, concurrency=2)
    guards.breaker("a").fail()

    assert guards.breaker("a").state == "open"
    assert guards.breaker("b").state == "closed"
    assert guards.breaker("a") is guards.breaker("a")
    assert guards.bulkhead("a") is guards.bulkhead("a")
    assert guards.bulkhead("a") is not guards.bulkhead("b")
