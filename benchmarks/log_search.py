"""P7: auditors' search over a large log, on SQLite and PostgreSQL: percentiles of a page of 100 for each kind of filter.

`python -m benchmarks.log_search [--entries 1000000] [--rounds 30] [--store sqlite]`; entries go through the real writer.
"""

from __future__ import annotations

import argparse
import asyncio
import random
import statistics
import tempfile
import time
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from pathlib import Path

from rich.console import Console
from rich.table import Table

from app.audit.entry import (
    Caller,
    DatasetUse,
    Entry,
    Gateway,
    Record,
    SourceLeg,
    Subject,
    Verdict,
    utc_microseconds,
    utc_text,
    uuid7,
)
from app.audit.filters import ExchangeFilter, Scope
from app.audit.keys import create_log_keys
from app.audit.log import ExchangeLog
from app.audit.search import ExchangeSearch
from app.audit.store import LogStore
from app.audit.store_postgres import PostgresLogStore
from app.audit.store_sqlite import SqliteLogStore
from app.audit.summary import summarise
from benchmarks.log_writer import ORIGIN, create_tables
from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster

GATEWAY = Gateway("gw-1", "simpul 0.1.0")
AGENCIES = [f"ID-JEPARA/GOV/opd-{number:02d}" for number in range(40)]
SCHEMAS = ["penduduk_verifikasi", "fasilitas_kesehatan", "satuan_pendidikan", "wilayah", "realisasi_apbd"]
FIELDS = ["nama", "kode_wilayah", "jenis", "alamat", "lat", "lon", "status_dasar", "nik", "tahun", "nilai"]
START = datetime(2026, 1, 1, tzinfo=UTC)
DAY_US = 86_400_000_000


@dataclass(frozen=True)
class Terms:
    """What one agreement fixes: parties, schema, purposes, and the sets of fields that its consumer asks for."""

    id: str
    consumer: str
    provider: str
    schema: str
    purposes: tuple[str, ...]
    field_sets: tuple[tuple[str, ...], ...]


def agreement(rng: random.Random, number: int) -> Terms:
    consumer, provider = rng.sample(AGENCIES, 2)
    purposes = tuple(rng.sample(["pelayanan_kesehatan", "bantuan_sosial", "statistik", "perizinan"], 2))
    field_sets = tuple(tuple(sorted(rng.sample(FIELDS, 3))) for _ in range(5))
    return Terms(f"PKS-2026-{number:03d}", consumer, provider, rng.choice(SCHEMAS), purposes, field_sets)


AGREEMENTS = [agreement(random.Random(number), number) for number in range(120)]


def exchange(rng: random.Random, number: int) -> list[Record]:
    """Intent and outcome of one exchange; a year of them is spread over the whole log."""
    terms = AGREEMENTS[min(rng.randrange(120), rng.randrange(120))]
    deny = rng.random() < 0.03
    common = {
        "xid": uuid7(),
        "gw": GATEWAY,
        "op": rng.choice(["verify", "list", "lookup"]),
        "client": Caller(terms.consumer, f"app-{rng.randrange(3)}", "3bO8ZV0mXcQ"),
        "schemas": (terms.schema,),
        "providers": (terms.provider,),
        "datasets": (DatasetUse(f"{terms.provider[-6:]}-{terms.schema}".replace("_", "-"), 3),),
        "agreement": terms.id,
        "purpose": rng.choice(terms.purposes),
        "dec": Verdict("deny", "purpose_not_allowed") if deny else Verdict("allow", "agreement"),
        "q": "nik = ?",
    }
    at = START + timedelta(seconds=number * 25)
    nik = f"3320{rng.randrange(200_000):012d}"
    tags = (Subject("nik", nik, "asked"), Subject("case", f"RM-{number}", "case"))
    rows = 0 if deny else rng.choice([1, 1, 1, 20, 100, 1000])
    outcome = Entry(
        kind="outcome",
        t=utc_text(at + timedelta(milliseconds=20)),
        status=403 if deny else 200,
        rows=rows,
        bytes=214,
        complete=True,
        fields=rng.choice(terms.field_sets),
        sources=(SourceLeg(terms.provider, "ok", rows),),
        body_c="ab" * 32,
        **common,
    )
    detail = {"user": "198503122010012001", "case": f"RM-{number}", "query": {"nik": nik}}
    return [Record(Entry(kind="intent", t=utc_text(at), **common), detail, tags), Record(outcome, detail, tags)]


