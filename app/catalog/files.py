"""The list of what agencies uploaded: path, version, size, digest, by whom. The bytes stand in `inbox.py`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import func, insert, select
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.catalog.agencies import get_agency
from app.catalog.inbox import Received, safe_path
from app.errors import NotFound


@dataclass(frozen=True, slots=True)
class AgencyFile:
    """One version of an uploaded file; the highest version of a path is the one in place."""

    agency: str
    path: str
    version: int
    size_bytes: int
    sha256: str
    uploaded_by: str
    uploaded_at: datetime


async def record_file(
    connection: AsyncConnection, agency: str, received: Received, *, uploaded_by: str
) -> tuple[AgencyFile, bool]:
    """The version of these bytes and whether it is a new one (the same bytes again are no new version).

    Takes the agency's lock, so that installing inside this transaction keeps disk and list in one order.
    """
    await get_agency(connection, agency, lock=True)
    current = await _current(connection, agency, received.path)
    if current is not None and current.sha256 == received.sha256:
        return current, False
    fresh = AgencyFile(
        agency=agency,
        path=received.path,
        version=current.version + 1 if current else 1,
        size_bytes=received.size_bytes,
        sha256=received.sha256,
        uploaded_by=uploaded_by,
        uploaded_at=datetime.now(UTC),
    )
    await connection.execute(insert(tables.agency_file).values(**asdict(fresh)))
    return fresh, True


async def get_file(connection: AsyncConnection, agency: str, path: str) -> AgencyFile:
    """The version in place; `NotFound` when nothing was uploaded under this path."""
    found = await _current(connection, agency, safe_path(path))
    if found is None:
        message = f"agency {agency} has uploaded no file under this path"
        raise NotFound(message, agency=agency)
    return found


async def list_files(connection: AsyncConnection, agency: str) -> list[AgencyFile]:
    """The version in place of every path, by path."""
    table = tables.agency_file
    newest = (
        select(table.c.path, func.max(table.c.version).label("version"))
        .where(table.c.agency == agency)
        .group_by(table.c.path)
        .subquery()
    )
    match = (table.c.path == newest.c.path) & (table.c.version == newest.c.version)
    rows = await connection.execute(select(table).join(newest, match).where(table.c.agency == agency))
    return sorted((AgencyFile(**row) for row in rows.mappings()), key=lambda file: file.path)


async def list_versions(connection: AsyncConnection, agency: str, path: str) -> list[AgencyFile]:
    """All versions of one path, the newest first; empty when there is none."""
    table = tables.agency_file
    chosen = select(table).where(table.c.agency == agency, table.c.path == safe_path(path))
    rows = await connection.execute(chosen.order_by(table.c.version.desc()))
    return [AgencyFile(**row) for row in rows.mappings()]


async def _current(connection: AsyncConnection, agency: str, path: str) -> AgencyFile | None:
    table = tables.agency_file
    chosen = select(table).where(table.c.agency == agency, table.c.path == path)
    found = await connection.execute(chosen.order_by(table.c.version.desc()).limit(1))
    row = found.mappings().one_or_none()
    return AgencyFile(**row) if row else None
