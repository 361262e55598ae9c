"""A source that meets its deadline while many wait for the same read: each gets an answer, and each exchange is closed."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.support.gateway import RunningGateway

LIST = "/v1/records/satuan-pendidikan"
ASKED = 200
AT_ONCE = 50


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory, postgres_module_url: str) -> Iterator[RunningGateway]:
    """One agency whose table takes longer to map than its deadline allows, one that answers."""
    with psycopg.connect(postgres_module_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE sekolah (npsn text, nama text)")
        connection.execute(
            "INSERT INTO sekolah SELECT lpad((20000000 + n)::text, 8, '0'), 'SD ' || n FROM generate_series(1, 60000) n"
        )
    folder: Path = tmp_path_factory.mktemp("deadlines")
    running = RunningGateway(
        folder / "instance", {"SIMPUL_BREAKER_FAILURES": "100000", "SIMPUL_RATE_PER_MINUTE": "100000"}
    )
    running.init()
    place = urlsplit(postgres_module_url)
    source = {
        "kind": "sql",
        "url": f"postgresql://simpul@127.0.0.1:{place.port}{place.path}?sslmode=disable",
        "table": "sekolah",
        "deadline": "400ms",
    }
    fields = {
        "npsn": "npsn",
        "nama": {"from": "nama", "text": "title"},
        "bentuk": {"const": "SD"},
        "status": {"const": "NEGERI"},
    }
    try:
        running.start()
        running.agency("dinkes")
        running.agency("disdik")
        running.publish(
            {
                "connector": "disdik-sekolah",
                "agency": "disdik",
                "schema": "satuan_pendidikan@1",
                "source": source,
                "fields": fields,
            }
        )
        yield running
    finally:
        code = running.stop()
    assert code == 0


async def test_two_hundred_readers_of_a_read_that_is_too_slow(gateway: RunningGateway) -> None:
    reader = gateway.client("client", "dinkes")
    turn, limits = asyncio.Semaphore(AT_ONCE), httpx.Limits(max_connections=AT_ONCE)

    async with httpx.AsyncClient(
        base_url=gateway.url, headers=reader.headers, timeout=60, trust_env=False, limits=limits
    ) as client:

        async def ask(number: int) -> httpx.Response:
            async with turn:
                return await client.get(LIST, params={"sort": "nama", "limit": 5, "filter": f"nama <> '{number % 3}'"})

        answers = await asyncio.gather(*[ask(number) for number in range(ASKED)])
    supervisor = gateway.client("supervisor", "dinkes")
    kept = [supervisor.get(f"/v1/exchanges/{answer.headers['exchange-id']}").json()["entries"] for answer in answers]

    codes = Counter((answer.status_code, answer.json().get("code")) for answer in answers)
    assert set(codes) <= {(504, "all_sources_timed_out"), (200, None)}, codes
    assert codes[504, "all_sources_timed_out"] > 0
    assert {tuple(entry["kind"] for entry in entries) for entries in kept} == {("intent", "outcome")}
    assert all(entries[1]["sources"][0]["status"] in {"timeout", "ok"} for entries in kept)
