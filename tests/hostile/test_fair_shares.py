"""One client's flood, silence or slowness is its own: others are let in, answered, and their sources are not blamed."""

from __future__ import annotations

import asyncio
import contextlib
import socket
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.errors import AllSourcesTimedOut, ServerOverloaded, SimpulError
from app.federation.question.query import Query
from app.federation.reading.breaker import Guards
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.federation.reading.whole import WholeRead
from tests.integration.api.conftest import facility_manifest
from tests.support.children import workers_of
from tests.support.gateway import RunningGateway
from tests.support.memory import FACILITIES, MemoryDataset, ref_of
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"


def slow_source() -> MemoryDataset:
    source = MemoryDataset([{"kode_faskes": "P1", "nama": "Satu"}])
    source.delay_seconds, source.deadline_seconds = 0.2, 0.4
    return source


@pytest.mark.anyio
async def test_waiting_in_our_queue_is_not_the_sources_fault() -> None:
    source = slow_source()
    shared = Runtime(Guards(failures_to_open=3, rest_seconds=60.0, concurrency=4))

    async def ask(client: str, key: str | None = None) -> str:
        asking = shared.until(time.monotonic() + 0.9, client)
        try:
            answer = await read_page(Query(FACILITIES, key=key), [ref_of("dinkes", source)], asking)
        except SimpulError as error:
            return error.code
        return answer.sources[0].status

    flood = [asyncio.create_task(ask("one")) for _ in range(30)]
    await asyncio.sleep(0.02)
    started = time.monotonic()
    other = await asyncio.gather(ask("two"), ask("two", "P1"))
    took = time.monotonic() - started
    came = await asyncio.gather(*flood)
    assert other == ["ok", "ok"]
    assert took < 0.55, took
    assert {"ok"} < set(came) <= {"ok", ServerOverloaded.code, AllSourcesTimedOut.code}
    assert shared.circuit("dinkes-set") == "closed"
    assert shared.guards.breaker("dinkes-set").failures == 0


@pytest.mark.anyio
async def test_a_read_that_had_no_time_left_says_nothing_of_its_source() -> None:
    source = slow_source()
    shared = Runtime(Guards(failures_to_open=1, rest_seconds=60.0, concurrency=4))
    query = replace(Query(FACILITIES), partial="never")
    with pytest.raises(AllSourcesTimedOut):
        await read_page(query, [ref_of("dinkes", source)], shared.until(time.monotonic() + 0.3, "one"))
    assert shared.circuit("dinkes-set") == "closed"
    source.fault = TimeoutError()
    read = WholeRead(query, [ref_of("dinkes", source)], shared.until(time.monotonic() + 0.3, "one"))
    assert [batch async for batch in read.batches()] == []
    assert read.statuses[0].status == "timeout"
    assert shared.circuit("dinkes-set") == "closed"


@pytest.fixture(scope="module")
def services() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


