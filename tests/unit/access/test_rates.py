"""GCRA: a minute's worth at once, then one by one; keys do not touch each other; memory is bounded."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.access.rates import RateLimiter
from app.errors import RateLimited


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def passes(limiter: RateLimiter, key: str = "a") -> bool:
    try:
        limiter.check(key)
    except RateLimited:
        return False
    return True


@pytest.mark.parametrize("per_minute", [1, 7, 60, 6000])
def test_a_minutes_worth_at_once_and_not_one_more(per_minute: int):
    clock = Clock()
    limiter = RateLimiter(per_minute, clock=clock)
    assert sum(passes(limiter) for _ in range(per_minute + 50)) == per_minute
    assert passes(limiter, "b")
    clock.now += 60.0 / per_minute
    assert passes(limiter)
    assert not passes(limiter)
    clock.now += 60.0
    assert sum(passes(limiter) for _ in range(per_minute + 50)) == per_minute


def test_the_refusal_says_when_to_come_back_and_that_is_enough():
    clock = Clock()
    limiter = RateLimiter(6, clock=clock)
    for left in (5, 4, 3, 2, 1, 0):
        assert limiter.check("a").remaining == left
    with pytest.raises(RateLimited) as caught:
        limiter.check("a")
    assert caught.value.retry_after_seconds == 10
    clock.now += 10
    assert limiter.check("a").remaining == 0


def test_the_quietest_key_is_forgotten_first():
    limiter = RateLimiter(1, keys=2, clock=Clock())
    assert passes(limiter, "a")
    assert passes(limiter, "b")
    assert passes(limiter, "c")
    assert len(limiter._whole_at) == 2
    assert not passes(limiter, "c")


@given(st.lists(st.floats(0, 30), max_size=60), st.integers(1, 20))
def test_never_more_than_twice_the_limit_in_any_minute(pauses: list[float], per_minute: int):
    clock = Clock()
    limiter = RateLimiter(per_minute, clock=clock)
    passed = []
    for pause in pauses:
        clock.now += pause
        if passes(limiter):
            passed.append(clock.now)
    for start in passed:
        assert sum(start <= moment < start + 60 for moment in passed) <= 2 * per_minute
