"""Operating an instance as a person does: start, stop, kill, copy, verify, tamper, a second process, an empty folder."""

from __future__ import annotations

import contextlib
import shutil
import sqlite3
import subprocess
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest

from app.access.sealing import create_seal_key
from tests.integration.api.conftest import FACILITIES, facility_manifest
from tests.support.gateway import RunningGateway
from tests.support.programs import SIMPUL, simpul
from tests.support.sources import SourceServer


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[RunningGateway]:
    running = RunningGateway(tmp_path / "instance")
    running.init()
    try:
        running.start()
        running.agency("dinkes")
        (tmp_path / "faskes.csv").write_text(FACILITIES, "utf-8")
        running.upload("dinkes", tmp_path / "faskes.csv")
        running.publish(facility_manifest("dinkes-faskes", "dinkes"))
        yield running
    finally:
        running.stop()


def test_empty_folder_is_told_the_command(tmp_path: Path) -> None:
    """By an interpreter that was started for it, as an operator's is."""
    command = [*SIMPUL, "serve", "--dir", str(tmp_path)]
    done = subprocess.run(command, capture_output=True, text=True, check=False, timeout=180)

    assert done.returncode == 2
    assert "simpul init" in done.stderr


def test_second_process_on_the_same_folder_refuses(gateway: RunningGateway) -> None:
    done = simpul("serve", "--dir", str(gateway.folder), "--port", "0")

    assert done.returncode == 2
    assert "log_locked" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr
    assert gateway.admin.get("/v1/schemas").status_code == 200


def test_a_seal_key_that_opens_nothing_is_told_in_one_line(tmp_path: Path) -> None:
    folder = tmp_path / "instance"
    assert simpul("init", "--dir", str(folder)).returncode == 0
    key = folder / "keys" / "seal.key"
    key.unlink()
    create_seal_key(folder)
    done = simpul("serve", "--dir", str(folder), "--port", "0")

    assert done.returncode == 2
    assert "keys/seal.key" in done.stderr
    assert "Traceback" not in done.stdout + done.stderr


def test_killed_gateway_closes_its_orphans_and_verifies(gateway: RunningGateway) -> None:
    """Acknowledged exchanges are in the log after kill -9, and intents without an outcome are closed as aborted."""
    reader = gateway.client("client", "dinkes")
    acknowledged: list[str] = []

    def ask() -> None:
        try:
            while True:
                acknowledged.append(reader.get("/v1/records/fasilitas-kesehatan").headers["exchange-id"])
        except (httpx.HTTPError, KeyError, RuntimeError):
            return

    asking = threading.Thread(target=ask)
    asking.start()
    ends = time.monotonic() + 20
    while len(acknowledged) < 40 and time.monotonic() < ends:
        time.sleep(0.02)
    gateway.kill()
    asking.join(timeout=20)
    gateway.start()
    supervisor = gateway.client("supervisor", "diskominfo")
    missing = [xid for xid in acknowledged if supervisor.get(f"/v1/exchanges/{xid}").status_code != 200]
    verified = simpul("log", "verify", "--dir", str(gateway.folder))

    assert len(acknowledged) > 20
    assert missing == []
    assert verified.returncode == 0, verified.stdout
    assert "intents without an outcome" not in verified.stderr


def test_copy_of_a_stopped_folder_verifies_and_a_changed_one_does_not(gateway: RunningGateway, tmp_path: Path) -> None:
    gateway.client("client", "dinkes").get("/v1/records/fasilitas-kesehatan")
    assert gateway.stop() == 0
    shutil.copytree(gateway.folder, tmp_path / "copy")
    good = simpul("log", "verify", "--dir", str(tmp_path / "copy"))
    connection = sqlite3.connect(tmp_path / "copy" / "log.db")
    connection.execute("DROP TRIGGER log_entry_no_update")
    connection.execute("UPDATE log_entry SET status = 599 WHERE idx = 3")
    connection.commit()
    connection.close()
    bad = simpul("log", "verify", "--dir", str(tmp_path / "copy"))

    assert (good.returncode, good.stdout.split(":")[0]) == (0, "verified")
    assert bad.returncode == 1
    assert "first broken index: 3" in bad.stdout


