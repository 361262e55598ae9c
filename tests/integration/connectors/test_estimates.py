"""What sources estimate: near and sure of whole tables, a guess about anything else, and nothing where it would cost a read."""

from __future__ import annotations

import sqlite3
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager, closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.connectors.contract import CountEstimate, RowEstimate
from app.connectors.requests import Order, ScanRequest
from app.connectors.sql.estimates import mysql_rows
from app.connectors.sql.source import SqlSource
from app.connectors.sql.sqlite_file import SqliteFile
from app.connectors.suite import opened
from app.errors import CapabilityUndeclared, SourceFormatError, SourceMissing
from app.filters.tree import Compare, Filter, IsNull, Literal, Property
from tests.support.mariadb import admin, fresh_database

ROWS = 20_000
FEW = Compare("<", Property("id"), Literal(200))
HALF = Compare("=", Property("jenis"), Literal("a"))


@asynccontextmanager
async def estimating(folder: Path, source: dict[str, Any]) -> AsyncIterator[CountEstimate]:
    connector = opened(folder, source)
    assert isinstance(connector, CountEstimate)
    try:
        await connector.learn()
        yield connector
    finally:
        await connector.close()


async def estimated(folder: Path, source: dict[str, Any], wanted: Filter | None = None) -> RowEstimate | None:
    async with estimating(folder, source) as connector:
        return await connector.estimate(ScanRequest(filter=wanted, order=(Order("id"),) if wanted else (), limit=3))


class TestPostgres:
    @pytest.fixture
    async def source(self, postgres_url: str) -> dict[str, Any]:
        """A table that was counted, and the places of others beside it."""
        session = await asyncpg.connect(postgres_url)
        await session.execute(
            f"CREATE TABLE uji AS SELECT g AS id, CASE WHEN g % 2 = 0 THEN 'a' ELSE 'b' END AS jenis FROM generate_series(1, {ROWS}) g;"
            "CREATE TABLE baru AS SELECT * FROM uji; CREATE VIEW ragam AS SELECT DISTINCT jenis, id / 1000 AS id FROM uji;"
            "CREATE VIEW sama AS SELECT * FROM uji; CREATE TABLE bagian (id int, jenis text) PARTITION BY RANGE (id);"
            "CREATE TABLE bagian_1 PARTITION OF bagian FOR VALUES FROM (0) TO (10000);"
            "CREATE TABLE bagian_2 PARTITION OF bagian FOR VALUES FROM (10000) TO (100000);"
            "INSERT INTO bagian SELECT * FROM uji; ANALYZE uji; ANALYZE bagian"
        )
        await session.close()
        place = urlsplit(postgres_url)
        return {"kind": "sql", "url": f"postgresql://simpul@127.0.0.1:{place.port}{place.path}", "table": "uji"}

    async def test_a_table_that_was_counted_is_sure(self, source, tmp_path) -> None:
        for table in ("uji", "sama", "bagian"):
            found = await estimated(tmp_path, {**source, "table": table})
            assert found is not None
            assert (found.sure, ROWS * 0.9 < found.rows < ROWS * 1.1) == (True, True), table

    async def test_conditions_are_guessed(self, source, tmp_path) -> None:
        few, half = [await estimated(tmp_path, source, wanted) for wanted in (FEW, HALF)]

        assert few is not None
        assert half is not None
        assert (few.sure, half.sure) == (False, False)
        assert 1 <= few.rows < 1000
        assert half.rows < ROWS

    async def test_views_queries_and_tables_that_were_never_counted_are_guessed(self, source, tmp_path) -> None:
        alone = {name: value for name, value in source.items() if name != "table"}
        for one in (
            {"table": "baru"},
            {"table": "ragam"},
            {"query": "SELECT a.id FROM uji a JOIN uji b ON a.id < b.id"},
        ):
            found = await estimated(tmp_path, {**alone, **one})
            assert found is not None
            assert not found.sure, one

    async def test_a_table_that_is_gone_is_its_own_error(self, source, tmp_path) -> None:
        with pytest.raises(SourceMissing):
            await estimated(tmp_path, {**source, "table": "hilang"})


