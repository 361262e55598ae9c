"""How often, and about how many people, one agreement may ask in a day; and an alarm when many of them are not found.

Counted from the exchange log, so that replicas and restarts count on; what this process asked meanwhile is added in memory.
"""

from __future__ import annotations

import time
from collections import OrderedDict, deque
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from zoneinfo import ZoneInfo

import structlog

from app.access.days import local_day
from app.audit.entry.record import Subject
from app.audit.write.log import ExchangeLog
from app.errors import RateLimited
from app.telemetry import Metrics

log = structlog.get_logger("simpul.verification")

_LOOK_SECONDS = 10.0
_AGREEMENTS = 10_000
_BURST_SECONDS = 600.0
_ASKED = (
    "SELECT s.tag FROM log_entry e JOIN exchange_subject s ON s.idx = e.idx WHERE e.facet IN"
    " (SELECT facet FROM log_facet WHERE term = $1) AND e.op IN ('verify', 'match') AND e.kind = 'intent' AND s.role = 'asked'"
    " AND e.t_us >= $2"
)


@dataclass(slots=True)
class _Day:
    day: date
    asked: int = 0
    people: set[bytes] = field(default_factory=set)
    looked_at: float = float("-inf")


class VerificationLimits:
    """Counts of one process by agreement."""

    def __init__(
        self,
        *,
        requests: int,
        people: int,
        burst: int,
        zone: str,
        metrics: Metrics,
        look_seconds: float = _LOOK_SECONDS,
        agreements: int = _AGREEMENTS,
    ) -> None:
        """`requests`, `people`: a day; `burst`: persons not found within ten minutes that are an alarm.

        `look_seconds`: how old what the log said may be; `agreements`: most that are remembered.
        """
        self._requests = requests
        self._people = people
        self._burst = burst
        self._zone = ZoneInfo(zone)
        self._metrics = metrics
        self._look_seconds = look_seconds
        self._agreements = agreements
        self._days: OrderedDict[str, _Day] = OrderedDict()
        self._missed: OrderedDict[str, deque[float]] = OrderedDict()

    async def admit(self, written: ExchangeLog, agreement: str, id_type: str, *numbers: str) -> None:
        """Counts a question about each person, all or none; `RateLimited` until midnight when the agreement has asked enough."""
        now = datetime.now(UTC)
        today = local_day(now, self._zone.key)
        counted = self._days.get(agreement)
        if counted is None or counted.day != today:
            counted = self._days[agreement] = _Day(today)
        self._days.move_to_end(agreement)
        if len(self._days) > self._agreements:
            self._days.popitem(last=False)
        if time.monotonic() - counted.looked_at > self._look_seconds:
            await self._look(written, agreement, counted)
        subjects = tuple(Subject(id_type, number, "asked") for number in numbers)
        tags = {tag for tag, _, _ in written.subject_keys.tags(subjects, now.year)}
        much, people = counted.asked + len(numbers) > self._requests, len(counted.people | tags)
        if much or people > self._people:
            what = f"{self._requests} questions" if much else f"{self._people} people"
            wait = self._midnight(today + timedelta(days=1)) - now
            raise RateLimited(
                f"agreement {agreement} may ask {what} a day; ask the walidata for more, or go on tomorrow",
                retry_after_seconds=max(1, round(wait.total_seconds())),
                limit=self._requests if much else self._people,
            )
        counted.asked += len(numbers)
        counted.people |= tags

    def missed(self, agreement: str, client: str) -> None:
        """A person was not found. Whoever tries numbers misses often: told once for each burst."""
        times = self._missed.setdefault(agreement, deque())
        self._missed.move_to_end(agreement)
        if len(self._missed) > self._agreements:
            self._missed.popitem(last=False)
        now = time.monotonic()
        times.append(now)
        while times[0] < now - _BURST_SECONDS:
            times.popleft()
        if len(times) >= self._burst:
            times.clear()
            self._metrics.alarms.labels("not_found_burst").inc()
            log.critical(
                "not_found_burst", agreement=agreement, client=client, persons=self._burst, seconds=_BURST_SECONDS
            )

    async def _look(self, written: ExchangeLog, agreement: str, counted: _Day) -> None:
        since = round(self._midnight(counted.day).timestamp() * 1e6)
        rows = await written.reader.fetch(_ASKED, f"agreement:{agreement}", since)
        counted.asked = max(counted.asked, len(rows))
        counted.people |= {bytes(tag) for (tag,) in rows}
        counted.looked_at = time.monotonic()

    def _midnight(self, day: date) -> datetime:
        return datetime(day.year, day.month, day.day, tzinfo=self._zone)
