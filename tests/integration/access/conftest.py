"""An empty store with the tables of access, once on SQLite and once on PostgreSQL."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime

import pytest
from pydantic import SecretStr

from app.access import tables
from app.access.sealing import Seal
from app.database import Database, change_stamp, metadata
from app.settings import Settings

NOW = datetime(2026, 6, 15, 3, 0, tzinfo=UTC)


@pytest.fixture(params=["sqlite", "postgresql"])
async def database(request: pytest.FixtureRequest, tmp_path, anyio_backend) -> AsyncIterator[Database]:
    url = request.getfixturevalue("postgres_url") if request.param == "postgresql" else None
    (tmp_path / "simpul.db").touch()
    opened = Database.open(Settings(dir=tmp_path, database_url=SecretStr(url) if url else None))
    mine = [
        tables.client,
        tables.client_key,
        tables.person,
        tables.purpose,
        tables.agreement,
        tables.secret,
        tables.signing_key,
        change_stamp,
        tables.agreement_use,
        tables.agreement_subject,
    ]
    async with opened.begin() as connection:
        await connection.run_sync(lambda plain: metadata.create_all(plain, tables=mine))
    yield opened
    await opened.close()


@pytest.fixture
def seal() -> Seal:
    return Seal([bytes(range(32))])
