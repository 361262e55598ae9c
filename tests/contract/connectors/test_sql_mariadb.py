"""Kind sql on MariaDB: every type, text under a collation that ignores case, accents and trailing blanks."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import AsyncIterator
from datetime import UTC, date, datetime
from decimal import Decimal

import pyarrow as pa
import pymysql
import pytest

from app.connectors.contract import Connector
from app.connectors.requests import ScanRequest
from app.connectors.sql.mysql_session import ServerFacts
from app.connectors.suite import PERSON, TEXTS, ConnectorSuite, Fault, Subject, opened, read
from app.errors import (
    SourceAuthFailed,
    SourceMissing,
    SourcePermissionDenied,
    SourceSchemaMismatch,
    SourceTimeout,
    SourceUnreachable,
)
from tests.support.mariadb import admin, fresh_database

_TABLE = """
CREATE TABLE uji (
  id int PRIMARY KEY, nama varchar(60), tegas varchar(60) COLLATE utf8mb4_nopad_bin NOT NULL, `latin%s` varchar(60) CHARACTER SET latin1,
  tetap char(6), panjang longtext, pilihan enum('b', 'a', 'B2'), bulat bigint, kecil tinyint(1), besar bigint unsigned,
  uang decimal(12,2), lebar decimal(60,3), pecahan double, tunggal float, tanggal date, waktu datetime(6), saat timestamp(6) NULL,
  jam time, tahun year, mentah varbinary(10), bit3 bit(3))
