"""What a manifest says that its source bears, counted at the source: reads at once, requests in a time, probes of a circuit."""

from __future__ import annotations

import json
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.registry.health_wire import HealthAnswer
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"
PERSONS = "/v1/records/penduduk-verifikasi"


class Counted:
    """Answers after a moment, and counts how many wait at once and when each came."""

    def __init__(self, body: bytes, seconds: float = 0.3) -> None:
        self.most, self.came = 0, list[float]()
        self._body, self._seconds, self._now, self._lock = body, seconds, 0, threading.Lock()

    def __call__(self, *_: Any) -> tuple[int, str, bytes]:
        with self._lock:
            self._now += 1
            self.most = max(self.most, self._now)
            self.came.append(time.monotonic())
        time.sleep(self._seconds)
        with self._lock:
            self._now -= 1
        return 200, "application/json", self._body


@pytest.fixture(scope="module")
def gateway(tmp_path_factory: pytest.TempPathFactory) -> Iterator[RunningGateway]:
    made = RunningGateway(
        tmp_path_factory.mktemp("limits") / "one", {"SIMPUL_HEALTH_SECONDS": "0", "SIMPUL_BREAKER_SECONDS": "2"}
    )
    made.init()
    made.start()
    for agency in ("dinkes", "rsud", "lain", "disdukcapil"):
        made.agency(agency)
    yield made
    made.stop()


@pytest.fixture
def server() -> Iterator[SourceServer]:
    made = SourceServer()
    yield made
    made.close()


def manifest(name: str, source: dict[str, Any], **more: Any) -> dict[str, Any]:
    return {
        "connector": name,
        "agency": "dinkes",
        "schema": "fasilitas_kesehatan@1",
        "title": name,
        "source": source,
        "fields": {"kode_faskes": "kode", "nama": "nama"},
        **more,
    }


BODY = json.dumps([{"kode": f"S{number}", "nama": f"Nama {number}"} for number in range(20)]).encode()


def all_at_once(
    readers: list[httpx.Client], questions: list[dict[str, Any]], keys: tuple[str, ...] = ()
) -> list[httpx.Response]:
    """Lists and look-ups of several clients, all begun together."""
    with ThreadPoolExecutor(len(questions) + len(keys)) as threads:
        asked = [
            threads.submit(readers[index % len(readers)].get, LIST, params=question)
            for index, question in enumerate(questions)
        ]
        asked += [threads.submit(readers[index % len(readers)].get, f"{LIST}/{key}") for index, key in enumerate(keys)]
        return [one.result() for one in asked]


def test_no_more_reads_at_once_than_stated(gateway: RunningGateway, server: SourceServer) -> None:
    counted = server.routes["/s"] = Counted(BODY)
    gateway.publish(manifest("batas-dua", {"kind": "rest", "url": f"{server.url}/s", "concurrency": 2}))
    readers = [gateway.client("client", agency) for agency in ("rsud", "lain", "rsud")]
    counted.most = 0

    answers = all_at_once(
        readers, [{"filter": f"nama <> 'x{number}'"} for number in range(8)], tuple(f"S{number}" for number in range(8))
    )

    assert [answer.status_code for answer in answers] == [200] * 16
    assert counted.most == 2
    assert gateway.admin.get("/v1/connectors/batas-dua/health").json()["limits"]["concurrency"] == 2
    gateway.admin.post("/v1/connectors/batas-dua/retire")


@pytest.mark.parametrize("path", ["/s", "/api/3/action/datastore_search"])
def test_no_more_requests_than_stated_checks_included(gateway: RunningGateway, server: SourceServer, path: str) -> None:
    rest = path == "/s"
    ckan = json.dumps({"success": True, "result": {"fields": [{"id": "kode", "type": "text"}, {"id": "nama", "type": "text"}],
                       "records": json.loads(BODY), "total": 20}}).encode()  # fmt: skip
    counted = server.routes[path] = Counted(BODY if rest else ckan, 0.0)
    source = {"kind": "rest", "url": f"{server.url}/s"} if rest else {
        "kind": "ckan", "url": server.url, "resource": "5a1c2b7e-8d1f-4c7b-9a53-0f6d1b2c3d4e",
    }  # fmt: skip
    name = f"laju-{source['kind']}"
    gateway.publish(manifest(name, {**source, "rate": "4/s"}))
    reader = gateway.client("client", "rsud")
    all_at_once([reader], [{"filter": f"nama <> 'x{number}'"} for number in range(6)])
    gateway.admin.post(f"/v1/connectors/{name}/check")

    gaps = [later - earlier for earlier, later in zip(counted.came, counted.came[1:], strict=False)]
    assert len(counted.came) > 7
    assert min(gaps) > 0.2
    gateway.admin.post(f"/v1/connectors/{name}/retire")


