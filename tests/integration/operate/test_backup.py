"""Backup beside a running gateway, restore, and a loss that is declared."""

from __future__ import annotations

import shutil
import time
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.integration.api.conftest import FACILITIES, facility_manifest
from tests.support.gateway import RunningGateway
from tests.support.programs import simpul


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


def test_backup_restore_and_a_declared_gap(gateway: RunningGateway, tmp_path: Path) -> None:
    reader = gateway.client("client", "dinkes")
    before = reader.get("/v1/records/fasilitas-kesehatan").headers["exchange-id"]
    made = simpul("backup", str(tmp_path / "b.tar"), "--keys", str(tmp_path / "k.tar"), "--dir", str(gateway.folder))
    again = simpul("backup", str(tmp_path / "b.tar"), "--dir", str(gateway.folder))
    for _ in range(5):
        reader.get("/v1/records/fasilitas-kesehatan")
    time.sleep(1.5)
    newest = tmp_path / "newest.checkpoint"
    shutil.copy(gateway.folder / "log.checkpoint", newest)
    gateway.stop()
    words = ["restore", str(tmp_path / "b.tar"), "--keys", str(tmp_path / "k.tar")]
    plain = simpul(*words, "--dir", str(tmp_path / "plain"))
    refused = simpul(*words, "--dir", str(tmp_path / "refused"), "--last-checkpoint", str(newest))
    lost = simpul(
        *words, "--dir", str(tmp_path / "lost"), "--last-checkpoint", str(newest), "--accept-loss", "Cakram rusak"
    )
    taken = simpul(*words, "--dir", str(tmp_path / "plain"))

    assert (made.returncode, again.returncode) == (0, 2), made.stderr
    assert (tmp_path / "k.tar").stat().st_mode & 0o077 == 0
    assert plain.returncode == 0, plain.stdout + plain.stderr
    assert (refused.returncode, taken.returncode) == (1, 2)
    assert "were signed and are lost" in refused.stdout
    assert lost.returncode == 0, lost.stdout + lost.stderr
    checked = simpul("log", "verify", "--dir", str(tmp_path / "lost"))
    assert checked.returncode == 0
    assert "declared gap" in checked.stderr
    assert simpul("log", "verify", "--dir", str(tmp_path / "lost" / "shards" / "001")).returncode == 0

    gateway.folder = tmp_path / "plain"
    gateway.start()
    assert gateway.client("supervisor", "diskominfo").get(f"/v1/exchanges/{before}").status_code == 200
    gateway.stop()
    gateway.folder = tmp_path / "lost"
    gateway.start()
    served = gateway.client("client", "dinkes").get("/v1/records/fasilitas-kesehatan")
    assert served.json()["items"]
    assert simpul("log", "verify", "--dir", str(gateway.folder)).returncode == 0


def test_a_damaged_backup_is_refused(gateway: RunningGateway, tmp_path: Path) -> None:
    simpul("backup", str(tmp_path / "b.tar"), "--keys", str(tmp_path / "k.tar"), "--dir", str(gateway.folder))
    content = bytearray((tmp_path / "b.tar").read_bytes())
    place = content.find(b"P1,Puskesmas Satu")
    content[place] ^= 1
    (tmp_path / "b.tar").write_bytes(content)
    done = simpul("restore", str(tmp_path / "b.tar"), "--keys", str(tmp_path / "k.tar"), "--dir", str(tmp_path / "r"))

    assert done.returncode == 2
    assert "damaged" in done.stderr
