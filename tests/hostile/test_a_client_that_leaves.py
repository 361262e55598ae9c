"""A client that leaves in mid-question, or cancels its job, stops the work at the source, at every door and every kind of source."""

from __future__ import annotations

import contextlib
import socket
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from dataclasses import dataclass
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support import mariadb
from tests.support.faulty import FaultyService
from tests.support.gateway import RunningGateway
from tests.support.questions import DOORS, Door, said

STOPS_WITHIN_SECONDS = 2.0
REACHED_WITHIN_SECONDS = 5.0
ROWS = 30_000
"""So many that whole reads of PostgreSQL go by COPY, in a process of their own."""
SLEEPER = """
CREATE TABLE saklar (tidur boolean); INSERT INTO saklar VALUES (false);
CREATE FUNCTION lambat(nilai text) RETURNS text LANGUAGE plpgsql AS $$
BEGIN
  IF (SELECT tidur FROM saklar) THEN PERFORM pg_sleep(30); END IF;
  RETURN nilai;
END $$;
CREATE VIEW faskes_lambat AS SELECT kode, nama, lambat(jenis) AS jenis FROM faskes;
"""
RUNNING = "SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() AND pid <> pg_backend_pid() AND state <> 'idle'"
BUSY = (
    "SELECT count(*) FROM information_schema.processlist WHERE command <> 'Sleep' AND db = %s AND id <> connection_id()"
)


@dataclass(frozen=True)
class Source:
    """A source that can be made to hang, and how much work of the gateway it has."""

    agency: str
    hangs: Callable[[], AbstractContextManager[None]]
    at_work: Callable[[], int]


@pytest.fixture(scope="module")
def service() -> Iterator[FaultyService]:
    made = FaultyService()
    yield made
    made.close()


@pytest.fixture(scope="module")
def tables(postgres_module_url: str, mariadb_port: int) -> Iterator[tuple[str, str]]:
    """The same records in PostgreSQL (its URL) and MariaDB (its database)."""
    with psycopg.connect(postgres_module_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE faskes (kode text PRIMARY KEY, nama text, jenis text)")
        connection.execute(
            f"INSERT INTO faskes SELECT 'A' || n, 'Klinik ' || n, 'klinik' FROM generate_series(1, {ROWS}) n"
        )
        connection.execute(SLEEPER)
        connection.execute("ANALYZE faskes")
    with mariadb.fresh_database(mariadb_port) as name:
        with contextlib.closing(mariadb.admin(mariadb_port, name)) as session, session.cursor() as cursor:
            cursor.execute("CREATE TABLE faskes (kode varchar(20) PRIMARY KEY, nama varchar(60), jenis varchar(20))")
            cursor.execute(f"INSERT INTO faskes SELECT concat('A', seq), 'Klinik', 'klinik' FROM seq_1_to_{ROWS // 30}")
        yield postgres_module_url, name


@pytest.fixture(scope="module")
def sources(tables: tuple[str, str], mariadb_port: int, service: FaultyService) -> dict[str, Source]:
    url, name = tables

    @contextlib.contextmanager
    def asleep() -> Iterator[None]:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("UPDATE saklar SET tidur = true")
            try:
                yield
            finally:
                connection.execute("UPDATE saklar SET tidur = false")

    @contextlib.contextmanager
    def locked() -> Iterator[None]:
        with contextlib.closing(mariadb.admin(mariadb_port, name)) as session, session.cursor() as cursor:
            cursor.execute("LOCK TABLES faskes WRITE")
            yield

    def running() -> int:
        with psycopg.connect(url, autocommit=True) as connection:
            (found,) = connection.execute(RUNNING).fetchone() or (0,)
            return int(found)

    def busy() -> int:
        with contextlib.closing(mariadb.admin(mariadb_port)) as session, session.cursor() as cursor:
            cursor.execute(BUSY, (name,))
            return int((cursor.fetchone() or (0,))[0])

    return {
        "postgresql": Source("dinkes", asleep, running),
        "mariadb": Source("rsud", locked, busy),
        "rest": Source("bappeda", lambda: service.broken("hangs"), lambda: service.open),
    }


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, tables: tuple[str, str], mariadb_port: int, service: FaultyService
) -> Iterator[RunningGateway]:
    """Three agencies, each with a source that reads for one at a time."""
    place = urlsplit(tables[0])
    given = {
        "dinkes": {
            "kind": "sql",
            "url": f"postgresql://simpul@127.0.0.1:{place.port}{place.path}?sslmode=disable",
            "table": "faskes_lambat",
        },
        "rsud": {
            "kind": "sql",
            "url": f"mariadb://{mariadb.USER}:${{secret:db}}@127.0.0.1:{mariadb_port}/{tables[1]}",
            "table": "faskes",
        },
        "bappeda": {"kind": "rest", "url": f"{service.url}/a", "record_path": "$.data[*]", "paging": {"kind": "page"}},
    }
    running = RunningGateway(tmp_path_factory.mktemp("leaving") / "instance", {"SIMPUL_BREAKER_FAILURES": "100000"})
    running.init()
    running.start()
    for agency, source in given.items():
        running.agency(agency)
        kept = running.client("steward", agency).put("/v1/secrets/db", json={"value": mariadb.PASSWORD})
        assert kept.is_success, kept.text
        running.publish({**facility_manifest(f"{agency}-faskes", agency), "source": {**source, "concurrency": 1}})
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


