"""Explicit credentials only: no driver, client or child takes a credential, certificate or setting from the gateway's surroundings."""

from __future__ import annotations

import json
import os
import sqlite3
import time
from collections.abc import Iterator, MutableMapping
from contextlib import closing
from dataclasses import replace
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.children import bare_environment
from app.connectors.registry import open_connector
from app.connectors.requests import ScanRequest
from app.datasets.manifest import parse_manifest
from app.datasets.records import ReadRequest
from app.errors import ManifestInvalid, SimpulError
from tests.support import workbooks
from tests.support.mariadb import USER, admin, fresh_database
from tests.support.reading import dataset, environment
from tests.support.sources import SourceServer

FACILITIES = {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "klinik"}}
CANARY = "canary-7f31"
WATCHED = (
    "PG",
    "MYSQL",
    "MARIADB",
    "SSL",
    "AWS",
    "HTTP",
    "HTTPS",
    "ALL_PROXY",
    "NO_PROXY",
    "NETRC",
    "REQUESTS_CA",
    "CURL",
    "KRB5",
    "HOME",
    "USERPROFILE",
)
CANARIES = (
    *(f"PG{name}" for name in ("HOST", "PORT", "USER", "PASSWORD", "DATABASE", "PASSFILE", "SERVICE", "SERVICEFILE", "SSLMODE", "SSLCERT", "SSLKEY",
      "SSLROOTCERT", "SSLCRL", "SSLNEGOTIATION", "TARGETSESSIONATTRS", "KRBSRVNAME", "GSSLIB", "OPTIONS", "SSLMINPROTOCOLVERSION")),
    "MYSQL_PWD", "MYSQL_HOST", "MYSQL_HOME", "MARIADB_HOME", "SSLKEYLOGFILE", "HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NETRC", "AWS_SECRET_ACCESS_KEY",
)  # fmt: skip


class Recording(MutableMapping[str, str]):
    """The environment, and every name that somebody asked for."""

    def __init__(self, real: MutableMapping[str, str]) -> None:
        self.real, self.asked = real, set[str]()

    def __getitem__(self, name: str) -> str:
        self.asked.add(name)
        return self.real[name]

    def __setitem__(self, name: str, value: str) -> None:
        self.real[name] = value

    def __delitem__(self, name: str) -> None:
        del self.real[name]

    def __iter__(self) -> Iterator[str]:
        return iter(self.real)

    def __len__(self) -> int:
        return len(self.real)


