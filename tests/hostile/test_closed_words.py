"""Entries hold closed words; details are sealed, bounded and told once; what is typed into an address is not kept of refusals."""

from __future__ import annotations

import base64
import sqlite3
import subprocess
import tarfile
from pathlib import Path
from typing import Any

import httpx
import pytest

from app.api.layer.in_the_log import fault_told, request_structure
from app.audit.entry.record import Entry, Record, uuid7
from app.audit.keys.details import DetailKeys
from app.audit.write.standing_details import DONE_FILE
from app.errors import FieldError, FieldUnknown, SourceTimeout
from tests.contract.audit.conftest import instance
from tests.integration.api.conftest import gateway, services
from tests.integration.api.test_recorded import LIST, PERSON, VERIFY, WHY, recorded
from tests.support import programs
from tests.support.gateway import RunningGateway
from tests.support.log_instance import GATEWAY, Instance

__all__ = ["gateway", "instance", "services"]

NIK = "3320010101900001"
WHY_NOW = {**WHY, "Simpul-Purpose": "pelayanan_kesehatan"}


@pytest.fixture(scope="module")
def reader(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("client", "rsud")


@pytest.fixture(scope="module")
def supervisor(gateway: RunningGateway) -> httpx.Client:
    return gateway.client("supervisor", "dinkes")


def bytes_of(entry: dict[str, Any]) -> str:
    return base64.b64decode(entry["entry"]).decode()


def test_what_a_caller_writes_reaches_no_entry(reader: httpx.Client, supervisor: httpx.Client) -> None:
    mark = "Siti Contoh 3320010101900001"
    headers = {"X-Road-Represented-Party": mark, "X-Road-UserId": mark, "X-Road-Issue": mark}
    sql = f'SELECT "nama" AS "{mark}" FROM fasilitas_kesehatan AS "b{NIK}" WHERE nama = \'{mark}\' -- {mark}'
    answers = [
        reader.get(LIST, headers=headers),
        reader.get(f"{LIST}/P1", headers=headers),
        reader.get(LIST, params={"agencies": NIK}, headers=headers),
        reader.get(LIST, params={NIK: "1"}, headers=headers),
        reader.get(f"{LIST}/{NIK}", headers=headers),
        reader.post("/v1/queries", json={"sql": sql}, headers=headers),
        reader.post(
            f"{LIST}/aggregate", json={"aggregates": [{"function": "count", "as": "siti_contoh"}]}, headers=headers
        ),
    ]
    for answer in answers:
        for entry in recorded(supervisor, answer):
            for word in (NIK, "Siti", "siti"):
                assert word not in bytes_of(entry), (answer.request.url, bytes_of(entry))
    intent, _ = recorded(supervisor, answers[0])
    assert (intent["detail"]["represented"], intent["detail"]["officer"]) == (mark, mark)


def test_hostile_60_an_identifier_in_a_refused_address_is_stored_nowhere(
    gateway: RunningGateway, reader: httpx.Client, supervisor: httpx.Client
) -> None:
    for answer in (
        reader.get(LIST, params={"nik": NIK}),
        reader.get(LIST, params={NIK: "x"}),
        reader.get(LIST, params={"agencies": NIK}),
        reader.get(LIST, params={"sort": NIK}),
        reader.get(LIST, params={"filter": f"nik = '{NIK}'"}),
        reader.get(f"{LIST}/{NIK}"),
        reader.get(f"/v1/records/penduduk-verifikasi/{NIK}"),
        reader.get(f"/v1/records/{NIK}"),
        reader.get(f"/v1/jobs/{NIK}/result"),
    ):
        assert answer.status_code >= 400
        kept = recorded(supervisor, answer)
        for entry in kept:
            assert NIK not in str(entry).replace(answer.headers["exchange-id"], "")
        assert kept[0]["detail"]["request"].startswith("GET ")
    assert NIK not in (gateway.folder / "serve.log").read_text("utf-8", "replace")


def test_hostile_60_an_answered_address_is_kept_in_the_detail_alone(
    reader: httpx.Client, supervisor: httpx.Client
) -> None:
    answer = reader.get(LIST, params={"filter": "nama = 'Puskesmas Satu'", "limit": "5", "jenis": "puskesmas"})
    intent, outcome = recorded(supervisor, answer)
    assert intent["detail"]["request"] == "GET /v1/records/{schema}?filter&limit&jenis"
    assert outcome["detail"]["query"] == {
        "filter": "nama = 'Puskesmas Satu'",
        "limit": "5",
        "equals": {"jenis": "puskesmas"},
    }
    _, outcome = recorded(supervisor, reader.get(f"{LIST}/P1"))
    assert outcome["detail"]["query"] == {"key": "P1"}


def test_hostile_60_names_and_places_are_words_of_the_contract() -> None:
    assert request_structure("GET", "/v1/x", f"a=1&a=2&{NIK}=1&%33%33200101019=2&b%20c=1") == "GET /v1/x?a&?"
    told = fault_told(FieldUnknown(f"no field {NIK}", errors=[FieldError(f"/{NIK}", "unknown", NIK)]))
    assert told == {"error": "field_unknown", "errors": [{"pointer": "?", "code": "unknown"}]}
    assert fault_told(SourceTimeout("dinkes did not answer"))["error"].endswith("dinkes did not answer")


def test_a_detail_is_told_once(reader: httpx.Client, supervisor: httpx.Client) -> None:
    for answer in (
        reader.post(VERIFY, json=PERSON, headers=WHY_NOW),
        reader.post(VERIFY, json=PERSON, headers=WHY),
        reader.post(f"{LIST}/search", json={"filter": "nama ="}, headers=WHY),
    ):
        intent, outcome = recorded(supervisor, answer)
        assert intent["detail"].keys() & outcome["detail"].keys() <= {"tags"}
        assert intent["detail"]["officer"] == "ID1"
        assert "error" not in intent["detail"]
        assert ("error" in outcome["detail"]) is (answer.status_code != 200)
        assert ("asked" in intent["detail"]) is (answer.json().get("code") != "purpose_required")


def test_a_backup_without_keys_shows_nobody(gateway: RunningGateway, tmp_path: Path) -> None:
    if not (gateway.folder / "log.db").exists():
        return  # on PostgreSQL the next test looks into the table
    client = gateway.client("client", "rsud")
    why = {**WHY_NOW, "X-Road-UserId": "petugas-sangat-rahasia"}
    assert client.post(VERIFY, json=PERSON, headers=why).status_code == 200
    assert client.get(LIST, params={"filter": "nama = 'saring-rahasia'"}).status_code == 200
    target = tmp_path / "cadangan.tar"
    made = subprocess.run(
        [*programs.SIMPUL, "backup", str(target), "--dir", str(gateway.folder)],
        capture_output=True,
        text=True,
        check=False,
    )
    assert made.returncode == 0, made.stderr
    with tarfile.open(target) as tar:
        tar.extractall(tmp_path / "salinan", filter="data")
    content = b"".join(path.read_bytes() for path in (tmp_path / "salinan").rglob("log.db*"))
    for word in (PERSON["nik"], "petugas-sangat-rahasia", "saring-rahasia", "RM-1"):
        assert word.encode() not in content
    copy = subprocess.run(
        [*programs.SIMPUL, "log", "verify", "--dir", str(tmp_path / "salinan")],
        capture_output=True,
        text=True,
        check=False,
    )
    assert copy.returncode == 0, copy.stdout + copy.stderr
    assert "sealed under keys that are not here" in copy.stdout + copy.stderr


@pytest.mark.anyio
async def test_details_are_sealed_to_their_entry(instance: Instance) -> None:
    async with instance.opened() as log:
        for _ in range(2):
            await log.append(Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="a.b"), {"nik": NIK}))
    rows = instance.rows("SELECT d.idx, e.id, d.detail FROM exchange_detail d JOIN log_entry e ON e.idx = d.idx")
    seals = DetailKeys.of(instance.folder)
    for _, name, stored in rows:
        assert NIK.encode() not in bytes(stored)
        assert seals.document(name, stored) == {"nik": NIK}
    assert instance.verify().ok
    instance.rows("UPDATE exchange_detail SET detail = $1 WHERE idx = 0", bytes(rows[1][2]))
    found = instance.verify()
    assert (found.ok, found.first_broken_index, "seal does not open" in str(found.reason)) == (False, 0, True)


