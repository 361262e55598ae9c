"""`simpul agent once` by the real program at a real gateway: files, patterns and queries reach the inbox, each once."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pymysql
import pytest

from tests.support.agent import Office, told
from tests.support.gateway import RunningGateway
from tests.support.mariadb import PASSWORD, USER, fresh_database

Inbox = Callable[[str], bytes]
FILE = {"settle": "0s", "every": "15m"}


def test_a_file_is_sent_once_and_told_unchanged_after_that(
    gateway: RunningGateway, office: Office, inbox: Inbox
) -> None:
    (office.folder / "faskes.csv").write_text("kode,nama\nP1,Puskesmas Satu\n", "utf-8")
    office.write({"name": "faskes", "file": "faskes.csv", "to": "faskes.csv", **FILE})
    first, second = office.run("once"), office.run("once")

    assert (first.returncode, second.returncode) == (0, 0), first.stderr + second.stderr
    assert [line["event"] for line in told(first.stderr)] == ["sent"]
    assert [line["event"] for line in told(second.stderr)] == ["unchanged"]
    assert inbox("faskes.csv") == (office.folder / "faskes.csv").read_bytes()
    shown = office.status()["faskes"]["last"]
    assert (shown["outcome"], shown["version"], shown["bytes"]) == ("unchanged", 1, 28)
    assert shown["sha256"] == hashlib.sha256(inbox("faskes.csv")).hexdigest()
    entries = gateway.client("supervisor", "dinkes").get(f"/v1/exchanges/{shown['exchange']}").json()["entries"]
    assert entries[1]["op"] == "file.upload"
    assert shown["receipt"] == f"/v1/exchanges/{shown['exchange']}/receipt"
    (office.folder / "faskes.csv").write_text("kode,nama\nP2,Puskesmas Dua\n", "utf-8")
    assert office.run("once").returncode == 0
    assert b"P2" in inbox("faskes.csv")


def test_of_a_pattern_the_newest_or_all(office: Office, inbox: Inbox) -> None:
    for age, name in ((30, "harga-mei.csv"), (10, "harga-juni.csv"), (20, "harga-april.csv")):
        (office.folder / name).write_text(f"komoditas\n{name}\n", "utf-8")
        os.utime(office.folder / name, (time.time() - age,) * 2)
    every = {"name": "semua", "file": "harga-*.csv", "pick": "all", "to": "harga/{name}", **FILE}
    office.write({"name": "terbaru", "file": "harga-*.csv", "to": "terbaru.csv", **FILE}, every)
    assert office.run("once").returncode == 0

    assert b"harga-juni" in inbox("terbaru.csv")
    assert b"harga-april" in inbox("harga/harga-april.csv")
    (office.folder / "harga-mei.csv").write_text("komoditas\nbaru\n", "utf-8")
    events = [(line["event"], line["to"]) for line in told(office.run("once", "semua").stderr)]
    assert sorted(events) == [
        ("sent", "harga/harga-mei.csv"), ("unchanged", "harga/harga-april.csv"), ("unchanged", "harga/harga-juni.csv"),
    ]  # fmt: skip


def test_a_large_file_goes_in_parts_and_is_one_upload_in_the_log(
    gateway: RunningGateway, office: Office, inbox: Inbox
) -> None:
    supervisor = gateway.client("supervisor", "dinkes")
    before = len(supervisor.get("/v1/exchanges", params={"op": "file.upload", "limit": "1000"}).json()["items"])
    content = b"kode,nilai\n" + os.urandom(700_000).hex().encode() + b",1\n"
    (office.folder / "besar.csv").write_bytes(content)
    office.agent["piece"] = "256KiB"
    office.write({"name": "besar", "file": "besar.csv", "to": "besar.csv", **FILE})
    done = office.run("once")

    assert done.returncode == 0, done.stderr
    assert inbox("besar.csv") == content
    after = supervisor.get("/v1/exchanges", params={"op": "file.upload", "limit": "1000"}).json()["items"]
    assert len(after) - before == 2
    assert office.remembered("besar")["pending"] is None


ROWS = 'kode,nama,jumlah,tanggal,catatan\nP1,Puskesmas Satu,12.50,2026-01-05,\nP2,"RSUD ""Kartini"", Jepara",3.00,2026-02-01,""\n'


def test_the_result_of_a_query_of_sqlite(office: Office, inbox: Inbox) -> None:
    with closing(sqlite3.connect(office.folder / "faskes.db")) as database:
        database.execute("CREATE TABLE faskes (kode TEXT, nama TEXT, jumlah TEXT, tanggal TEXT, catatan TEXT)")
        rows = [
            ("P1", "Puskesmas Satu", "12.50", "2026-01-05", None),
            ("P2", 'RSUD "Kartini", Jepara', "3.00", "2026-02-01", ""),
        ]
        database.executemany("INSERT INTO faskes VALUES (?, ?, ?, ?, ?)", rows)
        database.commit()
    query = {"database": "sqlite:///faskes.db", "query": "SELECT * FROM faskes ORDER BY kode;", "every": "1h"}
    office.write(
        {"name": "csv", "to": "lite.csv", **query}, {"name": "ndjson", "to": "{name}", "format": "ndjson", **query}
    )
    done = office.run("once")

    assert done.returncode == 0, done.stderr
    assert inbox("lite.csv").decode() == ROWS
    assert json.loads(inbox("ndjson.ndjson").splitlines()[1]) == {
        "kode": "P2", "nama": 'RSUD "Kartini", Jepara', "jumlah": "3.00", "tanggal": "2026-02-01", "catatan": "",
    }  # fmt: skip
    assert [line["event"] for line in told(office.run("once", "csv").stderr)] == ["query_done", "unchanged"]
    assert list((office.folder / "agen.state" / "results").iterdir()) == []


DDL = "CREATE TABLE faskes (kode varchar(9), nama varchar(99), jumlah decimal(9,2), tanggal date, catatan varchar(9))"
INSERT = "INSERT INTO faskes VALUES ('P1', 'Puskesmas Satu', 12.5, '2026-01-05', NULL), ('P2', 'RSUD \"Kartini\", Jepara', 3, '2026-02-01', '')"


def test_the_result_of_a_query_of_postgresql(
    office: Office, inbox: Inbox, postgres_url: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    with psycopg.connect(postgres_url) as database:
        database.execute(DDL)
        database.execute(INSERT)
        found = database.info
        address = f"postgresql://{found.user}@{found.host}:{found.port}/{found.dbname}"
        monkeypatch.setenv("SANDI", found.password or "tidak-ada")
    query = {"database": address, "password_env": "SANDI", "every": "1h"}
    write = {
        **query,
        "query": "WITH x AS (INSERT INTO faskes VALUES ('P3') RETURNING *) SELECT * FROM x",
        "to": "tulis.csv",
    }
    read = {**query, "query": "SELECT * FROM faskes ORDER BY kode", "to": "pg.csv"}
    office.write(
        {"name": "baca", **read},
        {"name": "tulis", **write},
        {"name": "json", **read, "format": "ndjson", "to": "pg.ndjson"},
    )
    done = office.run("once")

    assert done.returncode == 1
    assert inbox("pg.csv").decode() == ROWS
    assert inbox("pg.ndjson").splitlines()[0] == (
        b'{"kode":"P1","nama":"Puskesmas Satu","jumlah":12.50,"tanggal":"2026-01-05","catatan":null}'
    )
    refused = office.status()["tulis"]["error"]
    assert (refused["step"], refused["code"]) == ("query", "query_failed")
    with psycopg.connect(postgres_url) as database:
        assert database.execute("SELECT count(*) FROM faskes").fetchone() == (2,)


def test_the_result_of_a_query_of_mariadb(
    office: Office, inbox: Inbox, mariadb_port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SANDI", PASSWORD)
    with fresh_database(mariadb_port) as name:
        given = {"host": "127.0.0.1", "port": mariadb_port, "user": USER, "password": PASSWORD, "database": name}
        with closing(pymysql.connect(**given, autocommit=True)) as database, database.cursor() as cursor:
            cursor.execute(DDL)
            cursor.execute(INSERT)
        address = {"database": f"mysql://{USER}@127.0.0.1:{mariadb_port}/{name}", "password_env": "SANDI"}
        query = "SELECT * FROM faskes ORDER BY kode"
        office.write({"name": "baca", **address, "query": query, "to": "maria.csv", "at": "06:00"})
        done = office.run("once")

    assert done.returncode == 0, done.stderr
    assert inbox("maria.csv").decode() == ROWS


@pytest.mark.parametrize(
    ("schedule", "step", "code"),
    [
        ({"file": "tidak-ada.csv"}, "file", "file_missing"),
        ({"file": "tidak-*.csv"}, "file", "file_missing"),
        ({"file": "kosong.csv"}, "file", "file_empty"),
        ({"database": "sqlite:///tidak-ada.db", "query": "SELECT 1"}, "query", "database_missing"),
        ({"database": "sqlite:///ada.db", "query": "SELECT 1 AS a, 2 AS a"}, "query", "query_columns"),
        ({"database": "sqlite:///ada.db", "query": "SELECT x'00' AS a"}, "query", "query_value"),
        ({"database": "sqlite:///ada.db", "query": "SELECT 1e999 AS a"}, "query", "query_value"),
        ({"database": "sqlite:///ada.db", "query": "SELECT tidak_ada"}, "query", "query_failed"),
        ({"file": "surat.pdf"}, "upload", "validation_failed"),
    ],
)
def test_what_fails_is_told_with_what_to_do(office: Office, schedule: dict[str, Any], step: str, code: str) -> None:
    (office.folder / "kosong.csv").write_bytes(b"")
    (office.folder / "surat.pdf").write_bytes(b"%PDF-1.7\n%\xe2\xe3\xcf\xd3\n")
    sqlite3.connect(office.folder / "ada.db").close()
    settle = {"settle": "0s"} if "file" in schedule else {}
    office.write({"name": "salah", "to": "salah.csv", "every": "15m", **schedule, **settle})
    done = office.run("once")

    assert done.returncode == 1
    failed = told(done.stderr)[-1]
    assert (failed["event"], failed["step"], failed["code"]) == ("failed", step, code)
    assert failed["advice"]
    assert office.status()["salah"]["last"] is None
    assert office.status()["salah"]["failures"] == 1


def test_others_go_on_where_one_file_fails(office: Office, inbox: Inbox) -> None:
    (office.folder / "a-kosong.csv").write_bytes(b"")
    (office.folder / "b-isi.csv").write_text("kode\n1\n", "utf-8")
    office.write({"name": "semua", "file": "*-*.csv", "pick": "all", "to": "lain/{name}", **FILE})
    done = office.run("once")

    assert done.returncode == 1
    assert inbox("lain/b-isi.csv") == b"kode\n1\n"
    assert office.status()["semua"]["error"]["code"] == "file_empty"


def test_a_query_that_takes_too_long_is_ended(office: Office) -> None:
    sqlite3.connect(office.folder / "ada.db").close()
    endless = "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT max(i) AS i FROM n"
    office.write(
        {
            "name": "lama",
            "database": "sqlite:///ada.db",
            "query": endless,
            "timeout": "1s",
            "to": "a.csv",
            "every": "1h",
        }
    )
    began = time.monotonic()
    done = office.run("once")

    assert told(done.stderr)[-1]["code"] == "query_too_slow"
    assert time.monotonic() - began < 15
    assert list((office.folder / "agen.state" / "results").iterdir()) == []


def test_the_secret_is_nowhere_told(office: Office, client: dict[str, Any]) -> None:
    (office.folder / "faskes.csv").write_text("kode\n1\n", "utf-8")
    office.write({"name": "faskes", "file": "faskes.csv", "to": "f.csv", **FILE})
    said = office.run("once").stderr + office.run("check").stdout + office.run("status").stdout
    kept = "".join(file.read_text("utf-8") for file in Path(office.folder / "agen.state").glob("*.json"))

    assert client["client_secret"] not in said + kept
