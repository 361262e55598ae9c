"""Snapshots of a source that is slow, fails, is killed: real gateways, a real service that counts what it is asked."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"
LIVE = {"Cache-Control": "no-cache"}
CONNECTOR = "dinkes-faskes"


def rows(count: int, name: str = "Puskesmas") -> list[dict[str, str]]:
    return [{"kode": f"P3320{index:06}", "nama": f"{name} {index}", "jenis": "puskesmas"} for index in range(count)]


def manifest(url: str, **more: Any) -> dict[str, Any]:
    source = {"kind": "rest", "url": f"{url}/faskes", **more.pop("source", {})}
    return {
        "connector": CONNECTOR,
        "agency": "dinkes",
        "schema": "fasilitas_kesehatan@1",
        "title": "Faskes",
        "source": source,
        "fields": {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"},
        "snapshot": {"every": "1h"},
        **more,
    }


def until(holds: Callable[[], Any], seconds: float = 20.0) -> Any:
    """What `holds` says as soon as it is true."""
    ends = time.monotonic() + seconds
    while True:
        found = holds()
        if found:
            return found
        assert time.monotonic() < ends, "it did not come to that"
        time.sleep(0.1)


@pytest.fixture
def server() -> Iterator[SourceServer]:
    made = SourceServer()
    made.json("/faskes", json.dumps(rows(30)).encode())
    yield made
    made.close()


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    made = RunningGateway(tmp_path / "one", {"SIMPUL_RATE_PER_MINUTE": "100000"})
    made.init()
    made.start()
    made.agency("dinkes")
    made.agency("rsud")
    yield made
    made.stop()


def answered_by(reader: httpx.Client, **params: Any) -> dict[str, Any]:
    answer = reader.get(LIST, params=params)
    assert answer.status_code == 200, answer.text
    found: dict[str, Any] = answer.json()
    return found


def taken(reader: httpx.Client) -> dict[str, Any]:
    """The source's part in an answer that came from a snapshot."""
    return until(lambda: next((one for one in answered_by(reader)["sources"] if one.get("snapshot")), None))  # type: ignore[no-any-return]


def test_reads_are_answered_from_the_snapshot_and_the_source_is_asked_once(
    gateway: RunningGateway, server: SourceServer
) -> None:
    gateway.publish(manifest(server.url))
    reader = gateway.client("client", "rsud")
    taken(reader)
    asked = len(server.asked)

    answers = [answered_by(reader, limit=7) for _ in range(20)]
    found = reader.get(f"{LIST}/P3320000003").json()
    searched = reader.post(f"{LIST}/search", json={"filter": "nama LIKE '%9'", "sort": ["-nama"]}).json()
    counted = reader.post(f"{LIST}/aggregate", json={"aggregates": [{"function": "count", "as": "n"}]}).json()
    sql = reader.post("/v1/queries", json={"sql": "SELECT count(*) AS n FROM fasilitas_kesehatan"}).json()
    csv = reader.get(LIST, headers={"Accept": "text/csv"}).text

    assert len(server.asked) == asked
    assert all(len(one["items"]) == 7 and one["complete"] for one in answers)
    assert found["items"][0]["nama"] == "Puskesmas 3"
    assert [one["nama"] for one in searched["items"]] == ["Puskesmas 9", "Puskesmas 29", "Puskesmas 19"]
    assert counted["items"] == [{"n": 30}]
    assert sql["items"] == [{"n": 30}]
    assert len(csv.splitlines()) == 31
    for one in (found, searched, counted, sql):
        (source,) = one["sources"]
        assert (source["status"], source["snapshot"], source["pushed"]) == (
            "ok", answers[0]["sources"][0]["snapshot"], ["snapshot"],
        )  # fmt: skip


def test_a_caller_asks_the_source_itself_or_bounds_the_age(gateway: RunningGateway, server: SourceServer) -> None:
    gateway.publish(manifest(server.url))
    reader = gateway.client("client", "rsud")
    taken(reader)
    server.json("/faskes", json.dumps(rows(31)).encode())
    asked = len(server.asked)

    live = reader.get(LIST, headers=LIVE).json()
    time.sleep(1.1)
    young = reader.get(LIST, headers={"Cache-Control": "max-age=1"}).json()
    kept = reader.get(LIST, headers={"Cache-Control": "max-age=600"}).json()

    assert len(server.asked) == asked + 2
    assert [len(one["items"]) for one in (live, young, kept)] == [31, 31, 30]
    assert "snapshot" not in live["sources"][0]
    assert "snapshot" in kept["sources"][0]