@pytest.fixture(scope="module")
def narrow(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with six slots."""
    folder = tmp_path_factory.mktemp("narrow")
    running = RunningGateway(
        folder / "instance", {"SIMPUL_CONCURRENT_REQUESTS": "6", "SIMPUL_READ_SECONDS": "2", "SIMPUL_SQL_WORKERS": "2"}
    )
    running.init()
    running.start()
    running.agency("dinkes")
    rows = "".join(f"P{number},Nama {number},klinik\n" for number in range(5000))
    (folder / "faskes.csv").write_text("kode,nama,jenis\n" + rows, "utf-8")
    running.upload("dinkes", folder / "faskes.csv")
    running.publish(facility_manifest("dinkes-faskes", "dinkes"))
    yield running
    running.stop()


@contextlib.contextmanager
def silent(gateway: RunningGateway, count: int, begun: bytes) -> Iterator[list[socket.socket]]:
    """Connections that send this and then nothing."""
    opened = [socket.create_connection(("127.0.0.1", gateway.port)) for _ in range(count)]
    try:
        for connection in opened:
            connection.sendall(begun)
        time.sleep(0.3)
        yield opened
    finally:
        for connection in opened:
            connection.close()


def heads(gateway: RunningGateway) -> list[bytes]:
    token = gateway.client("client", "dinkes").headers["authorization"].encode()
    asked = b" HTTP/1.1\r\nHost: x\r\nAuthorization: " + token + b"\r\nContent-Type: application/json\r\n"
    return [
        b"",
        b"GET /v1/rec",
        b"POST /oauth/token HTTP/1.1\r\nHost: x\r\nContent-Length: 100\r\n\r\n",
        b"POST /v1/records/fasilitas-kesehatan/search" + asked + b"Content-Length: 100\r\n\r\n{",
        b"PUT /v1/agencies/dinkes/files/a.csv" + asked + b"Content-Length: 100\r\n\r\na",
    ]


@pytest.mark.parametrize("kind", range(5))
def test_hostile_41_silent_connections_keep_nobody_out(narrow: RunningGateway, kind: int) -> None:
    begun = heads(narrow)[kind]
    other = narrow.client("client", "dinkes")
    with silent(narrow, 12, begun) as opened:
        assert httpx.get(f"{narrow.url}/health/live").status_code == 200
        assert other.get(f"{LIST}/P1").status_code == 200
        assert other.post(f"{LIST}/search", json={"limit": 1}).status_code == 200
        for connection in opened:
            connection.settimeout(6)
            answer = connection.recv(4096)
            assert not answer or answer.split(b" ", 2)[1] in {b"408", b"504", b"503", b"403"}, answer


def test_hostile_41_no_body_is_awaited_on_get(narrow: RunningGateway) -> None:
    token = narrow.client("client", "dinkes").headers["authorization"].encode()
    for path in (b"/v1/records/fasilitas-kesehatan/P1", b"/health/ready", b"/v1/schemas"):
        with socket.create_connection(("127.0.0.1", narrow.port)) as connection:
            connection.settimeout(5)
            started = time.monotonic()
            connection.sendall(
                b"GET " + path + b" HTTP/1.1\r\nHost: x\r\nAuthorization: " + token + b"\r\nContent-Length: 9\r\n\r\n"
            )
            assert connection.recv(4096).startswith(b"HTTP/1.1 200"), path
            assert time.monotonic() - started < 1.5


def test_statements_run_in_a_bounded_pool(narrow: RunningGateway) -> None:
    client, seen, stop = narrow.client("client", "dinkes"), [0], threading.Event()
    other = narrow.client("client", "dinkes")

    def watch() -> None:
        while not stop.is_set():
            seen[0] = max(seen[0], len(workers_of(narrow.pid)))

    sql = {"sql": "SELECT jenis, count(*) AS n FROM fasilitas_kesehatan GROUP BY jenis"}
    codes: list[int] = []

    def ask(session: httpx.Client) -> None:
        codes.append(
            session.post(
                "/v1/queries", json=sql, headers={"authorization": session.headers["authorization"]}
            ).status_code
        )

    watching = threading.Thread(target=watch)
    watching.start()
    asking = [threading.Thread(target=ask, args=(session,)) for session in (client, client, client, other)]
    for thread in asking:
        thread.start()
    for thread in asking:
        thread.join()
    stop.set()
    watching.join()
    assert codes == [200] * 4
    assert 1 <= seen[0] <= 2


def test_workers_end_with_a_killed_gateway(tmp_path: Path) -> None:
    running = RunningGateway(tmp_path / "instance")
    running.init()
    running.start()
    try:
        running.agency("dinkes")
        rows = "".join(f"P{number},Nama {number},klinik\n" for number in range(3000))
        (tmp_path / "faskes.csv").write_text("kode,nama,jenis\n" + rows, "utf-8")
        running.upload("dinkes", tmp_path / "faskes.csv")
        running.publish(facility_manifest("dinkes-faskes", "dinkes"))
        client = running.client("client", "dinkes")
        table = "fasilitas_kesehatan"
        joined = f"{table} a JOIN {table} b ON a.jenis = b.jenis JOIN {table} c ON b.jenis = c.jenis"
        sql = f"SELECT count(*) AS n FROM {joined} WHERE a.nama || b.nama < c.nama"
        asking = threading.Thread(target=_quietly, args=(client, sql))
        asking.start()
        workers = _wait_for(lambda: [child for child in workers_of(running.pid) if _seconds(child) > 1.0])
        assert workers
        left = [path for path in (running.folder / "spool").iterdir() if path.name.startswith("sql-")]
        assert left
        kept = list((running.folder / "cache").iterdir())
        assert kept
    finally:
        running.kill()
    assert _wait_for(lambda: not any(Path(f"/proc/{worker}").exists() for worker in workers))
    asking.join()
    running.start()
    try:
        assert not [path for path in (*left, *kept) if path.exists()]
    finally:
        running.stop()
    assert list((running.folder / "cache").iterdir()) == []


def _quietly(client: httpx.Client, sql: str) -> None:
    with contextlib.suppress(httpx.HTTPError):
        client.post("/v1/queries", json={"sql": sql})


def _seconds(process: int) -> float:
    """What it has computed so far."""
    with contextlib.suppress(OSError):
        return int(Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[11]) / 100
    return 0.0


def _wait_for(condition: Callable[[], Any], seconds: float = 15.0) -> Any:
    ends = time.monotonic() + seconds
    while not (found := condition()) and time.monotonic() < ends:
        time.sleep(0.05)
    return found
