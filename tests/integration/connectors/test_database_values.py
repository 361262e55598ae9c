"""Values and columns of a database that no Python type or no description holds: a reject of that row, never a source that is down."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from datetime import UTC, date, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pytest

from app.datasets.dataset import MappedDataset
from app.datasets.records import ReadRequest
from app.errors import SourceSchemaMismatch
from app.filters.tree import Compare, IsNull, Literal, Property
from tests.support.mariadb import USER, admin, fresh_database
from tests.support.reading import dataset, read

PRICES = {"tanggal": "tanggal", "pasar": "pasar", "komoditas": "komoditas", "harga": {"from": "harga", "number": {}}}
FACILITIES = {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "klinik"}}


@pytest.fixture
def postgres(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def prices(folder: Path, url: str, table: str, fields: dict[str, Any] | None = None) -> MappedDataset:
    return dataset(folder, "harga_komoditas", {"kind": "sql", "url": url, "table": table}, fields or PRICES)


def maria(port: int, database: str) -> str:
    return f"mariadb://{USER}:${{secret:PW}}@127.0.0.1:{port}/{database}"


def rules(found: Any) -> list[str]:
    return [reject.rule for reject in found.rejects]


async def test_06_infinity_rejects_its_row(postgres: psycopg.Connection, postgres_url: str, tmp_path: Path) -> None:
    postgres.execute("CREATE TABLE kejadian (kode text primary key, jenis text, waktu timestamptz)")
    postgres.execute(
        "INSERT INTO kejadian VALUES ('K1','banjir','2024-01-05 10:00+07'), ('K2','banjir','infinity'), "
        "('K3','banjir','-infinity'), ('K4','longsor','2024-02-01 00:00:00.123456+07'), ('K5','banjir','9999-12-31 23:59:59.999999+00')"
    )
    source = {"kind": "sql", "url": postgres_url, "table": "kejadian"}
    fields = {"id": "kode", "jenis": "jenis", "waktu": {"from": "waktu", "datetime": "iso"}}
    opened = dataset(tmp_path, "kejadian_bencana", source, fields)
    found = await opened.read(ReadRequest(limit=100))
    assert {record.values["id"]: record.values["waktu"] for record in found.records} == {
        "K1": datetime(2024, 1, 5, 3, tzinfo=UTC),
        "K4": datetime(2024, 1, 31, 17, 0, 0, 123456, UTC),
    }
    assert sorted(rules(found)) == ["date_infinite", "date_infinite", "out_of_range"]
    assert all(step.error is None for step in await opened.connector.check())
    later = Compare(">", Property("waktu"), Literal(datetime(2024, 1, 10, tzinfo=UTC)))
    found = await opened.read(ReadRequest(limit=100, filter=later))
    await opened.close()
    assert [record.values["id"] for record in found.records] == ["K4"]


async def test_06_a_date_without_a_calendar_rejects_its_row(
    postgres: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    postgres.execute(
        "CREATE TABLE harga_jauh (tanggal date, pasar text, komoditas text, harga numeric(12,2), catat timestamp)"
    )
    postgres.execute(
        "INSERT INTO harga_jauh SELECT t::date, 'Pasar A', 'Beras', 12000, w::timestamp FROM (VALUES ('2024-01-05','2024-01-05'), "
        "('20240-01-06','2024-01-05'), ('0044-03-15 BC','2024-01-05'), ('infinity','2024-01-05'), ('9999-12-31','2024-01-05'), "
        "('2024-01-07','20240-01-01'), ('2024-01-08','0044-03-15 BC'), ('2024-01-09',NULL)) v(t, w)"
    )
    found = await read(prices(tmp_path, postgres_url, "harga_jauh"))
    days = [date(2024, 1, 5), date(2024, 1, 7), date(2024, 1, 8), date(2024, 1, 9)]
    assert sorted(record.values["tanggal"] for record in found.records) == days
    assert sorted(rules(found)) == ["date_infinite", "date_out_of_range", "date_out_of_range", "out_of_range"]
    dated = {**PRICES, "tanggal": {"from": "catat", "date": "iso"}, "komoditas": {"expr": "CAST(tanggal AS TEXT)"}}
    source = {"kind": "sql", "url": postgres_url, "query": "SELECT *, 1 AS nol FROM harga_jauh WHERE tanggal = '2024-01-07' OR tanggal = '2024-01-05' -- x"}  # fmt: skip
    found = await read(dataset(tmp_path, "harga_komoditas", source, dated))
    assert rules(found) == ["date_out_of_range"]
    assert len(found.records) == 1


async def test_13_a_column_of_another_type_is_described_anew(
    postgres: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    postgres.execute(
        "CREATE TABLE harga13 (tanggal date, pasar text, komoditas text, harga integer, primary key (tanggal, pasar, komoditas))"
    )
    postgres.execute(
        "INSERT INTO harga13 SELECT date '2024-01-01' + g, 'Pasar A', 'Beras', 12000 + g FROM generate_series(0, 1499) g"
    )
    opened = prices(tmp_path, postgres_url, "harga13")
    dear = Compare(">", Property("harga"), Literal(Decimal(12_005)))
    requests = [
        ReadRequest(),  # a cursor in a transaction
        ReadRequest(limit=10),  # a prepared statement
        ReadRequest(limit=10, order=(("harga", True),)),
        ReadRequest(limit=10, filter=dear),
    ]
    before = [await opened.read(request) for request in requests]
    for kind, using in (("text", "harga::text"), ("numeric(10,2)", "harga::numeric"), ("bigint", "harga::bigint")):
        postgres.execute(f"ALTER TABLE harga13 ALTER harga TYPE {kind} USING {using}")
        after = await asyncio.gather(*(opened.read(request) for request in requests * 4))
        for place, found in enumerate(after):
            assert [record.values["harga"] for record in found.records] == [
                record.values["harga"] for record in before[place % 4].records
            ]
            assert found.rejected_rows == 0
    postgres.execute("ALTER TABLE harga13 RENAME harga TO nilai")
    with pytest.raises(SourceSchemaMismatch, match="harga"):
        await opened.read(requests[1])
    postgres.execute("ALTER TABLE harga13 RENAME nilai TO harga")
    assert len((await opened.read(requests[1])).records) == 10
    await opened.close()


async def test_13_plain_columns_that_change_their_type_never_sort_as_the_old_one(
    postgres: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    """Here nothing fails at the server: the numbers become texts, and texts sort otherwise."""
    postgres.execute(
        "CREATE TABLE harga14 (tanggal date, pasar text, komoditas text, harga integer not null, primary key (tanggal, pasar, komoditas))"
    )
    postgres.execute(
        "INSERT INTO harga14 SELECT date '2024-01-01' + g, 'Pasar A', 'Beras', g FROM generate_series(1, 20) g"
    )
    opened = prices(tmp_path, postgres_url, "harga14", {**PRICES, "harga": "harga"})
    cheapest = ReadRequest(limit=3, order=(("harga", False),))
    assert [record.values["harga"] for record in (await opened.read(cheapest)).records] == [1, 2, 3]
    postgres.execute("ALTER TABLE harga14 ALTER harga TYPE text USING harga::text")
    found = await opened.read(cheapest)
    assert found.records == []
    assert set(rules(found)) == {"wrong_type"}
    assert found.rejected_rows == 20
    await opened.close()


async def test_13_a_harmless_change_and_a_view_made_anew_go_on(
    postgres: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    postgres.execute("CREATE TABLE dasar (kode varchar(10) primary key, nama varchar(10), lat float8)")
    postgres.execute("INSERT INTO dasar SELECT 'F' || g, 'Klinik ' || g, -6.5 FROM generate_series(1, 20) g")
    postgres.execute("CREATE VIEW tampak AS SELECT kode, nama, lat FROM dasar")
    table = dataset(tmp_path, "fasilitas_kesehatan", {"kind": "sql", "url": postgres_url, "table": "dasar"}, FACILITIES)
    view = dataset(tmp_path, "fasilitas_kesehatan", {"kind": "sql", "url": postgres_url, "table": "tampak", "key": ["kode"]}, FACILITIES)  # fmt: skip
    requests = [ReadRequest(), ReadRequest(limit=5), ReadRequest(key="F7")]

    async def counts(opened: MappedDataset) -> list[int]:
        return [len((await opened.read(request)).records) for request in requests]

    assert await counts(table) == await counts(view) == [20, 5, 1]
    postgres.execute("DROP VIEW tampak")
    postgres.execute("ALTER TABLE dasar ALTER nama TYPE varchar(50)")
    postgres.execute("CREATE VIEW tampak AS SELECT kode, upper(nama)::text AS nama, lat::text AS lat FROM dasar")
    assert await counts(table) == await counts(view) == [20, 5, 1]
    found = await view.connector.discover()
    assert {column.name: column.source_type for column in found.columns}["lat"] == "text"
    await table.close()
    await view.close()


async def test_bytes_that_are_no_utf8_in_a_server_that_takes_any_reject_their_row(
    postgres: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    postgres.execute("DROP DATABASE IF EXISTS apa_saja")
    postgres.execute("CREATE DATABASE apa_saja ENCODING 'SQL_ASCII' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    url = postgres_url.rpartition("/")[0] + "/apa_saja"
    try:
        with psycopg.connect(url, autocommit=True) as connection:
            connection.execute("CREATE TABLE f (kode text primary key, nama text)")
            connection.execute("SET client_encoding = 'SQL_ASCII'")
            connection.execute(
                "INSERT INTO f VALUES ('F1', 'Klinik Satu'), ('F2', E'Klinik \\351'), ('F3', 'Klinik Tiga')"
            )
        opened = dataset(tmp_path, "fasilitas_kesehatan", {"kind": "sql", "url": url, "table": "f"}, FACILITIES)
        found = await opened.read(ReadRequest(limit=10))
        one = await opened.read(ReadRequest(limit=10, key="F3"))
        await opened.close()
    finally:
        postgres.execute("DROP DATABASE apa_saja WITH (FORCE)")
    assert [record.values["kode_faskes"] for record in found.records] == ["F1", "F3"]
    assert rules(found) == ["not_utf8"]
    assert [record.values["nama"] for record in one.records] == ["Klinik Tiga"]


def test_19_is_made(tmp_path: Path) -> None:
    """What the test below reads is what its name says."""
    with closing(_latin1(tmp_path, 2)) as connection, pytest.raises(sqlite3.OperationalError, match="decode"):
        connection.execute("SELECT nama FROM f").fetchall()


def _latin1(folder: Path, rows: int) -> sqlite3.Connection:
    (folder / "inbox").mkdir(exist_ok=True)
    connection = sqlite3.connect(folder / "inbox" / "r.db")
    connection.execute("CREATE TABLE f (kode TEXT PRIMARY KEY, nama TEXT, isi JSON)")
    connection.executemany(
        "INSERT INTO f VALUES (?, ?, ?)",
        [(f"F{n:05}", f"Klinik {n}", '{"lokasi": {"lat": -6.5}}') for n in range(rows)],
    )
    connection.execute(f"UPDATE f SET nama = CAST(X'4B6C696E696B20E9' AS TEXT) WHERE kode = 'F{rows - 1:05}'")
    connection.commit()
    return connection


@pytest.mark.parametrize("rows", [3, 12_000])
async def test_19_a_text_that_is_no_utf8_rejects_its_row(tmp_path: Path, rows: int) -> None:
    _latin1(tmp_path, rows).close()
    opened = dataset(
        tmp_path, "fasilitas_kesehatan", {"kind": "sql", "url": "sqlite:inbox/r.db", "table": "f"}, FACILITIES
    )
    assert all(step.error is None for step in await opened.connector.check())
    found = await opened.read(ReadRequest(limit=20_000))
    await opened.close()
    assert [record.values["kode_faskes"] for record in found.records] == [f"F{n:05}" for n in range(rows - 1)]
    assert rules(found) == ["not_utf8"]


async def test_a_json_column_of_sqlite_is_read_by_paths(tmp_path: Path) -> None:
    with closing(_latin1(tmp_path, 4)) as connection:
        connection.execute("UPDATE f SET isi = '{\"lokasi\": 5}' WHERE kode = 'F00001'")
        connection.execute("UPDATE f SET isi = '{broken' WHERE kode = 'F00002'")
        connection.execute("CREATE VIEW v AS SELECT kode, nama, isi || '' AS isi FROM f")
        connection.commit()
    fields = {**FACILITIES, "lat": "$.isi.lokasi.lat"}
    for source in ({"table": "f"}, {"table": "v", "json_columns": ["isi"]}):
        found = await read(
            dataset(tmp_path, "fasilitas_kesehatan", {"kind": "sql", "url": "sqlite:inbox/r.db", **source}, fields)
        )
        assert [(record.values["kode_faskes"], record.values["lat"]) for record in found.records] == [("F00000", -6.5)]
        assert sorted(rules(found)) == ["json", "not_an_object", "not_utf8"]
    found = await read(
        dataset(tmp_path, "fasilitas_kesehatan", {"kind": "sql", "url": "sqlite:inbox/r.db", "table": "v"}, fields)
    )
    assert found.records == []
    assert set(rules(found)) == {"not_an_object", "not_utf8"}


async def test_07_json_of_mariadb_is_read_by_paths(mariadb_port: int, tmp_path: Path) -> None:
    with fresh_database(mariadb_port) as database:
        with closing(admin(mariadb_port, database)) as session, session.cursor() as cursor:
            cursor.execute(
                "CREATE TABLE faskes (kode varchar(20) primary key, nama varchar(50), rincian json, `a``b` json, teks longtext)"
            )
            cursor.execute(
                "INSERT INTO faskes VALUES "
                """('F1','Klinik Satu','{"telepon":"0291-111","lokasi":{"lat":-6.59,"lng":110.67}}', '{"c": 1}', '{"a": 1}'),"""
                """('F2','Klinik Dua','{"telepon":"0291-222","lokasi":{"lat":-6.6,"lng":110.7}}', NULL, ''),"""
                """('F3','Klinik Tiga','{"telepon":"0291-333","lokasi":"Jepara"}', NULL, ''), ('F4','Klinik Empat',NULL,NULL,'')"""
            )
            session.commit()
        url = maria(mariadb_port, database)
        fields = {
            "kode_faskes": "kode",
            "nama": "nama",
            "jenis": {"const": "klinik"},
            "telepon": {"from": "$.rincian.telepon", "list": "keep"},
            "lat": "$.rincian.lokasi.lat",
            "lng": "$.rincian.lokasi.lng",
        }
        opened = dataset(tmp_path, "fasilitas_kesehatan", {"kind": "sql", "url": url, "table": "faskes"}, fields)
        found = await opened.read(ReadRequest(limit=10))
        columns = {column.name: column.source_type for column in (await opened.connector.discover()).columns}
        await opened.close()
    assert [
        (record.values["kode_faskes"], record.values["telepon"], record.values["lat"]) for record in found.records
    ] == [
        ("F1", ["0291-111"], -6.59),
        ("F2", ["0291-222"], -6.6),
        ("F4", None, None),
    ]
    assert set(rules(found)) == {"not_an_object"}
    assert columns == {
        "kode": "varchar(20)",
        "nama": "varchar(50)",
        "rincian": "json",
        "a`b": "json",
        "teks": "longtext",
    }


async def test_13_a_column_of_mariadb_of_another_type_is_described_anew(mariadb_port: int, tmp_path: Path) -> None:
    with (
        fresh_database(mariadb_port) as database,
        closing(admin(mariadb_port, database)) as session,
        session.cursor() as cursor,
    ):
        cursor.execute(
            "CREATE TABLE h (tanggal date, pasar varchar(20), komoditas varchar(20), harga int not null, primary key (tanggal, pasar, komoditas))"
        )
        cursor.execute(
            "INSERT INTO h SELECT date '2024-01-01' + interval seq day, 'Pasar A', 'Beras', seq FROM seq_1_to_20"
        )
        session.commit()
        opened = prices(
            tmp_path,
            maria(mariadb_port, database),
            "h",
            {**PRICES, "harga": "harga"},
        )
        cheapest = ReadRequest(limit=3, order=(("harga", False),))
        assert [record.values["harga"] for record in (await opened.read(cheapest)).records] == [1, 2, 3]
        cursor.execute("ALTER TABLE h MODIFY harga varchar(20) NOT NULL")
        found = await opened.read(cheapest)
        assert found.records == []
        assert set(rules(found)) == {"wrong_type"}
        assert found.rejected_rows == 20
        cursor.execute("ALTER TABLE h MODIFY harga decimal(10,2) NOT NULL")
        assert [record.values["harga"] for record in (await opened.read(cheapest)).records] == [1, 2, 3]
        await opened.close()


@pytest.mark.parametrize("ending", ["", ";", " -- x", "; -- x", " /* y */", ";\n-- x\n"])
async def test_a_query_of_a_steward_may_end_in_a_comment(postgres_url: str, tmp_path: Path, ending: str) -> None:
    query = f"SELECT 'F1' AS kode, 'Klinik -- Satu' AS nama{ending}"
    (tmp_path / "inbox").mkdir()
    sqlite3.connect(tmp_path / "inbox" / "q.db").close()
    for url in (postgres_url, "sqlite:inbox/q.db"):
        found = await read(
            dataset(tmp_path, "fasilitas_kesehatan", {"kind": "sql", "url": url, "query": query}, FACILITIES)
        )
        assert [record.values["nama"] for record in found.records] == ["Klinik -- Satu"]


@pytest.mark.parametrize("ending", ["", ";", " -- x", " # x", "; # x"])
async def test_a_query_of_a_steward_for_mariadb_may_end_in_a_comment(
    mariadb_port: int, tmp_path: Path, ending: str
) -> None:
    query = f"SELECT 'F1' AS kode, 'Klinik # Satu' AS nama{ending}"
    with fresh_database(mariadb_port) as database:
        source = {
            "kind": "sql",
            "url": maria(mariadb_port, database),
            "query": query,
        }
        found = await read(dataset(tmp_path, "fasilitas_kesehatan", source, FACILITIES))
    assert [record.values["nama"] for record in found.records] == ["Klinik # Satu"]


async def test_marks_that_mean_no_value_never_change_what_the_database_is_asked(
    postgres: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    postgres.execute("CREATE TABLE f (kode text primary key, nama text not null, alamat text)")
    postgres.execute(
        "INSERT INTO f SELECT 'F' || g, 'Klinik', CASE g % 3 WHEN 0 THEN '-' WHEN 1 THEN 'Jalan ' || g END FROM generate_series(1, 9) g"
    )
    source = {"kind": "sql", "url": postgres_url, "table": "f"}
    opened = dataset(
        tmp_path, "fasilitas_kesehatan", source, {**FACILITIES, "alamat": "alamat"}, read={"missing": ["-"]}
    )

    async def keys(**request: Any) -> list[str]:
        return [record.values["kode_faskes"] for record in (await opened.read(ReadRequest(**request))).records]

    assert await keys(filter=IsNull(Property("alamat"))) == ["F2", "F3", "F5", "F6", "F8", "F9"]
    assert await keys(filter=Compare("=", Property("alamat"), Literal("-"))) == []
    assert await keys(order=(("alamat", False),), limit=4) == ["F1", "F4", "F7", "F2"]
    assert await keys(key="F3", limit=1) == ["F3"]
    await opened.close()
