"""Runs schedules: takes what is due, pushes it, remembers what came of it, and waits. One after the other, in one process."""

from __future__ import annotations

import contextlib
import json
import select
import socket
import sys
import time
from collections.abc import Callable
from datetime import UTC, datetime
from typing import Any

from app.agent.config import Config, Schedule
from app.agent.faults import AgentFault, Stopping
from app.agent.gateway import Connection, pause_seconds
from app.agent.push import Changed, Content, Push, Stored, content_of
from app.agent.state import Pending, Remembered, StateFolder
from app.agent.taking import Taken, files_of, result_of, settled
from app.agent.times import next_due

_LONGEST_WAIT = 30.0
"""Seconds between two looks at the clock: it may have been set, or the machine slept."""
_CHANGES = 3
_KEPT_PATHS = 1000


def tell(event: str, **facts: Any) -> None:
    """One line of JSON on standard error."""
    line = {"t": utc(time.time()), "event": event, **facts}
    print(json.dumps(line, ensure_ascii=False), file=sys.stderr, flush=True)  # noqa: T201 - the agent's own lines


def utc(seconds: float) -> str:
    """A moment as text."""
    return datetime.fromtimestamp(seconds, UTC).isoformat(timespec="seconds").replace("+00:00", "Z")


class Runner:
    """The schedules of one configuration. The state's lock is the caller's to hold."""

    def __init__(self, config: Config, connection: Connection, now: Callable[[], float] = time.time) -> None:
        self._config = config
        self._connection = connection
        self._now = now
        self._bell, self._rope = socket.socketpair()
        self._rope.settimeout(0)
        self._state = StateFolder(config.state)
        self._push = Push(connection, config.piece_bytes, tell, self._sleep)

    def stop(self) -> None:
        """Ends within seconds, also from a signal handler; what is under way goes on at the next start."""
        self._connection.stop()
        with contextlib.suppress(OSError):
            self._rope.send(b".")  # wakes what sleeps; no lock, so that a signal handler may do it

    def once(self, schedules: tuple[Schedule, ...]) -> bool:
        """Each of these schedules now, whenever it is due; True when all of them went well."""
        try:
            results = [self.run(schedule) for schedule in schedules]
            return all(results)
        except Stopping:
            return False

    def stay(self) -> None:
        """Runs what is due until `stop`."""
        known = {schedule.name: self._state.read(schedule.name) for schedule in self._config.schedules}
        tell("started", schedules=len(known), state=str(self._config.state))
        try:
            while not self._connection.stopping:
                due = [schedule for schedule in self._config.schedules if self._due(schedule, known[schedule.name])]
                for schedule in due:
                    self.run(schedule)
                    known[schedule.name] = self._state.read(schedule.name)
                self._connection.close()
                if not due:
                    self._sleep(self._wait(known))
        except Stopping:
            pass
        tell("stopped")

    def run(self, schedule: Schedule) -> bool:
        """One run of a schedule: True when everything it takes is at the gateway. What failed is told and remembered."""
        known = self._state.read(schedule.name)
        try:
            fault = self._all(schedule, known)
        except AgentFault as error:
            fault = error
        if fault is not None:
            self._failed(schedule, known, fault)
            return False
        known.error, known.failures, known.retry_at = None, 0, None
        known.next_at = next_due(schedule.when, self._config.zone, self._now())
        self._state.write(schedule.name, known)
        return True

    def _all(self, schedule: Schedule, known: Remembered) -> AgentFault | None:
        """Pushes what the schedule takes; the fault of the first file that has one of its own, after all others were tried."""
        first: AgentFault | None = None
        for taken in self._taken(schedule, known):
            try:
                self._one(schedule, taken, known)
            except AgentFault as fault:
                if fault.step not in {"file", "upload"}:
                    raise
                first = first or fault
        return first

    def _taken(self, schedule: Schedule, known: Remembered) -> list[Taken]:
        """What is sent now, first what was broken off: the result of a query too, before a new one is made."""
        if schedule.query is None:
            pending = known.pending.to if known.pending is not None else None
            return sorted(files_of(schedule), key=lambda taken: taken.to != pending)
        kept = self._state.result(schedule.name, schedule.query.format)
        if known.pending is not None and known.pending.upload is not None and kept.is_file():
            return [Taken(kept, known.pending.to)]
        taken, rows = result_of(schedule, self._state, lambda: self._connection.stopping)
        tell("query_done", schedule=schedule.name, rows=rows)
        return [taken]

    def _one(self, schedule: Schedule, taken: Taken, known: Remembered) -> None:
        stopping = lambda: self._connection.stopping  # noqa: E731 - asked in three ways
        for _ in range(_CHANGES):
            if schedule.query is None:
                settled(taken.file, schedule.settle, self._sleep, stopping)
            try:
                content = content_of(taken.file, stopping)
                if content.size == 0 and not schedule.allow_empty:
                    raise AgentFault(
                        "file", "file_empty", f"{taken.file} is empty, and was not sent",
                        "see who writes it; where that is right, set allow_empty = true",
                    )  # fmt: skip
                before = known.pushed.get(taken.to)
                if before is not None and before["sha256"] == content.sha256:
                    self._note(schedule, known, taken, content, before, "unchanged")
                    return
                stored = self._push.send(content, taken.to, known.pending, self._remembering(schedule, known))
                self._note(schedule, known, taken, content, _facts(stored, self._now()), "sent")
                return
            except Changed:
                tell(
                    "file_changed",
                    schedule=schedule.name,
                    file=str(taken.file),
                    note="sent anew; nothing of it was stored",
                )
        raise AgentFault(
            "file", "file_changes", f"{taken.file} changed {_CHANGES} times while it was sent; nothing of it was stored",
            "send a copy that is written once, or a higher settle",
        )  # fmt: skip

    def _remembering(self, schedule: Schedule, known: Remembered) -> Callable[[Pending | None], None]:
        def remember(pending: Pending | None) -> None:
            known.pending = pending
            self._state.write(schedule.name, known)

        return remember

    def _note(
        self, schedule: Schedule, known: Remembered, taken: Taken, content: Content, facts: dict[str, Any], outcome: str
    ) -> None:
        known.pushed.pop(taken.to, None)
        known.pushed[taken.to] = facts
        while len(known.pushed) > _KEPT_PATHS:
            known.pushed.pop(next(iter(known.pushed)))
        known.last = {**facts, "outcome": outcome, "to": taken.to, "at": utc(self._now())}
        known.pending = None
        self._state.write(schedule.name, known)
        if schedule.query is not None:
            taken.file.unlink(missing_ok=True)
        shown = {name: facts[name] for name in ("version", "sha256", "exchange") if facts.get(name) is not None}
        tell(outcome, schedule=schedule.name, to=taken.to, bytes=content.size, **shown)

    def _failed(self, schedule: Schedule, known: Remembered, fault: AgentFault) -> None:
        moment = self._now()
        known.failures += 1
        due = next_due(schedule.when, self._config.zone, moment)
        again = due if fault.retry == "next_time" else moment + pause_seconds(known.failures, fault)
        known.error = {**fault.told(), "at": utc(moment)}
        known.next_at, known.retry_at = due, again
        self._state.write(schedule.name, known)
        tell("failed", schedule=schedule.name, failures=known.failures, again=utc(again), **fault.told())

    def _due(self, schedule: Schedule, known: Remembered) -> bool:
        """Whether it is time. A time that was missed counts once; one further off than the schedule allows was made by another clock."""
        moment = self._now()
        at = known.retry_at if known.retry_at is not None else known.next_at
        if at is None:
            if schedule.when.every is not None or known.pending is not None:
                return True
            known.next_at = next_due(schedule.when, self._config.zone, moment)
            return False
        latest = next_due(schedule.when, self._config.zone, moment)
        return moment >= at or (known.retry_at is None and at > latest + 1) or at - moment > _LATEST_RETRY

    def _wait(self, known: dict[str, Remembered]) -> float:
        moment = self._now()
        times = [one.retry_at if one.retry_at is not None else one.next_at for one in known.values()]
        soonest = min((at - moment for at in times if at is not None), default=_LONGEST_WAIT)
        return min(max(soonest, 0.2), _LONGEST_WAIT)

    def _sleep(self, seconds: float) -> None:
        select.select([self._bell], [], [], seconds)
        if self._connection.stopping:
            raise Stopping


_LATEST_RETRY = 86_400.0 * 2
"""Seconds: a try that is further off was set by another clock."""


def _facts(stored: Stored, moment: float) -> dict[str, Any]:
    return {
        "sha256": stored.sha256, "bytes": stored.size, "version": stored.version, "new_version": stored.new,
        "exchange": stored.exchange, "receipt": stored.receipt, "sent_at": utc(moment),
    }  # fmt: skip
