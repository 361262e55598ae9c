"""Random pages over four sources of different kinds, one of which can neither filter nor sort: each record once."""

from __future__ import annotations

import json
import random
import sqlite3
from collections.abc import Iterator
from dataclasses import replace
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
from app.federation.question.query import DatasetRef, Grant, Query, SortKey
from app.federation.reading.breaker import Guards
from app.federation.reading.merge import order_of
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.filters.tree import Compare, Literal, Property
from tests.support.memory import FACILITIES
from tests.support.sources import SourceServer

KINDS = ("klinik", "posyandu", "puskesmas", None)
NAMES = ("Jepara", "jepara", "Áceh", "Zeta", "a b", "a-b", "ß")
SORTS = ((), (SortKey("nama"),), (SortKey("jenis", descending=True), SortKey("nama")), (SortKey("kode_faskes", True),))
Row = tuple[str, str, str | None]


def rows(seed: int) -> list[Row]:
    chance = random.Random(seed)
    return [(f"K{number:03}", chance.choice(NAMES), chance.choice(KINDS)) for number in chance.sample(range(150), 60)]


def dataset(folder: Path, agency: str, source: dict[str, Any]) -> DatasetRef:
    manifest = parse_manifest(
        {
            "connector": f"{agency}-set",
            "agency": agency,
            "schema": "fasilitas_kesehatan@1",
            "source": source,
            "fields": {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"},
        }
    )
    mapped = MappedDataset(
        manifest=manifest,
        revision=1,
        schema=FACILITIES,
        connector=opened(folder, source),
        mapping=compile_mapping(manifest, FACILITIES, empty_code_book()),
        limits=Limits(),
    )
    return DatasetRef(agency, f"{agency}-set", 1, mapped, Grant(fields=frozenset(("kode_faskes", "nama", "jenis"))))


@pytest.fixture
def service() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


@pytest.fixture
async def refs(tmp_path: Path, postgres_url: str, service: SourceServer) -> Any:
    """PostgreSQL, SQLite, a CSV file, and a service that gives everything in no order."""
    session = await asyncpg.connect(postgres_url)
    await session.execute("CREATE TABLE faskes (kode text PRIMARY KEY, nama text NOT NULL, jenis text)")
    await session.executemany("INSERT INTO faskes VALUES ($1, $2, $3)", rows(1))
    await session.close()
    with sqlite3.connect(tmp_path / "uji.db") as database:
        database.execute("CREATE TABLE faskes (kode TEXT PRIMARY KEY NOT NULL, nama TEXT, jenis TEXT)")
        database.executemany("INSERT INTO faskes VALUES (?, ?, ?)", rows(2))
    database.close()
    lines = [",".join(cell or "" for cell in row) for row in rows(3)]
    (tmp_path / "faskes.csv").write_text("kode,nama,jenis\n" + "\n".join(lines) + "\n", "utf-8")
    served = [dict(zip(("kode", "nama", "jenis"), row, strict=True)) for row in rows(4)]
    service.json("/faskes", json.dumps(served).encode())
    place = urlsplit(postgres_url)
    address = f"postgresql://{place.username}@{place.hostname}:{place.port}{place.path}?sslmode=disable"
    made = [
        dataset(tmp_path, "bappeda", {"kind": "sql", "url": address, "table": "faskes"}),
        dataset(tmp_path, "dinkes", {"kind": "sql", "url": "sqlite:uji.db", "table": "faskes"}),
        dataset(tmp_path, "dpmptsp", {"kind": "file", "location": "faskes.csv"}),
        dataset(tmp_path, "rsud", {"kind": "rest", "url": f"{service.url}/faskes", "record_path": "$[*]"}),
    ]
    yield made
    for ref in made:
        await ref.source.close()


async def whole(query: Query, refs: list[DatasetRef], runtime: Runtime) -> list[tuple[str, str]]:
    answer = await read_page(replace(query, limit=1000), refs, runtime)
    ordered = sorted(answer.records, key=order_of(query.sort))
    return [(one.agency, one.record.key) for one in ordered]


@pytest.mark.anyio
@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("filtered", [False, True])
async def test_pages_are_the_union_cut_whatever_each_source_can_do(
    refs: list[DatasetRef], sort: tuple[SortKey, ...], *, filtered: bool
) -> None:
    runtime = Runtime(Guards(failures_to_open=5, rest_seconds=1.0, concurrency=4))
    query = Query(FACILITIES, sort=sort)
    if filtered:
        query = replace(query, filter=Compare(">=", Property("nama"), Literal("a")))
    expected = await whole(query, refs, runtime)
    chance, seen, asked = random.Random(str(sort)), [], query
    while True:
        answer = await read_page(replace(asked, limit=chance.randint(1, 40)), refs, runtime)
        assert answer.complete, answer.sources
        seen += [(one.agency, one.record.key) for one in answer.records]
        if answer.after is None:
            break
        asked = replace(asked, after=answer.after, owed=answer.owed)

    assert seen == expected
    assert len(expected) == 240 or filtered
    assert len({agency for agency, _ in seen}) == 4
    pushed = {leg.agency: leg.pushed for leg in answer.sources}
    assert "order" in pushed["bappeda"]
    assert "filter" not in pushed["rsud"]


@pytest.mark.anyio
async def test_rows_that_come_and_go_between_pages_disturb_no_other(
    refs: list[DatasetRef], postgres_url: str, service: SourceServer
) -> None:
    runtime = Runtime(Guards(failures_to_open=50, rest_seconds=1.0, concurrency=4))
    query = Query(FACILITIES, sort=(SortKey("nama"),), limit=17)
    always = set(await whole(query, refs, runtime))
    session = await asyncpg.connect(postgres_url)
    kept, seen, page = service.routes["/faskes"], [], 0
    while True:
        service.routes["/faskes"] = kept if page % 3 else (lambda _query, _headers: (503, "text/plain", b"out"))
        answer = await read_page(query, refs, runtime)
        assert answer.complete is bool(page % 3)
        page += 1
        if answer.after is None and answer.complete:
            seen += [(one.agency, one.record.key) for one in answer.records]
            break
        if answer.after is not None:
            seen += [(one.agency, one.record.key) for one in answer.records]
            query = replace(query, after=answer.after, owed=answer.owed)
        gone = await session.fetchval("DELETE FROM faskes WHERE kode = (SELECT max(kode) FROM faskes) RETURNING kode")
        always.discard(("bappeda", gone))
        await session.execute("INSERT INTO faskes VALUES ($1, 'Jepara', 'klinik')", f"N{page:03}")
    await session.close()

    assert len(seen) == len(set(seen))
    assert always <= set(seen)
