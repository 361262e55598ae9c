"""How often, and about how many people, one agreement asks in a day; and the alarm when somebody tries numbers."""

from __future__ import annotations

from collections import deque
from datetime import UTC, datetime
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from app.audit.entry.record import Subject
from app.audit.keys.subjects import subject_tag
from app.errors import RateLimited
from app.gateway.verification_limits import VerificationLimits
from app.telemetry import Metrics

pytestmark = pytest.mark.anyio


class AskedLog:
    """A log that holds what was asked before: the tag of the person, one row a question."""

    def __init__(self) -> None:
        self.rows: list[tuple[bytes]] = []
        self.asked: list[tuple[Any, ...]] = []

    @property
    def reader(self) -> AskedLog:
        return self

    @property
    def subject_keys(self) -> AskedLog:
        return self

    def tags(self, subjects: tuple[Subject, ...], year: int) -> list[tuple[bytes, str, int]]:
        return [(tag(one.value), one.role, year) for one in subjects]

    async def fetch(self, text: str, *given: Any) -> list[tuple[bytes]]:
        self.asked.append(given)
        return list(self.rows)


def tag(number: str) -> bytes:
    return subject_tag(bytes(32), "nik", number)


def limits(**changes: Any) -> VerificationLimits:
    usual: dict[str, Any] = {"requests": 3, "people": 2, "burst": 3, "zone": "Asia/Jakarta", "metrics": Metrics()}
    return VerificationLimits(**usual | changes)


async def passes(counted: VerificationLimits, log: Any, number: str, agreement: str = "pks-1") -> bool:
    try:
        await counted.admit(log, agreement, "nik", number)
    except RateLimited:
        return False
    return True


async def test_an_agreement_asks_so_often_a_day_and_not_once_more():
    counted, log = limits(), AskedLog()
    assert [await passes(counted, log, "1") for _ in range(5)] == [True, True, True, False, False]

    assert await passes(counted, log, "1", "pks-2")


async def test_an_agreement_asks_about_so_many_people_and_about_those_again():
    counted, log = limits(requests=100), AskedLog()
    assert [await passes(counted, log, number) for number in ("1", "2", "3", "1", "2")] == [
        True, True, False, True, True,
    ]  # fmt: skip


async def test_one_person_written_in_two_ways_is_one_person():
    counted, log = limits(requests=100, people=1), AskedLog()

    assert await passes(counted, log, "3320010101800001")
    assert await passes(counted, log, "33.2001.010180.0001")


async def test_what_replicas_and_an_earlier_process_asked_today_counts():
    counted, log = limits(requests=3, people=10), AskedLog()
    log.rows = [(tag("1"),), (tag("2"),)]

    assert [await passes(counted, log, "3") for _ in range(2)] == [True, False]
    (given,) = log.asked
    assert given[0] == "agreement:pks-1"


async def test_the_log_is_asked_from_the_local_midnight_on():
    counted, log = limits(), AskedLog()
    await passes(counted, log, "1")
    local = datetime.now(UTC).astimezone(ZoneInfo("Asia/Jakarta"))
    midnight = local.replace(hour=0, minute=0, second=0, microsecond=0)

    assert log.asked[0][1] == round(midnight.timestamp() * 1e6)


async def test_people_whom_the_log_names_and_people_asked_meanwhile_are_counted_together():
    counted, log = limits(requests=100, people=2), AskedLog()
    log.rows = [(tag("1"),), (tag("1"),)]

    assert [await passes(counted, log, number) for number in ("1", "2", "3")] == [True, True, False]


async def test_what_was_asked_here_and_stands_in_the_log_too_is_not_counted_twice():
    counted, log = limits(requests=3, people=10, look_seconds=-1.0), AskedLog()
    for _ in range(3):
        assert await passes(counted, log, "1")
        log.rows.append((tag("1"),))

    assert not await passes(counted, log, "1")
    assert len(log.asked) == 4


async def test_the_refusal_says_how_much_may_be_asked_and_when_it_goes_on():
    counted, log = limits(requests=100, people=1), AskedLog()
    await passes(counted, log, "1")
    with pytest.raises(RateLimited) as caught:
        await counted.admit(log, "pks-1", "nik", "2")

    assert "pks-1 may ask 1 people a day" in caught.value.detail
    assert caught.value.facts["limit"] == 1
    assert 1 <= (caught.value.retry_after_seconds or 0) <= 86_400


async def test_only_so_many_agreements_are_remembered_and_the_quietest_goes_first():
    counted, log = limits(requests=1, agreements=2), AskedLog()
    for agreement in ("a", "b"):
        await passes(counted, log, "1", agreement)
    assert not await passes(counted, log, "1", "a")
    await passes(counted, log, "1", "c")

    assert not await passes(counted, log, "1", "a")
    assert await passes(counted, log, "1", "b")


def alarms(metrics: Metrics) -> float:
    return metrics.registry.get_sample_value("simpul_alarms_total", {"kind": "not_found_burst"}) or 0.0


def test_many_persons_not_found_are_one_alarm_for_each_burst():
    metrics = Metrics()
    counted = limits(metrics=metrics)
    seen = []
    for _ in range(6):
        counted.missed("pks-1", "rsud-app")
        seen.append(alarms(metrics))

    assert seen == [0, 0, 1, 1, 1, 2]


def test_misses_of_one_agreement_are_no_alarm_of_another():
    metrics = Metrics()
    counted = limits(metrics=metrics)
    for agreement in ("pks-1", "pks-2", "pks-1", "pks-2"):
        counted.missed(agreement, "rsud-app")

    assert alarms(metrics) == 0


def test_misses_of_long_ago_do_not_add_up_to_a_burst():
    metrics = Metrics()
    counted = limits(metrics=metrics)
    for _ in range(2):
        counted.missed("pks-1", "rsud-app")
    counted._missed["pks-1"] = deque(moment - 601.0 for moment in counted._missed["pks-1"])
    for _ in range(2):
        counted.missed("pks-1", "rsud-app")
    assert alarms(metrics) == 0
    counted.missed("pks-1", "rsud-app")

    assert alarms(metrics) == 1