"""
_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("nama", pa.string()),
        ("tegas", pa.string()),
        ("latin%s", pa.string()),
        ("tetap", pa.string()),
        ("panjang", pa.string()),
        ("pilihan", pa.string()),
        ("bulat", pa.int64()),
        ("kecil", pa.int64()),
        ("besar", pa.decimal128(20, 0)),
        ("uang", pa.decimal128(12, 2)),
        ("lebar", pa.string()),
        ("pecahan", pa.float64()),
        ("tunggal", pa.float64()),
        ("tanggal", pa.date32()),
        ("waktu", pa.timestamp("us")),
        ("saat", pa.timestamp("us", tz="UTC")),
        ("jam", pa.string()),
        ("tahun", pa.int64()),
        ("mentah", pa.string()),
        ("bit3", pa.decimal128(20, 0)),
    ]
)
_WHOLE = (0, 1, -1, 42, 2**53 + 1, 2**63 - 1, -(2**63))
_FLOATS = (0.0, -0.5, 0.1, 1e300, -1e-300, 12345.678)
_MONEY = tuple(map(Decimal, ("0.00", "0.10", "-3.50", "1234567890.12", "0.01")))
_DAYS = (date(2024, 2, 29), date(1900, 1, 1), date(2024, 12, 31))
_MOMENTS = (datetime(2024, 2, 29, 23, 59, 59, 999999), datetime(1999, 1, 1), datetime(2024, 2, 29, 7))
_LATIN = ("a", "A", "á", "b ", "ß", "", "Jepara", "  ")


def _rows() -> list[tuple]:
    rows = []
    for i in range(90):
        pick = lambda values, step, i=i: values[i % len(values)] if i % step else None  # noqa: E731
        moment = pick(_MOMENTS, 5)
        rows.append(
            (
                i,
                TEXTS[i % len(TEXTS)] if i % 7 else None,
                TEXTS[(i * 7) % len(TEXTS)],
                pick(_LATIN, 6),
                "ab  "[: i % 5].rstrip() if i % 6 else None,
                TEXTS[(i * 3) % len(TEXTS)] if i % 8 else None,
                pick(("a", "b", "B2"), 4),
                pick(_WHOLE, 5),
                pick((1, 0, -7), 4),
                pick((Decimal(2**64 - 1), Decimal(0)), 5),
                pick(_MONEY, 5),
                pick(("123456789012345678901234567890123456789012345678901234.500", "1.000"), 3),
                pick(_FLOATS, 6),
                pick((0.1, 2.5, -1.25), 7),
                pick(_DAYS, 4),
                moment,
                None if moment is None else moment.replace(tzinfo=UTC),
                pick(("-25:06:17", "07:00:00"), 3),
                pick((2024, 1999), 3),
                pick(("00ff", ""), 3),
                pick((Decimal(5), Decimal(0)), 4),
            )
        )
    return rows


def _fill(port: int, database: str, rows: list[tuple]) -> None:
    with contextlib.closing(admin(port, database)) as session, session.cursor() as cursor:
        cursor.execute("SET time_zone = '+00:00'")
        cursor.execute(_TABLE)
        for row in rows:
            cells = list(row)
            cells[16] = None if cells[16] is None else cells[16].replace(tzinfo=None)
            cells[19] = None if cells[19] is None else bytes.fromhex(cells[19])
            cursor.execute(f"INSERT INTO uji VALUES ({', '.join(['%s'] * len(cells))})", cells)
        cursor.execute("CREATE TABLE tertutup (nama varchar(60)); ".rstrip("; "))
        cursor.execute("INSERT INTO tertutup VALUES (%s)", (PERSON,))
        cursor.execute("CREATE OR REPLACE USER tamu@'127.0.0.1' IDENTIFIED BY 'uji-4f9c1e'")
        cursor.execute(f"GRANT SELECT ON {database}.uji TO tamu@'127.0.0.1'")


@pytest.fixture(scope="module")
async def subject(mariadb_port: int, tmp_path_factory) -> AsyncIterator[Subject]:
    folder = tmp_path_factory.mktemp("mariadb")
    rows = _rows()
    with fresh_database(mariadb_port) as database:
        _fill(mariadb_port, database, rows)
        place = f"127.0.0.1:{mariadb_port}/{database}"
        source = {"kind": "sql", "url": f"mysql://simpul:${{secret:PW}}@{place}", "table": "uji"}
        connector = opened(folder, source)

        def other(**changes: object) -> Connector:
            return opened(folder, {**source, **changes})

        async def fingerprint() -> object:
            with contextlib.closing(admin(mariadb_port, database)) as session, session.cursor() as cursor:
                cursor.execute("CHECKSUM TABLE uji, tertutup")
                return cursor.fetchall()

        yield Subject(
            connector,
            _SCHEMA,
            rows,
            literals={
                "id": (0, 3, 89, 10**30, Decimal("2.5")),
                "nama": (*TEXTS, "x\0y"),
                "tegas": TEXTS,
                "latin%s": (*_LATIN, "日本"),
                "tetap": ("", "a", "ab", "ab ", "AB"),
                "panjang": TEXTS,
                "pilihan": ("a", "A", "b", "B2", "z"),
                "bulat": (*_WHOLE, 2**63, Decimal("0.5")),
                "kecil": (0, 1, -7),
                "besar": (2**64 - 1, 0, 2**64),
                "uang": (*_MONEY, Decimal("0.105"), 5),
                "pecahan": (*_FLOATS, Decimal("0.1"), 10**400, 3),
                "tunggal": (0.1, 2.5, Decimal("0.1")),
                "tanggal": (*_DAYS, date(2024, 3, 1)),
                "waktu": _MOMENTS,
                "saat": (*(moment.replace(tzinfo=UTC) for moment in _MOMENTS), datetime(1900, 1, 1, tzinfo=UTC)),
                "jam": ("-25:06:17", "07:00:00", "08"),
                "tahun": (2024, 1999, 0),
                "mentah": ("00ff", "", "00FF"),
            },
            texts=frozenset({"nama", "tegas", "latin%s", "tetap", "panjang", "pilihan", "jam", "mentah"}),
            unique="id",
            measured=("id", "nama", "tegas", "bulat", "uang", "tanggal"),
            fingerprint=fingerprint,
            faults=[
                Fault("wrong host", lambda: other(url="mysql://u@127.0.0.1:1/x"), SourceUnreachable, True),
                Fault(
                    "wrong password", lambda: other(url=f"mysql://root:${{secret:PW}}@{place}"), SourceAuthFailed, False
                ),
                Fault("no database", lambda: other(url=source["url"] + "tidakada"), SourceMissing, False),
                Fault("no table", lambda: other(table="tidak_ada"), SourceMissing, False),
                Fault(
                    "no right",
                    lambda: other(url=f"mysql://tamu:${{secret:PW}}@{place}", table="tertutup"),
                    SourcePermissionDenied,
                    False,
                ),
                Fault("column gone", other, SourceSchemaMismatch, False, ("nama", "pergi")),
            ],
        )
        await connector.close()


class TestMariadb(ConnectorSuite):
    async def test_the_session_cannot_write(self, subject: Subject) -> None:
        sessions = await subject.connector._opened()  # type: ignore[attr-defined]
        session = sessions.take(lambda _session: None)
        with pytest.raises(pymysql.err.OperationalError) as caught, session.cursor() as cursor:
            cursor.execute("DELETE FROM uji")
        sessions.give_back(session)
        assert caught.value.args[0] == 1792

    async def test_deadline_and_leaving_kill_the_statement_at_the_server(self, mariadb_port, subject, tmp_path) -> None:
        url = subject.connector._source.url  # type: ignore[attr-defined]
        source = {
            "kind": "sql",
            "url": url,
            "query": "SELECT id, (SELECT COUNT(*) FROM uji a, uji b, uji c, uji d, uji e) AS n FROM uji",
        }
        connector = opened(tmp_path, source, deadline_seconds=30)
        with contextlib.closing(admin(mariadb_port)) as session:
            try:
                with pytest.raises(SourceTimeout):
                    await read(connector, ScanRequest(deadline=time.monotonic() + 0.7))
                assert await _becomes(session, 0)

                task = asyncio.create_task(read(connector, ScanRequest()))
                assert await _becomes(session, 1)
                task.cancel()
                with pytest.raises(asyncio.CancelledError):
                    await task
                assert await _becomes(session, 0)
            finally:
                await connector.close()

    async def test_dates_that_no_calendar_has_are_rejected_with_their_row(
        self, mariadb_port, subject, tmp_path
    ) -> None:
        url = subject.connector._source.url  # type: ignore[attr-defined]
        database = url.rpartition("/")[2]
        with contextlib.closing(admin(mariadb_port, database)) as session, session.cursor() as cursor:
            cursor.execute("SET sql_mode = ''")
            cursor.execute("CREATE TABLE nol (id int, lahir date, saat datetime)")
            cursor.execute(
                "INSERT INTO nol VALUES (1, '0000-00-00', NULL), (2, '2024-02-29', '2024-02-29 07:00:00'), (3, NULL, 0)"
            )
        connector = opened(tmp_path, {"kind": "sql", "url": url, "table": "nol", "zone": "Asia/Jakarta"})
        try:
            batches = [batch async for batch in connector.scan(ScanRequest())]
        finally:
            await connector.close()
        assert [row for batch in batches for row in batch.rows or ()] == [
            (2, date(2024, 2, 29), datetime(2024, 2, 29, tzinfo=UTC))
        ]
        locations = [reject.location for batch in batches for reject in batch.rejects]
        assert locations == ["table nol, row 1 of this read", "table nol, row 3 of this read"]

    async def test_a_stewards_query_is_read_filtered_and_sorted(self, subject: Subject, tmp_path) -> None:
        url = subject.connector._source.url  # type: ignore[attr-defined]
        query = "SELECT id, nama, uang * 2 AS ganda FROM uji WHERE nama LIKE '%a%' OR id % 2 = 1"
        connector = opened(tmp_path, {"kind": "sql", "url": url, "query": query})
        try:
            found = await read(connector, ScanRequest(limit=500))
        finally:
            await connector.close()
        wanted = {row[0]: row for row in subject.rows}
        assert found
        assert all(row[1] == wanted[row[0]][1] for row in found)
        assert all(row[2] == wanted[row[0]][10] * 2 for row in found if row[2] is not None)


@pytest.mark.parametrize(
    ("version", "read_only", "limit"),
    [
        ("5.5.62-log", False, None),
        ("5.6.51", True, None),
        ("5.7.44-log", True, ("max_execution_time", 1000)),
        ("8.0.36", True, ("max_execution_time", 1000)),
        ("5.5.5-10.11.2-MariaDB", True, ("max_statement_time", 1)),
        ("11.4.2-MariaDB-ubu2404", True, ("max_statement_time", 1)),
        ("5.5.68-MariaDB", False, None),
    ],
)
def test_what_an_old_server_lacks_is_known_by_its_version(version, read_only, limit) -> None:
    facts = ServerFacts.of(version)

    assert (facts.read_only, facts.limit) == (read_only, limit)
    assert bool(facts.lacks) is (not read_only or limit is None)
    assert ("SET SESSION TRANSACTION READ ONLY" in list(facts.settings(10))) is read_only


async def _becomes(session: pymysql.connections.Connection, count: int) -> bool:
    """Until so many statements of the gateway run, as the server's process list tells."""
    for _ in range(100):
        with session.cursor() as cursor:
            cursor.execute(
                "SELECT COUNT(*) FROM information_schema.PROCESSLIST WHERE COMMAND = 'Query' AND INFO LIKE '%steward_query%' AND ID <> CONNECTION_ID()"
            )
            if cursor.fetchone()[0] == count:
                return True
        await asyncio.sleep(0.05)
    return False
