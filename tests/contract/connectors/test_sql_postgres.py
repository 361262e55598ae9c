"""Kind sql on PostgreSQL: every type that a table there may have."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable
from dataclasses import replace
from datetime import UTC, date, datetime, timedelta
from decimal import Decimal
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pyarrow as pa
import pytest

from app.connectors.contract import JSON_COLUMN, Connector, RawBatch
from app.connectors.requests import ScanRequest
from app.connectors.sql.postgres import PostgresConnector
from app.connectors.sql.source import SqlSource
from app.connectors.suite import (
    PERSON,
    TEXTS,
    ConnectorSuite,
    Fault,
    Subject,
    environment,
    held,
    opened,
    read,
)
from app.errors import (
    SourceMissing,
    SourcePermissionDenied,
    SourceSchemaMismatch,
    SourceTimeout,
    SourceUnreachable,
)

_TABLE = """
CREATE TABLE uji (
  id int PRIMARY KEY, nama text, kode varchar(20) COLLATE "C", tetap char(6), tegas text COLLATE "und-x-icu" NOT NULL,
  bulat bigint, kecil smallint, pecahan double precision, tunggal real, uang numeric(12,2), bebas numeric, besar numeric(50,3),
  ya boolean, tanggal date, waktu timestamp, saat timestamptz, pengenal uuid, isi jsonb, mentah bytea, daftar int[])
