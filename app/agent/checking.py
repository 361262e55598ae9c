"""`simpul agent check` and `status`: every step of the way tried and told; what each schedule did last."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from app.agent.config import Config, Schedule
from app.agent.faults import AgentFault
from app.agent.gateway import Connection
from app.agent.push import Changed, content_of
from app.agent.runner import utc
from app.agent.state import StateFolder
from app.agent.taking import files_of, result_of
from app.agent.times import next_due


@dataclass(frozen=True, slots=True)
class Checked:
    """One step: what was found, or what is wrong and what to do."""

    step: str
    found: str
    fault: AgentFault | None = None

    def document(self) -> dict[str, Any]:
        """As JSON; `at`: the step of the way that a fault is of."""
        told = {"step": self.step, "ok": self.fault is None, "found": self.found}
        return told if self.fault is None else {**told, **self.fault.told(), "step": self.step, "at": self.fault.step}


def check(config: Config, connection: Connection) -> Iterator[Checked]:
    """Gateway, token and permission, each only where the one before it works; then every schedule. Nothing is sent."""
    yield Checked("config", f"{len(config.schedules)} schedules")
    for step, look in (("gateway", _reach), ("token", _token), ("permission", _permission)):
        told = _checked(step, lambda look=look: look(connection))  # type: ignore[misc]
        yield told
        if told.fault is not None:
            break
    state = StateFolder(config.state)
    for schedule in config.schedules:
        yield _checked(f"schedule {schedule.name}", lambda schedule=schedule: _takes(schedule, state))  # type: ignore[misc]


def _checked(step: str, look: Callable[[], str]) -> Checked:
    try:
        return Checked(step, look())
    except AgentFault as fault:
        return Checked(step, "", fault)
    except Changed:
        return Checked(step, "it is being written to; a push sends it when it rests")


def _reach(connection: Connection) -> str:
    url = connection.gateway.url
    reply = connection.reach(f"{url.path.rstrip('/')}/health/live")
    if not reply.ok or reply.document().get("status") is None:
        raise connection.fault(reply, "connect")
    return f"{url.hostname} answers"


def _token(connection: Connection) -> str:
    connection.token(fresh=True)
    return f"{connection.gateway.client_id} got a token"


def _permission(connection: Connection) -> str:
    reply = connection.ask("GET", connection.path("files"))
    items = reply.document().get("items")
    if not reply.ok or not isinstance(items, list):
        raise connection.fault(reply, "permission")
    return f"the inbox of {connection.gateway.agency} can be written; {len(items)} files stand there"


def _takes(schedule: Schedule, state: StateFolder) -> str:
    if schedule.query is not None:
        state.make()
        taken, rows = result_of(schedule, state, lambda: False, most=1)
        taken.file.unlink(missing_ok=True)
        return "the query gives rows" if rows else "the query works and gives no row now"
    found = files_of(schedule)
    sizes = [content_of(taken.file, lambda: False).size for taken in found]
    if 0 in sizes and not schedule.allow_empty:
        raise AgentFault(
            "file", "file_empty", f"{found[sizes.index(0)].file} is empty, and would not be sent",
            "see who writes it; where that is right, set allow_empty = true",
        )  # fmt: skip
    return f"{len(found)} files, {sum(sizes)} bytes, to {found[0].to}"


def status(config: Config) -> list[dict[str, Any]]:
    """What each schedule did last, and when it is due; times are UTC."""
    state, told = StateFolder(config.state), []
    for schedule in config.schedules:
        known = state.read(schedule.name)
        due = known.next_at if known.next_at is not None else next_due(schedule.when, config.zone, time.time())
        told.append(
            {
                "schedule": schedule.name,
                "last": known.last,
                "under_way": None if known.pending is None else {"to": known.pending.to, "bytes": known.pending.size},
                "error": known.error,
                "failures": known.failures,
                "next_at": utc(known.retry_at if known.retry_at is not None else due),
            }
        )
    return told
