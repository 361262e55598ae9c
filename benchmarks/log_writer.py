"""P6: durable entries per second of the exchange log on SQLite and PostgreSQL, with 64 concurrent writers.

Each writer appends one entry, waits until it is durable, appends the next. Entries have 500-650 bytes, a detail and tags.
`python benchmarks/log_writer.py [--writers 64] [--seconds 4] [--rounds 5]`; PostgreSQL is a throw-away cluster.
"""

from __future__ import annotations

import argparse
import asyncio
import gc
import os
import statistics
import tempfile
import time
from pathlib import Path

import psycopg
import sqlalchemy
from rich.console import Console
from rich.table import Table

from app.audit.entry.record import Caller, DatasetUse, Entry, Gateway, Record, SourceLeg, Subject, Verdict, uuid7
from app.audit.keys.files import create_log_keys
from app.audit.store.contract import LogStore
from app.audit.store.postgres import PostgresLogStore
from app.audit.store.sqlite import SqliteLogStore
from app.audit.store.tables import POSTGRES_GUARDS, metadata
from app.audit.write.log import ExchangeLog
from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster

ORIGIN = "bench.simpul.example/log"
GATEWAY = Gateway("gw-1", "simpul 0.1.0")
CALLER = Caller("ID-JEPARA/GOV/rsud-kartini", "pendaftaran", "3bO8ZV0mXcQ")
PROVIDER = "ID-JEPARA/GOV/disdukcapil"


def record(number: int) -> Record:
    """An intent or an outcome of a verification, as the gateway writes them."""
    nik = f"3320{number % 10**12:012d}"
    common = {
        "xid": uuid7(),
        "gw": GATEWAY,
        "op": "verify",
        "client": CALLER,
        "schemas": ("penduduk_verifikasi",),
        "providers": (PROVIDER,),
        "datasets": (DatasetUse("disdukcapil-penduduk", 3),),
        "agreement": "PKS-2026-014",
        "purpose": "pelayanan-kesehatan",
        "basis": "UU 27/2022 Ps. 20 (2) d",
        "dec": Verdict("allow", "agreement"),
        "q": "nik = ?",
    }
    detail = {"user": "198503122010012001", "case": f"RM-{number}", "query": {"nik": nik}, "address": "10.20.1.7"}
    if number % 2:
        return Record(Entry(kind="intent", **common), detail, (Subject("nik", nik, "asked"),))
    outcome = Entry(
        kind="outcome",
        status=200,
        rows=1,
        bytes=214,
        complete=True,
        fields=("hasil", "status_dasar"),
        sources=(SourceLeg(PROVIDER, "ok", 1),),
        body_c="ab" * 32,
        **common,
    )
    return Record(outcome, detail, (Subject("nik", nik, "asked"), Subject("nik", nik, "released")))


async def measure(log: ExchangeLog, writers: int, seconds: float) -> tuple[float, list[float]]:
    """Entries per second and the latencies in milliseconds of one round."""
    latencies: list[float] = []
    stop_at = time.perf_counter() + seconds
    numbers = iter(range(10**9))

    async def write() -> None:
        while (began := time.perf_counter()) < stop_at:
            await log.append(record(next(numbers)))
            latencies.append((time.perf_counter() - began) * 1000)

    began = time.perf_counter()
    async with asyncio.TaskGroup() as group:
        for _ in range(writers):
            group.create_task(write())
    return len(latencies) / (time.perf_counter() - began), latencies


async def run(name: str, store: LogStore, folder: Path, options: argparse.Namespace, table: Table) -> None:
    """All rounds on one store."""
    create_log_keys(folder, ORIGIN)
    log = await ExchangeLog.open(store, folder, origin=ORIGIN, gateway=GATEWAY)
    await measure(log, options.writers, 1.0)
    rates: list[float] = []
    latencies: list[float] = []
    for _ in range(options.rounds):
        gc.collect()
        rate, found = await measure(log, options.writers, options.seconds)
        rates.append(rate)
        latencies += found
    size = log.size()
    await log.close()
    cuts = statistics.quantiles(latencies, n=100)
    table.add_row(
        name,
        str(options.writers),
        f"{statistics.median(rates):,.0f}",
        f"{min(rates):,.0f} - {max(rates):,.0f}",
        f"{cuts[49]:.1f}",
        f"{cuts[98]:.1f}",
        f"{size:,}",
    )


def flushes_per_second(folder: Path) -> float:
    """What the disk allows: flushes of 4 KiB appended to one file, one after another."""
    with (folder / "flush").open("wb") as file:
        began = time.perf_counter()
        for _ in range(200):
            file.write(os.urandom(4096))
            file.flush()
            os.fdatasync(file.fileno())
        return 200 / (time.perf_counter() - began)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--writers", type=int, default=64)
    parser.add_argument("--seconds", type=float, default=4.0)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--store", choices=["sqlite", "postgres", "both"], default="both")
    parser.add_argument(
        "--folder", type=Path, default=None, help="where the SQLite log is written (default: temporary)"
    )
    options = parser.parse_args()
    columns = ("store", "writers", "entries/s", "spread", "p50 ms", "p99 ms", "entries written")
    table = Table(*columns, title="Exchange log: durable before acknowledged")
    console = Console()
    with tempfile.TemporaryDirectory(dir=options.folder) as name:
        folder = Path(name)
        console.print(f"size of an entry: {sizes()} bytes; the disk does {flushes_per_second(folder):,.0f} flushes/s")
        if options.store in ("sqlite", "both"):
            asyncio.run(run("SQLite", SqliteLogStore(folder, ORIGIN), folder, options, table))
        if options.store in ("postgres", "both"):
            try:
                with fresh_database(shared_cluster(folder)) as url:
                    create_tables(url)
                    (folder / "postgres").mkdir()
                    asyncio.run(
                        run(
                            "PostgreSQL",
                            PostgresLogStore(url, ORIGIN, GATEWAY.replica),
                            folder / "postgres",
                            options,
                            table,
                        )
                    )
            finally:
                stop_shared_cluster(folder)
    console.print(table)


def sizes() -> str:
    """Smallest and largest entry that the benchmark writes."""
    from app.audit.keys.subjects import SubjectKeys  # noqa: PLC0415
    from app.audit.write.prepare import prepare  # noqa: PLC0415

    with tempfile.TemporaryDirectory() as folder:
        found = [len(prepare(record(number), SubjectKeys(Path(folder))).entry) for number in range(2)]
    return f"{min(found)}-{max(found)}"


def create_tables(url: str) -> None:
    engine = sqlalchemy.create_engine(url.replace("postgresql://", "postgresql+psycopg://"))
    metadata.create_all(engine)
    engine.dispose()
    with psycopg.connect(url, autocommit=True) as connection:
        for statement in POSTGRES_GUARDS:
            connection.execute(statement)


if __name__ == "__main__":
    main()
