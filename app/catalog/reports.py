"""What the gateway last found out about a connector: check report, discovery, health.

Reports are kept for people (shown, compared); nothing decides by their content except the mark of a passed check.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, Literal

from sqlalchemy import func, select
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.catalog.connectors import get_connector, mark_checked
from app.catalog.states import Action, require
from app.database import upsert

ReportKind = Literal["check", "discovery"]


@dataclass(frozen=True, slots=True)
class Report:
    """The last report of one kind. `passed` is None for a discovery."""

    connector: str
    kind: ReportKind
    revision: int
    passed: bool | None
    report: Mapping[str, Any]
    at: datetime


@dataclass(frozen=True, slots=True)
class Health:
    """When the connector last answered, and its last failure (an error code). The breaker's state lives in memory."""

    connector: str
    last_success_at: datetime | None = None
    last_error: str | None = None
    last_error_at: datetime | None = None


async def record_check(
    connection: AsyncConnection, connector_id: str, revision: int, *, passed: bool, report: Mapping[str, Any]
) -> None:
    """Keeps the report and moves draft <-> checked. Raises `ConnectorUnknown`, `StateConflict` (retired)."""
    await mark_checked(connection, connector_id, revision, passed=passed)
    await _store(connection, Report(connector_id, "check", revision, passed, report, datetime.now(UTC)))


async def record_discovery(
    connection: AsyncConnection, connector_id: str, revision: int, report: Mapping[str, Any]
) -> None:
    """Keeps tables, columns and types; leave sample values out: the store holds no records of an agency."""
    record = await get_connector(connection, connector_id)
    require(record.id, record.state, Action.CHECK)
    await _store(connection, Report(connector_id, "discovery", revision, None, report, datetime.now(UTC)))


async def _store(connection: AsyncConnection, report: Report) -> None:
    values = {name: getattr(report, name) for name in Report.__slots__}
    await upsert(connection, tables.connector_report, [values])


async def read_report(connection: AsyncConnection, connector_id: str, kind: ReportKind) -> Report | None:
    """The last report, None when there was none yet."""
    table = tables.connector_report
    statement = select(table).where(table.c.connector == connector_id, table.c.kind == kind)
    row = (await connection.execute(statement)).mappings().one_or_none()
    return Report(**row) if row else None


async def record_health(connection: AsyncConnection, notes: Sequence[Health]) -> None:
    """Writes what was seen since the last call, all connectors at once; None leaves what stands. Changes no stamp."""
    if not notes:
        return
    table = tables.connector_health
    make = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    statement = make(table)
    seen = ("last_success_at", "last_error", "last_error_at")
    kept = {name: func.coalesce(statement.excluded[name], table.c[name]) for name in seen}
    rows = [{"connector": note.connector} | {name: getattr(note, name) for name in seen} for note in notes]
    await connection.execute(
        statement.on_conflict_do_update(index_elements=["connector"], set_=kept),
        sorted(rows, key=lambda row: str(row["connector"])),  # one order for all writers: no deadlock
    )


async def read_health(connection: AsyncConnection) -> dict[str, Health]:
    """Health by connector; a connector that was never read is absent."""
    rows = await connection.execute(select(tables.connector_health))
    return {row["connector"]: Health(**row) for row in rows.mappings()}
