"""A page of a large table: the source sorts and cuts, and the answer is what reading everything would give."""

from __future__ import annotations

import random
import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import pytest

from app.connectors.environment import Limits
from app.connectors.suite import opened
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.datasets.records import ReadRequest
from app.datasets.selection import LAST_KEY
from app.filters.tree import TRUE, Compare, Filter, IsNull, Literal, Or, Property
from app.schemas import registry
from tests.support.mariadb import admin, fresh_database

_NAMES = ["Jepara", "jepara", "Áceh", "Aceh", "Zeta", "", "  ", None, "a b", "a-b", "ß", "\u3000"]


def dataset(folder: Path, source: dict[str, Any], **fields: Any) -> MappedDataset:
    manifest = parse_manifest(
        {
            "connector": "dinkes-uji",
            "agency": "dinkes",
            "schema": "satuan_pendidikan@1",
            "title": "Uji",
            "source": source,
            "fields": fields,
        }
    )
    schema = registry.get(str(manifest.schema_ref))
    return MappedDataset(
        manifest=manifest,
        revision=1,
        schema=schema,
        connector=opened(folder, source),
        mapping=compile_mapping(manifest, schema, empty_code_book()),
        limits=Limits(),
    )


_FIELDS = {"npsn": "npsn", "nama": "nama", "bentuk": "bentuk", "jumlah_siswa": "siswa", "alamat": "alamat"}


def rows(count: int) -> list[tuple[Any, ...]]:
    """Schools, a tenth of them with something wrong: no name, a short NPSN, a negative number of pupils."""
    chance = random.Random(7)
    found = []
    for place in range(count):
        npsn = f"{20000000 + place * 7}" if place % 31 else f"short{place}"
        siswa = chance.choice([None, 0, 1, 50, 50, 120, -5 if place % 11 == 0 else 7])
        found.append((npsn, chance.choice(_NAMES), chance.choice(_NAMES), siswa, chance.choice(_NAMES)))
    return found


_DDL = "CREATE TABLE sekolah (npsn {text} PRIMARY KEY NOT NULL, nama {text}, bentuk {text}, siswa int, alamat {text})"


@pytest.fixture
def mariadb_database(mariadb_port: int) -> Iterator[str]:
    """`port/name` of an empty database."""
    with fresh_database(mariadb_port) as name:
        yield f"{mariadb_port}/{name}"


def _mariadb(database: str) -> dict[str, Any]:
    return {"kind": "sql", "url": f"mysql://simpul:${{secret:PW}}@127.0.0.1:{database}", "table": "sekolah"}


@pytest.fixture(params=["sqlite", "postgres", "mariadb"])
async def source(request, tmp_path: Path, postgres_url: str, mariadb_database: str) -> dict[str, Any]:
    """The same table on each server."""
    if request.param == "sqlite":
        with sqlite3.connect(tmp_path / "uji.db") as database:
            database.execute(_DDL.format(text="TEXT"))
            database.executemany("INSERT INTO sekolah VALUES (?, ?, ?, ?, ?)", rows(400))
        database.close()
        return {"kind": "sql", "url": "sqlite:uji.db", "table": "sekolah"}
    if request.param == "mariadb":
        port, _, name = mariadb_database.partition("/")
        with closing(admin(int(port), name)) as server, server.cursor() as cursor:
            cursor.execute(_DDL.format(text="varchar(60)"))
            cursor.executemany("INSERT INTO sekolah VALUES (%s, %s, %s, %s, %s)", rows(400))
        return _mariadb(mariadb_database)
    session = await asyncpg.connect(postgres_url)
    await session.execute(_DDL.format(text="text"))
    await session.executemany("INSERT INTO sekolah VALUES ($1, $2, $3, $4, $5)", rows(400))
    await session.close()
    place = urlsplit(postgres_url)
    return {"kind": "sql", "url": f"postgresql://simpul@127.0.0.1:{place.port}{place.path}", "table": "sekolah"}


_ORDERS = [
    (),
    (("bentuk", False),),
    (("bentuk", True),),
    (("jumlah_siswa", True), ("alamat", False)),
    (("nama", True),),
]
_ORDERS += [(("alamat", False), ("jumlah_siswa", False)), (("npsn", True),), (("jumlah_siswa", False), ("npsn", True))]
_FILTERS: list[Filter] = [
    TRUE,
    Compare(">", Property("jumlah_siswa"), Literal(5)),
    IsNull(Property("bentuk")),
    Or((Compare("=", Property("alamat"), Literal("Zeta")), IsNull(Property("jumlah_siswa")))),
]