def test_reads_of_a_file_have_a_rate_too(gateway: RunningGateway, tmp_path: Path) -> None:
    (tmp_path / "laju.csv").write_text(
        "kode,nama\nS1,Satu\n" + "".join(f"T{n},Nama {n}\n" for n in range(60_000)), "utf-8"
    )
    gateway.upload("dinkes", tmp_path / "laju.csv")
    source = {"kind": "file", "location": "inbox/laju.csv", "rate": "2/s"}
    gateway.publish(manifest("laju-file", source))
    reader = gateway.client("client", "rsud")
    began = time.monotonic()

    answers = all_at_once([reader], [{"filter": f"nama = 'Nama {number}'"} for number in range(5)])

    assert [len(answer.json()["items"]) for answer in answers] == [1] * 5
    assert time.monotonic() - began > 1.9
    gateway.admin.post("/v1/connectors/laju-file/retire")


def test_hostile_50_the_circuit_tells_its_cause_and_a_look_closes_it(
    gateway: RunningGateway, server: SourceServer
) -> None:
    server.json("/s", BODY)
    gateway.publish(manifest("sirkuit", {"kind": "rest", "url": f"{server.url}/s"}, health={"every": "1h"}))
    reader = gateway.client("client", "rsud")
    time.sleep(1)  # the first look is over
    server.routes["/s"] = lambda *_: (403, "text/plain", b"no")
    for _ in range(6):
        refused = reader.get(LIST)
    problem = refused.json()["sources"][0]
    opened = gateway.admin.get("/v1/connectors/sirkuit/health").json()
    HealthAnswer.model_validate(opened)
    asked = len(server.asked)

    assert (problem["status"], problem["problem"]["code"]) == ("open_circuit", "source_circuit_open")
    assert "source_permission_denied" in problem["problem"]["detail"]
    assert "5 times in a row" in problem["problem"]["detail"]
    assert (opened["circuit"], opened["circuit_step"], opened["circuit_failures"]) == ("open", "permission", 5)
    assert opened["circuit_since"] < opened["circuit_next_try"]

    server.json("/s", BODY)
    ends = time.monotonic() + 15
    while (found := gateway.admin.get("/v1/connectors/sirkuit/health").json())["circuit"] != "closed":
        assert time.monotonic() < ends, found
        time.sleep(0.1)
    assert found["checks"][0]["passed"]
    assert len(server.asked) - asked <= 2  # the look that was the probe, and nobody's question
    gateway.admin.post("/v1/connectors/sirkuit/retire")


def test_no_record_of_a_person_is_asked_for_to_know_whether_a_source_is_there(
    gateway: RunningGateway, server: SourceServer
) -> None:
    server.json("/p", json.dumps([{"nik": "3320990101900001", "nama": "Siti Contoh"}]).encode())
    persons = {
        "connector": "warga", "agency": "disdukcapil", "schema": "penduduk_verifikasi@1", "title": "warga",
        "source": {"kind": "rest", "url": f"{server.url}/p"}, "fields": {"nik": "nik", "nama": "nama"}, "health": {"every": "1s"},
    }  # fmt: skip
    gateway.publish(persons)
    asked = len(server.asked)
    ends = time.monotonic() + 20
    while True:
        checks = gateway.admin.get("/v1/connectors/warga/health").json()["checks"]
        if checks and checks[0]["checks"] >= 3:
            break
        assert time.monotonic() < ends
        time.sleep(0.2)
    assert checks[0]["passed"]
    assert len(server.asked) == asked

    server.close()
    while (found := gateway.admin.get("/v1/connectors/warga/health").json()["checks"][0])["passed"]:
        assert time.monotonic() < ends + 20
        time.sleep(0.2)
    assert (found["step"], found["code"]) == ("tcp", "source_unreachable")