def filters(exchanges: int) -> dict[str, tuple[ExchangeFilter, Scope]]:
    """One of each kind: dense, sparse, absent, by time, by tag, scoped."""
    everyone, middle = Scope(None), utc_microseconds(utc_text(START)) + exchanges * 25_000_000 // 2
    return {
        "newest": (ExchangeFilter(), everyone),
        "consumer": (ExchangeFilter(agency=AGREEMENTS[40].consumer), everyone),
        "provider and consumer": (
            ExchangeFilter(agency=AGREEMENTS[90].consumer, provider=AGREEMENTS[90].provider),
            everyone,
        ),
        "denied": (ExchangeFilter(outcome="deny"), everyone),
        "field and purpose": (ExchangeFilter(field="nik", purpose="statistik"), everyone),
        "agreement": (ExchangeFilter(agreement="PKS-2026-017"), everyone),
        "agreement, denied, app": (ExchangeFilter(agreement="PKS-2026-017", outcome="deny", client="app-1"), everyone),
        "min_rows": (ExchangeFilter(min_rows=500), everyone),
        "one day in the middle": (ExchangeFilter(from_us=middle, to_us=middle + DAY_US), everyone),
        "day, agency": (ExchangeFilter(from_us=middle, to_us=middle + DAY_US, agency=AGREEMENTS[3].consumer), everyone),
        "case": (ExchangeFilter(case=f"rm {exchanges // 3}"), everyone),
        "text": (ExchangeFilter(text="sosial"), everyone),
        "absent": (ExchangeFilter(agreement="PKS-1900"), everyone),
        "scope of one agency": (ExchangeFilter(), Scope(AGREEMENTS[11].provider)),
        "scope and denied": (ExchangeFilter(outcome="deny"), Scope(AGREEMENTS[11].provider)),
    }


async def percentiles(rounds: int, work: Callable[[], Awaitable[object]]) -> tuple[float, float]:
    """Median and 99th percentile in milliseconds, after one warm-up."""
    await work()
    taken = []
    for _ in range(rounds):
        began = time.perf_counter()
        await work()
        taken.append((time.perf_counter() - began) * 1000)
    return statistics.median(taken), statistics.quantiles(taken, n=100, method="inclusive")[98]


async def run(name: str, store: LogStore, folder: Path, options: argparse.Namespace, console: Console) -> None:
    """Fill one store, then measure."""
    create_log_keys(folder, ORIGIN)
    log = await ExchangeLog.open(store, folder, origin=ORIGIN, gateway=GATEWAY)
    rng, exchanges = random.Random(7), options.entries // 2
    began = time.perf_counter()
    for start in range(0, exchanges, 128):
        batch = [record for number in range(start, start + 128) for record in exchange(rng, number)]
        await log.append_many(batch)
    filled = time.perf_counter() - began
    search = ExchangeSearch(log, log.reader)
    facets = (await log.reader.fetch("SELECT count(DISTINCT facet) FROM log_facet"))[0][0]
    table = Table(
        "filter", "p50 ms", "p99 ms", title=f"{name}: {log.size():,} entries, {facets:,} facets, {filled:.0f} s"
    )
    for label, (wanted, scope) in filters(exchanges).items():
        middle, worst = await percentiles(
            options.rounds, lambda wanted=wanted, scope=scope: search.search(wanted, scope)
        )
        table.add_row(label, f"{middle:.1f}", f"{worst:.1f}")
    for label, (wanted, scope) in filters(exchanges).items():
        if label in {"newest", "one day in the middle", "denied", "scope of one agency"}:
            middle, worst = await percentiles(
                3,
                lambda wanted=wanted, scope=scope: summarise(
                    search, log.reader, log.subject_keys, wanted, scope,
                    width_us=DAY_US, offset_us=0, dimension="provider",
                ),
            )  # fmt: skip
            table.add_row(f"summary by day: {label}", f"{middle:.1f}", f"{worst:.1f}")
    await log.close()
    console.print(table)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--entries", type=int, default=1_000_000)
    parser.add_argument("--rounds", type=int, default=30)
    parser.add_argument("--store", choices=["sqlite", "postgres", "both"], default="both")
    options = parser.parse_args()
    console = Console()
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if options.store in ("sqlite", "both"):
            asyncio.run(run("SQLite", SqliteLogStore(folder, ORIGIN), folder, options, console))
        if options.store in ("postgres", "both"):
            try:
                with fresh_database(shared_cluster(folder)) as url:
                    create_tables(url)
                    (folder / "postgres").mkdir()
                    store = PostgresLogStore(url, ORIGIN)
                    asyncio.run(run("PostgreSQL", store, folder / "postgres", options, console))
            finally:
                stop_shared_cluster(folder)


if __name__ == "__main__":
    main()
