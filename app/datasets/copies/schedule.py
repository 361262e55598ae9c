"""When a copy of a dataset is taken, until when it is fresh, and how old it may be where none could be taken. Pure.

The manifest says it: `snapshot: {every, max_stale, on_error}`. Times of a day are in the zone of the instance.
"""

from __future__ import annotations

from dataclasses import dataclass
from datetime import UTC, datetime, time, timedelta
from typing import Literal
from zoneinfo import ZoneInfo

from app.datasets.manifest import SnapshotBlock

Age = Literal["fresh", "stale", "over"]

_DAILY_TAKING = timedelta(minutes=15)
"""How long after its time of the day the copy before it still counts as fresh: the new one is being taken."""
_MOST_LEAD = timedelta(minutes=5)
_LEAST_RETRY = timedelta(seconds=1)
_FIRST_RETRY = timedelta(seconds=5)
_MOST_RETRY = timedelta(minutes=5)


@dataclass(frozen=True, slots=True)
class Schedule:
    """The schedule of one dataset's copies."""

    every: timedelta | time
    max_stale: timedelta
    serve_stale: bool
    zone: ZoneInfo

    @classmethod
    def of(cls, block: SnapshotBlock, zone: str) -> Schedule:
        """As the manifest says it; `max_stale` is twice the time between two copies where it is not stated."""
        every = block.every
        step = every if isinstance(every, timedelta) else timedelta(days=1)
        return cls(every, block.max_stale or 2 * step, block.on_error == "serve_stale", ZoneInfo(zone))

    @property
    def step(self) -> timedelta:
        """The time between two copies."""
        return self.every if isinstance(self.every, timedelta) else timedelta(days=1)

    def begin(self, as_of: datetime, took_seconds: float = 0.0) -> datetime:
        """When the next copy is begun, so that the one of this moment is not over before; `took_seconds`: what that one took."""
        if isinstance(self.every, time):
            return self._next(as_of, self.every)
        lead = min(self.step / 10, _MOST_LEAD) + timedelta(seconds=2 * took_seconds)
        return as_of + self.step - min(lead, self.step / 2)

    def fresh_until(self, as_of: datetime) -> datetime:
        """Until when a copy of this moment is what the manifest promises."""
        if isinstance(self.every, time):
            return self._next(as_of, self.every) + _DAILY_TAKING
        return as_of + self.step

    def age(self, as_of: datetime, now: datetime) -> Age:
        """fresh: as promised · stale: may stand in for a source that failed · over: it is too old for anything."""
        if now <= self.fresh_until(as_of):
            return "fresh"
        return "stale" if self.serve_stale and now <= as_of + self.max_stale else "over"

    def retry(self, failures: int) -> timedelta:
        """How long to wait behind so many failures in a row."""
        first = min(max(self.step / 10, _LEAST_RETRY), _FIRST_RETRY)
        wait: timedelta = first * 2 ** min(failures - 1, 8)
        return min(wait, _MOST_RETRY, max(self.step, _LEAST_RETRY))

    def _next(self, moment: datetime, every: time) -> datetime:
        """The first such time of the day behind a moment."""
        local = moment.astimezone(self.zone)
        at = datetime.combine(local.date(), every, self.zone)
        if at <= local:
            at = datetime.combine(local.date() + timedelta(days=1), every, self.zone)
        return at.astimezone(UTC)
