"""P12: look-ups beside bulk work: 20 a second alone, then beside 5 unpushed lists a second, exports and SQL of other clients.

`python -m benchmarks.lane [--seconds 8] [--rows 20000]`. Prints the quiet p50 and p99, then those beside each kind of work.
"""

from __future__ import annotations

import argparse
import contextlib
import multiprocessing
import statistics
import tempfile
import threading
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import httpx
import orjson

from benchmarks.lookup import fill
from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster
from tests.support.gateway import RunningGateway

LIST = "/v1/records/fasilitas-kesehatan"
SCHOOLS = "/v1/records/satuan-pendidikan"
LOOKUPS_A_SECOND = 20
LISTS_A_SECOND = 5

Work = tuple[str, str, dict[str, Any]]
"""Method, path and options of a request."""


def furnish(gateway: RunningGateway, folder: Path, database: str, rows: int) -> None:
    """Facilities on PostgreSQL; schools in a file with a personal field, which is read anew each time."""
    for agency in ("dinkes", "disdikpora"):
        gateway.agency(agency)
    fields = {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis"}
    gateway.publish(
        {
            "connector": "dinkes-faskes",
            "agency": "dinkes",
            "schema": "fasilitas_kesehatan@1",
            "source": {"kind": "sql", "url": database, "table": "faskes"},
            "fields": fields,
        }
    )
    lines = "".join(f"{20000000 + n},Sekolah {n},SD,negeri,Kepala {n}\n" for n in range(rows))
    (folder / "sekolah.csv").write_text("npsn,nama,bentuk,status,kepala\n" + lines, "utf-8")
    gateway.upload("disdikpora", folder / "sekolah.csv")
    gateway.publish(
        {
            "connector": "disdikpora-sekolah",
            "agency": "disdikpora",
            "schema": "satuan_pendidikan@1",
            "source": {"kind": "file", "location": "inbox/sekolah.csv"},
            "fields": {"npsn": "npsn", "nama": "nama", "kepala_sekolah": "kepala"},
        }
    )


def look_up(client: httpx.Client, seconds: float) -> list[float]:
    """Times of look-ups at a steady pace, each counted from when it was due."""
    times, started = list[float](), time.perf_counter()
    for place in range(round(seconds * LOOKUPS_A_SECOND)):
        due = started + place / LOOKUPS_A_SECOND
        time.sleep(max(due - time.perf_counter(), 0))
        answer = client.get(f"{LIST}/F{place:06d}")
        if answer.status_code != httpx.codes.OK:
            raise SystemExit(answer.text)
        times.append(time.perf_counter() - due)
    return times


@contextlib.contextmanager
def beside(gateway: RunningGateway, work: Work, a_second: float) -> Iterator[list[int]]:
    """The same work again and again at a pace, by as many clients as it takes, in a process of its own: the one that takes the
    times of look-ups does nothing else. Gives the statuses, when it has ended.
    """
    tokens = [gateway.client("client", "dinkes").headers["authorization"] for _ in range(5)]
    context = multiprocessing.get_context("spawn")
    stop, answers, codes = context.Event(), context.Queue(), list[int]()
    worker = context.Process(target=_busy, args=(gateway.url, tokens, work, a_second, stop, answers))
    worker.start()
    answers.get()
    try:
        yield codes
    finally:
        stop.set()
        codes += answers.get()
        worker.join()


def _busy(url: str, tokens: list[str], work: Work, a_second: float, stop: Any, answers: Any) -> None:
    method, path, options = work
    codes = list[int]()

    def run(token: str, first: float) -> None:
        with httpx.Client(base_url=url, timeout=60, trust_env=False, headers={"authorization": token}) as client:
            time.sleep(first)
            while not stop.is_set():
                began = time.perf_counter()
                codes.append(client.request(method, path, **options).status_code)
                time.sleep(max(len(tokens) / a_second - (time.perf_counter() - began), 0))

    threads = [threading.Thread(target=run, args=(token, n / a_second)) for n, token in enumerate(tokens)]
    for thread in threads:
        thread.start()
    answers.put(None)
    for thread in threads:
        thread.join()
    answers.put(codes)


def told(name: str, times: list[float], quiet: float | None = None) -> float:
    """Prints p50, p99 and the worst, in ms and beside the quiet p50."""
    cuts = statistics.quantiles(times, n=100)
    shown = f"{name:28} p50 {cuts[49] * 1e3:7.1f} ms  p99 {cuts[98] * 1e3:7.1f} ms  worst {max(times) * 1e3:7.1f} ms"
    print(
        shown + (f"  p50 {cuts[49] / quiet:4.1f} x, p99 {cuts[98] / quiet:4.1f} x the quiet p50" if quiet else ""),
        flush=True,
    )
    return cuts[49]


def main() -> None:
    """Runs it."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--seconds", type=float, default=8.0)
    parser.add_argument("--rows", type=int, default=20_000)
    given = parser.parse_args()
    keys = orjson.dumps({"keys": [str(20000000 + n) for n in range(20_000)], "fields": ["nama"]})
    json = {"content-type": "application/json"}
    sql = orjson.dumps({"sql": "SELECT count(*) AS n FROM satuan_pendidikan"})
    kinds: dict[str, tuple[Work, float]] = {
        "5 unpushed lists a second": (
            ("GET", SCHOOLS, {"params": {"nama": "Sekolah 7", "limit": "10"}}),
            LISTS_A_SECOND,
        ),
        "exports (CSV, all records)": (("GET", SCHOOLS, {"params": {"f": "csv"}}), 1),
        "SQL over all records": (("POST", "/v1/queries", {"content": sql, "headers": json}), 1),
        "matches of 20,000 keys": (("POST", f"{SCHOOLS}/match", {"content": keys, "headers": json}), 0.5),
    }
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        cluster = shared_cluster(folder)
        try:
            with fresh_database(cluster) as database:
                fill(database)
                _measure(folder, database, given.rows, given.seconds, kinds)
        finally:
            stop_shared_cluster(folder)


def _measure(
    folder: Path,
    database: str,
    rows: int,
    seconds: float,
    kinds: dict[str, tuple[Work, float]],
) -> None:
    gateway = RunningGateway(folder / "instance")
    gateway.init()
    gateway.start()
    try:
        furnish(gateway, folder, database, rows)
        client = gateway.client("client", "dinkes")
        look_up(client, 1)
        quiet = told("look-ups alone", look_up(client, seconds))
        for kind, (work, pace) in kinds.items():
            with beside(gateway, work, pace) as codes:
                time.sleep(1)
                times = look_up(client, seconds)
            told(f"beside {kind}", times, quiet)
            print(
                f"  {len(codes)} answered: " + ", ".join(f"{codes.count(code)} x {code}" for code in sorted(set(codes)))
            )
    finally:
        gateway.stop()


if __name__ == "__main__":
    main()
