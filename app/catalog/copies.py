"""The table of copies: which snapshots of datasets stand, under which sealed keys, and why the last one could not be taken."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from datetime import datetime

from sqlalchemy import delete, func, insert, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables
from app.catalog.turns import soon
from app.database import upsert


@dataclass(frozen=True, slots=True)
class StoredCopy:
    """One copy. `made_of` (SHA-256, hex) changes with whatever the mapping is made of; `digest` is that of the sealed bytes."""

    id: str
    connector: str
    agency: str
    revision: int
    made_of: str
    as_of: datetime
    taken_at: datetime
    took_seconds: float
    rows: int
    rejected_rows: int
    size_bytes: int
    digest: str
    sealed_key: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    key_id: str
    replaced_at: datetime | None = None


@dataclass(frozen=True, slots=True)
class CopyFault:
    """How the last try ended, and since when none succeeded."""

    connector: str
    code: str
    detail: str
    at: datetime
    since: datetime
    failures: int


async def add(connection: AsyncConnection, new: StoredCopy) -> None:
    """The new copy; those before it are replaced from now on, and no fault stands any more."""
    table = tables.connector_copy
    older = update(table).where(table.c.connector == new.connector, table.c.replaced_at.is_(None))
    await connection.execute(older.values(replaced_at=new.taken_at))
    await connection.execute(insert(table).values(asdict(new)))
    await connection.execute(
        delete(tables.connector_copy_fault).where(tables.connector_copy_fault.c.connector == new.connector)
    )


async def failed(connection: AsyncConnection, connector: str, code: str, detail: str, now: datetime) -> CopyFault:
    """Notes that no copy could be taken."""
    table = tables.connector_copy_fault
    row = (await connection.execute(select(table).where(table.c.connector == connector))).mappings().first()
    before = CopyFault(**row) if row is not None else CopyFault(connector, code, detail, now, now, 0)
    fault = CopyFault(connector, code, detail, now, before.since, before.failures + 1)
    await upsert(connection, table, [asdict(fault)])
    return fault


async def stored(connection: AsyncConnection) -> list[StoredCopy]:
    """Every copy, the newest first."""
    table = tables.connector_copy
    rows = await connection.execute(select(table).order_by(table.c.as_of.desc(), table.c.taken_at.desc()))
    return [StoredCopy(**row) for row in rows.mappings()]


async def faults(connection: AsyncConnection) -> dict[str, CopyFault]:
    """Faults by connector."""
    rows = await connection.execute(select(tables.connector_copy_fault))
    return {row["connector"]: CopyFault(**row) for row in rows.mappings()}


async def taken_bytes(connection: AsyncConnection, agency: str) -> int:
    """What the copies of an agency take of the disk."""
    table = tables.connector_copy
    wanted = select(func.coalesce(func.sum(table.c.size_bytes), 0)).where(table.c.agency == agency)
    return int((await connection.execute(wanted)).scalar_one())


async def remove(connection: AsyncConnection, ids: Sequence[str]) -> int:
    """Takes copies away; returns how many stood there."""
    return (await connection.execute(delete(tables.connector_copy).where(tables.connector_copy.c.id.in_(ids)))).rowcount


async def forget(connection: AsyncConnection, connectors: Sequence[str]) -> list[StoredCopy]:
    """Takes away every copy of these connectors, and with it its key; the next ones are taken at once. Returns what stood there."""
    table = tables.connector_copy
    gone = [one for one in await stored(connection) if one.connector in connectors]
    await connection.execute(delete(table).where(table.c.connector.in_(connectors)))
    for name in connectors:
        await soon(connection, f"snapshot:{name}")
    return gone
