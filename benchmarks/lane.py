"""P12: look-ups beside bulk work: 20 a second alone, then beside 5 unpushed lists a second, exports and SQL of other clients.

`python -m benchmarks.lane [--seconds 8] [--rows 20000]`. Prints the quiet p50 and p99, then those beside each kind of work.
"""

from __future__ import annotations

import argparse
import statistics
import tempfile
import threading
import time
from collections.abc import Callable
from pathlib import Path

import httpx

from benchmarks.lookup import fill
from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster
from tests.support.gateway import RunningGateway

LIST = "/v1/records/fasilitas-kesehatan"
SCHOOLS = "/v1/records/satuan-pendidikan"
LOOKUPS_A_SECOND = 20
LISTS_A_SECOND = 5


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


def beside(
    gateway: RunningGateway, work: Callable[[httpx.Client], httpx.Response], a_second: float
) -> tuple[threading.Event, list[int], list[threading.Thread]]:
    """The same work again and again at a pace, by as many clients as it takes."""
    stop, codes = threading.Event(), list[int]()
    clients = [gateway.client("client", "dinkes") for _ in range(5)]

    def run(client: httpx.Client, first: float) -> None:
        time.sleep(first)
        while not stop.is_set():
            began = time.perf_counter()
            codes.append(work(client).status_code)
            time.sleep(max(len(clients) / a_second - (time.perf_counter() - began), 0))

    threads = [threading.Thread(target=run, args=(client, place / a_second)) for place, client in enumerate(clients)]
    for thread in threads:
        thread.start()
    return stop, codes, threads


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
    kinds: dict[str, tuple[Callable[[httpx.Client], httpx.Response], float]] = {
        "5 unpushed lists a second": (
            lambda c: c.get(SCHOOLS, params={"nama": "Sekolah 7", "limit": "10"}),
            LISTS_A_SECOND,
        ),
        "exports (CSV, all records)": (lambda c: c.get(SCHOOLS, params={"f": "csv"}), 1),
        "SQL over all records": (
            lambda c: c.post("/v1/queries", json={"sql": "SELECT count(*) AS n FROM satuan_pendidikan"}),
            1,
        ),
        "matches of 20,000 keys": (
            lambda c: c.post(
                f"{SCHOOLS}/match", json={"keys": [str(20000000 + n) for n in range(20_000)], "fields": ["nama"]}
            ),
            0.5,
        ),
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
    kinds: dict[str, tuple[Callable[[httpx.Client], httpx.Response], float]],
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
            stop, codes, threads = beside(gateway, work, pace)
            time.sleep(1)
            times = look_up(client, seconds)
            stop.set()
            for thread in threads:
                thread.join()
            told(f"beside {kind}", times, quiet)
            print(
                f"  {len(codes)} answered: " + ", ".join(f"{codes.count(code)} x {code}" for code in sorted(set(codes)))
            )
    finally:
        gateway.stop()


if __name__ == "__main__":
    main()
