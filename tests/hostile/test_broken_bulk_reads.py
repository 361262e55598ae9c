"""A bulk read of PostgreSQL that breaks in mid-COPY: it is named, the others answer, nothing is complete, no session stays."""

from __future__ import annotations

import contextlib
import time
from collections.abc import Iterator
from urllib.parse import urlsplit

import httpx
import psycopg
import pytest

from app.connectors.sql.postgres_bulk import FEWEST_ROWS
from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway
from tests.support.proxy import FaultyProxy
from tests.support.questions import DOORS, said

ROWS = 30_000
AFTER_BYTES = 1_500_000
"""About half of the rows: some of them were given before."""
TABLE = f"""
CREATE TABLE faskes (kode text PRIMARY KEY, nama text, jenis text);
INSERT INTO faskes SELECT 'A' || n, 'Satu ' || repeat('x', 80) || n, 'klinik' FROM generate_series(1, {ROWS}) n;
CREATE TABLE saklar (nyala boolean);
CREATE FUNCTION ikut(kode text) RETURNS boolean LANGUAGE plpgsql VOLATILE AS $$
BEGIN
  IF kode = 'A20000' AND EXISTS (SELECT FROM saklar) THEN PERFORM pg_terminate_backend(pg_backend_pid()); PERFORM pg_sleep(1); END IF;
  RETURN kode <> '';
END $$;
CREATE VIEW faskes_baca AS SELECT kode, CASE WHEN ikut(kode) THEN nama END AS nama, jenis FROM faskes;
ANALYZE faskes;
"""
WHOLE = ("sql", "conflicts", "export", "export_job", "changes", "merged")
UNREACHABLE = ("unavailable", "source_unreachable")
SAYS = {
    "terminated": UNREACHABLE,
    "resets": UNREACHABLE,
    "cuts_off": UNREACHABLE,
    "hangs": ("timeout", "source_timeout"),
    "trickles": ("timeout", "source_timeout"),
}
OK = ("ok", None)


@pytest.fixture(scope="module")
def proxy(postgres_module_url: str) -> Iterator[FaultyProxy]:
    made = FaultyProxy(urlsplit(postgres_module_url).port or 0)
    yield made
    made.close()


@pytest.fixture(scope="module")
def gateway(
    tmp_path_factory: pytest.TempPathFactory, postgres_module_url: str, proxy: FaultyProxy
) -> Iterator[RunningGateway]:
    """One agency with a file, another with a large view behind the proxy."""
    with psycopg.connect(postgres_module_url, autocommit=True) as session:
        session.execute(TABLE.encode())
    folder = tmp_path_factory.mktemp("bulk")
    running = RunningGateway(
        folder / "instance", {"SIMPUL_BREAKER_FAILURES": "100000", "SIMPUL_RATE_PER_MINUTE": "100000"}
    )
    running.init()
    running.start()
    for agency in ("dinkes", "rsud"):
        running.agency(agency)
    (folder / "faskes.csv").write_text("kode,nama,jenis\nB1,Lain,klinik\n", "utf-8")
    running.upload("dinkes", folder / "faskes.csv")
    running.publish(facility_manifest("dinkes-faskes", "dinkes"))
    url = f"postgresql://simpul@127.0.0.1:{proxy.port}{urlsplit(postgres_module_url).path}?sslmode=disable"
    source = {"kind": "sql", "url": url, "table": "faskes_baca", "deadline": "5s", "concurrency": 1}
    running.publish({**facility_manifest("rsud-faskes", "rsud"), "source": source})
    with psycopg.connect(postgres_module_url) as session:
        (plan,) = session.execute("EXPLAIN (FORMAT JSON) SELECT kode, nama, jenis FROM faskes_baca").fetchone() or ([],)
    assert plan[0]["Plan"]["Plan Rows"] >= FEWEST_ROWS  # so it is read by COPY
    yield running
    assert running.stop() == 0


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


@contextlib.contextmanager
def broken(url: str, proxy: FaultyProxy, fault: str) -> Iterator[None]:
    if fault != "terminated":
        with proxy.broken(fault, AFTER_BYTES):
            yield
        return
    with psycopg.connect(url, autocommit=True) as session:
        session.execute("INSERT INTO saklar VALUES (true)")
        try:
            yield
        finally:
            session.execute("DELETE FROM saklar")


def working(url: str) -> int:
    """Sessions of the gateway at the server that are doing something."""
    with psycopg.connect(url, autocommit=True) as session:
        found = session.execute(
            "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'simpul' AND datname = current_database() AND state <> 'idle'"
        ).fetchone()
    return int((found or (0,))[0])


@pytest.mark.parametrize(
    ("fault", "name"),
    [
        pytest.param(
            fault, name, marks=() if (at + number) % 6 == 0 and SAYS[fault] == UNREACHABLE else pytest.mark.slow
        )
        for at, fault in enumerate(SAYS)
        for number, name in enumerate(WHOLE)
    ],
)
def test_hostile_47_a_bulk_read_that_breaks_is_named_and_the_others_answer(
    reader: httpx.Client, postgres_module_url: str, proxy: FaultyProxy, fault: str, name: str
) -> None:
    door, legs = DOORS[name], {"dinkes": OK, "rsud": SAYS[fault]}
    with broken(postgres_module_url, proxy, fault):
        strict = said(reader, door.ask(reader, partial=False), 60)
        loose = said(reader, door.ask(reader), 60)
    ends = time.monotonic() + 6
    while working(postgres_module_url) and time.monotonic() < ends:
        time.sleep(0.05)
    assert working(postgres_module_url) == 0
    then = said(reader, door.ask(reader, partial=False), 60)

    assert (strict.status, strict.code, strict.sources) == (503, "partial_answer_refused", legs), strict.text[:500]
    assert (loose.status, loose.code, loose.complete) == (200, None, False), loose.text[:500]
    assert loose.sources in (legs, {})
    assert (then.status, then.complete) == (200, True), then.text[:500]