@pytest.mark.parametrize("order", _ORDERS)
async def test_pages_in_the_sources_order_are_the_pages_of_the_whole(source, tmp_path, order) -> None:
    pushed, whole = dataset(tmp_path, source, **_FIELDS), dataset(tmp_path, source, **_FIELDS)
    pushed._kept.table = _nothing_kept
    whole._kept.table = _nothing_kept
    try:
        for wanted in _FILTERS:
            everything = await whole.read(ReadRequest(order=order, filter=wanted))
            after, found = None, []
            while True:
                page = await pushed.read(ReadRequest(order=order, filter=wanted, after=after, limit=17))
                assert {"order", "limit"} <= set(page.pushed)
                found += page.records
                if len(page.records) < 17:
                    break
                last = page.records[-1]
                after = (*(last.values.get(name) for name, _ in order), last.key)
            assert [record.values for record in found] == [record.values for record in everything.records]
    finally:
        await pushed.close()
        await whole.close()


async def _nothing_kept(_deadline: float | None) -> None:
    """Small open files are kept in memory; here every read goes to the source."""


async def test_ties_at_a_position_of_another_agency_are_kept_or_left_out(source, tmp_path) -> None:
    dataset_ = dataset(tmp_path, source, **_FIELDS)
    dataset_._kept.table = _nothing_kept
    order = (("jumlah_siswa", False),)
    try:
        for value in (7, 50, None):
            for key, wanted in (("", True), (LAST_KEY, False)):
                request = ReadRequest(order=order, after=(value, key), limit=500)
                found = {record.values["jumlah_siswa"] for record in (await dataset_.read(request)).records}
                assert (value in found) is wanted, (value, key)
                assert not any(seen is not None and value is not None and seen < value for seen in found)
    finally:
        await dataset_.close()


async def test_conditions_on_codes_and_squeezed_text_reach_the_source(source, tmp_path) -> None:
    fields = {
        **_FIELDS,
        "bentuk": {"from": "bentuk", "codes": {"a b": "SD", "a-b": "SMP", "Zeta": "SD"}, "else": "null"},
    }
    fields["alamat"] = {"from": "alamat", "text": "squeeze"}
    mapped = dataset(tmp_path, source, **fields)
    mapped._kept.table = _nothing_kept
    try:
        everything = await mapped.read(ReadRequest())
        for name, value in (("bentuk", "SD"), ("alamat", "a b")):
            page = await mapped.read(ReadRequest(filter=Compare("=", Property(name), Literal(value)), limit=500))
            assert "filter" in page.pushed
            wanted = [record.key for record in everything.records if record.values[name] == value]
            assert [record.key for record in page.records] == wanted
            assert wanted
    finally:
        await mapped.close()


async def test_without_a_key_that_the_source_vouches_for_nothing_is_cut_there(tmp_path) -> None:
    with sqlite3.connect(tmp_path / "uji.db") as database:
        database.execute("CREATE TABLE sekolah (npsn TEXT, nama TEXT, bentuk TEXT, siswa INT, alamat TEXT)")
        twice = [
            ("20000001", "Satu", "SD", 1, "a"),
            ("20000001", "Dua", "SD", 2, "b"),
            ("20000002", "Tiga", "SD", 3, "c"),
        ]
        database.executemany("INSERT INTO sekolah VALUES (?, ?, ?, ?, ?)", twice)
    database.close()
    found = dataset(tmp_path, {"kind": "sql", "url": "sqlite:uji.db", "table": "sekolah"}, **_FIELDS)
    found._kept.table = _nothing_kept
    try:
        page = await found.read(ReadRequest(order=(("nama", False),), limit=1))
        assert "limit" not in page.pushed
        assert page.rejected_rows == 1
    finally:
        await found.close()


async def test_a_page_of_a_large_table_reads_as_many_rows_as_it_gives(postgres_url: str, tmp_path: Path) -> None:
    session = await asyncpg.connect(postgres_url)
    await session.execute(
        "CREATE TABLE sekolah AS SELECT (20000000 + n)::text COLLATE \"C\" AS npsn, 'SD ' || md5(n::text) AS nama,"
        " CASE n % 3 WHEN 0 THEN 'SD' WHEN 1 THEN 'SMP' END AS bentuk, n % 1000 AS siswa, 'Jl. ' || n AS alamat"
        " FROM generate_series(1, 1200000) n;"
        "ALTER TABLE sekolah ADD PRIMARY KEY (npsn); CREATE INDEX ON sekolah (siswa, npsn); ANALYZE sekolah"
    )
    place = urlsplit(postgres_url)
    url = f"postgresql://simpul@127.0.0.1:{place.port}{place.path}"
    large = dataset(tmp_path, {"kind": "sql", "url": url, "table": "sekolah"}, **_FIELDS)
    count = "SELECT seq_tup_read, idx_tup_fetch FROM pg_stat_user_tables WHERE relname = 'sekolah'"
    before = await session.fetchrow(count)
    requests = [
        ReadRequest(order=(("jumlah_siswa", True),), limit=51),
        ReadRequest(order=(("jumlah_siswa", True),), after=(500, "20600500"), limit=51),
        ReadRequest(order=(("jumlah_siswa", False),), after=(500, "20600500"), limit=51),
        ReadRequest(limit=51),
        ReadRequest(after=("21100000",), limit=51),
    ]
    pages = [await large.read(request) for request in requests]
    await large.close()
    await session.execute("SELECT pg_stat_clear_snapshot()")
    seen = await session.fetchrow(count)
    await session.close()

    assert [len(page.records) for page in pages] == [51] * 5
    assert pages[1].records[0].values["jumlah_siswa"] == 500
    assert [record.key for record in pages[4].records][:2] == ["21100001", "21100002"]
    assert seen["seq_tup_read"] - before["seq_tup_read"] == 0
    assert (
        seen["idx_tup_fetch"] - before["idx_tup_fetch"] < 5 * 100 + 2 * 1200
    )  # 1,200 pupils' ties where directions differ


