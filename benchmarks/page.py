"""P2: 50 rows, filtered and sorted, of the union of three PostgreSQL sources, beside a hand-written gather and merge.

Both put the same question to the same databases in turn, over HTTP on our side with the log on. `python -m benchmarks.page`.
"""

from __future__ import annotations

import argparse
import asyncio
import heapq
import os
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import asyncpg
import httpx
import psycopg

from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster
from tests.support.gateway import RunningGateway

SIZES = {"bappeda": 1_200_000, "dinkes": 300_000, "rsud": 20_000}
PAGE = 50
KIND = "rs_khusus"
QUESTIONS = {"with an index": ("kelas", "B7"), "without an index": ("jenis", KIND)}


def fill(url: str, rows: int, seed: int) -> None:
    """One agency's facilities: the class is indexed, the kind is not; both pick 1 row in 500."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE faskes (kode text PRIMARY KEY, nama text NOT NULL, jenis text NOT NULL, kelas text NOT NULL,"
            " alamat text, lat double precision, lng double precision)"
        )
        connection.execute(
            "INSERT INTO faskes SELECT 'F' || lpad(n::text, 7, '0'), 'Nama ' || md5((n * %s)::text),"
            f" CASE WHEN n %% 500 = 0 THEN '{KIND}' ELSE 'klinik' END, 'B' || n %% 500, 'Jalan ' || n,"
            " -6.5 + n / 1e7, 110.6 + n / 1e7 FROM generate_series(1, %s) n",
            (seed, rows),
        )
        connection.execute("CREATE INDEX ON faskes (kelas)")
        connection.execute("VACUUM ANALYZE faskes")


async def by_hand(pools: list[asyncpg.Pool], column: str, value: str) -> tuple[list[Any], float]:
    """The page as a good programmer writes it: one statement a source at once, merged; and the slowest source's time."""
    text = (
        f"SELECT kode, nama, jenis, kelas, alamat, lat, lng FROM faskes WHERE {column} = $1"
        f' ORDER BY nama COLLATE "C", kode COLLATE "C" LIMIT {PAGE}'
    )

    async def one(pool: asyncpg.Pool) -> tuple[list[Any], float]:
        started = time.perf_counter()
        rows = await pool.fetch(text, value)
        return rows, time.perf_counter() - started

    pages = await asyncio.gather(*[one(pool) for pool in pools])
    merged = heapq.merge(*[rows for rows, _ in pages], key=lambda row: (row["nama"], row["kode"]))
    return [next(merged) for _ in range(PAGE)], max(took for _, took in pages)


async def measure(gateway: RunningGateway, urls: list[str], rounds: int) -> None:
    """Both sides in turn, the answers compared."""
    session = gateway.client("client", "dinkes")
    pools = [await asyncpg.create_pool(url, min_size=1, max_size=2) for url in urls]
    async with httpx.AsyncClient(base_url=gateway.url, trust_env=False, timeout=60, headers=session.headers) as client:
        for name, (column, value) in QUESTIONS.items():
            body = {"filter": f"{column} = '{value}'", "sort": ["nama", "kode_faskes"], "limit": PAGE}
            ours, theirs, slowest = [], [], []
            for place in range(rounds + 3):
                started = time.perf_counter()
                answer = await client.post("/v1/records/fasilitas-kesehatan/search", json=body)
                took = time.perf_counter() - started
                page = answer.raise_for_status().json()
                started = time.perf_counter()
                rows, worst = await by_hand(pools, column, value)
                hand = time.perf_counter() - started
                if [item["nama"] for item in page["items"]] != [row["nama"] for row in rows] or not page["complete"]:
                    raise SystemExit("the two answers differ")
                if place == 0:
                    print("  pushed:", *{tuple(source["pushed"]) for source in page["sources"]})
                if place >= 3:
                    ours.append(took)
                    theirs.append(hand)
                    slowest.append(worst)
            mine, peer, worst = (statistics.median(times) * 1000 for times in (ours, theirs, slowest))
            ratios = sorted(one / other for one, other in zip(ours, theirs, strict=True))
            low, high = ratios[len(ratios) // 10], ratios[-1 - len(ratios) // 10]
            print(
                f"P2 {name}: {mine:.1f} ms against {peer:.1f} ms by hand (slowest source {worst:.1f} ms), "
                f"ratio {mine / peer:.2f} ({low:.2f} - {high:.2f})"
            )
    for pool in pools:
        await pool.close()


@contextmanager
def served() -> Iterator[tuple[RunningGateway, list[str]]]:
    """A gateway with three agencies, and their databases."""
    with tempfile.TemporaryDirectory() as place, ExitStack() as opened:
        cluster = shared_cluster(Path(place))
        opened.callback(stop_shared_cluster, Path(place))
        urls = {agency: opened.enter_context(fresh_database(cluster)) for agency in SIZES}
        for seed, (agency, url) in enumerate(urls.items(), 1):
            fill(url, SIZES[agency], seed)
        os.environ.pop("SIMPUL_DATABASE_URL", None)
        gateway = RunningGateway(
            Path(place) / "instance",
            {"SIMPUL_RATE_PER_MINUTE": "1000000", "SIMPUL_AGREEMENT_RATE_PER_MINUTE": "100000000"},
        )
        gateway.init()
        gateway.start()
        opened.callback(gateway.stop)
        for agency, url in urls.items():
            gateway.agency(agency)
            parts = urlsplit(url)
            address = f"postgresql://{parts.username}@{parts.hostname}:{parts.port}{parts.path}?sslmode=disable"
            gateway.publish(
                {
                    "connector": f"{agency}-faskes",
                    "agency": agency,
                    "schema": "fasilitas_kesehatan@1",
                    "source": {"kind": "sql", "url": address, "table": "faskes"},
                    "fields": {
                        "kode_faskes": "kode", "nama": "nama", "jenis": "jenis", "kelas": "kelas", "alamat": "alamat",
                        "lat": "lat", "lng": "lng",
                    },
                }
            )  # fmt: skip
        yield gateway, list(urls.values())


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=40)
    given = parser.parse_args()
    with served() as (gateway, urls):
        asyncio.run(measure(gateway, urls, given.rounds))


if __name__ == "__main__":
    main()
