"""The history of quality on both databases: in order, bounded, one a day beyond the newest."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path

import pytest
from pydantic import SecretStr
from sqlalchemy import insert

from app.catalog import tables
from app.catalog.quality import Measurement, drift_of, read_quality, record_quality
from app.database import Database, upgrade
from app.settings import Settings

START = datetime(2026, 1, 1, 6, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[Database]:
    url = SecretStr(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else None
    settings = Settings(dir=tmp_path, database_url=url)
    upgrade(settings)
    opened = Database.open(settings)
    async with opened.begin() as connection:
        agency = {
            "id": "dinkes", "name": "Dinkes", "member_class": "GOV", "network_allow": [], "env_allow": [],
            "disabled": False, "created_at": START, "updated_at": START,
        }  # fmt: skip
        await connection.execute(insert(tables.agency).values(agency))
        for name in ("satu", "dua"):
            connector = {
                "id": name, "agency": "dinkes", "state": "draft", "latest_revision": 1,
                "created_at": START, "updated_at": START,
            }  # fmt: skip
            await connection.execute(insert(tables.connector).values(connector))
    yield opened
    await opened.close()


def measured(at: datetime, revision: int = 1) -> Measurement:
    return Measurement(at, revision, True, [("kode", "string"), ("nama", "string")], {"rows": 3})


async def test_the_newest_come_first_and_each_connector_has_its_own(database: Database) -> None:
    async with database.begin() as connection:
        for number in range(3):
            await record_quality(connection, "satu", measured(START + timedelta(hours=number), number + 1))
        await record_quality(connection, "dua", Measurement(START, 9, False, [], None))
    async with database.read() as connection:
        one, other = await read_quality(connection, "satu"), await read_quality(connection, "dua")
        last = await read_quality(connection, "satu", limit=1)

    assert [found.revision for found in one] == [3, 2, 1]
    assert one[0] == measured(START + timedelta(hours=2), 3)
    assert other == [Measurement(START, 9, False, [], None)]
    assert last == one[:1]


async def test_beyond_the_newest_the_last_of_each_day_stays_and_days_end(database: Database) -> None:
    moments = [START + timedelta(days=day, hours=hour) for day in range(6) for hour in (0, 5, 10)]
    async with database.begin() as connection:
        for moment in moments:
            await record_quality(connection, "satu", measured(moment), newest=4, days=4)
    async with database.read() as connection:
        kept = [found.at for found in await read_quality(connection, "satu", limit=100)]

    last_of_day = [START + timedelta(days=day, hours=10) for day in range(6)]
    assert kept == [*reversed(moments[-4:]), last_of_day[3], last_of_day[2]]


def test_drift_names_columns_that_came_went_and_changed() -> None:
    old = Measurement(START, 1, True, [("a", "string"), ("b", "int64"), ("c", "string")], None)
    new = Measurement(START + timedelta(1), 1, True, [("b", "string"), ("c", "string"), ("d", "string")], None)
    found = drift_of(new, old)

    assert (found.since, found.added, found.removed) == (START, ["d"], ["a"])
    assert found.changed == [("b", "int64", "string")]
