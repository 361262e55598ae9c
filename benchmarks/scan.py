r"""The raw scan of a large PostgreSQL table by columns and by rows, each beside `psql \copy (select …) to /dev/null` in turn.

`python -m benchmarks.scan [--rows 1200000] [--rounds 5]`. Ten columns of seven types; nothing is mapped, checked or recorded. Workers run
at a lower priority than the gateway (`nice 5`), and so does a second run of the peer: where others compute beside, that is the fair one.
"""

from __future__ import annotations

import argparse
import asyncio
import subprocess
import time
from pathlib import Path

import psycopg

from app.connectors.requests import ScanRequest
from app.connectors.sql.postgres import PostgresConnector
from app.connectors.sql.source import SqlSource
from app.connectors.suite import environment
from benchmarks.bulk import filled, timed, told

COPY = "\\copy (select * from mentah) to /dev/null"


def fill(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE mentah AS SELECT n AS nomor, 'Fasilitas ' || n AS nama, (n * 1.25)::numeric(12,2) AS harga, n::float8 / 3 AS lat,"
            " date '2000-01-01' + n % 9000 AS tanggal, timestamptz '2000-01-01' + n * interval '1 s' AS saat, n % 2 = 0 AS buka,"
            f" n::bigint * 100 AS jumlah, md5(n::text) AS kode, 'Jalan ' || n AS alamat FROM generate_series(1, {rows}) n"
        )
        connection.execute("VACUUM ANALYZE mentah")


async def scan(connector: PostgresConnector, rows: int, *, columnar: bool) -> float:
    started, found = time.perf_counter(), 0
    async for batch in connector.scan(ScanRequest(columnar=columnar)):
        found += len(batch)
    if found != rows:
        raise SystemExit(f"{found} rows of {rows}")
    return time.perf_counter() - started


async def measure(source: str, folder: Path, rows: int, rounds: int) -> None:
    user, _, rest = source.removeprefix("postgresql://").partition("@")
    given = {"kind": "sql", "url": f"postgresql://{user}@{rest}", "table": "mentah"}
    connector = PostgresConnector(SqlSource.model_validate(given), environment(folder, deadline_seconds=60))
    times: dict[str, list[float]] = {"columns": [], "rows": [], "peer": [], "peer at nice 5": []}
    print(f"first scan, its process started: {await scan(connector, rows, columnar=True):.2f} s", flush=True)
    for _ in range(rounds):
        times["peer"].append(timed(lambda: subprocess.run(["psql", source, "-qc", COPY], check=True)))
        times["columns"].append(await scan(connector, rows, columnar=True))
        nice = ["nice", "-n", "5", "psql", source, "-qc", COPY]
        times["peer at nice 5"].append(timed(lambda nice=nice: subprocess.run(nice, check=True)))
        times["rows"].append(await scan(connector, rows, columnar=False))
    await connector.close()
    for peer in ("peer", "peer at nice 5"):
        told(f"scan by columns beside {peer}", times["columns"], times[peer], rows)
    told("scan by columns beside rows", times["columns"], times["rows"], rows)


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with filled(given.rows, fill) as (source, folder):
        asyncio.run(measure(source, folder, given.rows, given.rounds))


if __name__ == "__main__":
    main()
