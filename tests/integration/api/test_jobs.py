"""Jobs over HTTP: 202, progress, result with digest, cancel at the source, restart, and nobody else's eyes."""

from __future__ import annotations

import base64
import hashlib
import json
import threading
import time
from pathlib import Path
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import furnish
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

PATH = "/v1/records/fasilitas-kesehatan"
LATER = {"prefer": "respond-async"}


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "dinkes")


def ended(reader: httpx.Client, address: str, seconds: float = 20) -> dict[str, Any]:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        found: dict[str, Any] = reader.get(address).json()
        if found["state"] not in {"queued", "running"}:
            return found
        time.sleep(0.02)
    raise AssertionError(found)


@pytest.mark.parametrize("form", ["ndjson", "json", "parquet"])
def test_an_export_in_the_background(gateway: RunningGateway, reader: httpx.Client, form: str) -> None:
    asked = reader.get(PATH, params={"f": form}, headers=LATER)
    found = ended(reader, asked.headers["location"])
    result = reader.get(found["result"]["href"])
    digest = base64.b64encode(hashlib.sha256(result.content).digest()).decode()

    assert asked.status_code == 202
    assert (found["state"], found["rows"], found["problem"]) == ("done", 4, None)
    assert {source["agency"]: source["rows"] for source in found["sources"]} == {"dinkes": 3, "rsud": 1}
    assert found["result"]["digest"] == result.headers["content-digest"] == f"sha-256=:{digest}:"
    assert len(result.content) == found["result"]["bytes"]
    if form == "ndjson":
        assert sorted(json.loads(line)["kode_faskes"] for line in result.content.splitlines()) == [
            "P1",
            "P2",
            "R1",
            "R2",
        ]
    auditor = gateway.client("supervisor", "dinkes")
    made = auditor.get(f"/v1/exchanges/{found['result']['exchange_id']}").json()["entries"]
    fetched = auditor.get(f"/v1/exchanges/{result.headers['exchange-id']}").json()["entries"]
    assert [(entry["kind"], entry["op"]) for entry in made] == [("intent", "export"), ("outcome", "export")]
    assert [(entry["kind"], entry["op"]) for entry in fetched] == [("intent", "job.result"), ("outcome", "job.result")]


def test_an_empty_result_is_a_result(reader: httpx.Client) -> None:
    asked = reader.get(PATH, params={"f": "ndjson", "filter": "nama = 'tidak ada'"}, headers=LATER)
    found = ended(reader, asked.headers["location"])

    assert reader.get(found["result"]["href"]).content == b""


def test_sql_in_the_background(reader: httpx.Client) -> None:
    asked = reader.post("/v1/queries", json={"sql": "SELECT count(*) AS n FROM fasilitas_kesehatan"}, headers=LATER)
    found = ended(reader, asked.headers["location"])

    assert reader.get(found["result"]["href"]).json()["items"] == [{"n": 4}]


def test_a_refusal_comes_at_once(reader: httpx.Client) -> None:
    assert (
        reader.get(PATH, params={"f": "csv", "filter": "namaa = 'x'"}, headers=LATER).json()["code"] == "field_unknown"
    )


def test_a_job_is_seen_by_its_client_alone(gateway: RunningGateway, reader: httpx.Client) -> None:
    address = reader.get(PATH, params={"f": "csv"}, headers=LATER).headers["location"]
    other = gateway.client("client", "dinkes")

    assert ended(reader, address)["state"] == "done"
    assert other.get(address).json()["code"] == "job_unknown"
    assert other.get(f"{address}/result").json()["code"] == "job_unknown"
    assert other.delete(address).json()["code"] == "job_unknown"


def test_a_source_that_fails_fails_the_job_with_its_code(reader: httpx.Client, services: SourceServer) -> None:
    route = services.routes["/rs"]
    services.routes["/rs"] = lambda _query, _headers: (503, "text/plain", b"down")
    try:
        strict = {"prefer": "respond-async, partial=never"}
        found = ended(reader, reader.get(PATH, params={"f": "csv"}, headers=strict).headers["location"])
    finally:
        services.routes["/rs"] = route

    assert (found["state"], found["problem"]["code"]) == ("failed", "partial_answer_refused")
    assert reader.get(f"/v1/jobs/{found['id']}/result").json()["code"] == "state_conflict"


def held(services: SourceServer) -> tuple[threading.Event, threading.Event]:
    """The source answers when the second event is set; the first says that it was asked."""
    asked, release = threading.Event(), threading.Event()

    def answer(_query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
        asked.set()
        release.wait(20)
        return 200, "application/json", b'{"data": []}'

    services.routes["/rs"] = answer
    return asked, release


def test_cancelling_ends_it(reader: httpx.Client, services: SourceServer) -> None:
    route = services.routes["/rs"]
    asked, release = held(services)
    try:
        address = reader.get(PATH, params={"f": "csv"}, headers=LATER).headers["location"]
        assert asked.wait(20)
        cancelled = reader.delete(address)
        found = reader.get(address).json()
    finally:
        release.set()
        services.routes["/rs"] = route

    assert (cancelled.status_code, found["state"], found["result"]) == (204, "cancelled", None)
    assert reader.delete(address).status_code == 204
    assert reader.get(address).json()["code"] == "job_unknown"


def test_a_killed_gateway_leaves_no_job_stuck(tmp_path: Path, services: SourceServer) -> None:
    running = RunningGateway(tmp_path / "instance")
    running.init()
    running.start()
    route, release = services.routes.get("/rs"), threading.Event()
    try:
        furnish(running, tmp_path, services)
        reader = running.client("client", "dinkes")
        done = reader.get(PATH, params={"f": "ndjson"}, headers=LATER).headers["location"]
        kept = ended(reader, done)
        asked, release = held(services)
        address = reader.get(PATH, params={"f": "csv"}, headers=LATER).headers["location"]
        assert asked.wait(20)
        authorization = reader.headers["authorization"]
        running.kill()
        release.set()
        running.start()
        again = httpx.Client(
            base_url=running.url, trust_env=False, headers={"authorization": authorization}, timeout=30
        )
        with again:
            found = again.get(address).json()
            result = again.get(kept["result"]["href"])
        stored = b"".join(file.read_bytes() for file in (running.folder / "spool").iterdir())
    finally:
        release.set()
        if route is not None:
            services.routes["/rs"] = route
        running.stop()

    assert (found["state"], found["problem"]["code"]) == ("failed", "job_interrupted")
    assert len(result.content.splitlines()) == 4
    assert b"Puskesmas" not in stored