@pytest.mark.anyio
async def test_what_an_older_version_left_plain_is_sealed(instance: Instance) -> None:
    async with instance.opened() as log:
        for number in range(1200):
            if number % 100 == 0:
                batch = [
                    Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="a.b"), {"nik": NIK}) for _ in range(100)
                ]
                await log.append_many(batch)
    seals = DetailKeys.of(instance.folder)
    rows = instance.rows("SELECT d.idx, e.id, d.detail FROM exchange_detail d JOIN log_entry e ON e.idx = d.idx")
    for idx, name, stored in rows:
        plain = seals.open(name, bytes(stored))
        instance.rows("UPDATE exchange_detail SET detail = $1 WHERE idx = $2", plain, idx)
    (instance.folder / DONE_FILE).unlink()
    async with instance.opened() as log:
        assert log._sealing is not None
        await log._sealing
        await log.append(Record(Entry(xid=uuid7(), kind="admin", gw=GATEWAY, op="a.b"), {"nik": NIK}))
    assert not [1 for (detail,) in instance.rows("SELECT detail FROM exchange_detail") if NIK.encode() in bytes(detail)]
    assert (instance.folder / DONE_FILE).exists()
    assert instance.verify().ok
    if instance.url is None:
        raw = (instance.folder / "log.db").read_bytes()
        assert NIK.encode() not in raw
        with sqlite3.connect(f"file:{instance.folder}/log.db?mode=ro", uri=True) as reader:
            assert reader.execute("SELECT count(*) FROM exchange_detail").fetchone() == (1201,)
