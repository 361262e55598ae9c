"""What is remembered of a dataset, on both stores: one look where nothing moved, a step where something did."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from datetime import UTC, datetime
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import insert

from app.catalog import changes, tables
from app.catalog.changes import Digests, Position, Seen
from app.database import Database, upgrade
from app.settings import Settings

NAME, SCOPE = "dinkes-faskes", "open"


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    """A store that knows one connector."""
    url = SecretStr(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else None
    settings = Settings(dir=tmp_path, database_url=url)
    upgrade(settings)
    opened, now = Database.open(settings), datetime.now(UTC)
    times = {"created_at": now, "updated_at": now}
    async with opened.begin() as connection:
        lists = {"network_allow": [], "env_allow": [], "disabled": False}
        agency = {"id": "dinkes", "name": "Dinkes", "member_class": "GOV", **lists}
        await connection.execute(insert(tables.agency).values(**agency, **times))
        row = {"id": NAME, "agency": "dinkes", "state": "published", "latest_revision": 1}
        await connection.execute(insert(tables.connector).values(**row, **times))
    yield opened
    await opened.close()


class Dataset:
    """Records by key, and how often they were gone through."""

    def __init__(self, **records: str) -> None:
        self.records, self.looks = records, 0

    async def now(self) -> AsyncGenerator[Sequence[Seen]]:
        self.looks += 1
        digests = Digests(b"s" * 32, {"kode"})
        yield [digests.seen(key, {"kode": key, "nama": name}) for key, name in sorted(self.records.items())]


async def test_a_look_at_what_did_not_move_is_one_and_writes_nothing(database: Database) -> None:
    dataset = Dataset(A="Satu", B="Dua")
    first = await changes.remember(database, NAME, SCOPE, dataset.now)
    dataset.looks = 0
    again = await changes.remember(database, NAME, SCOPE, dataset.now)
    assert (first, again, dataset.looks) == (1, 1, 1)

    dataset.records = {"A": "Satu", "C": "Dua"}
    assert await changes.remember(database, NAME, SCOPE, dataset.now) == 2
    async with database.read() as connection:
        moved = await changes.moved_since(connection, NAME, SCOPE, Position(1, 1, ""), 10)
    assert [(one.key, one.present, one.new_key) for one in moved] == [("B", False, "C"), ("C", True, None)]
    assert await changes.remember(database, NAME, SCOPE, dataset.now) == 2
