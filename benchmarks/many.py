"""Doors that read everything, over many records: seconds and the gateway's memory. Its own store is the embedded one.

Two agencies on PostgreSQL, the second with a tenth of the records of the first; every tenth key of it is one of the first, every hundredth of
those says otherwise. `python -m benchmarks.many [--rows 10000000] [--unordered] [regions changes …]`.
"""

from __future__ import annotations

import argparse
import time
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

import httpx
import psycopg

from benchmarks.bulk import PATH, filled
from benchmarks.match import Peak
from tests.support.gateway import RunningGateway

SETTINGS = {
    "SIMPUL_SOURCE_ROWS": "20000000",
    "SIMPUL_SOURCE_BYTES": "17179869184",
    "SIMPUL_REQUEST_SECONDS": "1800",
    "SIMPUL_SOURCE_DEADLINE_SECONDS": "1500",
    "SIMPUL_CHECK_ROWS": "1000",
}
TOKEN_SECONDS = 120
"""After this a request gets a new token."""
FIELDS = {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis", "kelas": "kelas", "kode_wilayah": "wilayah"}


def fill(url: str, rows: int, *, ordered: bool = True) -> None:
    """Five fields, sixteen regions. `ordered`: the index of the key orders by bytes, so that reads in key order need no sort."""
    columns = "CASE n % 3 WHEN 0 THEN 'klinik' ELSE 'puskesmas' END, 'B', '33.20.' || lpad((1 + n % 16)::text, 2, '0')"
    collation = 'COLLATE "C"' if ordered else ""
    kinds = f"kode text {collation} PRIMARY KEY, nama text NOT NULL, jenis text, kelas text, wilayah text"
    with psycopg.connect(url, autocommit=True) as connection:
        for table, count, key, name in (
            ("satu", rows, "n", "'Faskes ' || n"),
            (
                "dua",
                rows // 10,
                f"CASE n % 10 WHEN 0 THEN n ELSE n + {rows} END",
                "(CASE n % 1000 WHEN 0 THEN 'Lain ' ELSE 'Faskes ' END) || n",
            ),
        ):
            connection.execute(f"CREATE TABLE {table} ({kinds})")
            values = f"'K' || lpad(({key})::text, 9, '0'), {name}, {columns}"
            connection.execute(f"INSERT INTO {table} SELECT {values} FROM generate_series(0, {count - 1}) n")
            connection.execute(f"ANALYZE {table}")


def move(url: str, rows: int) -> None:
    """Five hundred other names, fifty records gone, twenty-five under another key."""
    with psycopg.connect(url, autocommit=True) as connection:
        step = rows // 500
        number = "substr(kode, 2)::bigint"
        connection.execute(f"UPDATE satu SET nama = nama || ' baru' WHERE {number} % {step} = 1")
        connection.execute(f"DELETE FROM satu WHERE {number} % {step * 10} = 2")
        connection.execute(f"UPDATE satu SET kode = 'Z' || substr(kode, 2) WHERE {number} % {step * 20} = 3")


def measured(name: str, running: RunningGateway, work: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """One line: seconds, most memory, how much more than before."""
    peak, process = Peak(running), Path(f"/proc/{running.pid}/stat")
    ticks = sum(map(int, process.read_text().split()[13:15]))
    started = time.perf_counter()
    found = work()
    taken = time.perf_counter() - started
    cpu = (sum(map(int, process.read_text().split()[13:15])) - ticks) / 100
    print(
        f"{name}: {taken:.1f} s ({cpu:.1f} s of CPU in the gateway), {peak.most()} MiB at most, {peak.grown()} more",
        flush=True,
    )
    return found


class Doors:
    """Each door by its name."""

    def __init__(self, running: RunningGateway, source: str, rows: int) -> None:
        self._running, self._source, self._rows = running, source, rows
        made = running.admin.post(
            "/v1/clients", json={"agency": "dinkes", "role": "client", "name": "Many", "id": "many"}
        )
        self._credential = made.json()["client_id"], made.json()["client_secret"]
        self._session, self._until = self._asking()

    def counted(self) -> None:
        """`count=exact`."""
        asked = {"limit": 1, "count": "exact"}
        found = measured("count=exact", self._running, lambda: self._ask("GET", "", params=asked))
        print(found["meta"]["count"]["value"], flush=True)

    def regions(self) -> None:
        """Records of each region."""
        asked = {"group_by": ["kode_wilayah"], "aggregates": [{"function": "count"}]}
        found = measured("aggregate by region", self._running, lambda: self._ask("POST", "/aggregate", json=asked))
        print(len(found["items"]), sum(item["count"] for item in found["items"]), flush=True)

    def merged(self) -> None:
        """A page of the merged view, then all of it counted."""
        asked: dict[str, Any] = {"view": "merged", "limit": 1000}
        measured("merged view, page of 1,000", self._running, lambda: self._ask("POST", "/search", json=asked))
        counts = {"view": "merged", "aggregates": [{"function": "count"}]}
        found = measured(
            "merged view, all counted", self._running, lambda: self._ask("POST", "/aggregate", json=counts)
        )
        print(found["items"], flush=True)

    def conflicts(self) -> None:
        """Every disagreement."""
        print(measured("conflicts, to the end", self._running, self._conflicts), flush=True)

    def changes(self) -> None:
        """The feed at first, and after some records moved."""
        asked: dict[str, Any] = {"limit": 1000, "agencies": "dinkes"}
        measured("changes, first", self._running, lambda: self._ask("GET", "/changes", params=asked))
        time.sleep(1)
        asked["since"] = time.strftime("%Y-%m-%dT%H:%M:%SZ", time.gmtime())
        move(self._source, self._rows)
        found = measured("changes, second", self._running, lambda: self._ask("GET", "/changes", params=asked))
        items = found["items"]
        print({kind: sum(item["change"] == kind for item in items) for kind in ("upsert", "delete", "key_change")})
        print(f"store: {(self._running.folder / 'simpul.db').stat().st_size >> 20} MiB", flush=True)

    def _conflicts(self) -> dict[str, Any]:
        pages, count, more = 0, 0, dict[str, Any]()
        while True:
            page = self._ask("GET", "/conflicts", params={"limit": 1000, **more})
            pages, count, more = pages + 1, count + len(page["items"]), {"cursor": page["next_cursor"]}
            if page["next_cursor"] is None:
                return {"pages": pages, "items": count}

    def _asking(self) -> tuple[httpx.Client, float]:
        """A session and how long its token surely serves."""
        session = self._running.session(*self._credential)
        session.timeout = httpx.Timeout(1800)
        return session, time.monotonic() + TOKEN_SECONDS

    def _ask(self, method: str, door: str, **asked: Any) -> dict[str, Any]:
        if time.monotonic() > self._until:
            self._session, self._until = self._asking()
        answer = self._session.request(method, f"{PATH}{door}", **asked)
        found: dict[str, Any] = answer.json()
        if answer.status_code != httpx.codes.OK or not found.get("complete", True):
            raise SystemExit(answer.text[:2000])
        return found


def main() -> None:
    """Prints a line for each door."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=10_000_000)
    parser.add_argument("--unordered", action="store_true", help="the index of the key does not order by bytes")
    parser.add_argument("doors", nargs="*", default=["counted", "regions", "merged", "conflicts", "changes"])
    given = parser.parse_args()
    with filled(given.rows, partial(fill, ordered=not given.unordered)) as (source, folder):
        running = RunningGateway(folder / "instance", SETTINGS)
        running.init()
        running.start()
        try:
            for agency, table in (("dinkes", "satu"), ("rsud", "dua")):
                running.agency(agency)
                running.publish(
                    {
                        "connector": f"{agency}-faskes",
                        "agency": agency,
                        "schema": "fasilitas_kesehatan@1",
                        "source": {"kind": "sql", "url": source, "table": table},
                        "fields": FIELDS,
                    }
                )
            doors = Doors(running, source, given.rows)
            for name in given.doors:
                getattr(doors, name)()
        finally:
            running.stop()


if __name__ == "__main__":
    main()
