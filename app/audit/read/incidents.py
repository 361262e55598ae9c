"""Incidents: which entries one client, credential or dataset touched in a window, whom they concern, and until when to tell.

Does not live here: the notice's wording (`notices.py`), naming the people (`gateway/incidents.py`).
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.audit.read.candidates import placeholders
from app.audit.read.filters import ExchangeFilter, Scope
from app.audit.read.search import PAGE_ENTRIES, ExchangeSearch
from app.audit.store.contract import LogReader
from app.database import Json, UtcTime, metadata
from app.errors import NotFound

NO_INCIDENT: Final = "no incident has this id, or it does not concern your agency; GET /v1/incident-scope lists yours"
IncidentState = Literal["open", "notified", "closed"]

incident = sa.Table(
    "incident",
    metadata,
    sa.Column("id", sa.String(32), primary_key=True),
    sa.Column("state", sa.String(16), nullable=False),
    sa.Column("title", sa.Text, nullable=False),
    sa.Column("wanted", Json, nullable=False),
    sa.Column("known_at", UtcTime, nullable=False),
    sa.Column("deadline", UtcTime, nullable=False),
    sa.Column("found", Json, nullable=False),
    sa.Column("author", Json, nullable=False),
    sa.Column("created_at", UtcTime, nullable=False),
    sa.Column("changed_at", UtcTime, nullable=False),
)


@dataclass(frozen=True, slots=True)
class Incident:
    """An incident as stored: `wanted` names client, credential, dataset and window; `found` what they touched."""

    id: str
    state: IncidentState
    title: str
    wanted: Mapping[str, Any]
    known_at: datetime
    deadline: datetime
    found: Mapping[str, Any]
    author: Mapping[str, str]
    created_at: datetime
    changed_at: datetime


@dataclass(slots=True)
class Extent:
    """What the entries of an incident touched. `tags`: subject tags, one a person and year."""

    entries: int = 0
    exchanges: set[str] = field(default_factory=set)
    rows: int = 0
    fields: set[str] = field(default_factory=set)
    schemas: set[str] = field(default_factory=set)
    receivers: set[str] = field(default_factory=set)
    providers: set[str] = field(default_factory=set)
    tags: set[bytes] = field(default_factory=set)
    tree_size: int = 0

    def document(self) -> dict[str, Any]:
        """As stored and shown: counts of people, never their tags."""
        return {
            "entries": self.entries,
            "exchanges": len(self.exchanges),
            "rows": self.rows,
            "subjects": len(self.tags),
            "fields": sorted(self.fields),
            "schemas": sorted(self.schemas),
            "receivers": sorted(self.receivers),
            "providers": sorted(self.providers),
            "tree_size": self.tree_size,
        }


def incident_filter(wanted: Mapping[str, Any], provider: str | None = None) -> ExchangeFilter:
    """The search for an incident's entries (of one provider)."""
    return ExchangeFilter(
        client=wanted.get("client"),
        dataset=wanted.get("connector"),
        from_us=wanted["from_us"],
        to_us=wanted["to_us"],
        provider=provider,
    )


async def extent(
    search: ExchangeSearch, reader: LogReader, wanted: Mapping[str, Any], *, provider: str | None = None
) -> Extent:
    """Everything that the client, credential or dataset touched in the window; refused exchanges name people too."""
    found, cursor, credential = Extent(), None, wanted.get("credential")
    while True:
        page = await search.search(incident_filter(wanted, provider), Scope(None), limit=PAGE_ENTRIES, cursor=cursor)
        found.tree_size = page.tree_size
        kept = [
            entry
            for entry in page.entries
            if credential is None or (entry.members.get("client") or {}).get("cred") == credential
        ]
        for entry in kept:
            _add(found, entry.members)
        found.tags |= await _tags(reader, [entry.idx for entry in kept])
        cursor = page.next
        if cursor is None:
            return found


def _add(found: Extent, members: Mapping[str, Any]) -> None:
    found.entries += 1
    found.exchanges.add(members["xid"])
    found.schemas |= set(members.get("schemas", ()))
    if members["kind"] != "outcome" or (members.get("dec") or {}).get("effect") != "allow" or not members.get("rows"):
        return
    found.rows += members["rows"]
    found.fields |= set(members.get("fields", ()))
    found.providers |= set(members.get("providers", ()))
    if (client := members.get("client")) is not None:
        found.receivers.add(client["agency"])


async def _tags(reader: LogReader, indexes: Sequence[int]) -> set[bytes]:
    if not indexes:
        return set()
    rows = await reader.fetch(
        f"SELECT DISTINCT tag FROM exchange_subject WHERE idx IN ({placeholders(len(indexes))}) AND role <> 'case'",
        *indexes,
    )
    return {bytes(row[0]) for row in rows}


async def add_incident(connection: AsyncConnection, made: Incident) -> None:
    """Stores an incident."""
    await connection.execute(sa.insert(incident).values({name: getattr(made, name) for name in Incident.__slots__}))


async def get_incident(connection: AsyncConnection, incident_id: str, *, lock: bool = False) -> Incident:
    """One incident; `NotFound` when there is none. `lock` keeps its row until the transaction ends."""
    statement = sa.select(incident).where(incident.c.id == incident_id)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).mappings().one_or_none()
    if row is None:
        raise NotFound(NO_INCIDENT)
    return Incident(**row)


async def list_incidents(connection: AsyncConnection) -> list[Incident]:
    """All incidents, newest first."""
    rows = await connection.execute(sa.select(incident).order_by(incident.c.created_at.desc(), incident.c.id))
    return [Incident(**row) for row in rows.mappings()]


async def move_incident(
    connection: AsyncConnection,
    incident_id: str,
    state: IncidentState,
    now: datetime,
    expected: Callable[[Incident], None] = lambda _: None,
) -> Incident:
    """Notes that the notice went out, or that the incident is closed, unless `expected` refuses it as it stands."""
    expected(await get_incident(connection, incident_id, lock=True))
    values = {"state": state, "changed_at": now}
    await connection.execute(sa.update(incident).where(incident.c.id == incident_id).values(values))
    return await get_incident(connection, incident_id)