def test_answer_waits_for_the_log_and_there_is_no_data_without_it(gateway: RunningGateway) -> None:
    """The log's file is taken away under the running gateway: 503, no data."""
    reader = gateway.client("client", "dinkes")
    assert reader.get("/v1/records/fasilitas-kesehatan").status_code == 200
    (gateway.folder / "log.db").rename(gateway.folder / "log.db.gone")
    answer = reader.get("/v1/records/fasilitas-kesehatan")
    (gateway.folder / "log.db.gone").rename(gateway.folder / "log.db")

    assert answer.status_code == 503
    assert "items" not in answer.json()
    ends = time.monotonic() + 20
    while time.monotonic() < ends and reader.get("/v1/records/fasilitas-kesehatan").status_code != 200:
        time.sleep(0.02)
    assert reader.get("/v1/records/fasilitas-kesehatan").status_code == 200


def test_stop_lets_a_request_under_way_finish(gateway: RunningGateway) -> None:
    services = SourceServer()
    started = threading.Event()

    def slow(_query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
        started.set()
        time.sleep(1.0)
        return 200, "application/json", b'[{"kode": "S1", "nama": "Slow"}]'

    services.json("/slow", b'[{"kode": "S1", "nama": "Slow"}]')
    gateway.publish(
        {
            "connector": "slow",
            "agency": "dinkes",
            "schema": "fasilitas_kesehatan@1",
            "source": {"kind": "rest", "url": f"{services.url}/slow", "record_path": "$[*]"},
            "fields": {"kode_faskes": "kode", "nama": "nama"},
        }
    )
    services.routes["/slow"] = slow
    reader = gateway.client("client", "dinkes")
    answers: list[httpx.Response] = []
    asking = threading.Thread(target=lambda: answers.append(reader.get("/v1/records/fasilitas-kesehatan")))
    asking.start()
    assert started.wait(10)
    stopping = threading.Thread(target=gateway.stop_process)
    stopping.start()
    asking.join(timeout=20)
    stopping.join(timeout=40)
    services.close()

    assert [answer.status_code for answer in answers] == [200]
    assert simpul("log", "verify", "--dir", str(gateway.folder)).returncode == 0


def test_a_request_that_outlasts_the_drain_is_closed_before_the_gateway_ends(tmp_path: Path) -> None:
    services, started, over = SourceServer(), threading.Event(), threading.Event()

    def endless(_query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
        started.set()
        over.wait(30)
        return 200, "application/json", b"[]"

    services.json("/endless", b'[{"kode": "S1", "nama": "Slow"}]')
    gateway = RunningGateway(tmp_path / "instance", {"SIMPUL_DRAIN_SECONDS": "1"})
    gateway.init()
    gateway.start()
    try:
        gateway.agency("dinkes")
        gateway.publish(
            {
                "connector": "endless",
                "agency": "dinkes",
                "schema": "fasilitas_kesehatan@1",
                "source": {"kind": "rest", "url": f"{services.url}/endless", "record_path": "$[*]"},
                "fields": {"kode_faskes": "kode", "nama": "nama"},
            }
        )
        services.routes["/endless"] = endless
        reader = gateway.client("client", "dinkes")
        asking = threading.Thread(target=lambda: _left_alone(reader))
        asking.start()
        assert started.wait(10)
        gateway.stop_process()
        asking.join(timeout=20)
    finally:
        over.set()
        gateway.stop()
        services.close()
    gateway.start()
    try:
        found = gateway.client("supervisor", "dinkes").get("/v1/exchanges", params={"op": "list"}).json()["items"]
    finally:
        gateway.stop()

    assert [(entry["kind"], entry.get("status")) for entry in found] == [("outcome", 499), ("intent", None)]
    assert simpul("log", "verify", "--dir", str(gateway.folder)).returncode == 0


def _left_alone(reader: httpx.Client) -> None:
    """Asks, and does not mind that the server goes away."""
    with contextlib.suppress(httpx.HTTPError):
        reader.get("/v1/records/fasilitas-kesehatan")


def test_codes_and_vkey_on_the_command_line(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "wilayah.csv"
    file.write_text("kode,nama\n33,Jawa Tengah\n33.20,Kabupaten Jepara\n33.20.10,Karimunjawa\n", "utf-8")
    loaded = simpul("codes", "load", str(file), "--dir", str(gateway.folder))
    ends = time.monotonic() + 20
    while (found := gateway.admin.get("/v1/codes/kemendagri/33.20.10")).status_code != 200:
        assert time.monotonic() < ends
        time.sleep(0.02)
    key = simpul("log", "vkey", "--dir", str(gateway.folder))

    assert loaded.returncode == 0, loaded.stderr
    assert found.json()["nama"] == "Karimunjawa"
    assert key.stdout.startswith(gateway.url.removeprefix("http://"))