"""
_SCHEMA = pa.schema(
    [
        ("id", pa.int64()),
        ("nama", pa.string()),
        ("kode", pa.string()),
        ("tetap", pa.string()),
        ("tegas", pa.string()),
        ("bulat", pa.int64()),
        ("kecil", pa.int64()),
        ("pecahan", pa.float64()),
        ("tunggal", pa.float64()),
        ("uang", pa.decimal128(12, 2)),
        ("bebas", pa.decimal128(38, 20)),
        ("besar", pa.string()),
        ("ya", pa.bool_()),
        ("tanggal", pa.date32()),
        ("waktu", pa.timestamp("us")),
        ("saat", pa.timestamp("us", tz="UTC")),
        ("pengenal", pa.string()),
        pa.field("isi", pa.string(), metadata=JSON_COLUMN),
        ("mentah", pa.string()),
        ("daftar", pa.string()),
    ]
)
_WHOLE = (0, 1, -1, 42, 2**53 + 1, 2**63 - 1, -(2**63))
_FLOATS = (0.0, -0.5, 0.1, 1e300, -1e-300, 12345.678)
_MONEY = tuple(map(Decimal, ("0", "0.10", "-3.50", "1234567890.12", "0.01")))
_FREE = tuple(map(Decimal, ("0.1", "1e-20", "-123456789012345678", "3.14159265358979323846", "5")))
_DAYS = (date(2024, 2, 29), date(1900, 1, 1), date(2024, 12, 31))
_MOMENTS = (datetime(2024, 2, 29, 23, 59, 59, 999999), datetime(1999, 1, 1), datetime(2024, 2, 29, 7))
_UUIDS = ("00000000-0000-0000-0000-000000000001", "ffffffff-0000-4000-8000-000000000000")


def _rows() -> list[tuple]:
    rows = []
    for i in range(90):
        text = TEXTS[i % len(TEXTS)]
        pick = lambda values, step, i=i: values[i % len(values)] if i % step else None  # noqa: E731
        moment = pick(_MOMENTS, 5)
        rows.append(
            (
                i,
                text if i % 7 else None,
                TEXTS[(i * 3) % len(TEXTS)] if i % 8 else None,
                "ab  "[: i % 5].rstrip() if i % 6 else None,
                TEXTS[(i * 7) % len(TEXTS)],
                pick(_WHOLE, 5),
                pick((1, -1, 300), 4),
                pick(_FLOATS, 6),
                pick((0.1, 2.5, -1.25), 7),
                pick(_MONEY, 5),
                pick(_FREE, 4),
                pick(("12345678901234567890123456789012345678901234.500", "1.000"), 3),
                pick((True, False), 3),
                pick(_DAYS, 4),
                moment,
                None if moment is None else (moment + timedelta(hours=i)).replace(tzinfo=UTC),
                pick(_UUIDS, 3),
                pick(([1, "a"], {"b": 1}, "teks"), 4),
                pick(("00ff", ""), 3),
                pick(("{1,2}", "{}"), 3),
            )
        )
    return rows


async def _fill(session: asyncpg.Connection, rows: list[tuple]) -> None:
    import json

    await session.execute(_TABLE)
    marks = ", ".join(f"${place}" for place in range(1, 12))
    statement = (
        f"INSERT INTO uji VALUES ({marks}, $12::text::numeric, $13, $14, $15, $16, $17, $18, $19, $20::text::int[])"
    )
    for row in rows:
        cells = list(row)
        cells[17] = None if cells[17] is None else json.dumps(cells[17])
        cells[18] = None if cells[18] is None else bytes.fromhex(cells[18])
        await session.execute(statement, *cells)


class ByColumns(PostgresConnector):
    """Whatever is asked for is asked for by columns."""

    def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        return super().scan(replace(request, columnar=True))


def by_columns(folder: Path, source: dict[str, Any], **limits: Any) -> Connector:
    """A connector that reads all it can by bulk reads, however few rows there are."""
    return ByColumns(SqlSource.model_validate(source), environment(folder, **limits), fewest_bulk_rows=0)


Opening = Callable[..., Connector]


@pytest.fixture(scope="module", params=[opened, by_columns], ids=["rows", "columns"])
def opening(request) -> Opening:
    return request.param


@pytest.fixture(scope="module")
async def subject(postgres_module_url: str, opening: Opening, tmp_path_factory) -> AsyncIterator[Subject]:
    folder = tmp_path_factory.mktemp("postgres")
    rows = _rows()
    session = await asyncpg.connect(postgres_module_url)
    await _fill(session, rows)
    place = urlsplit(postgres_module_url)
    source = {"kind": "sql", "url": f"postgresql://simpul@127.0.0.1:{place.port}{place.path}", "table": "uji"}
    role = f"baca_{place.path[-8:]}"
    await session.execute(f"CREATE ROLE {role} LOGIN")
    await session.execute(f"CREATE TABLE tertutup (nama text); INSERT INTO tertutup VALUES ('{PERSON}')")
    await session.execute("CREATE VIEW rusak AS SELECT nama::int AS nomor, nama FROM tertutup")
    connector = opening(folder, source)

    def other(**changes: object) -> Connector:
        return opening(folder, {**source, **changes})

    as_role = source["url"].replace("simpul@", f"{role}@")

    async def fingerprint() -> object:
        # Of this database alone: the cluster is shared, and others write their own.
        rows = await session.fetchval(
            "SELECT md5(string_agg(concat(xmin, ctid, t::text), ',' ORDER BY ctid)) FROM uji t"
        )
        tables = await session.fetchval(
            "SELECT md5(string_agg(concat(oid, relfilenode), ',' ORDER BY oid)) FROM pg_class"
        )
        return rows, tables

    yield Subject(
        connector,
        _SCHEMA,
        rows,
        literals={
            "id": (0, 3, 89, 10**30, Decimal("2.5")),
            "nama": (*TEXTS, "x\0y"),
            "kode": TEXTS,
            "tetap": ("", "a", "ab", "ab ", "AB"),
            "tegas": TEXTS,
            "bulat": (*_WHOLE, 2**63, Decimal("0.5")),
            "kecil": (0, 300, 10**6),
            "pecahan": (*_FLOATS, Decimal("0.1"), 10**400, 3),
            "tunggal": (0.1, 2.5, Decimal("0.1")),
            "uang": (*_MONEY, Decimal("0.105"), 5, 0.1),
            "bebas": (*_FREE, Decimal("0.10"), 5),
            "ya": (True, False),
            "tanggal": (*_DAYS, date(2024, 3, 1)),
            "waktu": _MOMENTS,
            "saat": tuple(moment.replace(tzinfo=UTC) for moment in _MOMENTS),
            "pengenal": (*_UUIDS, "FFFFFFFF-0000-4000-8000-000000000000", "x"),
            "mentah": ("00ff", "", "00FF"),
        },
        texts=frozenset({"nama", "kode", "tetap", "tegas", "pengenal", "mentah"}),
        unique="id",
        measured=("id", "nama", "tegas", "bulat", "uang", "tanggal"),
        fingerprint=fingerprint,
        faults=[
            Fault("wrong host", lambda: other(url="postgresql://u@127.0.0.1:1/x"), SourceUnreachable, True),
            Fault("no database", lambda: other(url=source["url"] + "tidakada"), SourceMissing, False),
            Fault("no table", lambda: other(table="tidak_ada"), SourceMissing, False),
            Fault("no right", lambda: other(url=as_role, table="tertutup"), SourcePermissionDenied, False),
            Fault("column gone", other, SourceSchemaMismatch, False, ("nama", "pergi")),
            Fault("a value in the fault", lambda: other(table="rusak"), Exception, False),
        ],
    )
    await connector.close()
    await session.execute(f"DROP VIEW rusak; DROP TABLE uji, tertutup; DROP ROLE {role}")
    await session.close()


class TestPostgres(ConnectorSuite):
    async def test_numbers_without_precision_are_exact_or_rejected_with_their_row(
        self, postgres_module_url, opening, tmp_path
    ) -> None:
        place = urlsplit(postgres_module_url)
        session = await asyncpg.connect(postgres_module_url)
        await session.execute(
            "DROP TABLE IF EXISTS bebas; CREATE TABLE bebas (kode text, nilai numeric); INSERT INTO bebas VALUES ('a', 0.1), ('b', 'NaN'), ('c', 1e30),"
            " ('d', 123456789012345678.12345678901234567890), ('e', 1e-21), ('f', NULL), ('g', 'Infinity'), ('h', 5.0)"
        )
        url = f"postgresql://simpul@127.0.0.1:{place.port}{place.path}"
        connector = opening(tmp_path, {"kind": "sql", "url": url, "table": "bebas"})
        try:
            batches = [batch async for batch in connector.scan(ScanRequest())]
        finally:
            await connector.close()
            await session.close()

        assert [row for batch in batches for row in held(batch)] == [
            ("a", Decimal("0.1")),
            ("d", Decimal("123456789012345678.12345678901234567890")),
            ("f", None),
            ("h", Decimal(5)),
        ]
        rejects = [reject for batch in batches for reject in batch.rejects]
        assert [(reject.rule, reject.location) for reject in rejects] == [
            ("not_finite", "table bebas, row 2 of this read"),
            ("decimal_range", "table bebas, row 3 of this read"),
            ("decimal_range", "table bebas, row 5 of this read"),
            ("not_finite", "table bebas, row 7 of this read"),
        ]
        assert "1e" not in "".join(reject.detail for reject in rejects)

    async def test_a_read_by_columns_gives_columns(self, subject: Subject) -> None:
        batches = [batch async for batch in subject.connector.scan(ScanRequest())]
        assert all((batch.arrow is not None) is isinstance(subject.connector, ByColumns) for batch in batches)

    async def test_the_session_cannot_write(self, subject: Subject) -> None:
        pool = await subject.connector._opened()  # type: ignore[attr-defined]
        async with pool.acquire() as session:
            with pytest.raises(asyncpg.ReadOnlySQLTransactionError):
                await session.execute("DELETE FROM uji")

    async def test_deadline_and_leaving_cancel_at_the_server(self, postgres_module_url, opening, tmp_path) -> None:
        place = urlsplit(postgres_module_url)
        url = f"postgresql://simpul@127.0.0.1:{place.port}{place.path}"
        session = await asyncpg.connect(postgres_module_url)
        await session.execute(
            "CREATE OR REPLACE FUNCTION tidur() RETURNS SETOF int LANGUAGE sql AS 'SELECT 1 FROM (SELECT pg_sleep(60)) s';"
            "CREATE OR REPLACE VIEW lambat AS SELECT tidur() AS n"
        )
        running = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'simpul' AND state = 'active'"
        connector = opening(tmp_path, {"kind": "sql", "url": url, "table": "lambat"}, deadline_seconds=30)
        try:
            with pytest.raises(SourceTimeout):
                await read(connector, ScanRequest(deadline=time.monotonic() + 0.5))
            assert await _becomes(session, running, 0)

            task = asyncio.create_task(read(connector, ScanRequest()))
            assert await _becomes(session, running, 1)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await _becomes(session, running, 0)
        finally:
            await connector.close()
            await session.close()


async def _becomes(session: asyncpg.Connection, query: str, count: int) -> bool:
    for _ in range(100):
        if await session.fetchval(query) == count:
            return True
        await asyncio.sleep(0.05)
    return False