def reached(source: Source, wanted: Callable[[int], bool], seconds: float) -> bool:
    """Whether the source comes to that much work within this time."""
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if wanted(source.at_work()):
            return True
        time.sleep(0.05)
    return False


def written(door: Door, reader: httpx.Client) -> bytes:
    """The question as it goes over the wire."""
    asked = reader.build_request(
        door.method, door.path, params=door.params, json=door.body, headers=door.headers(partial=False)
    )
    head = [f"{door.method} {asked.url.raw_path.decode()} HTTP/1.1", *(f"{k}: {v}" for k, v in asked.headers.items())]
    return "\r\n".join([*head, "", ""]).encode() + asked.read()


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "rest"])
@pytest.mark.parametrize("name", [name for name in DOORS if not DOORS[name].job])
def test_a_client_that_leaves_stops_the_work_at_the_source(
    gateway: RunningGateway, reader: httpx.Client, sources: dict[str, Source], name: str, kind: str
) -> None:
    door, source = DOORS[name], sources[kind]
    with source.hangs(), socket.create_connection(("127.0.0.1", gateway.port)) as connection:
        connection.sendall(written(door, reader))
        assert reached(source, lambda work: work > 0, REACHED_WITHIN_SECONDS)
        connection.close()
        assert reached(source, lambda work: work == 0, STOPS_WITHIN_SECONDS), source.at_work()
    for free in ("look_up", "match"):  # a session or slot that was kept would be the only one
        assert said(reader, DOORS[free].ask(reader, partial=False)).complete is True


@pytest.mark.parametrize("kind", ["postgresql", "mariadb", "rest"])
@pytest.mark.parametrize("name", ["export_job"])
def test_a_cancelled_job_stops_the_work_at_the_source(
    reader: httpx.Client, sources: dict[str, Source], name: str, kind: str
) -> None:
    door, source = DOORS[name], sources[kind]
    with source.hangs():
        address = door.ask(reader).headers["location"]
        assert reached(source, lambda work: work > 0, REACHED_WITHIN_SECONDS)
        assert reader.delete(address).status_code == 204
        assert reached(source, lambda work: work == 0, STOPS_WITHIN_SECONDS), source.at_work()
    for free in ("look_up", "match"):  # a session or slot that was kept would be the only one
        assert said(reader, DOORS[free].ask(reader, partial=False)).complete is True
