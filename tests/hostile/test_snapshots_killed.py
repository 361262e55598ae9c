"""Snapshots and scheduled checks among processes that are killed and replicas that share one store."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from pydantic import SecretStr

from app.database import upgrade
from app.settings import Settings
from tests.integration.api.test_snapshots import (
    CONNECTOR,
    manifest,
    part,
    rows,
    taken,
    until,
)
from tests.support.faulty import FaultyService
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer


@pytest.fixture
def server() -> Iterator[SourceServer]:
    made = SourceServer()
    made.json("/faskes", json.dumps(rows(30)).encode())
    yield made
    made.close()


class Slow:
    """A route whose answers begin when they are let go."""

    def __init__(self, body: bytes) -> None:
        self.let_go, self.waiting, self.most = threading.Event(), 0, 0
        self._body, self._lock = body, threading.Lock()

    def __call__(self, *_: Any) -> tuple[int, str, bytes]:
        with self._lock:
            self.waiting += 1
            self.most = max(self.most, self.waiting)
        self.let_go.wait(20)
        with self._lock:
            self.waiting -= 1
        return 200, "application/json", self._body


def test_a_gateway_killed_while_it_takes_a_snapshot_leaves_the_former_one(tmp_path: Path, server: SourceServer) -> None:
    gateway = RunningGateway(tmp_path / "one", {"SIMPUL_HEALTH_SECONDS": "0"})
    gateway.init()
    gateway.start()
    try:
        for agency in ("dinkes", "rsud"):
            gateway.agency(agency)
        gateway.publish(manifest(server.url, snapshot={"every": "4s", "max_stale": "1h"}))
        reader = gateway.client("client", "rsud")
        former = taken(reader)
        slow = server.routes["/faskes"] = Slow(json.dumps(rows(31)).encode())
        until(lambda: slow.waiting)
        gateway.kill()
        (gateway.folder / "snapshots" / "dinkes" / "half.parquet.part").write_bytes(b"half")
        gateway.start()
        reader = gateway.client("client", "rsud")

        stale = until(lambda: (found := part(reader))["status"] == "stale" and found)
        assert (stale["snapshot"], stale["rows"], stale["problem"]["code"]) == (
            former["snapshot"], 30, "snapshot_overdue",
        )  # fmt: skip
        assert not list((gateway.folder / "snapshots").glob("*/*.part"))
        slow.let_go.set()
        assert until(lambda: (found := part(reader))["status"] == "ok" and found, 45)["rows"] == 31
    finally:
        gateway.stop()


@pytest.fixture
def replicas(tmp_path: Path, postgres_url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[list[RunningGateway]]:
    """Two processes on one store and one folder."""
    environment = {"SIMPUL_DATABASE_URL": postgres_url, "SIMPUL_HEALTH_SECONDS": "1", "SIMPUL_BREAKER_SECONDS": "2"}
    monkeypatch.setenv("SIMPUL_DATABASE_URL", postgres_url)
    one = RunningGateway(tmp_path / "one", environment)
    one.init()
    upgrade(Settings(dir=tmp_path / "one", database_url=SecretStr(postgres_url)))
    two = RunningGateway(tmp_path / "one", environment)
    two._credential = one.credential
    one.start()
    two.start()
    yield [one, two]
    one.stop()
    two.stop()


def test_of_replicas_one_takes_the_snapshot_and_one_looks_at_the_source(
    replicas: list[RunningGateway], server: SourceServer
) -> None:
    one, two = replicas
    for agency in ("dinkes", "rsud"):
        one.agency(agency)
    one.publish(manifest(server.url, health={"every": 0}))
    reader = one.client("client", "rsud")
    found = taken(reader)
    asked = len(server.asked)
    time.sleep(2)

    again = until(
        lambda: (seen := two.admin.get(f"/v1/connectors/{CONNECTOR}/health").json()["snapshot"])["id"] and seen
    )
    assert again["id"] == found["snapshot"]
    assert len(server.asked) == asked

    # each look is one of either replica: never two at a time, about one in a second
    slow = server.routes["/faskes"] = Slow(json.dumps(rows(30)).encode())
    document = {**manifest(server.url), "health": {"every": "1s"}}
    del document["snapshot"]
    assert one.admin.put(f"/v1/connectors/{CONNECTOR}", json=document).status_code == 201
    assert one.admin.post(f"/v1/connectors/{CONNECTOR}/publish", json={"unchecked": True}).status_code == 200
    until(lambda: slow.waiting)
    time.sleep(3)
    assert slow.most == 1
    slow.let_go.set()
    before, began = len(server.asked), time.monotonic()
    time.sleep(5)
    looks = len(server.asked) - before
    assert 3 <= looks <= (time.monotonic() - began) / 0.9 + 2
    checks = two.admin.get(f"/v1/connectors/{CONNECTOR}/health").json()["checks"]
    assert checks[0]["passed"]

    server.routes["/faskes"] = lambda *_: (401, "text/plain", b"who are you")
    failed = until(
        lambda: (
            (seen := two.admin.get(f"/v1/connectors/{CONNECTOR}/health").json()["checks"][0])["passed"] is False
            and seen
        )
    )
    assert (failed["step"], failed["code"]) == ("auth", "source_auth_failed")
    runs = until(lambda: len(seen := one.admin.get(f"/v1/connectors/{CONNECTOR}/health").json()["checks"]) > 1 and seen)
    assert [run["passed"] for run in runs[:2]] == [False, True]


@pytest.mark.parametrize("fault", ["resets", "hangs"])
def test_a_source_that_is_killed_in_the_middle_leaves_the_former_snapshot(tmp_path: Path, fault: str) -> None:
    service = FaultyService()
    gateway = RunningGateway(tmp_path / "one", {"SIMPUL_HEALTH_SECONDS": "0", "SIMPUL_BREAKER_SECONDS": "1"})
    gateway.init()
    gateway.start()
    try:
        for agency in ("dinkes", "rsud"):
            gateway.agency(agency)
        paged = {"record_path": "$.data[*]", "deadline": "1s", "paging": {"kind": "page"}}
        document = manifest(service.url, snapshot={"every": "3s", "max_stale": "1h"})
        document["source"] = {"kind": "rest", "url": f"{service.url}/a", **paged}
        gateway.publish(document)
        reader = gateway.client("client", "rsud")
        former = taken(reader)
        with service.broken(fault, page=2):
            stale = until(
                lambda: (
                    (found := part(reader))["status"] == "stale"
                    and found["problem"]["code"] != "snapshot_overdue"  # as long as the try is under way
                    and found
                )
            )
        assert (stale["rows"], former["rows"]) == (4, 4)
        assert stale["problem"]["code"] in {"source_unreachable", "source_timeout", "source_failed"}
        assert len(list((gateway.folder / "snapshots").glob("*/*.parquet"))) >= 1
        assert until(lambda: (found := part(reader))["status"] == "ok" and found, 45)["rows"] == 4
    finally:
        gateway.stop()
        service.close()
