"""What is ambiguous, everything or endless is refused at the door: doubled headers, wide networks, unknown row filters, endless SELECTs."""

from __future__ import annotations

import os
import sqlite3
import stat
import tarfile
import time
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.audit import backup
from app.cli.instance import close_folder
from app.connectors.environment import NetworkPolicy
from app.connectors.network import is_allowed, network_fault
from tests.integration.api.conftest import facility_manifest, gateway, services, terms
from tests.support.gateway import RunningGateway

__all__ = ["gateway", "services"]

LIST = "/v1/records/fasilitas-kesehatan"
ENDLESS = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT i AS kode FROM n WHERE i < 0"


@pytest.mark.parametrize(
    "name",
    [
        "authorization",
        "simpul-purpose",
        "simpul-agreement",
        "x-road-userid",
        "x-road-issue",
        "X-Road-Represented-Party",
    ],
)
def test_hostile_40_a_header_that_says_who_or_why_stands_there_once(gateway: RunningGateway, name: str) -> None:
    reader = gateway.client("client", "rsud")
    token = reader.headers.pop("authorization")
    given = [("authorization", token), (name, token if name == "authorization" else "a")]
    answer = reader.get(LIST, headers=[*given, given[-1]] if name != "authorization" else given)
    assert (answer.status_code, answer.json()["code"]) == (400, "header_repeated")
    assert name.lower() in answer.json()["detail"]
    once = reader.get(LIST, headers=[("authorization", token), ("accept", "application/json"), ("accept", "*/*")])
    assert once.status_code == 200


@pytest.mark.parametrize(
    ("entry", "refused"),
    [
        ("0.0.0.0/0", True),
        ("::/0", True),
        ("0.0.0.0/1", True),
        ("8.0.0.0/5", True),
        ("2000::/3", True),
        ("169.254.169.254", True),
        ("169.254.0.0/16", True),
        ("fe80::/10", True),
        ("fd00:ec2::254", True),
        ("100.100.100.200/32", True),
        ("10.0.0.0/8", False),
        ("127.0.0.0/8", False),
        ("fc00::/7", False),
        ("100.64.0.0/10", False),
    ],
)
def test_hostile_43_networks_that_are_everything_or_hold_credentials(
    gateway: RunningGateway, entry: str, *, refused: bool
) -> None:
    assert (network_fault(ip_network(entry)) is not None) is refused
    gateway.agency("uji-jaringan")
    answer = gateway.admin.patch("/v1/agencies/uji-jaringan", json={"network_allow": [entry]})
    if refused:
        assert (answer.status_code, answer.json()["errors"][0]["code"]) == (422, "network_refused")
        assert answer.json()["errors"][0]["pointer"] == "/network_allow/0"
    else:
        assert answer.status_code == 200, answer.text


def test_hostile_43_a_wide_range_does_not_open_what_lies_within() -> None:
    allowed = NetworkPolicy((ip_network("100.64.0.0/10"), ip_network("fd00::/8")))
    for address in ("100.100.100.200", "fd00:ec2::254"):
        assert not is_allowed(ip_address(address), allowed)
    assert is_allowed(ip_address("100.64.1.1"), allowed)


@pytest.mark.parametrize(
    ("text", "code"),
    [("desa = 'x'", "field_unknown"), ("status_dasar > 5", "type_mismatch"), ("nik = ", "filter_malformed")],
)
def test_a_row_filter_that_fits_no_record_is_refused_when_proposed(
    gateway: RunningGateway, text: str, code: str
) -> None:
    answer = gateway.steward("rsud").post("/v1/agreements", json=terms("disdukcapil", row_filter=text))
    assert answer.status_code == 422, answer.text
    fault = answer.json()["errors"][0]
    assert (fault["pointer"], fault["code"]) == ("/row_filter", code)


def late(gateway: RunningGateway, agency: str, source: dict[str, Any]) -> None:
    """Check, discover and preview of a SELECT that never ends all end, with a clear fault."""
    manifest = {**facility_manifest(f"{agency}-tanpa-akhir", agency), "source": source}
    manifest["fields"] = {"kode_faskes": "kode", "nama": "kode", "jenis": {"const": "klinik"}}
    assert gateway.admin.put(f"/v1/connectors/{agency}-tanpa-akhir", json=manifest).status_code in {200, 201}
    for act in ("check", "discover", "preview"):
        started = time.monotonic()
        answer = gateway.admin.post(f"/v1/connectors/{agency}-tanpa-akhir/{act}")
        assert time.monotonic() - started < 25, act
        assert "source_timeout" in answer.text, (act, answer.text)
    assert httpx.get(f"{gateway.url}/health/live").status_code == 200


def test_a_stewards_select_without_an_end(gateway: RunningGateway, tmp_path: Path) -> None:
    file = tmp_path / "tanpa.db"
    with sqlite3.connect(file) as database:
        database.execute("CREATE TABLE t (kode TEXT)")
    database.close()
    gateway.agency("bappeda")
    gateway.upload("bappeda", file)
    late(gateway, "bappeda", {"kind": "sql", "url": "sqlite:inbox/tanpa.db", "query": ENDLESS, "deadline": "1s"})


def test_an_open_folder_is_closed_or_refused(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    served = RunningGateway(tmp_path / "instance")
    served.folder.mkdir(mode=0o755)
    served.folder.chmod(0o755)
    served.init()
    assert stat.S_IMODE(served.folder.stat().st_mode) == 0o700
    assert "closed it" in capsys.readouterr().err
    served.folder.chmod(0o750)
    served.start()
    try:
        assert stat.S_IMODE(served.folder.stat().st_mode) == 0o700
    finally:
        served.stop()

    def refuse(*_: object, **__: object) -> None:
        raise PermissionError(1, "Operation not permitted")

    served.folder.chmod(0o755)
    monkeypatch.setattr(Path, "chmod", refuse)
    with pytest.raises(Exception, match="can be opened by others"):
        close_folder(served.folder)


def test_no_part_of_a_backup_is_ever_open(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    served = RunningGateway(tmp_path / "instance")
    served.init()
    served.start()
    served.stop()
    seen: list[int] = []
    add = tarfile.TarFile.add

    def looked(tar: tarfile.TarFile, *given: Any, **named: Any) -> None:
        seen.extend(path.lstat().st_mode & 0o077 for path in tmp_path.iterdir() if path.name.endswith(".part"))
        add(tar, *given, **named)

    monkeypatch.setattr(tarfile.TarFile, "add", looked)
    (tmp_path / ".b.tar.part").write_bytes(b"left by a broken attempt")
    (tmp_path / ".b.tar.part").chmod(0o644)
    before = os.umask(0)
    try:
        backup.make_backup(served.folder, tmp_path / "b.tar", tmp_path / "k.tar")
    finally:
        os.umask(before)
    assert len(seen) > 5
    assert set(seen) == {0}
    assert [stat.S_IMODE((tmp_path / name).stat().st_mode) for name in ("b.tar", "k.tar")] == [0o600, 0o600]
