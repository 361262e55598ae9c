"""Whose turn it is: what one replica does for all of them, and when it is done next. A holder that falls silent loses its turn."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta

from sqlalchemy import update
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert
from sqlalchemy.ext.asyncio import AsyncConnection

from app.catalog import tables

HOLD_SECONDS = 30.0
_BEGINNING = datetime(1970, 1, 1, tzinfo=UTC)


async def take(connection: AsyncConnection, name: str, holder: str, now: datetime) -> bool:
    """Whether this holder has the turn now: nobody else holds it, and it is time."""
    table = tables.turn
    make = sqlite_insert if connection.dialect.name == "sqlite" else postgresql_insert
    first = make(table).values(name=name, holder=None, until=_BEGINNING, next_at=_BEGINNING)
    await connection.execute(first.on_conflict_do_nothing(index_elements=["name"]))
    free = (table.c.until < now) | (table.c.holder == holder)
    taken = await connection.execute(
        update(table)
        .where(table.c.name == name, free, table.c.next_at <= now)
        .values(holder=holder, until=now + timedelta(seconds=HOLD_SECONDS))
    )
    return taken.rowcount == 1


async def keep(connection: AsyncConnection, name: str, holder: str, now: datetime) -> bool:
    """Goes on holding it; False where another one has it meanwhile."""
    table = tables.turn
    kept = await connection.execute(
        update(table)
        .where(table.c.name == name, table.c.holder == holder)
        .values(until=now + timedelta(seconds=HOLD_SECONDS))
    )
    return kept.rowcount == 1


async def end(connection: AsyncConnection, name: str, holder: str, next_at: datetime) -> None:
    """It is done until then."""
    table = tables.turn
    ended = update(table).where(table.c.name == name, table.c.holder == holder)
    await connection.execute(ended.values(holder=None, until=_BEGINNING, next_at=next_at))


async def soon(connection: AsyncConnection, name: str) -> None:
    """It is time for it now."""
    await connection.execute(update(tables.turn).where(tables.turn.c.name == name).values(next_at=_BEGINNING))
