"""Several schemas, views and JSON columns of real databases: what `discover` lists and proposes is what is read."""

from __future__ import annotations

import contextlib
import json
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.connectors.contract import Connector
from app.connectors.diagnosis import Diagnoses, Diagnosis
from app.connectors.requests import ScanRequest
from app.connectors.suite import opened, read
from app.errors import SourceMissing
from tests.support.mariadb import USER, admin, fresh_database
from tests.support.reading import dataset
from tests.support.reading import read as read_all

PLACES = [{"lng": 110.66, "lat": -6.58, "fasilitas": ["IGD"]}, {"lng": 110.7, "lat": -6.6, "fasilitas": []}, {"lng": 110.8, "lat": -6.7, "fasilitas": ["UGD", "ICU"]}]  # fmt: skip
FIELDS = {
    "kode_faskes": "kode",
    "nama": "nama",
    "jenis": {"const": "klinik"},
    "lng": "$.lokasi.lng",
    "lat": "$.lokasi.lat",
}


@contextlib.asynccontextmanager
async def reading(folder: Path, url: str, **source: Any) -> Any:
    connector: Connector = opened(folder, {"kind": "sql", "url": url, **source})
    try:
        yield connector
    finally:
        await connector.close()


async def diagnosed(folder: Path, url: str, **source: Any) -> Diagnosis:
    async with reading(folder, url, **source) as connector:
        assert isinstance(connector, Diagnoses)
        return await connector.diagnose()


async def located(folder: Path, url: str, **source: Any) -> list[tuple[str, float, float]]:
    """What the mapping makes of the places inside of the documents."""
    found = await read_all(dataset(folder, "fasilitas_kesehatan", {"kind": "sql", "url": url, **source}, FIELDS))
    assert found.rejects == []
    values = [record.values for record in found.records]
    return sorted((one["kode_faskes"], float(one["lng"]), float(one["lat"])) for one in values)


LOCATED = [(f"K{at}", place["lng"], place["lat"]) for at, place in enumerate(PLACES)]


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


@pytest.fixture
def maria(mariadb_port: int) -> Iterator[tuple[Any, str, str, str]]:
    """A session, the address of one database, and the names of it and of another."""
    with (
        fresh_database(mariadb_port) as one,
        fresh_database(mariadb_port) as other,
        closing(admin(mariadb_port, one)) as session,
        session.cursor() as cursor,
    ):
        yield cursor, f"mariadb://{USER}:${{secret:PW}}@127.0.0.1:{mariadb_port}/{one}", one, other


