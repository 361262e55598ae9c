"""What a caller or a source can size does not run on the event loop: while each door works at its largest, liveness answers.

The goal is 100 ms; the bound here leaves room for a machine with other work. Before: 770 ms for the keys, seconds for the filter.
"""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import facility_manifest
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"
MOST_SECONDS = 0.3
ROWS = 45_000


@pytest.fixture(scope="module")
def loaded(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    """A gateway with a kept file of 45,000 records and a service of 12 MB of JSON."""
    folder = tmp_path_factory.mktemp("lag")
    services = SourceServer()
    running = RunningGateway(folder / "instance", {"SIMPUL_SOURCE_DEADLINE_SECONDS": "30"})
    running.init()
    running.start()
    try:
        for agency in ("dinkes", "rsud"):
            running.agency(agency)
        _file(running, folder)
        note = "x" * 120
        records = [
            {"kode": f"R{n:06}", "nama": f"Klinik {n}", "jenis": "klinik", "catatan": note} for n in range(60_000)
        ]
        services.json("/s", json.dumps(records).encode())
        source = {"kind": "rest", "url": f"{services.url}/s", "record_path": "$[*]"}
        running.publish({**facility_manifest("rsud-layanan", "rsud"), "source": source})
        yield running
    finally:
        running.stop()
        services.close()


def _file(running: RunningGateway, folder: Path) -> None:
    lines = [f"K{n:06},Puskesmas {n},puskesmas" for n in range(ROWS)]
    (folder / "besar.csv").write_text("kode,nama,jenis\n" + "\n".join(lines) + "\n", "utf-8")
    running.upload("dinkes", folder / "besar.csv")
    running.publish(facility_manifest("dinkes-besar", "dinkes", "inbox/besar.csv"))


def lag(running: RunningGateway, ask: Callable[[], httpx.Response]) -> float:
    """The longest time that liveness took while something was asked."""
    times: list[float] = []
    over = threading.Event()

    def watch() -> None:
        with httpx.Client(base_url=running.url, trust_env=False, timeout=60) as client:
            while not over.is_set():
                started = time.perf_counter()
                client.get("/health/live")
                times.append(time.perf_counter() - started)
                time.sleep(0.005)

    watcher = threading.Thread(target=watch)
    watcher.start()
    try:
        time.sleep(0.1)
        ask()
    finally:
        over.set()
        watcher.join()
    return max(times)


def steady(running: RunningGateway, ask: Callable[[], httpx.Response]) -> float:
    """The least of three: what else the machine does is not ours."""
    return min(lag(running, ask) for _ in range(3))


@pytest.mark.parametrize(
    "key", [{}, "K000001", {"key": "K000001", "values": {"nama": "x"}}], ids=["empty", "text", "object"]
)
def test_a_hundred_thousand_keys_hold_nobody(loaded: RunningGateway, key: Any) -> None:
    reader = loaded.client("client", "dinkes")
    body = json.dumps({"keys": [key] * 100_000}).encode()
    headers = {"content-type": "application/json", "prefer": "partial=allow"}

    def ask() -> httpx.Response:
        answer = reader.post(f"{LIST}/match", content=body, headers=headers)
        assert answer.status_code == 200, answer.text[:500]
        return answer

    assert steady(loaded, ask) < MOST_SECONDS


def test_the_largest_filter_over_a_kept_table_holds_nobody(loaded: RunningGateway) -> None:
    reader = loaded.client("client", "dinkes")
    parts = [{"op": "like", "args": [{"property": "nama"}, f"%{n}x%"]} for n in range(60)]
    question = {"filter": {"op": "or", "args": parts}, "agencies": ["dinkes"], "limit": 10}

    def ask() -> httpx.Response:
        answer = reader.post(f"{LIST}/search", json=question)
        assert answer.status_code == 200, answer.text[:500]
        assert answer.json()["items"] == []
        return answer

    ask()
    assert steady(loaded, ask) < MOST_SECONDS


def test_a_large_answer_of_a_service_holds_nobody(loaded: RunningGateway) -> None:
    reader = loaded.client("client", "dinkes")

    def ask() -> httpx.Response:
        answer = reader.get(LIST, params={"agencies": "rsud", "limit": "5"})
        assert answer.status_code == 200, answer.text[:500]
        assert len(answer.json()["items"]) == 5
        return answer

    assert steady(loaded, ask) < MOST_SECONDS


def test_the_largest_statement_holds_nobody(loaded: RunningGateway) -> None:
    reader = loaded.client("client", "dinkes")
    listed = ", ".join(f"CASE WHEN nama LIKE '{n}%' THEN jenis ELSE nama END AS k{n}" for n in range(120))
    stars = ", ".join(["*"] * 90)
    sql = f"SELECT {listed}, {stars} FROM fasilitas_kesehatan WHERE kode_faskes = 'K000001'"

    def ask() -> httpx.Response:
        answer = reader.post("/v1/queries", json={"sql": sql})
        assert answer.status_code == 200, answer.text[:500]
        return answer

    assert steady(loaded, ask) < MOST_SECONDS


def test_all_records_added_up_and_followed_hold_nobody(loaded: RunningGateway) -> None:
    reader = loaded.client("client", "dinkes")
    body = {"aggregates": [{"function": "count", "as": "n"}], "group_by": ["jenis"], "agencies": ["dinkes"]}

    def add_up() -> httpx.Response:
        answer = reader.post(f"{LIST}/aggregate", json=body)
        assert answer.status_code == 200, answer.text[:500]
        return answer

    def follow() -> httpx.Response:
        answer = reader.get(f"{LIST}/changes", params={"agencies": "dinkes", "limit": "10"})
        assert answer.status_code == 200, answer.text[:500]
        return answer

    def merged() -> httpx.Response:
        answer = reader.get(LIST, params={"agencies": "dinkes", "limit": "1000", "view": "merged"})
        assert answer.status_code == 200, answer.text[:500]
        return answer

    def put() -> httpx.Response:
        fields = "".join(f"  kolom_{n:04}: {{from: k{n}, text: squeeze}}\n" for n in range(5_800))
        head = "connector: dinkes-banyak\nagency: dinkes\nschema: fasilitas_kesehatan@1\n"
        text = f"{head}source: {{kind: file, location: inbox/a.csv}}\nfields:\n{fields}"
        answer = loaded.admin.put(
            "/v1/connectors/dinkes-banyak", content=text, headers={"content-type": "application/yaml"}
        )
        assert answer.status_code == 422, answer.text[:500]
        return answer

    for ask in (add_up, follow, merged, put):
        assert steady(loaded, ask) < MOST_SECONDS, ask.__name__


def test_look_ups_do_not_wait_for_bulk_work(loaded: RunningGateway) -> None:
    client = loaded.client("client", "dinkes")

    def look_up(seconds: float) -> float:
        """The median of look-ups at a steady pace."""
        times, ends = list[float](), time.perf_counter() + seconds
        while time.perf_counter() < ends:
            started = time.perf_counter()
            assert client.get(f"{LIST}/K000001", params={"agencies": "dinkes"}).status_code == 200
            times.append(time.perf_counter() - started)
            time.sleep(0.03)
        return sorted(times)[len(times) // 2]

    look_up(0.5)
    quiet, stop = look_up(1.5), threading.Event()
    readers = [loaded.client("client", "dinkes") for _ in range(5)]

    def read(reader: httpx.Client) -> None:
        while not stop.is_set():
            reader.get(LIST, params={"agencies": "rsud", "limit": "5", "nama": "Klinik 7"})

    threads = [threading.Thread(target=read, args=(reader,)) for reader in readers]
    for thread in threads:
        thread.start()
    try:
        time.sleep(1)
        busy = min(look_up(2) for _ in range(3))
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    assert busy < max(3 * quiet, 0.06), (busy, quiet)