@pytest.fixture
def surroundings(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Iterator[Recording]:
    """Canaries in every variable that a driver knows, a home folder full of files for them, and a record of what is read."""
    home = tmp_path / "home"
    (home / ".postgresql").mkdir(parents=True)
    for name in (
        ".pgpass",
        ".my.cnf",
        ".netrc",
        ".pg_service.conf",
        ".postgresql/postgresql.crt",
        ".postgresql/postgresql.key",
        ".postgresql/root.crt",
    ):
        (home / name).write_text(CANARY, "utf-8")
        (home / name).chmod(0o600)
    for name in CANARIES:
        monkeypatch.setenv(name, CANARY)
    monkeypatch.setenv("HOME", str(home))
    recording = Recording(os.environ)
    monkeypatch.setattr(os, "environ", recording)
    monkeypatch.chdir(tmp_path)
    yield recording
    assert not (tmp_path / CANARY).exists()  # the file that SSLKEYLOGFILE names


async def answers(folder: Path, source: dict[str, Any]) -> list[str]:
    """Check, discover and read."""
    opened = dataset(folder, "fasilitas_kesehatan", source, FACILITIES)
    try:
        steps = await opened.connector.check()
        assert [step.error for step in steps if step.error is not None] == []
        await opened.connector.discover()
        return [record.values["kode_faskes"] for record in (await opened.read(ReadRequest(limit=10))).records]
    finally:
        await opened.close()


def watched(surroundings: Recording) -> set[str]:
    return {name for name in surroundings.asked if name.upper().startswith(WATCHED)}


@pytest.fixture
def filled(postgres_url: str) -> str:
    """The address of a database with one table; made before the canaries are there, which psycopg reads."""
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        connection.execute("CREATE TABLE f (kode text primary key, nama text)")
        connection.execute("INSERT INTO f VALUES ('F1', 'Satu')")
    return postgres_url


@pytest.mark.parametrize("mode", ["prefer", "disable"])
async def test_postgresql_is_asked_with_what_the_manifest_says(
    filled: str, surroundings: Recording, tmp_path: Path, mode: str
) -> None:
    surroundings.asked.clear()
    assert await answers(tmp_path, {"kind": "sql", "url": f"{filled}?sslmode={mode}", "table": "f"}) == ["F1"]
    assert watched(surroundings) == set()


async def test_mariadb_is_asked_with_what_the_manifest_says(
    mariadb_port: int, surroundings: Recording, tmp_path: Path
) -> None:
    with fresh_database(mariadb_port) as database:
        with closing(admin(mariadb_port, database)) as session, session.cursor() as cursor:
            cursor.execute("CREATE TABLE f (kode varchar(9) primary key, nama varchar(9))")
            cursor.execute("INSERT INTO f VALUES ('F1', 'Satu')")
            session.commit()
        surroundings.asked.clear()
        (tmp_path / CANARY).unlink(missing_ok=True)  # of the session above, which is the test's own
        url = f"mariadb://{USER}:${{secret:PW}}@127.0.0.1:{mariadb_port}/{database}"
        assert await answers(tmp_path, {"kind": "sql", "url": url, "table": "f"}) == ["F1"]
    assert watched(surroundings) == set()


async def test_services_and_files_are_read_with_what_the_manifest_says(surroundings: Recording, tmp_path: Path) -> None:
    (tmp_path / "inbox").mkdir()
    workbooks.write(tmp_path / "inbox" / "a.xlsx", [["kode", "nama"], ["F1", "Satu"]])
    with closing(sqlite3.connect(tmp_path / "inbox" / "a.db")) as connection:
        connection.execute("CREATE TABLE f (kode TEXT PRIMARY KEY, nama TEXT)")
        connection.execute("INSERT INTO f VALUES ('F1', 'Satu')")
        connection.commit()
    services = SourceServer()
    services.json("/s", json.dumps([{"kode": "F1", "nama": "Satu"}]).encode())
    try:
        for source in (
            {"kind": "rest", "url": f"{services.url}/s", "record_path": "$[*]"},
            {"kind": "file", "location": "inbox/a.xlsx"},
            {"kind": "sql", "url": "sqlite:inbox/a.db", "table": "f"},
        ):
            surroundings.asked.clear()
            assert await answers(tmp_path, source) == ["F1"]
            assert watched(surroundings) == set()
    finally:
        services.close()


def test_children_are_started_with_nothing_of_it(surroundings: Recording) -> None:
    assert CANARY not in json.dumps(bare_environment())
    assert bare_environment().keys() <= {"PATH", "LANG", "LC_ALL", "TMPDIR", "SYSTEMROOT", "PYTHONPATH"}


@pytest.mark.parametrize(
    ("url", "part"),
    [
        ("postgresql://u:${secret:A}@${secret:B}:5432/db", "host"),
        ("postgresql://u:${secret:A}@h:${env:B}/db", "port"),
        ("mysql://u:${secret:A}@h/${secret:B}", "database"),
    ],
)
def test_hostile_60_references_stand_in_credentials_alone(url: str, part: str) -> None:
    source = {"kind": "sql", "url": url, "table": "f"}
    with pytest.raises(
        ManifestInvalid, match=f"the {part} is written out: references stand for user and password alone"
    ):
        parse_manifest({"connector": "uji-a", "agency": "uji", "source": source}, draft=True)


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"Authorization": "Bearer abc"}},
        {"headers": {"X-Api-Key": "abc"}},
        {"headers": {"cookie": "sid=abc"}},
        {"params": {"token": "abc"}},
        {"params": {"api_key": "abc${secret:A}"}},
        {"url": "https://contoh.test/api?apikey=abc&tahun=2024"},
    ],
)
def test_hostile_60_a_credential_is_never_written_out(more: dict[str, Any]) -> None:
    source = {"kind": "rest", "url": "https://contoh.test/api", **more}
    with pytest.raises(ManifestInvalid, match="is a credential") as caught:
        parse_manifest({"connector": "uji-a", "agency": "uji", "source": source}, draft=True)
    assert "abc" not in str(caught.value.errors)