async def test_postgresql_tables_of_one_name_in_two_schemas(
    postgres: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    for schema, rows in (("dinkes", 3), ('"rs.kartini"', 5)):
        postgres.execute(f"CREATE SCHEMA {schema}")
        postgres.execute(f"CREATE TABLE {schema}.faskes (kode text PRIMARY KEY)")
        postgres.execute(f"INSERT INTO {schema}.faskes SELECT 'K' || g FROM generate_series(1, {rows}) g")
    async with reading(tmp_path, postgres_url) as connector:
        tables = (await connector.discover()).tables
    assert [name for name in tables if name.endswith("faskes")] == ["dinkes.faskes", '"rs.kartini".faskes']
    for table, rows in (("dinkes.faskes", 3), ('"rs.kartini".faskes', 5)):
        async with reading(tmp_path, postgres_url, table=table) as connector:
            assert len(await read(connector, ScanRequest())) == rows
            assert connector.capabilities.keys == (frozenset({"kode"}),)
    async with reading(tmp_path, postgres_url, table="faskes") as connector:  # neither stands on the search path
        with pytest.raises(SourceMissing):
            await read(connector, ScanRequest())


@pytest.mark.parametrize("kind", ["json", "jsonb", "text"])
async def test_postgresql_documents_and_a_view_of_them(
    postgres: psycopg.Connection, postgres_url: str, tmp_path: Path, kind: str
) -> None:
    postgres.execute(f"CREATE TABLE faskes (kode text PRIMARY KEY, nama text NOT NULL, lokasi {kind}, catatan text)")
    for at, place in enumerate(PLACES):
        postgres.execute(
            "INSERT INTO faskes VALUES (%s, %s, %s, %s)", (f"K{at}", f"Klinik {at}", json.dumps(place), "[biasa]")
        )
    postgres.execute("CREATE VIEW v_faskes AS SELECT * FROM faskes")
    proposed = {"json_columns": ["lokasi"]} if kind == "text" else {}
    for table, key in (("faskes", True), ("v_faskes", False)):
        found = await diagnosed(tmp_path, postgres_url, table=table)
        assert found.source == proposed
        assert bool(found.notes) is not key
        assert await located(tmp_path, postgres_url, table=table, **proposed) == LOCATED
    named = {"table": "v_faskes", "key": ["kode"], **proposed}
    assert (await diagnosed(tmp_path, postgres_url, **named)).notes == ()


async def test_mariadb_tables_of_another_database(maria: tuple[Any, str, str, str], tmp_path: Path) -> None:
    cursor, url, _, other = maria
    cursor.execute("CREATE TABLE faskes (kode varchar(20) PRIMARY KEY)")
    cursor.execute(f"CREATE TABLE {other}.faskes (kode varchar(20) PRIMARY KEY)")
    cursor.execute(f"CREATE TABLE {other}.`rs.kartini` (kode varchar(20) PRIMARY KEY)")
    cursor.execute("INSERT INTO faskes VALUES ('K1')")
    cursor.execute(f"INSERT INTO {other}.faskes VALUES ('K1'), ('K2')")
    cursor.execute(f"INSERT INTO {other}.`rs.kartini` VALUES ('R1')")
    async with reading(tmp_path, url) as connector:
        tables = (await connector.discover()).tables
    assert tables[0] == "faskes"
    assert [name for name in tables if name.startswith(other)] == [f"{other}.faskes", f'{other}."rs.kartini"']
    for table, rows in (("faskes", 1), (f"{other}.faskes", 2), (f'{other}."rs.kartini"', 1)):
        async with reading(tmp_path, url, table=table) as connector:
            assert len(await read(connector, ScanRequest())) == rows
            assert connector.capabilities.keys == (frozenset({"kode"}),)


async def test_mariadb_documents_and_a_view_of_them(maria: tuple[Any, str, str, str], tmp_path: Path) -> None:
    cursor, url, _, _ = maria
    cursor.execute(
        "CREATE TABLE faskes (kode varchar(20) PRIMARY KEY, nama varchar(90) NOT NULL, lokasi JSON, catatan text)"
    )
    for at, place in enumerate(PLACES):
        cursor.execute(
            "INSERT INTO faskes VALUES (%s, %s, %s, %s)", (f"K{at}", f"Klinik {at}", json.dumps(place), "[biasa]")
        )
    cursor.execute("CREATE VIEW v_faskes AS SELECT * FROM faskes")
    assert (await diagnosed(tmp_path, url, table="faskes")).source == {}  # the check of the column tells it
    assert await located(tmp_path, url, table="faskes") == LOCATED
    found = await diagnosed(tmp_path, url, table="v_faskes")  # of a view nothing does
    assert found.source == {"json_columns": ["lokasi"]}
    assert "declares no key" in found.notes[0]
    assert await located(tmp_path, url, table="v_faskes", **found.source) == LOCATED


async def test_sqlite_documents_and_the_only_table(tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / "a.db")) as database:
        database.execute("CREATE TABLE faskes (kode TEXT NOT NULL PRIMARY KEY, nama TEXT, lokasi TEXT, catatan TEXT)")
        rows = [(f"K{at}", f"Klinik {at}", json.dumps(place), "[biasa]") for at, place in enumerate(PLACES)]
        database.executemany("INSERT INTO faskes VALUES (?, ?, ?, ?)", rows)
        database.commit()
    assert (await diagnosed(tmp_path, "sqlite:a.db")).source == {"table": "faskes"}
    found = await diagnosed(tmp_path, "sqlite:a.db", table="faskes")
    assert found.source == {"json_columns": ["lokasi"]}
    assert await located(tmp_path, "sqlite:a.db", table="faskes", **found.source) == LOCATED
    stated = await diagnosed(tmp_path, "sqlite:a.db", table="faskes", json_columns=[])
    assert stated.source == {}
