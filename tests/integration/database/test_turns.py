"""Whose turn it is among replicas: one at a time, taken over from one that fell silent, not before it is time."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr

from app.catalog import turns
from app.catalog.turns import HOLD_SECONDS
from app.database import Database, upgrade
from app.settings import Settings

NOW = datetime(2026, 11, 29, 12, 0, tzinfo=UTC)
LATER = timedelta(seconds=HOLD_SECONDS + 1)


@pytest.mark.parametrize("store", ["sqlite", "postgresql"])
async def test_one_holds_a_turn_until_it_is_done_or_falls_silent(
    request: pytest.FixtureRequest, tmp_path: Path, store: str
) -> None:
    url = SecretStr(request.getfixturevalue("postgres_url")) if store == "postgresql" else None
    settings = Settings(dir=tmp_path, database_url=url)
    upgrade(settings)
    database = Database.open(settings)

    async def take(holder: str, now: datetime) -> bool:
        async with database.begin() as connection:
            return await turns.take(connection, "snapshot:a", holder, now)

    async def keep(holder: str, now: datetime) -> bool:
        async with database.begin() as connection:
            return await turns.keep(connection, "snapshot:a", holder, now)

    try:
        at_once = await asyncio.gather(*(take(f"host-{number}", NOW) for number in range(4)))
        assert sum(at_once) == 1
        first = f"host-{at_once.index(True)}"
        assert not await take("another", NOW + timedelta(seconds=1))
        assert await keep(first, NOW + timedelta(seconds=20))
        assert not await take("another", NOW + timedelta(seconds=HOLD_SECONDS))
        assert await take("another", NOW + timedelta(seconds=20) + LATER)
        assert not await keep(first, NOW + timedelta(seconds=60))
        async with database.begin() as connection:
            await turns.end(connection, "snapshot:a", first, NOW)  # of one that has it no more: it says nothing
        assert await keep("another", NOW + timedelta(seconds=60))
        async with database.begin() as connection:
            await turns.end(connection, "snapshot:a", "another", NOW + timedelta(hours=1))
        assert not await take(first, NOW + timedelta(minutes=59))
        async with database.begin() as connection:
            await turns.soon(connection, "snapshot:a")
        assert await take(first, NOW)
    finally:
        await database.close()
