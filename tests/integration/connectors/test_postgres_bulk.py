"""Bulk reads of PostgreSQL: values, rejects and errors of the other path, nothing of the gateway's surroundings, nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
import time
import uuid
from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from decimal import Decimal
from pathlib import Path
from typing import Any

import psycopg
import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors.contract import RawBatch, RawReject
from app.connectors.isolation.calls import NURSERY
from app.connectors.requests import Order, ScanRequest
from app.connectors.sql.columns import Column, Table, check_of, finish_rows
from app.connectors.sql.postgres import PostgresConnector
from app.connectors.sql.postgres_bulk import FEWEST_ROWS
from app.connectors.sql.postgres_copy import CopyRead, connection_text, finished
from app.connectors.sql.source import SqlSource
from app.connectors.suite import SECRET, environment, held
from app.errors import SourceFailed, SourceRejected, SourceSchemaMismatch, SourceTimeout

VALUES = {
    "text": ("'a'", "''", "'é日本😀'", "repeat('x', 300)"),
    "varchar(20)": ("'b '", "'%'"),
    "char(6)": ("'ab'", "'  '"),
    "name": ("'nama'",),
    "int2": ("-32768", "32767"),
    "int4": ("-2147483648", "2147483647"),
    "int8": ("-9223372036854775808", "9223372036854775807"),
    "float4": ("0.1", "'NaN'", "'-Infinity'", "3.4028235e38", "-0.0"),
    "float8": ("0.1", "'NaN'", "'Infinity'", "'-Infinity'", "5e-324", "1.7976931348623157e308", "-0.0"),
    "numeric": ("0.1", "'NaN'", "'Infinity'", "'-Infinity'", "1e30", "1e-20", "1e-21", "12345678901234567.000000000000000000000000000",
                "-123456789012345678.12345678901234567890", "0.0", "5", "1e400"),
    "numeric(12,2)": ("1.5", "'NaN'", "-9999999999.99", "0"),
    "numeric(38,0)": ("99999999999999999999999999999999999999", "-1"),
    "numeric(38,38)": ("0.99999999999999999999999999999999999999", "-1e-38"),
    "numeric(5,-2)": ("12345", "1234500"),
    "numeric(50,3)": ("12345678901234567890123456789012345678901234.5", "'NaN'"),
    "bool": ("true", "false"),
    "date": ("'2024-02-29'", "'infinity'", "'-infinity'", "'0044-03-15 BC'", "'0001-01-01'", "'9999-12-31'", "'10000-01-01'", "'5874897-12-31'",
             "'4713-01-01 BC'", "'0001-12-31 BC'", "'0001-12-30 BC'"),
    "timestamp": ("'2024-02-29 23:59:59.999999'", "'infinity'", "'-infinity'", "'0044-03-15 BC'", "'0001-01-01'", "'9999-12-31 23:59:59.999999'",
                  "'10000-01-01'", "'294276-12-31 23:59:59.999999'", "'4713-01-01 BC'"),
    "timestamptz": ("'2024-02-29 23:59:59.999999+07'", "'infinity'", "'-infinity'", "'0044-03-15 BC'", "'0001-01-01+00'", "'0001-01-01+07'",
                    "'9999-12-31 23:59:59.999999+00'", "'10000-01-01+00'", "'294276-12-31 23:59:59.999999+00'"),
    "json": ("'{\"a\": 1, \"a\": 2}'", "'[1, 2.50, null]'", "'null'", "'\"x\"'", "'{\"n\": 1e999999}'"),
    "jsonb": ("'{\"a\": [1, {\"b\": 0.10}]}'", "'null'", "'12345678901234567890123'"),
    "uuid": ("'00000000-0000-0000-0000-000000000001'",),
    "bytea": ("'\\x00ff'", "''"),
    "int[]": ("'{{1,2},{3,NULL}}'", "'{}'", "'[2:3]={1,2}'"),
    "text[]": ("'{\"a,b\",NULL,\"\"}'",),
    "money": ("'12.34'", "'-0.05'"),
    "interval": ("'1 year 2 mons 3 days 04:05:06.789'", "'-1 day'"),
    "time": ("'24:00'", "'01:02:03.000004'"),
    "timetz": ("'01:02:03+07'",),
    "suasana": ("'senang'", "'sedih'"),
    "uang": ("12.50",),
    "hari": ("'2024-01-01'", "'infinity'"),
    "inet": ("'10.0.0.1/8'",),
    "point": ("'(1,2)'",),
    "int4range": ("'[1,5)'",),
    "bit(3)": ("B'101'",),
    "xml": ("'<a/>'",),
    "tsvector": ("'a b'",),
    "oid": ("4294967295",),
    '"char"': ("'c'",),
}  # fmt: skip


def source(url: str, **more: Any) -> SqlSource:
    user, _, rest = url.removeprefix("postgresql://").rpartition("@")
    address = f"postgresql://{user.partition(':')[0]}@{rest}"
    return SqlSource.model_validate({"kind": "sql", "url": address, **more})


def connector(folder: Path, given: SqlSource, rows: int = 0, **limits: Any) -> PostgresConnector:
    return PostgresConnector(given, environment(folder, **limits), rows)


async def batches(opened: PostgresConnector, request: ScanRequest) -> list[RawBatch]:
    async with aclosing(opened.scan(request)) as found:  # type: ignore[type-var]
        return [batch async for batch in found]


async def both(folder: Path, given: SqlSource, columns: tuple[str, ...] | None = None) -> list[RawReject]:
    """Reads on both paths and holds one against the other; the rejects."""
    opened = connector(folder, given, deadline_seconds=60)
    try:
        slow = await batches(opened, ScanRequest(columns))
        fast = await batches(opened, ScanRequest(columns, columnar=True))
    finally:
        await opened.close()
    assert all(batch.arrow is None for batch in slow)
    assert all(
        batch.arrow is not None and batch.arrow.schema.equals(batch.schema, check_metadata=True) for batch in fast
    )
    assert fast[0].schema.equals(slow[0].schema, check_metadata=True)
    assert {batch.location for batch in fast} == {batch.location for batch in slow}
    expected = [row for batch in slow for row in held(batch)]
    assert [row for batch in fast for row in held(batch)] == expected
    assert [[str(cell) for cell in row if isinstance(cell, float)] for batch in fast for row in held(batch)] == [
        [str(cell) for cell in row if isinstance(cell, float)] for row in expected
    ]
    rejects = [reject for batch in slow for reject in batch.rejects]
    assert [reject for batch in fast for reject in batch.rejects] == rejects
    return rejects


@pytest.fixture
def session(postgres_url: str) -> Iterator[psycopg.Connection]:
    with psycopg.connect(postgres_url, autocommit=True) as connection:
        yield connection


def fill(session: psycopg.Connection) -> None:
    """A row a value of each type, the others null."""
    session.execute("CREATE TYPE suasana AS ENUM ('senang', 'sedih')")
    session.execute("CREATE DOMAIN uang AS numeric(9,2); CREATE DOMAIN hari AS date")
    columns = {f"k{number}": kind for number, kind in enumerate(VALUES)}
    session.execute(f"CREATE TABLE semua (id int, {', '.join(f'{name} {kind}' for name, kind in columns.items())})")
    for number, (name, kind) in enumerate(columns.items()):
        for place, value in enumerate(VALUES[kind]):
            session.execute(f"INSERT INTO semua (id, {name}) VALUES ({number * 100 + place}, {value})")
    session.execute("INSERT INTO semua (id) VALUES (NULL)")


@pytest.mark.parametrize("more", [{}, {"key": ["id"]}, {"zone": "Asia/Jakarta"}])
async def test_every_type_is_as_on_the_other_path(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path, more: dict[str, Any]
) -> None:
    fill(session)
    rejects = await both(tmp_path, source(postgres_url, table="semua", **more))
    assert {reject.rule for reject in rejects} >= {"not_finite", "decimal_range", "date_infinite", "date_out_of_range"}
    session.execute("CREATE VIEW tampak AS SELECT * FROM semua WHERE id > 300")
    assert await both(tmp_path, source(postgres_url, table="tampak", **more))
    assert await both(tmp_path, source(postgres_url, query="SELECT * FROM semua ORDER BY id DESC", **more))
    assert await both(tmp_path, source(postgres_url, table="semua", **more), ("k7", "id", "k18", "k0"))


async def test_many_rows_of_everything(session: psycopg.Connection, postgres_url: str, tmp_path: Path) -> None:
    fill(session)
    session.execute(
        "CREATE TABLE banyak AS SELECT s.* FROM semua s, generate_series(1, 1200) ORDER BY md5(s::text || generate_series)"
    )
    rejects = await both(
        tmp_path, source(postgres_url, table="banyak"), ("id", "k6", "k7", "k8", "k9", "k16", "k17", "k18", "k19")
    )
    assert len(rejects) > 20_000


async def test_documents_of_texts_are_rejected_with_their_row(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    session.execute("CREATE TABLE dokumen (kode text primary key, isi text)")
    session.execute(
        """INSERT INTO dokumen VALUES ('a', '{"x": 1}'), ('b', '{broken'), ('c', NULL), ('d', ''), ('e', '{"x": 1, "x": 2}'), ('f', '[0.10]')"""
    )
    rejects = await both(tmp_path, source(postgres_url, table="dokumen", json_columns=["isi"]))
    assert [reject.location for reject in rejects] == [
        "table dokumen, kode b",
        "table dokumen, kode d",
        "table dokumen, kode e",
    ]


@pytest.mark.parametrize("encoding", ["LATIN1", "SQL_ASCII", "WIN1252"])
async def test_other_encodings(session: psycopg.Connection, postgres_url: str, tmp_path: Path, encoding: str) -> None:
    name = f"sandi_{uuid.uuid4().hex}"
    session.execute(f"CREATE DATABASE {name} ENCODING '{encoding}' LC_COLLATE 'C' LC_CTYPE 'C' TEMPLATE template0")
    url = f"{postgres_url.rpartition('/')[0]}/{name}"
    try:
        with psycopg.connect(url, autocommit=True) as there:
            there.execute(f"SET client_encoding = '{encoding}'")
            there.execute("CREATE TABLE f (kode text primary key, nama text, tetap char(9), isi json, d date)")
            there.execute(
                "INSERT INTO f VALUES ('F1', 'Satu', 'x', '{}', NULL), ('F2', E'Klinik \\351', E'\\351', NULL, NULL), "
                "('F3', NULL, E'\\351', NULL, 'infinity'), ('F4', 'Tiga', 'y', E'[\"\\351\"]', NULL), (E'F\\351', 'Lima', '', NULL, NULL)"
            )
        rejects = await both(tmp_path, source(url, table="f"))
    finally:
        session.execute(f"DROP DATABASE {name} WITH (FORCE)")
    assert ("not_utf8" in {reject.rule for reject in rejects}) is (encoding == "SQL_ASCII")


def decimal_column(kind: pa.DataType) -> Column:
    return Column("n", "numeric", "decimal", kind, "n", "n", "n")


@given(
    st.sampled_from([(38, 20), (12, 2), (38, 0), (38, 38), (1, 0), (18, 18)]),
    st.lists(
        st.none()
        | st.decimals(allow_nan=True, allow_infinity=True, min_value=None, max_value=None, places=None)
        | st.builds(
            lambda digits, places, sign: Decimal((sign, tuple(map(int, str(digits))), -places)),
            st.integers(0, 10**45),
            st.integers(0, 45),
            st.integers(0, 1),
        ),
        max_size=8,
    ),
)
def test_numbers_are_exact_or_rejected_as_the_function_says(
    size: tuple[int, int], numbers: list[Decimal | None]
) -> None:
    numbers = [
        None if n is None or n.is_snan() or abs(n.adjusted() if n.is_finite() else 0) > 300 else n for n in numbers
    ]
    column = decimal_column(pa.decimal128(*size))
    table = Table("table t", [column])
    texts = [_written(number) for number in numbers]
    read = CopyRead(table, (column,), "t")
    found = finished(
        pa.RecordBatch.from_arrays([pa.array(texts, pa.string())], ["n"]), read, pa.schema([column.field]), 1
    )
    check = check_of(column)
    assert check is not None
    rows = [(None if text is None else Decimal(text),) for text in texts]
    expected, rejects = finish_rows(rows, [(0, check)], (column,), 1, table)
    assert held(found) == expected
    assert found.rejects == rejects


def _written(number: Decimal | None) -> str | None:
    """As PostgreSQL writes a numeric."""
    if number is None:
        return None
    if number.is_nan():
        return "NaN"
    if number.is_infinite():
        return "Infinity" if number > 0 else "-Infinity"
    return format(number, "f")


async def test_few_rows_and_what_binds_values_stay_on_the_other_path(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    session.execute(
        "CREATE TABLE sedikit AS SELECT n FROM generate_series(1, 100) n; CREATE TABLE banyak AS SELECT n FROM generate_series(1, 30000) n"
    )
    session.execute("ANALYZE")
    few = connector(tmp_path, source(postgres_url, table="sedikit"), FEWEST_ROWS)
    many = connector(tmp_path, source(postgres_url, table="banyak"), FEWEST_ROWS)
    try:
        assert (await batches(few, ScanRequest(columnar=True)))[0].arrow is None
        found = await batches(many, ScanRequest(columnar=True))
        assert sum(map(len, found)) == 30_000
        assert all(batch.arrow is not None for batch in found)
        for request in (
            ScanRequest(),
            ScanRequest(columnar=True, order=(Order("n"),)),
            ScanRequest(columnar=True, limit=5),
        ):
            assert (await batches(many, request))[0].arrow is None
    finally:
        await few.close()
        await many.close()


async def test_a_table_without_rows_and_one_without_columns(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    session.execute("CREATE TABLE kosong (a text, b numeric, c date)")
    assert await both(tmp_path, source(postgres_url, table="kosong")) == []


async def test_a_table_that_changed_is_described_anew(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    session.execute("CREATE TABLE berubah AS SELECT n AS a, n AS b FROM generate_series(1, 10) n")
    opened = connector(tmp_path, source(postgres_url, table="berubah"))
    request = ScanRequest(columnar=True)
    try:
        assert (await batches(opened, request))[0].schema.field("a").type == pa.int64()
        for kind, raw in (
            ("text", pa.string()),
            ("numeric(9,2)", pa.decimal128(9, 2)),
            ("bigint", pa.int64()),
            ("date", pa.date32()),
        ):
            using = "date '2024-01-01' + a::int" if kind == "date" else f"a::{kind}"
            session.execute(f"ALTER TABLE berubah ALTER a TYPE {kind} USING {using}")
            found = await batches(opened, request)
            assert found[0].arrow is not None
            assert found[0].schema.field("a").type == raw
            assert sum(map(len, found)) == 10
        session.execute("ALTER TABLE berubah DROP a")
        with pytest.raises(SourceSchemaMismatch):
            await batches(opened, ScanRequest(("a", "b"), columnar=True))
    finally:
        await opened.close()


ACTIVE = "SELECT count(*) FROM pg_stat_activity WHERE application_name = 'simpul' AND state = 'active' AND query LIKE 'COPY%'"


async def becomes(session: psycopg.Connection, query: str, count: int, seconds: float) -> bool:
    ends = time.monotonic() + seconds
    while time.monotonic() < ends:
        if session.execute(query).fetchone() == (count,):
            return True
        await asyncio.sleep(0.02)
    return False


def workers() -> set[int]:
    """Processes that were forked from the loaded one."""
    children = Path(f"/proc/{NURSERY.pid}/task/{NURSERY.pid}/children")
    return set(map(int, children.read_text("ascii").split())) if children.exists() else set()


def begun_with(number: int) -> str:
    """Environment and arguments that a process was started with."""
    return "".join(Path(f"/proc/{number}/{file}").read_text("utf-8") for file in ("environ", "cmdline"))


GONE_SECONDS = 3
"""A session is ended by its number; who leaves before that is known is noticed by the server, which looks once a second."""


@pytest.mark.parametrize("way", ["deadline", "leaving", "cancelled", "left between batches"])
async def test_who_leaves_ends_the_statement_and_the_process(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path, way: str
) -> None:
    session.execute(
        "CREATE VIEW lambat AS SELECT n, repeat('x', 1000) AS x, CASE WHEN n > 20000 THEN pg_sleep(60)::text END AS y FROM generate_series(1, 1000000) n"
    )
    opened = connector(tmp_path, source(postgres_url, table="lambat"), deadline_seconds=30)
    before = workers()
    try:
        request = ScanRequest(columnar=True)
        if way == "deadline":
            with pytest.raises(SourceTimeout):
                await batches(opened, ScanRequest(columnar=True, deadline=time.monotonic() + 3))
        elif way == "left between batches":
            async with aclosing(opened.scan(request)) as found:  # type: ignore[type-var]
                assert len(await anext(found)) > 0  # type: ignore[call-overload]
        else:
            task = asyncio.create_task(batches(opened, request))
            assert await becomes(session, ACTIVE, 1, 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
        assert await becomes(session, ACTIVE, 0, GONE_SECONDS)
        await asyncio.sleep(0.1)
        assert workers() <= before
    finally:
        await opened.close()


async def test_a_killed_process_leaves_no_statement_and_is_a_fault_of_that_read(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    session.execute(
        "CREATE VIEW lambat AS SELECT n, repeat('x', 1000) AS x, CASE WHEN n > 20000 THEN pg_sleep(60)::text END AS y FROM generate_series(1, 1000000) n"
    )
    opened = connector(tmp_path, source(postgres_url, table="lambat"), deadline_seconds=30)
    before = workers()
    try:
        async with aclosing(opened.scan(ScanRequest(columnar=True))) as found:  # type: ignore[type-var]
            await anext(found)  # type: ignore[call-overload]
            (number,) = workers() - before
            os.kill(number, signal.SIGKILL)
            with pytest.raises(SourceFailed):
                await anext(found)  # type: ignore[call-overload]
        assert await becomes(session, ACTIVE, 0, GONE_SECONDS)
    finally:
        await opened.close()


async def count(found: AsyncIterator[RawBatch], given: list[int]) -> None:
    async for batch in found:
        given.append(len(batch))


async def test_a_fault_behind_the_first_batch_is_told_by_its_code_alone(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    session.execute(
        "CREATE VIEW rusak AS SELECT n, CASE WHEN n > 150000 THEN 'rahasia'::text ELSE '1' END::int AS y FROM generate_series(1, 200000) n"
    )
    opened = connector(tmp_path, source(postgres_url, table="rusak"))
    for request in (ScanRequest(), ScanRequest(columnar=True)):
        given: list[int] = []
        found = opened.scan(request)
        with pytest.raises(SourceRejected) as caught:
            await count(found, given)
        assert sum(given) >= 60_000
        assert caught.value.detail == "the database answered with SQLSTATE 22P02"
        assert "rahasia" not in repr(caught.value) + repr(caught.value.facts)
    await opened.close()


async def test_where_the_process_cannot_connect_the_other_path_reads(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path
) -> None:
    session.execute("DROP ROLE IF EXISTS sempit; CREATE ROLE sempit LOGIN CONNECTION LIMIT 1")
    session.execute("CREATE TABLE isi AS SELECT n FROM generate_series(1, 9000) n; GRANT SELECT ON isi TO sempit")
    opened = connector(tmp_path, source(postgres_url.replace("simpul@", "sempit@"), table="isi"))
    try:
        for _ in range(2):
            found = await batches(opened, ScanRequest(columnar=True))
            assert sum(map(len, found)) == 9_000
            assert all(batch.arrow is None for batch in found)
    finally:
        await opened.close()
        session.execute("DROP OWNED BY sempit; DROP ROLE sempit")


def test_without_the_driver_the_process_says_so() -> None:
    program = (
        "import sys; sys.modules['adbc_driver_postgresql'] = None\n"
        "from app.connectors.sql.postgres_copy import CopyRead, PostgresCopy\n"
        "from app.connectors.sql.columns import Table\n"
        "from app.errors import SourceFailed\n"
        "try: next(PostgresCopy().read({}, b'', CopyRead(Table('t', []), (), 't')))\n"
        "except SourceFailed as error: print(error.detail)"
    )
    found = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert found.stdout == "the driver of bulk reads is not installed\n"


async def test_a_password_goes_to_the_process_and_nowhere_else(
    session: psycopg.Connection, postgres_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """libpq would take settings from the environment, and a password from a file of the home folder."""
    (tmp_path / ".pgpass").write_text("*:*:*:*:canary-1\n")
    (tmp_path / ".pgpass").chmod(0o600)
    for name, value in {
        "HOME": str(tmp_path),
        "PGOPTIONS": "-c search_path=lain",
        "PGSSLMODE": "verify-full",
        "PGSERVICE": "x",
        "PGTZ": "Asia/Tokyo",
    }.items():
        monkeypatch.setenv(name, value)
    NURSERY.stop()
    session.execute(
        "CREATE TABLE isi AS SELECT n, timestamptz '2024-01-01 00:00:00+00' AS t FROM generate_series(1, 100000) n"
    )
    given = source(postgres_url, table="isi").model_copy(
        update={"url": postgres_url.replace("simpul@", "simpul:${secret:PW}@")}
    )
    opened = connector(tmp_path, given)
    before = workers()
    try:
        async with aclosing(opened.scan(ScanRequest(columnar=True))) as found:  # type: ignore[type-var]
            first = await anext(found)  # type: ignore[call-overload]
            (number,) = workers() - before
            for seen in (NURSERY.pid, number):
                told = begun_with(seen)
                assert SECRET not in told
                assert "PGOPTIONS" not in told
                assert "HOME" not in told
        assert first.arrow is not None
    finally:
        await opened.close()


def test_settings_are_quoted_as_libpq_reads_them() -> None:
    assert connection_text({"password": "a'b\\c d", "user": ""}) == "password='a\\'b\\\\c d' user=''"
