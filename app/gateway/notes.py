"""What the reads of a process met: rejects (quarantine), answers and faults (health). Kept for a moment, written together.

A read never waits for it. What is asked of quarantine or health is written first (`flush`), so that it shows what was read before.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import UTC, datetime

from app.catalog import quarantine, reports
from app.catalog.quarantine import Rejected
from app.catalog.reports import Health
from app.database import Database
from app.errors import SimpulError
from app.federation.question.query import SourceStatus

ANSWERED = frozenset({"ok", "stale"})
FAILED = frozenset({"timeout", "unavailable", "rejected", "schema_mismatch"})
FLUSH_SECONDS = 3.0
_REPEAT_SECONDS = 300.0
_MOST_REJECTS = 1_000
_MOST_TRIES = 20


class Notes:
    """Notes of one process."""

    def __init__(
        self,
        database: Database,
        quarantine_rows: int,
        failed: Callable[[], None],
        *,
        flush_seconds: float = FLUSH_SECONDS,
    ) -> None:
        """`failed` is called when the store did not take what was noted; `flush_seconds`: between two writes."""
        self._database = database
        self._failed = failed
        self._most = quarantine_rows
        self._flush_seconds = flush_seconds
        self._rejected: dict[str, Rejected] = {}
        self._health: dict[str, Health] = {}
        self._written: dict[str, tuple[object, float]] = {}
        self._failures = 0
        self._flushing = asyncio.Lock()
        self._flushed_at = time.monotonic()

    def take(self, sources: Iterable[SourceStatus]) -> None:
        """Notes what the legs of one answer met. A circuit that is open says nothing new of its source."""
        moment = datetime.now(UTC)
        for source in sources:
            if source.status in ANSWERED:
                if source.status == "ok":
                    self._note(Health(source.dataset, last_success_at=source.as_of or moment))
                if source.whole or source.by_rule:
                    self._met(source)
            elif source.status in FAILED:
                code = source.problem.code if source.problem else source.status
                self._note(Health(source.dataset, last_error=code, last_error_at=moment))

    async def follow(self) -> None:
        """Writes when it is time to; called every now and then."""
        if time.monotonic() - self._flushed_at >= self._flush_seconds:
            await self.flush()

    async def flush(self) -> None:
        """Writes what was noted; raises what the store raises. Notes are kept for some tries and then let go."""
        async with self._flushing:
            self._flushed_at = time.monotonic()
            health, self._health = self._health, {}
            rejected, self._rejected = self._rejected, {}
            if not health and not rejected:
                return
            try:
                async with self._database.begin() as connection:
                    await reports.record_health(connection, list(health.values()))
                    for found in sorted(rejected.values(), key=lambda one: one.connector):
                        await quarantine.record_rejects(connection, found, limit_rows=self._most)
            except SimpulError:
                self._failures += 1
                self._failed()
                if self._failures % _MOST_TRIES:
                    self._put_back(health, rejected)
                raise
            self._failures = 0
            for name, found in rejected.items():
                self._written[name] = _signature(found), time.monotonic()

    def _note(self, new: Health) -> None:
        old = self._health.get(new.connector, Health(new.connector))
        self._health[new.connector] = Health(
            new.connector,
            max(filter(None, (old.last_success_at, new.last_success_at)), default=None),
            new.last_error or old.last_error,
            new.last_error_at or old.last_error_at,
        )

    def _met(self, source: SourceStatus) -> None:
        found = Rejected(
            connector=source.dataset,
            revision=source.revision,
            version=source.version,
            whole=source.whole,
            records=source.rejected_rows,
            by_rule=dict(source.by_rule),
            sample=source.rejects[:_MOST_REJECTS],
        )
        written, at = self._written.get(source.dataset, (None, 0.0))
        if written == _signature(found) and time.monotonic() - at < _REPEAT_SECONDS:
            return
        waiting = self._rejected.get(source.dataset)
        self._rejected[source.dataset] = found if waiting is None else _together(waiting, found)

    def _put_back(self, health: Mapping[str, Health], rejected: Mapping[str, Rejected]) -> None:
        """What was not written stands before what was met meanwhile."""
        later, self._health = self._health, dict(health)
        for new in later.values():
            self._note(new)
        met, self._rejected = self._rejected, dict(rejected)
        for name, found in met.items():
            self._rejected[name] = _together(self._rejected[name], found) if name in self._rejected else found


def _together(waiting: Rejected, found: Rejected) -> Rejected:
    """What two reads of one dataset met: a whole read, and one of another revision or version, stands for itself."""
    if found.whole or (waiting.revision, waiting.version) != (found.revision, found.version):
        return found
    if waiting.whole:
        return waiting
    rules = {
        key: max(found.by_rule.get(key, 0), waiting.by_rule.get(key, 0)) for key in {*found.by_rule, *waiting.by_rule}
    }
    sample = [*waiting.sample, *found.sample][:_MOST_REJECTS]
    records = max(found.records, waiting.records)
    return replace(found, whole=False, records=records, by_rule=rules, sample=sample)


def _signature(found: Rejected) -> object:
    """What two reads of one kind have in common that met the same: nothing has to be written then."""
    locations = tuple((reject.location, reject.field, reject.rule) for reject in found.sample[:20])
    return found.revision, found.version, found.whole, found.records, tuple(sorted(found.by_rule.items())), locations
