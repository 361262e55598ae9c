"""When schedules are due: intervals, times of day, week and month, zones, summer time, clocks that jump."""

from __future__ import annotations

from datetime import datetime
from zoneinfo import ZoneInfo

import pytest

from app.agent.times import When, clock, next_due, span, zone_of

WIB = zone_of("Asia/Jakarta")


def at(text: str, zone: str = "Asia/Jakarta") -> float:
    return datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone)).timestamp()


@pytest.mark.parametrize(
    ("when", "after", "due"),
    [
        (When(every=900), "2026-11-29 06:00", "2026-11-29 06:15"),
        (When(at=(360,)), "2026-11-29 05:59", "2026-11-29 06:00"),
        (When(at=(360,)), "2026-11-29 06:00", "2026-11-30 06:00"),
        (When(at=(360, 1080)), "2026-11-29 06:01", "2026-11-29 18:00"),
        (When(at=(0,)), "2026-12-31 23:59", "2027-01-01 00:00"),
        (When(at=(360,), weekdays=(0, 4)), "2026-11-29 06:00", "2026-11-30 06:00"),
        (When(at=(360,), weekdays=(0, 4)), "2026-11-30 06:00", "2026-12-04 06:00"),
        (When(at=(360,), weekdays=(6,)), "2026-11-29 06:00", "2026-12-06 06:00"),
        (When(at=(360,), day=1), "2026-11-29 06:00", "2026-12-01 06:00"),
        (When(at=(360,), day=31), "2026-11-29 06:00", "2026-11-30 06:00"),
        (When(at=(360,), day=31), "2027-02-01 06:00", "2027-02-28 06:00"),
        (When(at=(360,), day=30), "2028-02-01 06:00", "2028-02-29 06:00"),
        (When(at=(360,), day=32), "2026-12-01 06:00", "2026-12-31 06:00"),
        (When(at=(360,), day=15), "2026-12-15 06:00", "2027-01-15 06:00"),
    ],
)
def test_due(when: When, after: str, due: str) -> None:
    assert next_due(when, WIB, at(after)) == at(due)


def test_a_time_that_was_missed_for_days_counts_once() -> None:
    daily = When(at=(360,))
    missed = at("2026-11-20 06:00")
    now = at("2026-11-29 13:00")

    assert next_due(daily, WIB, missed) < now
    assert next_due(daily, WIB, now) == at("2026-11-30 06:00")


def test_summer_time_neither_doubles_nor_loses_a_day() -> None:
    zone = zone_of("Europe/Amsterdam")
    for day in ("2026-03-29", "2026-10-25"):
        moment, found = at(f"{day} 00:00", "Europe/Amsterdam"), []
        for _ in range(2):
            moment = next_due(When(at=(150,)), zone, moment)
            found.append(datetime.fromtimestamp(moment, zone).date().isoformat())
        assert found[0] == day
        assert found[1] > day


@pytest.mark.parametrize("name", ["Asia/Jakarta", "Asia/Pontianak", "Asia/Makassar", "Asia/Jayapura"])
def test_the_zones_of_the_country_need_no_table(name: str) -> None:
    moment = datetime(2026, 7, 1, 12, tzinfo=ZoneInfo(name))
    assert moment.astimezone(zone_of(name)).utcoffset() == moment.utcoffset()


@pytest.mark.parametrize("text", ["", "15", "0m", "m", "-5m", "1.5h", "15 minutes", "9999999s"])
def test_spans_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="15m"):
        span(text)


@pytest.mark.parametrize("text", ["6:00", "24:00", "06:60", "0600", ""])
def test_times_of_day_that_are_none(text: str) -> None:
    with pytest.raises(ValueError, match="06:00"):
        clock(text)


def test_a_zone_that_is_none_names_those_that_always_work() -> None:
    with pytest.raises(ValueError, match="Asia/Makassar"):
        zone_of("Asia/Semarang")
