"""Quotas of agreements in the store: replicas that take shares grant together what the quota holds, no more and, in time, no less."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import timedelta

import pytest

from app.access import quotas as store
from app.access.quotas import AgreementQuotaSpent
from app.database import Database
from app.gateway.quotas import Quotas

ZONE = "Asia/Jakarta"


async def granted(replica: Quotas, agreement: str, limit: int, tries: int) -> int:
    count = 0
    for _ in range(tries):
        with suppress(AgreementQuotaSpent):
            await replica.take(agreement, "requests", limit, 1)
            count += 1
    return count


@pytest.mark.parametrize("limit", [1, 7, 100, 1000])
async def test_replicas_grant_together_what_the_quota_holds(database: Database, limit: int) -> None:
    replicas = [Quotas(database, ZONE) for _ in range(3)]
    first = await asyncio.gather(*[granted(one, "pks-1", limit, limit) for one in replicas])
    assert sum(first) <= limit
    for one in replicas:
        await one.close()
    rest = await granted(replicas[0], "pks-1", limit, limit)
    assert sum(first) + rest == limit, "what was held and not used came back"
    with pytest.raises(AgreementQuotaSpent, match="0 are left") as caught:
        await replicas[1].take("pks-1", "requests", limit, 1)
    assert (caught.value.facts["rule"], caught.value.facts["limit"]) == ("quota_requests", limit)
    assert 0 < (caught.value.retry_after_seconds or 0) <= 86_400


async def test_many_at_once_in_one_process_are_counted_once_each(database: Database) -> None:
    replica = Quotas(database, ZONE)
    found = await asyncio.gather(*[replica.take("pks-1", "requests", 50, 1) for _ in range(80)], return_exceptions=True)
    assert sum(one is None for one in found) == 50
    assert sum(isinstance(one, AgreementQuotaSpent) for one in found) == 30


async def test_a_share_needs_no_round_trip(database: Database) -> None:
    replica = Quotas(database, ZONE)
    await replica.take("pks-1", "requests", 3200, 1)
    day = replica.today()
    assert sum(replica.take_at_once("pks-1", "requests", day, 1) for _ in range(200)) == 99, (
        "a thirty-second, and one was used"
    )
    assert not replica.take_at_once("pks-1", "requests", day + timedelta(days=1), 1), "a new day begins anew"
    assert (await replica.used_today(["pks-1"]))["pks-1"]["requests"] == 100


async def test_what_others_hold_is_told_as_used_and_what_is_held_here_is_not(database: Database) -> None:
    one, other = Quotas(database, ZONE), Quotas(database, ZONE)
    await one.take("pks-1", "rows", 3200, 5)
    assert (await one.used_today(["pks-1"]))["pks-1"]["rows"] == 5
    assert (await other.used_today(["pks-1"]))["pks-1"]["rows"] == 100
    await one.close()
    assert (await other.used_today(["pks-1"]))["pks-1"]["rows"] == 5


async def test_rows_are_all_counted_or_none(database: Database) -> None:
    replica = Quotas(database, ZONE)
    await replica.take("pks-1", "rows", 10, 8)
    with pytest.raises(AgreementQuotaSpent, match="at most 2") as caught:
        await replica.take("pks-1", "rows", 10, 3)
    assert caught.value.facts["left"] == 2
    await replica.take("pks-1", "rows", 10, 2)
    with pytest.raises(AgreementQuotaSpent, match="tomorrow"):
        await replica.take("pks-1", "rows", 10, 0)


async def test_subjects_are_counted_once_a_day_over_replicas(database: Database) -> None:
    one, other = Quotas(database, ZONE), Quotas(database, ZONE)
    await one.note_subjects("pks-1", 2, {b"a"})
    await other.note_subjects("pks-1", 2, {b"a", b"b"})
    await one.note_subjects("pks-1", 2, {b"b"})
    with pytest.raises(AgreementQuotaSpent, match="0 are left"):
        await one.note_subjects("pks-1", 2, {b"c"})
    async with database.begin() as connection:
        await store.forget(connection, one.today() + timedelta(days=1))
        assert await store.used_today(connection, ["pks-1"], one.today()) != {}, "counts stay, tags go"


async def test_a_sweep_gives_back_what_nobody_uses(database: Database) -> None:
    replica = Quotas(database, ZONE, idle_seconds=0.0)
    await replica.take("pks-1", "requests", 3200, 1)
    await replica.sweep()
    assert not replica.take_at_once("pks-1", "requests", replica.today(), 1)
    assert (await Quotas(database, ZONE).used_today(["pks-1"]))["pks-1"]["requests"] == 1
