"""Look-ups by key on a real PostgreSQL: grouped questions give what single scans give, and nobody waits for a lost one."""

from __future__ import annotations

import asyncio
import time
from ipaddress import IPv4Network
from pathlib import Path

import psycopg
import pytest

from app.connectors.environment import Environment, Limits, NetworkPolicy
from app.connectors.registry import open_connector
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import CROSSWALK_SCHEMA, REGION_SCHEMA, InMemoryCodeBook
from app.datasets.records import ReadRequest
from app.errors import SourceTimeout, SourceUnreachable
from app.schemas import registry

pytestmark = pytest.mark.anyio


class NoSecrets:
    def resolve(self, text: str) -> str:
        return text


@pytest.fixture
def table(postgres_url):
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE faskes (kode text, nama text, lat double precision)")
        connection.execute(
            "INSERT INTO faskes SELECT 'F' || n, 'Faskes ' || n, -6.5 FROM generate_series(1, 500) n"
            " UNION ALL SELECT 'F7', 'Kembar', -6.5"
            " UNION ALL SELECT 'BURUK', 'Di kutub', 500.0"
            " UNION ALL SELECT 'RAMAI', 'Ramai ' || n, -6.5 FROM generate_series(1, 1200) n"
        )
        yield connection


@pytest.fixture
async def source(postgres_url, table, tmp_path: Path):
    opened = open_source(postgres_url, tmp_path)
    yield opened
    await opened.close()


def open_source(url: str, folder: Path, *, deadline_seconds: float = 5.0) -> MappedDataset:
    manifest = parse_manifest(
        {
            "connector": "faskes",
            "agency": "dinkes",
            "schema": "fasilitas_kesehatan@1",
            "source": {"kind": "sql", "url": url, "table": "faskes"},
            "fields": {"kode_faskes": "kode", "nama": "nama", "lat": "lat", "jenis": {"const": "klinik"}},
        }
    )
    limits = Limits(deadline_seconds=deadline_seconds)
    allowed = NetworkPolicy(networks=(IPv4Network("127.0.0.1/32"),))
    environment = Environment("dinkes", "faskes", folder, folder, NoSecrets(), network=allowed, limits=limits)
    schema = registry.get("fasilitas_kesehatan@1")
    return MappedDataset(
        manifest=manifest,
        revision=1,
        schema=schema,
        connector=open_connector(manifest.source, environment),
        mapping=compile_mapping(
            manifest, schema, InMemoryCodeBook("1", REGION_SCHEMA.empty_table(), CROSSWALK_SCHEMA.empty_table())
        ),
        limits=limits,
    )


async def look_up(source: MappedDataset, key: str):
    return await source.read(ReadRequest(key=key, limit=10, deadline=time.monotonic() + 5))


async def scanned(source: MappedDataset, key: str):
    """The same question by scan and selection."""
    reader, source._by_key = source._by_key, None
    try:
        return await look_up(source, key)
    finally:
        source._by_key = reader


async def test_many_look_ups_at_once_each_get_their_own_record(source):
    assert source._by_key is not None
    keys = [f"F{number}" for number in range(1, 400)] + ["TIDAK_ADA"]
    found = await asyncio.gather(*(look_up(source, key) for key in keys))
    assert [[record.key for record in result.records] for result in found] == [[key] for key in keys[:-1]] + [[]]
    assert {result.pushed for result in found} == {("columns", "key")}


@pytest.mark.parametrize("key", ["F1", "F7", "BURUK", "RAMAI", "TIDAK_ADA", "F%271"])
async def test_a_look_up_is_what_a_scan_cut_to_the_key_gives(source, key):
    quick, whole = await look_up(source, key), await scanned(source, key)
    assert quick.records == whole.records
    assert quick.rejected_rows == whole.rejected_rows
    assert [(reject.rule, reject.field, reject.masked) for reject in quick.rejects] == [
        (reject.rule, reject.field, reject.masked) for reject in whole.rejects
    ]


async def test_equal_questions_are_asked_once(source, table):
    await look_up(source, "F1")
    table.execute("SELECT pg_stat_reset()")
    await asyncio.gather(*(look_up(source, "F2") for _ in range(200)))
    groups = next(iter(source.connector._keys.values()))
    assert len(groups._runners) <= 2


async def test_a_locked_table_costs_the_deadline_and_is_left_alone_afterwards(postgres_url, table, tmp_path):
    source = open_source(postgres_url, tmp_path, deadline_seconds=0.6)
    try:
        await look_up(source, "F1")
        table.autocommit = False
        table.execute("LOCK TABLE faskes IN ACCESS EXCLUSIVE MODE")
        began = time.monotonic()
        with pytest.raises(SourceTimeout):
            await look_up(source, "F2")
        assert time.monotonic() - began < 3
        assert await waiting_for(postgres_url, "faskes") == 0
        table.rollback()
        assert [record.key for record in (await look_up(source, "F2")).records] == ["F2"]
    finally:
        await source.close()


async def test_who_leaves_takes_the_question_along(source, postgres_url, table):
    await look_up(source, "F1")
    table.autocommit = False
    table.execute("LOCK TABLE faskes IN ACCESS EXCLUSIVE MODE")
    asked = asyncio.create_task(look_up(source, "F2"))
    async with asyncio.timeout(5):
        while await waiting_for(postgres_url, "faskes") == 0:
            await asyncio.sleep(0.01)
    asked.cancel()
    with pytest.raises(asyncio.CancelledError):
        await asked
    async with asyncio.timeout(5):
        while await waiting_for(postgres_url, "faskes"):
            await asyncio.sleep(0.01)
    table.rollback()
    assert [record.key for record in (await look_up(source, "F2")).records] == ["F2"]


async def test_killed_sessions_are_an_error_that_may_be_retried(source, table):
    await look_up(source, "F1")
    table.execute("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = 'simpul'"
                  " AND datname = current_database()")  # fmt: skip
    outcomes = []
    for _ in range(3):
        try:
            outcomes.append([record.key for record in (await look_up(source, "F3")).records])
        except SourceUnreachable as error:
            outcomes.append(error.retryable)
    assert outcomes[-1] == ["F3"]
    assert all(outcome in (True, ["F3"]) for outcome in outcomes)


async def waiting_for(url: str, table: str) -> int:
    """Statements over the table that the server is busy with, ours alone."""

    def count() -> int:
        with psycopg.connect(url) as connection:
            row = connection.execute(
                "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'simpul' AND state = 'active'"
                " AND query LIKE %s AND datname = current_database()",
                (f"%{table}%ANY%",),
            ).fetchone()
        return int(row[0])

    return await asyncio.to_thread(count)
