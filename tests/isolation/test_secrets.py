"""What a busy gateway leaves behind holds no secret of its run: answers, log lines, documents, processes, files, backups, reprs."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import psycopg
import pytest

from app.access.principals import Principal
from app.access.sealing import Seal
from app.access.source_secrets import AgencySecrets, SecretStore
from app.settings import load_settings
from tests.isolation.world import CONSUMER, NIK, PROVIDER, WHY, Caller, World, opened
from tests.support.programs import SIMPUL, run
from tests.support.secret_scanner import Finding, Scanner
from tests.support.sources import SourceServer

LIST = "/v1/records/fasilitas-kesehatan"
VERIFY = "/v1/records/penduduk-verifikasi/verify"
SOURCE_SECRETS = {
    "bearer": "token-sumber-9f8e7d6c5b4a",
    "kunci": "kunci/API+sumber=31415926",
    "sandi-db": "sandi-basis-data-27182818",
    "rahasia-oauth": "rahasia-klien-oauth-16180339",
    "s3-nama": "nama-kunci-s3-17320508",
    "s3": "kunci-rahasia-s3-14142135",
}
KEYS = "keys"
FILES = ("agencies", "inbox", "files")


@dataclass
class Busy:
    """A gateway that was asked in every way, and what it answered."""

    world: World
    known: dict[str, str | bytes]
    answers: list[httpx.Response] = field(default_factory=list)


def _sources(world: World, services: SourceServer, database: str) -> None:
    """Sources that need secrets: some answer, some refuse, some are not there."""
    gateway = world.gateway
    for name, value in SOURCE_SECRETS.items():
        stored = gateway.admin.put(f"/v1/secrets/{name}", json={"value": value, "agency": PROVIDER})
        assert stored.status_code in {200, 201, 204}, stored.text
    services.json("/faskes", b'{"data": [{"kode": "R1", "nama": "RS Satu"}]}')
    services.routes["/ditolak"] = lambda _query, headers: (
        401,
        "text/plain",
        f"no: {headers.get('authorization')}".encode(),
    )
    services.posts["/token"] = lambda sent, _headers: (
        400,
        "application/json",
        b'{"error": "invalid_client", "sent": "%s"}' % sent,
    )
    with psycopg.connect(database, autocommit=True) as connection:
        connection.execute("CREATE TABLE faskes (kode text PRIMARY KEY, nama text NOT NULL)")
        connection.execute("INSERT INTO faskes VALUES ('D1', 'Klinik Basis Data')")
    host = database.rpartition("@")[2]
    rest = {"kind": "rest", "record_path": "$.data[*]"}
    gone = f"{services.url}/tidak-ada"
    oauth = {
        "kind": "oauth2",
        "token_url": f"{services.url}/token",
        "client_id": "simpul",
        "client_secret": "${secret:rahasia-oauth}",
    }
    sources: dict[str, dict[str, Any]] = {
        "bearer": {**rest, "url": f"{services.url}/faskes", "auth": {"kind": "bearer", "token": "${secret:bearer}"}},
        "ditolak": {**rest, "url": f"{services.url}/ditolak", "auth": {"kind": "bearer", "token": "${secret:bearer}"}},
        "kunci": {**rest, "url": gone, "auth": {"kind": "api_key", "name": "key", "place": "query", "value": "${secret:kunci}"}},
        "oauth": {**rest, "url": gone, "auth": oauth},
        "basis-data": {"kind": "sql", "url": f"postgresql://simpul:${{secret:sandi-db}}@{host}", "table": "faskes"},
        "basis-data-mati": {"kind": "sql", "url": "postgresql://simpul:${secret:sandi-db}@127.0.0.1:9/x", "table": "faskes"},
        "s3": {"kind": "file", "location": "s3://ember/faskes.csv", "endpoint": services.url, "region": "us-east-1", "access_key": "${secret:s3-nama}", "secret_key": "${secret:s3}"},
    }  # fmt: skip
    for name, source in sources.items():
        fields = {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "klinik"}}
        manifest = {
            "connector": name,
            "agency": PROVIDER,
            "schema": "fasilitas_kesehatan@1",
            "source": source,
            "fields": fields,
        }
        put = gateway.admin.put(f"/v1/connectors/{name}", json=manifest)
        assert put.status_code == 201, put.text


def _ask(busy: Busy) -> None:
    """Everything that a secret could come out of."""
    sessions, gateway = busy.world.sessions, busy.world.gateway
    steward, client = sessions[Caller("steward", PROVIDER)], sessions[Caller("client", CONSUMER)]
    take = busy.answers.append
    for name in ("bearer", "ditolak", "kunci", "oauth", "basis-data", "basis-data-mati", "s3"):
        for act in ("check", "discover", "preview", "suggest", "publish"):
            take(steward.post(f"/v1/connectors/{name}/{act}"))
        for part in ("", "/revisions/1", "/health", "/quality", "/quarantine"):
            take(steward.get(f"/v1/connectors/{name}{part}"))
    for prefer in ("partial=allow", "partial=never"):
        take(client.get(LIST, headers={**WHY, "Prefer": prefer}))
        take(client.post("/v1/explain", json={"schema": "fasilitas_kesehatan"}, headers={"Prefer": prefer}))
    person = {"nik": NIK, "nama": "Siti Contoh Aminah"}
    take(client.post(VERIFY, json=person, headers=WHY))
    take(client.post(VERIFY, json={**person, "nik": f"{NIK}0"}, headers=WHY))
    take(client.get(f"/v1/records/penduduk-verifikasi/{NIK}"))
    take(client.get(LIST, params={"filter": f"nik = '{NIK}'"}))
    take(client.post("/v1/queries", json={"sql": f"SELECT * FROM penduduk_verifikasi WHERE nik = '{NIK}'"}))
    take(client.post("/v1/queries", json={"sql": f"SELECT '{NIK}' FROM tidak_ada WHERE"}))
    take(client.post("/v1/queries", json={"sql": f"SELECT CAST('{NIK}x' AS INTEGER) FROM fasilitas_kesehatan"}))
    take(client.get(LIST, headers={"authorization": client.headers["authorization"] + "x"}))
    take(client.get(LIST, params={"access_token": str(client.headers["authorization"]).split()[1]}))
    for identity, secret in list(busy.world.secrets.items())[:4]:
        take(
            httpx.post(
                f"{gateway.url}/oauth/token",
                data={"grant_type": "client_credentials"},
                auth=(identity, secret[:-1] + "~"),
            )
        )
    for caller in (steward, client, sessions[Caller("admin", "diskominfo")]):
        for path in (
            "/v1/secrets",
            "/v1/clients",
            "/v1/agencies",
            "/v1/access",
            "/openapi.json",
            "/openapi.json?as=me",
            "/metrics",
            "/v1/datasets",
            "/status",
        ):
            take(caller.get(path))
    take(client.get(LIST, params={"f": "csv"}, headers={**WHY, "Prefer": "respond-async"}))
    for path in (
        "/",
        "/docs",
        "/redoc",
        "/.well-known/jwks.json",
        "/.well-known/oauth-authorization-server",
        "/log/checkpoint",
    ):
        take(client.get(path))
    time.sleep(1.0)


@pytest.fixture(scope="module")
def busy(tmp_path_factory: pytest.TempPathFactory, postgres_module_url: str) -> Iterator[Busy]:
    services = SourceServer()
    folder = tmp_path_factory.mktemp("secrets")
    try:
        with opened(folder) as world:
            world.gateway.agree({
                "id": "orang", "provider": PROVIDER, "consumer": CONSUMER, "schema": "penduduk_verifikasi", "fields": ["*"],
                "purposes": ["pelayanan_kesehatan"], "basis": "PKS", "valid_from": "2026-01-01", "valid_until": "2030-12-31", "rights": [],
            })  # fmt: skip
            keys = {
                f"key file {path.name}": path.read_bytes().strip()
                for path in (world.gateway.folder / KEYS).iterdir()
                if path.stat().st_size >= 16
            }
            found = Busy(world, {**world.secrets, **SOURCE_SECRETS, "NIK": NIK, **keys})
            _sources(world, services, postgres_module_url)
            _ask(found)
            yield found
    finally:
        services.close()


def scanner(busy: Busy, *forms: str) -> Scanner:
    return Scanner(busy.known, forms or ("private key", "address with a password", "authorization", "hash of a secret"))


def test_answers_hold_no_secret(busy: Busy) -> None:
    found: set[Finding] = set()
    refusals = 0
    for answer in busy.answers:
        refusals += answer.status_code >= 400
        where = f"{answer.request.method} {answer.request.url.path}"
        found.update(scanner(busy).scan(where, answer.content))
        headers = "\n".join(f"{name}: {value}" for name, value in answer.headers.items())
        found.update(scanner(busy).scan(f"headers of {where}", headers))
    assert refusals > 30
    assert sorted(found, key=str) == []


def test_log_lines_hold_no_secret(busy: Busy) -> None:
    lines = (busy.world.gateway.folder / "serve.log").read_bytes()
    assert len(lines) > 1000
    assert (
        scanner(
            busy, *("private key", "token", "address with a password", "authorization", "hash of a secret", "NIK")
        ).scan("serve.log", lines)
        == []
    )


def test_processes_hold_no_secret(busy: Busy) -> None:
    assert scanner(busy).scan_processes(busy.world.gateway.pid) == []


def test_files_of_the_instance_hold_no_secret_beside_the_keys(busy: Busy) -> None:
    """Secrets are sealed, those of clients hashed; the files of agencies are theirs, and lie there as they came."""
    scan = scanner(busy, "private key", "address with a password", "authorization")
    assert [one for one in scan.scan_folder(busy.world.gateway.folder, leave_out={KEYS}) if not _of_agencies(one)] == []


def test_the_store_of_clients_holds_hashes(busy: Busy) -> None:
    found = scanner(busy, "hash of a secret").scan_file(busy.world.gateway.folder / "simpul.db", "store")
    wal = busy.world.gateway.folder / "simpul.db-wal"
    found += scanner(busy, "hash of a secret").scan_file(wal, "store") if wal.is_file() else []
    assert set(found) == {Finding("form of a hash of a secret", "store")}


def test_a_backup_without_keys_holds_no_secret(busy: Busy, tmp_path: Path) -> None:
    target = tmp_path / "cadangan.tar"
    made = run([*SIMPUL, "backup", str(target), "--dir", str(busy.world.gateway.folder)])
    assert made.returncode == 0, made
    scan = scanner(busy, "private key", "address with a password", "authorization")
    found = scan.scan_file(target, "backup")
    assert [one for one in found if not _of_agencies(one)] == []
    assert any(_of_agencies(one) for one in found), "the members were looked at, and the manual says what stands there"


def _of_agencies(found: Finding) -> bool:
    """A file that an agency uploaded, which is kept as it came."""
    return found.what == "NIK" and "inbox" in found.where


def test_reprs_hold_no_secret(busy: Busy) -> None:
    folder = busy.world.gateway.folder
    settings = load_settings(dir=folder, database_url="postgresql://simpul:sandi-basis-data-27182818@db.example/x")
    assert "sandi-basis" not in repr(settings) + str(settings) + repr(settings.model_dump())
    caller = Principal("pemakai-client", CONSUMER, "client", "thumbprint")
    texts = [
        repr(settings),
        repr(caller),
        repr(AgencySecrets(SecretStore(Seal([b"k" * 32])), PROVIDER, SOURCE_SECRETS)),
    ]
    assert [one for text in texts for one in scanner(busy).scan("repr", text)] == []


def test_the_scanner_sees_what_is_planted_here(busy: Busy, tmp_path: Path) -> None:
    """The same scans find a secret of the run when one stands where they look."""
    planted = tmp_path / "instance"
    planted.mkdir()
    token = next(value for name, value in busy.known.items() if name.startswith("token of"))
    assert isinstance(token, str)
    (planted / "serve.log").write_text(
        f'{{"event": "asked", "token": "{token}", "sandi": "{SOURCE_SECRETS["sandi-db"]}"}}', "utf-8"
    )
    found = {one.what for one in scanner(busy).scan_folder(planted)}
    assert "sandi-db" in found
    assert any(name.startswith("token of") for name in found)
