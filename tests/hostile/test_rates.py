"""Rates by client and by agreement: told in headers, refused with the time to wait, added up over replicas without a wait."""

from __future__ import annotations

import asyncio
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
from pydantic import SecretStr
from sqlalchemy.exc import ProgrammingError

from app.access.rates import RateLimiter
from app.access.shared_rates import SharedRates
from app.database import Database, upgrade
from app.errors import RateLimited
from app.settings import Settings
from tests.integration.api.conftest import furnish
from tests.integration.api.test_recorded import PERSON, VERIFY, WHY
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"


class Replica:
    """The rates of one process."""

    def __init__(self, database: Database, per_minute: int = 60) -> None:
        self.clients = RateLimiter(per_minute)
        self.agreements = RateLimiter(per_minute, policy="agreement")
        self.shared = SharedRates(database, (self.clients, self.agreements))

    def passes(self, key: str, count: int, limiter: RateLimiter | None = None) -> int:
        let_in = 0
        for _ in range(count):
            try:
                (limiter or self.clients).check(key)
            except RateLimited:
                continue
            let_in += 1
        return let_in


def opened(folder: Path, url: str | None) -> Database:
    settings = Settings(dir=folder, database_url=SecretStr(url) if url else None)
    upgrade(settings)
    return Database.open(settings)


async def test_replicas_share_one_allowance(postgres_url: str, tmp_path: Path) -> None:
    database = opened(tmp_path, postgres_url)
    one, two, three = (Replica(database) for _ in range(3))
    try:
        assert one.passes("a", 50) == 50
        assert two.passes("a", 5) == 5
        await one.shared.share()
        await two.shared.share()
        assert two.passes("a", 60) <= 6  # of 60, 55 are gone, and a moment has passed
        assert two.passes("a", 1, two.agreements) == 1  # a client and an agreement of one name are two
        assert two.passes("b", 60) == 60
        await asyncio.gather(*(replica.shared.share() for replica in (one, two, three)))
        assert three.passes("a", 1) == 1  # it did not know of this one yet
        await three.shared.share()
        assert three.passes("a", 60) <= 1
    finally:
        await database.close()


async def test_what_passed_at_every_replica_at_once_is_owed(postgres_url: str, tmp_path: Path) -> None:
    database = opened(tmp_path, postgres_url)
    replicas = [Replica(database) for _ in range(3)]
    try:
        assert [replica.passes("a", 100) for replica in replicas] == [60, 60, 60]
        for _ in range(2):
            await asyncio.gather(*(replica.shared.share() for replica in replicas))
        waits = []
        for replica in replicas[1:]:
            with pytest.raises(RateLimited) as caught:
                replica.clients.check("a")
            waits.append(caught.value.retry_after_seconds)
        assert max(waits) > 100  # two minutes' worth too many is made up for before anybody passes
    finally:
        await database.close()


async def test_what_could_not_be_told_is_told_later(postgres_url: str, tmp_path: Path) -> None:
    database = opened(tmp_path, postgres_url)
    one, two = Replica(database), Replica(database)
    try:
        async with database.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE rate_window RENAME TO gone")
        assert one.passes("a", 60) == 60
        with pytest.raises(ProgrammingError):
            await one.shared.share()
        async with database.begin() as connection:
            await connection.exec_driver_sql("ALTER TABLE gone RENAME TO rate_window")
        await one.shared.share()
        assert two.passes("a", 1) == 1
        await two.shared.share()
        assert two.passes("a", 60) <= 1
    finally:
        await database.close()


async def test_one_process_counts_alone(tmp_path: Path) -> None:
    (tmp_path / "simpul.db").touch()
    database = opened(tmp_path, None)
    alone = Replica(database)
    try:
        assert alone.passes("a", 70) == 60
        await alone.shared.share()
        assert alone.passes("a", 70) <= 1
    finally:
        await database.close()


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    folder, services = tmp_path_factory.mktemp("rates"), SourceServer()
    running = RunningGateway(folder / "instance", {"SIMPUL_AGREEMENT_RATE_PER_MINUTE": "4"})
    running.init()
    running.start()
    furnish(running, folder, services)
    yield running
    running.stop()
    services.close()


def test_hostile_55_an_agreement_has_a_rate_of_all_its_clients_together(gateway: RunningGateway) -> None:
    one, two = gateway.client("client", "rsud"), gateway.client("client", "rsud")
    why = {**WHY, "Simpul-Purpose": "pelayanan_kesehatan"}
    answers: list[httpx.Response] = [
        client.post(VERIFY, json=PERSON, headers=why) for client in (one, two, one, two, one)
    ]
    assert [answer.status_code for answer in answers] == [200, 200, 200, 200, 429]
    assert '"agreement";r=3;t=' in answers[0].headers["ratelimit"]
    assert answers[0].headers["ratelimit"].startswith('"client";r=')
    assert answers[0].headers["ratelimit-policy"] == '"client";q=6000;w=60, "agreement";q=4;w=60'
    refused = answers[-1]
    assert (refused.json()["code"], "agreement" in refused.json()["detail"]) == ("rate_limited", True)
    assert 1 <= int(refused.headers["retry-after"]) <= 15
    kept = gateway.client("supervisor", "dinkes").get(f"/v1/exchanges/{refused.headers['exchange-id']}").json()
    assert [(entry["kind"], entry.get("status")) for entry in kept["entries"]][-1] == ("outcome", 429)
    assert one.get(LIST).status_code == 200  # open data rests on no agreement
