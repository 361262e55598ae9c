r"""P3: export of a large table beside `psql \copy (select row_to_json …)` on the same data.

`python -m benchmarks.bulk [--rows 1200000] [--rounds 5]`. The exchange log is on and durable.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess
import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psycopg

from benchmarks.lookup import gateway_on
from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster
from tests.support.gateway import RunningGateway

PATH = "/v1/records/fasilitas-kesehatan"
SCHOOLS = 200_000


def fill(url: str, rows: int) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE faskes (kode text PRIMARY KEY, nama text NOT NULL, jenis text, kelas text, alamat text,"
            " lat double precision, lng double precision, status text)"
        )
        connection.execute(
            "INSERT INTO faskes SELECT 'F' || lpad(n::text, 7, '0'), 'Fasilitas ' || n, 'klinik', 'B', 'Jalan ' || n,"
            f" -6.5 + n / 1e7, 110.6 + n / 1e7, 'beroperasi' FROM generate_series(0, {rows - 1}) n"
        )
        connection.execute("CREATE TABLE sekolah (npsn text PRIMARY KEY, nama text, bentuk text, kode text)")
        connection.execute(
            f"INSERT INTO sekolah SELECT (20000000 + n)::text, 'SD ' || n, 'SD', 'F' || lpad((n * 6 % {rows})::text, 7, '0')"
            f" FROM generate_series(1, {min(SCHOOLS, rows)}) n"
        )
        connection.execute("CREATE INDEX ON sekolah (kode)")
        connection.execute("ANALYZE")


def timed(work: Callable[[], object]) -> float:
    started = time.perf_counter()
    work()
    return time.perf_counter() - started


def told(name: str, ours: list[float], theirs: list[float], rows: int) -> None:
    mine, peer = statistics.median(ours), statistics.median(theirs)
    spread = f"{min(ours):.2f} - {max(ours):.2f} s"
    print(
        f"{name}: {mine:.2f} s ({spread}, {rows / mine:,.0f} rows/s) beside {peer:.2f} s, {mine / peer:.1f} x its time",
        flush=True,
    )


def job(session: httpx.Client, form: str) -> None:
    asked = session.get(PATH, params={"f": form}, headers={"prefer": "respond-async"})
    address = asked.headers["location"]
    while True:
        found = session.get(address).json()
        if found["state"] not in {"queued", "running"}:
            break
        time.sleep(0.05)
    if found["state"] != "done":
        raise SystemExit(str(found))
    session.delete(address)


def resident(running: RunningGateway) -> int:
    """MiB of the gateway's process."""
    process = running._process  # noqa: SLF001 - its memory is what is measured
    if process is None:
        return 0
    line = next(
        line for line in Path(f"/proc/{process.pid}/status").read_text().splitlines() if line.startswith("VmRSS")
    )
    return int(line.split()[1]) // 1024


def export(session: httpx.Client, running: RunningGateway, source: str, rows: int, rounds: int) -> None:
    copy = "\\copy (select row_to_json(faskes) from faskes) to /dev/null"
    theirs = [timed(lambda: subprocess.run(["psql", source, "-qc", copy], check=True)) for _ in range(rounds)]
    before = resident(running)
    for form in ("ndjson", "csv", "parquet"):
        told(f"P3 {form}", [timed(lambda form=form: job(session, form)) for _ in range(rounds)], theirs, rows)
    print(f"P3 memory: {before} MiB before, {resident(running)} MiB after", flush=True)


@contextmanager
def filled(rows: int, tables: Callable[[str, int], None] = fill) -> Iterator[tuple[str, Path]]:
    """A database with these tables, and a folder that goes with it."""
    with tempfile.TemporaryDirectory() as place:
        cluster = shared_cluster(Path(place))
        try:
            with fresh_database(cluster) as source:
                tables(source, rows)
                yield source, Path(place)
        finally:
            stop_shared_cluster(Path(place))


@contextmanager
def served(rows: int) -> Iterator[tuple[RunningGateway, httpx.Client, str, Path]]:
    """A gateway on that database, and a client that may ask it; then the database and the folder."""
    with filled(rows) as (source, folder):
        running, authorization = gateway_on(folder, source)
        try:
            headers = {"authorization": authorization}
            with httpx.Client(base_url=running.url, headers=headers, trust_env=False, timeout=600) as session:
                yield running, session, source, folder
        finally:
            running.stop()


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with served(given.rows) as (running, session, source, _):
        export(session, running, source, given.rows, given.rounds)


if __name__ == "__main__":
    main()