class TestMariadb:
    @pytest.fixture
    def source(self, mariadb_port: int) -> Iterator[dict[str, Any]]:
        with fresh_database(mariadb_port) as name:
            with admin(mariadb_port, name) as session, session.cursor() as cursor:
                cursor.execute("CREATE TABLE uji (id int PRIMARY KEY, jenis char(1), KEY (jenis))")
                cursor.execute(f"INSERT INTO uji SELECT seq, IF(seq % 2, 'a', 'b') FROM seq_1_to_{ROWS}")
                cursor.execute("CREATE VIEW ragam AS SELECT DISTINCT jenis, id FROM uji")
                cursor.execute("ANALYZE TABLE uji")
                session.commit()
            yield {"kind": "sql", "url": f"mysql://root@127.0.0.1:{mariadb_port}/{name}", "table": "uji"}

    async def test_a_whole_table_is_sure_and_conditions_are_guessed(self, source, tmp_path) -> None:
        whole, few, view = (
            await estimated(tmp_path, source),
            await estimated(tmp_path, source, FEW),
            await estimated(tmp_path, {**source, "table": "ragam"}),
        )

        assert whole is not None
        assert few is not None
        assert view is not None
        assert (whole.sure, few.sure, view.sure) == (True, False, False)
        assert ROWS / 2 < whole.rows < ROWS * 2
        assert 1 <= few.rows < 1000


def test_plans_of_mysql_are_read_with_and_without_a_share() -> None:
    names = ["id", "select_type", "type", "rows", "filtered", "Extra"]

    assert mysql_rows(names, [(1, "SIMPLE", "ALL", 90, "10.00", "Using where")]) == (9, False)
    assert mysql_rows(names, [(1, "SIMPLE", "index", 90, None, "Using index")]) == (90, True)
    assert mysql_rows(names, [(1, "SIMPLE", None, None, None, "Impossible WHERE")]) == (0, False)
    assert mysql_rows(names, [(1, "SIMPLE", None, None, None, "No tables used")]) == (None, False)
    joined = [
        (1, "PRIMARY", "ALL", 20, "100.00", ""),
        (1, "PRIMARY", "ref", 3, "50.00", ""),
        (2, "DERIVED", "ALL", 7, None, ""),
    ]
    assert mysql_rows(names, joined) == (30, False)
    assert mysql_rows(names[:4], [(1, "SIMPLE", "ALL", 5)]) == (5, True)


class TestSqlite:
    @pytest.fixture
    def folder(self, tmp_path: Path) -> Path:
        with closing(sqlite3.connect(tmp_path / "uji.db")) as database:
            database.execute("CREATE TABLE uji (id INTEGER PRIMARY KEY, jenis TEXT)")
            database.executemany("INSERT INTO uji VALUES (?, ?)", [(place, "ab"[place % 2]) for place in range(ROWS)])
            database.commit()
        return tmp_path

    _SOURCE = {"kind": "sql", "url": "sqlite:uji.db", "table": "uji"}  # noqa: RUF012

    async def test_rows_are_counted(self, folder) -> None:
        assert await estimated(folder, self._SOURCE) == RowEstimate(ROWS, sure=True)
        assert await estimated(folder, self._SOURCE, FEW) == RowEstimate(200, sure=True)

    def test_where_counting_takes_long_what_was_counted_once_is_told_of_a_whole_table(self, folder) -> None:
        file = SqliteFile(SqlSource.model_validate(self._SOURCE), folder, "uji.db", 5.0, count_seconds=0.0)

        assert file.estimate(ScanRequest()) is None
        with closing(sqlite3.connect(folder / "uji.db")) as database:
            database.execute("CREATE INDEX jenis ON uji (jenis)")
            database.execute("ANALYZE")
        assert file.estimate(ScanRequest()) == (ROWS, False)
        assert file.estimate(ScanRequest(filter=HALF)) is None


class TestFiles:
    async def test_a_parquet_file_tells_its_rows_and_a_text_would_have_to_be_read(self, tmp_path) -> None:
        pq.write_table(pa.table({"id": list(range(77))}), tmp_path / "uji.parquet")
        (tmp_path / "uji.csv").write_text("id\n1\n2\n")
        (tmp_path / "lain.parquet").write_bytes(b"PAR1 no file PAR1")

        assert await estimated(tmp_path, {"kind": "file", "location": "uji.parquet"}) == RowEstimate(77, sure=True)
        assert await estimated(tmp_path, {"kind": "file", "location": "uji.csv"}) is None
        with pytest.raises(SourceFormatError):
            await estimated(tmp_path, {"kind": "file", "location": "lain.parquet"})
        async with estimating(tmp_path, {"kind": "file", "location": "uji.parquet"}) as connector:
            with pytest.raises(CapabilityUndeclared):
                await connector.estimate(ScanRequest(filter=IsNull(Property("id"))))
