"""P11: the first answer of the demo's files, a page over four kinds of source, and a check beside one read of a large CSV.

Prints milliseconds as JSON; run it in two checkouts in turn to compare them. `python -m benchmarks.reading`.
"""

from __future__ import annotations

import asyncio
import json
import random
import shutil
import sqlite3
import statistics
import tempfile
import threading
import time
from contextlib import closing
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from ipaddress import IPv4Network
from pathlib import Path
from typing import Any

import psycopg

from app.connectors.environment import Environment, Limits, NetworkPolicy
from app.connectors.registry import open_connector
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.datasets.records import ReadRequest
from app.datasets.yaml_text import load_all_yaml
from app.federation.question.query import DatasetRef, Grant, Query
from app.federation.reading.breaker import Guards
from app.federation.reading.page import read_page
from app.federation.reading.runtime import Runtime
from app.schemas import registry
from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster

EXAMPLES = Path("examples/jepara")
FIRST_ROUNDS, PAGES, CHECKS = 12, 150, 3
CHECK_ROWS = 200_000
FACILITY = {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"}


class NoSecrets:
    """Nothing is secret here."""

    def resolve(self, text: str) -> str:
        """The text as it is."""
        return text


def opened(folder: Path, document: dict[str, Any]) -> MappedDataset:
    """The dataset of a manifest, with an empty cache."""
    manifest = parse_manifest({name: part for name, part in document.items() if name != "kind"})
    cache = folder / "cache"
    shutil.rmtree(cache, ignore_errors=True)
    cache.mkdir()
    allowed = NetworkPolicy(networks=(IPv4Network("127.0.0.1/32"),))
    around = Environment(
        "uji", manifest.connector, folder, cache, NoSecrets(), network=allowed, limits=Limits(deadline_seconds=60.0)
    )
    schema = registry.get(manifest.schema_ref or "")
    return MappedDataset(
        manifest=manifest,
        revision=1,
        schema=schema,
        connector=open_connector(manifest.source, around),
        mapping=compile_mapping(manifest, schema, empty_code_book()),
        limits=around.limits,
    )


async def first_answers(folder: Path) -> float:
    """Every file of the demo, opened and asked for its first page: milliseconds for all of them."""
    documents = [
        found
        for found in load_all_yaml((EXAMPLES / "30-connectors-files.yaml").read_text("utf-8"))
        if found["source"]["kind"] == "file"
    ]
    (folder / "inbox").mkdir(exist_ok=True)
    for file in (EXAMPLES / "data").iterdir():
        shutil.copy(file, folder / "inbox" / file.name)
    rounds = []
    for _ in range(FIRST_ROUNDS):
        started = time.perf_counter()
        for document in documents:
            source = opened(folder, document)
            await source.read(ReadRequest(limit=100))
            await source.close()
        rounds.append((time.perf_counter() - started) * 1000)
    return statistics.median(rounds)


async def pages(folder: Path, url: str) -> float:
    """A page of 50 over PostgreSQL, SQLite, a CSV and a REST service: median milliseconds."""
    chance = random.Random(1)

    def rows(start: int, count: int) -> list[tuple[str, str, str]]:
        return [(f"K{start + place:06}", f"Nama {chance.randrange(10**6)}", "klinik") for place in range(count)]

    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE faskes (kode text PRIMARY KEY, nama text NOT NULL, jenis text NOT NULL)")
        cursor.executemany("INSERT INTO faskes VALUES (%s, %s, %s)", rows(0, 20_000))
    with closing(sqlite3.connect(folder / "uji.db")) as database:
        database.execute(
            "CREATE TABLE faskes (kode TEXT PRIMARY KEY NOT NULL, nama TEXT NOT NULL, jenis TEXT NOT NULL)"
        )
        database.executemany("INSERT INTO faskes VALUES (?, ?, ?)", rows(100_000, 20_000))
        database.commit()
    lines = [",".join(row) for row in rows(200_000, 5_000)]
    (folder / "faskes.csv").write_text("kode,nama,jenis\n" + "\n".join(lines) + "\n", "utf-8")
    served = json.dumps([dict(zip(("kode", "nama", "jenis"), row, strict=True)) for row in rows(300_000, 500)]).encode()
    service = ThreadingHTTPServer(("127.0.0.1", 0), _service(served))
    threading.Thread(target=service.serve_forever, daemon=True).start()
    sources = [
        {"kind": "sql", "url": f"{url}?sslmode=disable", "table": "faskes"},
        {"kind": "sql", "url": "sqlite:uji.db", "table": "faskes"},
        {"kind": "file", "location": "faskes.csv"},
        {"kind": "rest", "url": f"http://127.0.0.1:{service.server_port}/s", "record_path": "$[*]"},
    ]
    schema = registry.get("fasilitas_kesehatan")
    refs = []
    for place, source in enumerate(sources):
        document = {
            "connector": f"k{place}",
            "agency": f"a{place}",
            "schema": "fasilitas_kesehatan@1",
            "source": source,
            "fields": FACILITY,
        }
        refs.append(
            DatasetRef(f"a{place}", f"k{place}", 1, opened(folder, document), Grant(fields=frozenset(schema.fields)))
        )
    runtime = Runtime(Guards(failures_to_open=5, rest_seconds=1.0, concurrency=4))
    taken = []
    try:
        for _ in range(PAGES):
            started = time.perf_counter()
            answer = await read_page(Query(schema, limit=50), refs, runtime)
            taken.append((time.perf_counter() - started) * 1000)
            if not answer.complete:
                raise SystemExit(f"a source did not answer: {answer.sources}")
    finally:
        for ref in refs:
            await ref.source.close()
        service.shutdown()
        service.server_close()
    return statistics.median(taken)


async def check_beside_read(folder: Path) -> dict[str, float]:
    """One read of 200,000 rows to its end (read, map, validate, one record a key), and the check of the same file."""
    lines = [f"K{place:06},Nama {place},klinik,{-6.5 - place / 1e7:.6f},110.6" for place in range(CHECK_ROWS)]
    (folder / "besar.csv").write_text("kode,nama,jenis,lat,lng\n" + "\n".join(lines) + "\n", "utf-8")
    fields = {**FACILITY, "lat": {"from": "lat", "number": {}}, "lng": {"from": "lng", "number": {}}}
    document = {
        "connector": "besar",
        "agency": "uji",
        "schema": "fasilitas_kesehatan@1",
        "source": {"kind": "file", "location": "besar.csv"},
        "fields": fields,
    }
    read, checked = [], []
    for _ in range(CHECKS):
        source = opened(folder, document)
        started = time.perf_counter()
        mapped = 0
        async for part in source.stream(ReadRequest()):
            mapped += len(part.records)
        read.append((time.perf_counter() - started) * 1000)
        await source.close()
        if not hasattr(source, "trial"):
            continue
        source = opened(folder, document)
        started = time.perf_counter()
        trial = await source.trial(10**6, 600.0)
        checked.append((time.perf_counter() - started) * 1000)
        await source.close()
        if not mapped == trial.mapped == CHECK_ROWS:
            raise SystemExit("not every row was mapped")
    return {"read_ms": round(min(read)), **({"check_ms": round(min(checked))} if checked else {})}


def _service(body: bytes) -> type[BaseHTTPRequestHandler]:
    class Handler(BaseHTTPRequestHandler):
        protocol_version = "HTTP/1.1"
        disable_nagle_algorithm = True  # head and body are two writes

        def do_GET(self) -> None:
            self.send_response(200)
            self.send_header("content-type", "application/json")
            self.send_header("content-length", str(len(body)))
            self.end_headers()
            self.wfile.write(body)

        def log_message(self, *_: object) -> None:
            """Says nothing."""

    return Handler


async def figures(url: str) -> dict[str, Any]:
    """All of them."""
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        first = await first_answers(folder)
        page = await pages(folder, url)
        return {"first_ms": round(first, 2), "page_ms": round(page, 3), **await check_beside_read(folder)}


def main() -> None:
    """Prints the figures as one line of JSON."""
    with tempfile.TemporaryDirectory() as place:
        try:
            with fresh_database(shared_cluster(Path(place))) as url:
                print(json.dumps(asyncio.run(figures(url))))
        finally:
            stop_shared_cluster(Path(place))


if __name__ == "__main__":
    main()
