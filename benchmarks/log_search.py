"""P7 and P8: auditors' search, subject look-up, inclusion proof and time to open, on a log of many entries.

`python -m benchmarks.log_search [--entries 200000] [--store sqlite|postgres] [--folder DIR]`. The entries go through the
real writer, in batches of 256; the goals of the design are for --entries 10000000. A folder that is kept is used again.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.audit.entry.record import Caller, DatasetUse, Entry, Gateway, Record, SourceLeg, Subject, Verdict, uuid7
from app.audit.keys.files import create_log_keys
from app.audit.read.filters import ExchangeFilter, Scope
from app.audit.read.search import ExchangeSearch
from app.audit.read.tile_service import served_tile
from app.audit.store.contract import LogStore
from app.audit.store.postgres import PostgresLogStore
from app.audit.store.sqlite import SqliteLogStore
from app.audit.tlog.tiles import Tile
from app.audit.write.log import ExchangeLog
from benchmarks.log_writer import create_tables
from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster

ORIGIN = "bench.simpul.example/log"
GATEWAY = Gateway("gw-1", "simpul 0.1.0")
AGENCIES = [f"ID-JEPARA/GOV/opd-{number:02d}" for number in range(40)]
SCHEMAS = ["penduduk_verifikasi", "fasilitas_kesehatan", "satuan_pendidikan", "harga_komoditas", "wilayah"]
PURPOSES = ["pelayanan-kesehatan", "bantuan-sosial", "perizinan", "perencanaan", "statistik"]
BATCH = 256
FIRST_NIK = 3320_0101_0190_0000


def pair(number: int, chance: random.Random) -> list[Record]:
    """Intent and outcome of one exchange under one of 120 agreements between forty agencies; 1 in 50 is denied."""
    agreement = chance.randrange(120)
    terms = random.Random(agreement)
    consumer, provider = terms.sample(AGENCIES, 2)
    schema, purposes = terms.choice(SCHEMAS), terms.sample(PURPOSES, 2)
    denied = chance.random() < 0.02
    common = {
        "xid": uuid7(),
        "gw": GATEWAY,
        "op": "lookup",
        "client": Caller(consumer, f"client-{agreement}-{number % 2}", "3bO8ZV0mXcQ"),
        "schemas": (schema,),
        "providers": (provider,),
        "datasets": (DatasetUse(f"{provider.rpartition('/')[2]}-{schema}", 3),),
        "agreement": f"PKS-2026-{agreement:03d}",
        "purpose": purposes[number // 2 % 2],
        "dec": Verdict("deny" if denied else "allow", "agreement"),
        "q": "nik = ?",
    }
    subject = str(FIRST_NIK + number % 200_000)
    detail = {"user": "198503122010012001", "case": f"RM-{number}"}
    facts = {"status": 403} if denied else {"status": 200, "rows": 1, "sources": (SourceLeg(provider, "ok", 1),)}
    return [
        Record(Entry(kind="intent", **common), detail, (Subject("nik", subject, "asked"),)),
        Record(Entry(kind="outcome", **common, **facts), detail, (Subject("nik", subject, "released"),)),
    ]


async def fill(log: ExchangeLog, entries: int, console: Console) -> None:
    """Entries up to the size asked for, through the writer."""
    chance = random.Random(1)
    began, start = time.perf_counter(), log.size()
    waiting: list[asyncio.Future[object]] = []
    number = start // 2
    while log.size() < entries:
        batch: list[Record] = []
        while len(batch) < BATCH:
            batch += pair(number, chance)
            number += 1
        waiting.append(asyncio.ensure_future(log.append_many(batch)))
        if len(waiting) >= 4:
            await asyncio.gather(*waiting)
            waiting.clear()
    await asyncio.gather(*waiting)
    if log.size() > start:
        seconds = time.perf_counter() - began
        console.print(f"{log.size() - start:,} entries through the writer in {seconds:,.0f} s")


async def timed(work: Callable[[], Awaitable[object]], rounds: int = 200) -> tuple[float, float]:
    """Median and 99th percentile in milliseconds, after a few rounds to warm up."""
    for _ in range(5):
        await work()
    found: list[float] = []
    for _ in range(rounds):
        began = time.perf_counter()
        await work()
        found.append((time.perf_counter() - began) * 1000)
    return statistics.median(found), statistics.quantiles(found, n=100)[98]


def questions(log: ExchangeLog, chance: random.Random) -> dict[str, tuple[Callable[[], Awaitable[object]], str]]:
    """What is measured, and the goal at 10,000,000 entries."""
    search, everyone = ExchangeSearch(log, log.reader), Scope(None)
    checkpoint = log.latest_checkpoint()
    if checkpoint is None:
        raise RuntimeError("the log has no checkpoint")
    size = checkpoint.size

    async def subject() -> object:
        tags = log.subject_keys.search_tags("nik", str(FIRST_NIK + chance.randrange(200_000)))
        marks = ", ".join(f"${place}" for place in range(1, len(tags) + 1))
        statement = f"SELECT idx, role FROM exchange_subject WHERE tag IN ({marks}) ORDER BY idx DESC LIMIT 100"
        return await log.reader.fetch(statement, *(tag for _, tag in tags))

    async def proof() -> object:
        index = chance.randrange(size)
        ((leaf,),) = await log.reader.fetch("SELECT leaf_hash FROM log_entry WHERE idx = $1", index)
        return await search.inclusion(index, bytes(leaf), checkpoint)

    def page(**wanted: object) -> Callable[[], Awaitable[object]]:
        return lambda: search.search(ExchangeFilter(**wanted), everyone, limit=100)

    agency = AGENCIES[3]
    return {
        "newest 100": (page(), "50"),
        "by consumer": (page(agency=agency), "50"),
        "by consumer, provider and purpose": (page(agency=agency, provider=AGENCIES[5], purpose=PURPOSES[0]), "50"),
        "denied": (page(outcome="deny"), "50"),
        "denied, of one consumer and schema": (page(outcome="deny", agency=agency, schema=SCHEMAS[2]), "50"),
        "scope of one agency": (lambda: search.search(ExchangeFilter(), Scope(agency), limit=100), "50"),
        "nothing fits": (page(agreement="PKS-1999-001"), "50"),
        "subject usage (tag index)": (subject, "50"),
        "inclusion proof, checked": (proof, "5"),
        "a full hash tile": (lambda: served_tile(log.reader, Tile(0, chance.randrange(size // 256))), "-"),
    }


async def run(store: Callable[[], LogStore], folder: Path, options: argparse.Namespace, console: Console) -> None:
    create_log_keys(folder, ORIGIN)
    log = await ExchangeLog.open(store(), folder, origin=ORIGIN, gateway=GATEWAY)
    await fill(log, options.entries, console)
    await log.close()
    began = time.perf_counter()
    log = await ExchangeLog.open(store(), folder, origin=ORIGIN, gateway=GATEWAY)
    opened = time.perf_counter() - began
    table = Table("work", "p50 ms", "p99 ms", "goal p99 ms", title=f"{options.store}, {log.size():,} entries")
    for name, (work, goal) in questions(log, random.Random(2)).items():
        middle, late = await timed(work)
        table.add_row(name, f"{middle:.2f}", f"{late:.2f}", goal)
    table.add_row("open the log (checks against the signed tree)", f"{opened * 1000:.0f}", "", "2000")
    await log.close()
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=200_000)
    parser.add_argument("--store", choices=["sqlite", "postgres"], default="sqlite")
    parser.add_argument("--folder", type=Path, default=None, help="keep the SQLite log here and use it again")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = options.folder or Path(name)
        folder.mkdir(parents=True, exist_ok=True)
        if options.store == "sqlite":
            asyncio.run(run(lambda: SqliteLogStore(folder, ORIGIN), folder, options, console))
            return
        try:
            with fresh_database(shared_cluster(folder)) as url:
                create_tables(url)
                asyncio.run(run(lambda: PostgresLogStore(url, ORIGIN, GATEWAY.replica), folder, options, console))
        finally:
            stop_shared_cluster(folder)


if __name__ == "__main__":
    main()