@pytest.mark.parametrize(
    "more",
    [
        {"headers": {"Authorization": "Bearer ${secret:A}", "Accept-Language": "id"}},
        {"headers": {"X-Api-Key": "${env:A}"}},
        {"params": {"token": "${secret:A}", "tahun": "2024", "keyword": "sehat"}},
        {"url": "https://contoh.test/api?tahun=2024&kunci=a"},
    ],
)
def test_references_and_plain_parameters_pass(more: dict[str, Any]) -> None:
    source = {"kind": "rest", "url": "https://contoh.test/api", **more}
    assert parse_manifest({"connector": "uji-a", "agency": "uji", "source": source}, draft=True)


@pytest.fixture
def services() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


SECRET = "rahasia-9c2e41"
ODD = "rahasia\r\n-9c2e41 ä\x00"


class Telling:
    """Resolves every reference to the same secret."""

    def __init__(self, secret: str) -> None:
        self.secret = secret

    def resolve(self, text: str) -> str:
        for name in ("${secret:PW}", "${env:PW}"):
            text = text.replace(name, self.secret)
        return text


def _faulty(services: SourceServer) -> list[dict[str, Any]]:
    """Sources of every kind whose use of a secret goes wrong in another way: refused, no name, no port, not encodable, redirected."""
    url, nowhere = services.url, "http://127.0.0.1:9"
    services.routes["/tolak"] = lambda _query, _headers: (401, "text/plain", b"no")
    services.routes["/pindah"] = lambda _query, _headers: (302, "text/plain", b"")
    services.routes["/gema"] = lambda _query, headers: (400, "application/json", json.dumps(headers).encode())
    token = {"kind": "bearer", "token": "${secret:PW}"}
    basic = {"kind": "basic", "user": "u", "password": "${secret:PW}"}
    key = {"kind": "api_key", "name": "kunci", "value": "${secret:PW}", "place": "query"}
    oauth = {"kind": "oauth2", "token_url": f"{url}/tolak", "client_id": "c", "client_secret": "${secret:PW}"}
    rest = [
        {"kind": "rest", "url": f"{base}{path}", "record_path": "$[*]", "auth": auth}
        for base, path in ((url, "/tolak"), (url, "/pindah"), (url, "/gema"), (nowhere, "/"))
        for auth in (token, basic, key, oauth)
    ]
    databases = [
        {"kind": "sql", "url": f"{scheme}://uji:${{secret:PW}}@{place}/data", "table": "t"}
        for scheme in ("postgresql", "mysql", "mariadb")
        for place in ("127.0.0.1:9", "tidak-ada.invalid")
    ]
    ckan = {"kind": "ckan", "url": url, "resource": "r1", "api_key": "${secret:PW}"}
    return [*rest, *databases, ckan]


@pytest.mark.anyio
@pytest.mark.parametrize("secret", [SECRET, ODD], ids=["plain", "odd"])
async def test_hostile_60_no_error_and_no_report_holds_a_resolved_value(
    tmp_path: Path, services: SourceServer, secret: str
) -> None:
    parts = [part for part in (secret, secret.strip(), secret.split("\r\n", maxsplit=1)[0], "9c2e41") if part]
    for source in _faulty(services):
        manifest = parse_manifest(
            {
                "connector": "uji",
                "agency": "uji",
                "schema": "fasilitas_kesehatan@1",
                "source": source,
                "fields": FACILITIES,
            }
        )
        connector = open_connector(manifest.source, replace(environment(tmp_path), secrets=Telling(secret)))
        told: list[str] = []
        try:
            for step in await connector.check():
                told += [step.note, *_told(step.error)]
            for work in (connector.discover, connector.learn):
                try:
                    await work()
                except SimpulError as error:
                    told += _told(error)
            try:
                async for _ in connector.scan(ScanRequest(deadline=time.monotonic() + 5)):
                    pass
            except SimpulError as error:
                told += _told(error)
        finally:
            await connector.close()
        assert any(told), source
        for text in told:
            assert not any(part in text for part in parts), (source, text)


def _told(error: SimpulError | None) -> list[str]:
    """All that an answer, a report or the log could take from an error."""
    if error is None:
        return []
    chain, found = error, [error.detail, repr(error), repr(error.facts), repr(error.errors)]
    while (cause := chain.__cause__) is not None or (
        chain.__suppress_context__ is False and chain.__context__ is not None
    ):
        chain = cause or chain.__context__  # type: ignore[assignment]
        found.append(repr(chain))
    return found
