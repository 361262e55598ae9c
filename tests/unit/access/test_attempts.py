"""Failed proofs: so many an address, longer and longer waits for a client at an address, nobody else is touched."""

from __future__ import annotations

import pytest

from app.access.attempts import FREE_FAILURES, LONGEST_WAIT_SECONDS, SECRET_COST, FailedAttempts, group_of
from app.errors import RateLimited


class Clock:
    def __init__(self) -> None:
        self.now = 1000.0

    def __call__(self) -> float:
        return self.now


def refused(attempts: FailedAttempts, address: str, client: str | None = None) -> int:
    """Seconds to wait; 0: one may try."""
    try:
        attempts.check(address, client)
    except RateLimited as told:
        return int(told.retry_after_seconds or 0)
    return 0


def test_an_address_has_so_many_refusals_a_minute_and_is_free_again_after_one():
    clock = Clock()
    attempts = FailedAttempts(60, clock=clock)
    for _ in range(60):
        assert not refused(attempts, "192.0.2.1")
        attempts.failed("192.0.2.1")
    assert refused(attempts, "192.0.2.1") == 1
    assert not refused(attempts, "192.0.2.2")
    for _ in range(1000):
        attempts.failed("192.0.2.1")
    clock.now += 2.1
    assert not refused(attempts, "192.0.2.1")
    clock.now += 60
    for _ in range(60 // SECRET_COST):
        assert not refused(attempts, "192.0.2.1")
        attempts.failed("192.0.2.1", "a", cost=SECRET_COST)
    assert refused(attempts, "192.0.2.1")


def test_wrong_secrets_in_a_row_wait_longer_and_longer_and_only_there():
    clock = Clock()
    attempts = FailedAttempts(1_000_000, clock=clock)
    waits = []
    for _ in range(FREE_FAILURES + 11):
        waits.append(refused(attempts, "192.0.2.1", "rsud"))
        clock.now += waits[-1]
        assert not refused(attempts, "192.0.2.1", "rsud")
        attempts.failed("192.0.2.1", "rsud", cost=SECRET_COST)
    assert waits == [0] * FREE_FAILURES + [1, 2, 4, 8, 16, 32, 64, 128, 256, LONGEST_WAIT_SECONDS, LONGEST_WAIT_SECONDS]
    assert refused(attempts, "192.0.2.1", "rsud")
    assert not refused(attempts, "192.0.2.1", "dinkes")
    assert not refused(attempts, "192.0.2.9", "rsud"), "nobody locks a client out from elsewhere"
    attempts.succeeded("192.0.2.1", "rsud")
    assert not refused(attempts, "192.0.2.1", "rsud")


def test_memory_is_bounded():
    attempts = FailedAttempts(600, keys=10)
    for number in range(100):
        attempts.failed(f"192.0.2.{number}", f"c{number}")
    assert len(attempts._whole_at) == len(attempts._in_a_row) == 10


@pytest.mark.parametrize(
    ("address", "group"),
    [
        ("192.0.2.1", "192.0.2.1"),
        ("2001:db8:1:2:aaaa::1", "2001:db8:1:2::/64"),
        ("::ffff:192.0.2.1", "192.0.2.1"),
        ("unix", "unix"),
        ("", ""),
    ],
)
def test_what_is_counted_together(address: str, group: str):
    assert group_of(address) == group
