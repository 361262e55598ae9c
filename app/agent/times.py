"""When a schedule is due: every so often, or at a time of day, week or month in its zone. Missed times count once."""

from __future__ import annotations

import re
from calendar import monthrange
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta, timezone, tzinfo
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

DAYS = ("monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday")
LEAST_EVERY = 10.0
_SPAN = re.compile(r"(\d{1,6})\s*(s|m|h|d)")
_SECONDS = {"s": 1, "m": 60, "h": 3600, "d": 86400}
_CLOCK = re.compile(r"([01]\d|2[0-3]):([0-5]\d)")
_HERE = {"Asia/Jakarta": 7, "Asia/Pontianak": 7, "Asia/Makassar": 8, "Asia/Jayapura": 9, "UTC": 0}
"""Zones without summer time: they need no table of the system (Windows has none)."""


@dataclass(frozen=True, slots=True)
class When:
    """`every`: seconds. Else at these times of day (minutes since midnight), on these weekdays or this day of the month.

    `day`: 1 to 31, a shorter month ends with its last day; 32 is the last of each.
    """

    every: float | None = None
    at: tuple[int, ...] = ()
    weekdays: tuple[int, ...] = ()
    day: int | None = None


def zone_of(name: str) -> tzinfo:
    """A zone by its IANA name; raises `ValueError`."""
    if name in _HERE:
        return timezone(timedelta(hours=_HERE[name]), name)
    try:
        return ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        known = ", ".join(_HERE)
        raise ValueError(f"no zone {name!r} on this machine: write {known}, or install the package tzdata") from None


def span(text: str) -> float:
    """Seconds of `30s`, `15m`, `6h` or `1d`; raises `ValueError`."""
    found = _SPAN.fullmatch(text.strip())
    if found is None or int(found[1]) == 0:
        raise ValueError("write a number and s, m, h or d, as 15m")
    return float(int(found[1]) * _SECONDS[found[2]])


def clock(text: str) -> int:
    """Minutes since midnight of `06:00`; raises `ValueError`."""
    found = _CLOCK.fullmatch(text.strip())
    if found is None:
        raise ValueError("write a time of day from 00:00 to 23:59, as 06:00")
    return int(found[1]) * 60 + int(found[2])


def next_due(when: When, zone: tzinfo, after: float) -> float:
    """The first time that is later than `after`, both in seconds since 1970.

    A time of day that summer time leaves out counts by the time before the change; one that it doubles counts once.
    """
    if when.every is not None:
        return after + when.every
    today = datetime.fromtimestamp(after, zone).date()
    for ahead in range(400):
        day = today + timedelta(days=ahead)
        if not _fits(when, day.weekday(), day.day, monthrange(day.year, day.month)[1]):
            continue
        for minutes in when.at:
            moment = datetime(day.year, day.month, day.day, minutes // 60, minutes % 60, tzinfo=zone)
            found = moment.astimezone(UTC).timestamp()
            if found > after:
                return found
    raise ValueError("this schedule is never due")


def _fits(when: When, weekday: int, day: int, last: int) -> bool:
    if when.weekdays:
        return weekday in when.weekdays
    if when.day is not None:
        return day == min(when.day, last)
    return True
