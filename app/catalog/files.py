"""The list of what agencies uploaded: path, version, size, digest, by whom. The bytes stand in `inbox.py`."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from datetime import UTC, datetime

from sqlalchemy import func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.catalog.agencies import get_agency
from app.catalog.inbox import Received
from app.conditions import UNCONDITIONAL, Precondition, tag_of
from app.errors import QuotaExceeded


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
    kept: bool = True
    """Whether its bytes are there; of old versions only the digest may be left."""

    @property
    def etag(self) -> str:
        """Of the bytes (a strong validator)."""
        return tag_of(bytes.fromhex(self.sha256))


async def record_file(
    connection: AsyncConnection,
    agency: str,
    received: Received,
    *,
    uploaded_by: str,
    condition: Precondition = UNCONDITIONAL,
) -> tuple[AgencyFile, bool]:
    """The version of these bytes and whether it is a new one (the same bytes again are no new version).

    Takes the agency's lock, so that installing inside this transaction keeps disk and list in one order.
    """
    await get_agency(connection, agency, lock=True)
    current = await _current(connection, agency, received.path)
    if current is None:
        condition.absent(f"the file {received.path}")
    else:
        condition.stands(f"the file {received.path}", current.etag)
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


@dataclass(frozen=True, slots=True)
class Space:
    """What one agency's uploads may take: bytes of all kept versions, and versions of one path."""

    most_bytes: int
    versions: int


async def make_room(connection: AsyncConnection, agency: str, fresh: AgencyFile, space: Space) -> list[AgencyFile]:
    """Old versions that lose their bytes for this new one: those beyond the number of its path, then the oldest of any path.

    Marked here; the caller removes the bytes. `QuotaExceeded` when the versions in place alone take too much.
    """
    table = tables.agency_file
    rows = await connection.execute(
        select(table).where(table.c.agency == agency, table.c.kept).order_by(table.c.uploaded_at, table.c.version)
    )
    kept = [AgencyFile(**row) for row in rows.mappings()]
    newest = {file.path: max(one.version for one in kept if one.path == file.path) for file in kept}
    old = [file for file in kept if file.version != newest[file.path]]
    of_path = [file for file in old if file.path == fresh.path]
    gone = of_path[: max(len(of_path) + 1 - space.versions, 0)]
    rest = [file for file in old if file not in gone]
    while rest and _taken(kept, gone) > space.most_bytes:
        gone.append(rest.pop(0))
    if _taken(kept, gone) > space.most_bytes:
        detail = f"the uploads of {agency} would take more than {space.most_bytes} bytes; remove a file, or ask the operator for more"
        raise QuotaExceeded(detail, limit_bytes=space.most_bytes)
    for file in gone:
        version_row = (table.c.agency == agency) & (table.c.path == file.path) & (table.c.version == file.version)
        await connection.execute(update(table).where(version_row).values(kept=False))
    left = {(file.path, file.sha256) for file in kept if file not in gone}
    return [file for file in gone if (file.path, file.sha256) not in left]


def _taken(kept: list[AgencyFile], gone: list[AgencyFile]) -> int:
    """Bytes of the versions that stay; the same bytes under one path stand there once."""
    return sum({(file.path, file.sha256): file.size_bytes for file in kept if file not in gone}.values())


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


async def _current(connection: AsyncConnection, agency: str, path: str) -> AgencyFile | None:
    table = tables.agency_file
    chosen = select(table).where(table.c.agency == agency, table.c.path == path)
    found = await connection.execute(chosen.order_by(table.c.version.desc()).limit(1))
    row = found.mappings().one_or_none()
    return AgencyFile(**row) if row else None
