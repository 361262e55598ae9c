"""What operators do straight in the store: noted in the transaction of the change, entered into the log by a running gateway.

The commands of an operator have no gateway and no credential, and only a gateway writes the log. So each leaves a row in
`operator_act`; a gateway turns it into an entry at its start and each second, once, whatever is killed in between.
"""

from __future__ import annotations

import os
import pwd
import socket
from collections.abc import Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any, Final, Protocol

import sqlalchemy as sa

from app.audit.entry.record import Entry, Gateway, Record, Verdict, uuid7
from app.audit.write.log import ExchangeLog
from app.database import Database, Json, UtcTime, metadata, storable
from app.errors import EntryInvalid

RULE: Final = "operator"
"""The rule that entries of such acts name: who has the folder or the database may do it, no role is asked."""
TAKEN_FOR: Final = timedelta(seconds=60)
"""A replica that took an act and did not enter it within this time is stopped: another one enters it."""
_MOST_AT_ONCE = 100
_TEXT_CHARACTERS = 200

operator_act = sa.Table(
    "operator_act",
    metadata,
    sa.Column("id", sa.String(36), primary_key=True),
    sa.Column("at", UtcTime, nullable=False),
    sa.Column("op", sa.String(80), nullable=False),
    sa.Column("command", sa.String(_TEXT_CHARACTERS), nullable=False),
    sa.Column("agency", sa.String(64), nullable=True),
    sa.Column("facts", Json, nullable=False),
    sa.Column("os_user", sa.String(_TEXT_CHARACTERS), nullable=False),
    sa.Column("host", sa.String(_TEXT_CHARACTERS), nullable=False),
    sa.Column("taken_by", sa.String(_TEXT_CHARACTERS), nullable=True),
    sa.Column("taken_at", UtcTime, nullable=True),
)
"""Acts that no gateway has entered into the log yet; the id of an act is that of its entry and of its exchange."""


class _Names(Protocol):
    """How agencies stand in entries, and which process writes them."""

    @property
    def gateway(self) -> Gateway: ...

    def member(self, agency: str) -> str: ...


@dataclass(frozen=True, slots=True)
class Act:
    """What was done: the action as entries name it, the command as it was called, the agency concerned, facts without secrets."""

    op: str
    command: str
    facts: dict[str, Any]
    agency: str | None = None


def noted(act: Act) -> sa.Insert:
    """The statement that notes the act: to be executed in the transaction of the change itself."""
    row = {
        "id": uuid7(),
        "at": datetime.now(UTC),
        "op": act.op,
        "command": act.command,
        "agency": act.agency,
        "facts": act.facts,
        "os_user": storable(_os_user())[:_TEXT_CHARACTERS],
        "host": storable(socket.gethostname())[:_TEXT_CHARACTERS],
    }
    return sa.insert(operator_act).values(row)


def note_migration(command: str) -> Callable[[sa.Connection, str | None, str | None], None]:
    """For `database.upgrade`: notes from which revision the store was brought to which."""

    def note(connection: sa.Connection, before: str | None, after: str | None) -> None:
        connection.execute(noted(Act("store.migrate", command, {"from": before, "to": after})))

    return note


class ActsEntered:
    """Enters waiting acts into the log, for one gateway process."""

    def __init__(self, database: Database, log: ExchangeLog, replica: str) -> None:
        self._database = database
        self._log = log
        self._replica = replica

    async def enter(self, names: _Names) -> int:
        """Enters what waits and forgets it; how many acts. Errors of store and log pass: the next call goes on.

        Taken before, entered, forgotten after: of a kill in between nothing is lost, and what stands in the log already
        is known by its exchange. The id of an entry is unique in the log, so twice is impossible in any case.
        """
        if not self._log.healthy() or not await self._waiting():
            return 0
        taken = await self._take()
        for row in taken:
            if not await self._log.reader.fetch("SELECT 1 FROM log_entry WHERE id = $1", row.id):
                await self._append(row, names)
            async with self._database.begin() as connection:
                await connection.execute(sa.delete(operator_act).where(operator_act.c.id == row.id))
        return len(taken)

    async def _append(self, row: Any, names: _Names) -> None:
        parties = () if row.agency is None else (names.member(row.agency),)
        try:
            await self._log.append_many(_records(row, names.gateway, parties))
        except EntryInvalid:  # the agency's name, as it was given, is none; it stands in the detail
            await self._log.append_many(_records(row, names.gateway, ()))

    async def _waiting(self) -> bool:
        async with self._database.read() as connection:
            return (await connection.execute(sa.select(operator_act.c.id).limit(1))).first() is not None

    async def _take(self) -> list[Any]:
        """The oldest acts that nobody else is entering, now this replica's."""
        column, now = operator_act.c, datetime.now(UTC)
        free = sa.or_(column.taken_by.is_(None), column.taken_by == self._replica, column.taken_at < now - TAKEN_FOR)
        async with self._database.begin() as connection:
            oldest = sa.select(column.id).where(free).order_by(column.id).limit(_MOST_AT_ONCE)
            take = (
                sa.update(operator_act).where(column.id.in_(oldest), free).values(taken_by=self._replica, taken_at=now)
            )
            rows = (await connection.execute(take.returning(*operator_act.columns))).all()
        return sorted(rows, key=lambda row: str(row.id))


def _records(row: Any, gateway: Gateway, parties: tuple[str, ...]) -> list[Record]:
    """An intent and the act: one exchange, of no client."""
    facts: dict[str, Any] = {
        "xid": row.id,
        "gw": gateway,
        "op": row.op,
        "providers": parties,
        "dec": Verdict("allow", RULE),
    }
    detail = {
        "command": row.command,
        "agency": row.agency,
        "done": row.facts,
        "os_user": row.os_user,
        "host": row.host,
        "at": row.at.isoformat(timespec="microseconds"),
    }
    return [Record(Entry(kind="intent", **facts), detail), Record(Entry(kind="admin", id=row.id, **facts))]


def _os_user() -> str:
    """The user of the operating system, and for whom it acts where sudo says so. Asserted: nothing here proves it."""
    try:
        user = pwd.getpwuid(os.getuid()).pw_name
    except KeyError:
        user = f"uid {os.getuid()}"
    behind = os.environ.get("SUDO_USER")
    return f"{user} (sudo: {behind})" if behind and behind != user else user
