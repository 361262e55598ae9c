"""Idempotency keys in their table: reserved, settled, released, forgotten; shared by replicas of one store."""

from __future__ import annotations

from collections.abc import AsyncIterator
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr
from sqlalchemy import select, update

from app.access.sealing import Seal
from app.catalog.idempotency import idempotency_key
from app.database import Database, upgrade
from app.errors import QuotaExceeded
from app.gateway.idempotency import (
    IdempotencyInProgress,
    IdempotencyKeyReused,
    IdempotencyKeys,
    IdempotencyOutcomeUnknown,
    KeptAnswer,
)
from app.settings import Settings

SEAL = Seal([bytes(range(32))])
ASKED = ("rsud-app", "k-1", "f" * 64)


@pytest.fixture(params=["sqlite", "postgresql"])
async def replicas(request: pytest.FixtureRequest, tmp_path: Path) -> AsyncIterator[tuple[Any, Any, Database]]:
    """Two processes of one gateway, and their store."""
    url = SecretStr(request.getfixturevalue("postgres_url")) if request.param == "postgresql" else None
    settings = Settings(dir=tmp_path, database_url=url)
    upgrade(settings)
    database = Database.open(settings)
    yield *(IdempotencyKeys(database, SEAL, request_seconds=30) for _ in "12"), database
    await database.close()


async def rows(database: Database) -> list[Any]:
    async with database.read() as connection:
        return list((await connection.execute(select(idempotency_key))).mappings())


async def aged(database: Database, **ago: float) -> None:
    async with database.begin() as connection:
        moved = {name: datetime.now(UTC) - timedelta(seconds=seconds) for name, seconds in ago.items()}
        await connection.execute(update(idempotency_key).values(moved))


async def test_the_first_does_it_and_the_others_get_its_answer(replicas: Any) -> None:
    one, two, database = replicas
    assert await one.reserve(*ASKED, "x-1") is None
    with pytest.raises(IdempotencyInProgress) as waiting:
        await two.reserve(*ASKED, "x-2")
    await one.settle("x-1", b'{"client_secret": "rahasia"}')

    assert waiting.value.retry_after_seconds == 1
    assert await two.reserve(*ASKED, "x-3") == KeptAnswer("x-1", b'{"client_secret": "rahasia"}')
    (row,) = await rows(database)
    assert b"rahasia" not in row["sealed"]
    assert "k-1" not in row["key"]


async def test_another_request_under_the_key_is_refused(replicas: Any) -> None:
    one, two, _ = replicas
    await one.reserve(*ASKED, "x-1")
    with pytest.raises(IdempotencyKeyReused):
        await two.reserve("rsud-app", "k-1", "0" * 64, "x-2")
    assert await two.reserve("other-app", "k-1", "0" * 64, "x-3") is None


async def test_what_was_released_may_be_asked_again(replicas: Any) -> None:
    one, two, database = replicas
    await one.reserve(*ASKED, "x-1")
    await one.release("x-1")
    assert await rows(database) == []
    assert await two.reserve("rsud-app", "k-1", "0" * 64, "x-2") is None


async def test_what_was_cut_off_is_never_done_again_by_guess(replicas: Any) -> None:
    one, two, database = replicas
    await one.reserve(*ASKED, "x-1")
    await one.settle("x-1", None)
    with pytest.raises(IdempotencyOutcomeUnknown) as told:
        await two.reserve(*ASKED, "x-2")
    assert told.value.facts == {"first_exchange": "x-1"}

    await one.reserve("rsud-app", "k-2", "f" * 64, "x-3")  # and its process ended
    await aged(database, started_at=61)
    with pytest.raises(IdempotencyOutcomeUnknown):
        await two.reserve("rsud-app", "k-2", "f" * 64, "x-4")


async def test_what_is_settled_stays(replicas: Any) -> None:
    one, two, _ = replicas
    await one.reserve(*ASKED, "x-1")
    await one.settle("x-1", b"1")
    await one.release("x-1")
    await one.settle("x-1", b"2")
    assert await two.reserve(*ASKED, "x-2") == KeptAnswer("x-1", b"1")


async def test_a_day_later_the_key_is_free_and_the_answer_gone(replicas: Any) -> None:
    one, two, database = replicas
    await one.reserve(*ASKED, "x-1")
    await one.settle("x-1", b"1")
    await aged(database, expires_at=1)
    assert await two.reserve(*ASKED, "x-2") is None
    await aged(database, expires_at=1)
    await one.sweep()
    assert await rows(database) == []
    await one.reserve(*ASKED, "x-3")
    await aged(database, expires_at=1)
    await one.sweep()  # within the same minute it does not look
    assert len(await rows(database)) == 1


async def test_keys_of_a_client_are_bounded(replicas: Any) -> None:
    _, _, database = replicas
    one = IdempotencyKeys(database, SEAL, request_seconds=30, keys_a_client=2)
    for number in range(2):
        assert await one.reserve("rsud-app", f"k-{number}", "f" * 64, f"x-{number}") is None
    with pytest.raises(QuotaExceeded):
        await one.reserve("rsud-app", "k-3", "f" * 64, "x-3")
    assert await one.reserve("other-app", "k-3", "f" * 64, "x-4") is None
    assert len(await rows(database)) == 3