@pytest.mark.parametrize("descending", [False, True])
async def test_a_position_in_a_sqlite_table_is_found_by_its_index(tmp_path, descending) -> None:
    with closing(sqlite3.connect(tmp_path / "uji.db")) as database:
        database.execute(_DDL.format(text="TEXT").replace("nama TEXT", "nama TEXT NOT NULL"))
        database.execute("CREATE INDEX menurut_nama ON sekolah (nama, npsn)")
        large = dataset(tmp_path, {"kind": "sql", "url": "sqlite:uji.db", "table": "sekolah"}, **_FIELDS)
        asked = ReadRequest(order=(("nama", descending),), after=("SD 5", "20600500"), limit=51)
        texts = (await large.outline(asked)).texts
        await large.close()
        for text in texts:
            plan = [row[3] for row in database.execute(f"EXPLAIN QUERY PLAN {text}", ("",) * text.count("?"))]
            assert any(step.startswith("SEARCH sekolah USING INDEX menurut_nama (nama") for step in plan), plan


async def test_a_table_that_stands_before_the_position_is_not_asked(tmp_path) -> None:
    with closing(sqlite3.connect(tmp_path / "uji.db")) as database:
        database.execute(_DDL.format(text="TEXT"))
        database.executemany("INSERT INTO sekolah VALUES (?, ?, ?, ?, ?)", [("20000001", "Satu", "SD", 1, "a")])
        database.commit()
    found = dataset(tmp_path, {"kind": "sql", "url": "sqlite:uji.db", "table": "sekolah"}, **_FIELDS)
    found._kept.table = _nothing_kept
    found.connector.scan = None  # type: ignore[assignment,method-assign]
    page = await found.read(ReadRequest(after=(LAST_KEY,), limit=51))
    await found.close()
    assert (page.records, page.more) == ([], False)
    assert page.pushed == ("columns", "order", "limit")


async def test_a_page_of_a_large_mariadb_table_reads_as_many_rows_as_it_gives(mariadb_database, tmp_path) -> None:
    port, _, name = mariadb_database.partition("/")
    with closing(admin(int(port), name)) as server, server.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE sekolah (npsn varchar(8) COLLATE utf8mb4_nopad_bin PRIMARY KEY, nama text, bentuk varchar(20),"
            " siswa int, alamat text)"
        )
        cursor.execute(
            "INSERT INTO sekolah SELECT 20000000 + seq, MD5(seq), 'SD', seq % 1000, seq FROM seq_1_to_1200000"
        )
        cursor.execute("ALTER TABLE sekolah ADD KEY (siswa, npsn)")  # sorted at once, not row by row
        cursor.execute("ANALYZE TABLE sekolah")
        cursor.fetchall()
        large = dataset(tmp_path, _mariadb(mariadb_database), **_FIELDS)
        await large.connector.learn()
        cursor.execute("FLUSH STATUS")
        before = _handler_reads(cursor)
        requests = [
            ReadRequest(order=(("jumlah_siswa", False),), limit=51),
            ReadRequest(order=(("jumlah_siswa", False),), after=(500, "20600500"), limit=51),
            ReadRequest(order=(("jumlah_siswa", True),), after=(500, "20600500"), limit=51),
            ReadRequest(limit=51),
            ReadRequest(after=("21100000",), limit=51),
        ]
        pages = [await large.read(request) for request in requests]
        seen = _handler_reads(cursor) - before
        await large.close()

    assert [len(page.records) for page in pages] == [51] * 5
    assert pages[1].records[0].values["jumlah_siswa"] == 500
    assert [record.key for record in pages[4].records][:2] == ["21100001", "21100002"]
    assert seen < 5 * 200 + 12 * 1200 + 500, (
        seen
    )  # ties of one number of pupils: 1,200; the looks at the status themselves


def _handler_reads(cursor: Any) -> int:
    cursor.execute("SHOW GLOBAL STATUS LIKE 'Handler_read_%'")
    return sum(int(value) for _, value in cursor.fetchall())
