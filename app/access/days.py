"""The day of an instant in the instance's zone: agreements count whole local days."""

from __future__ import annotations

from datetime import date, datetime
from functools import lru_cache
from typing import Final
from zoneinfo import ZoneInfo

WIB: Final = "Asia/Jakarta"


@lru_cache(maxsize=8)
def _zone(name: str) -> ZoneInfo:
    return ZoneInfo(name)


def local_day(moment: datetime, zone: str = WIB) -> date:
    """The calendar day of an aware datetime in `zone`: 17:00 UTC is already the next day in WIB."""
    return moment.astimezone(_zone(zone)).date()
