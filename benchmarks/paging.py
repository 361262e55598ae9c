"""P14: page 1 and page 500 of 50 records, of a union of four kinds with 1,000,000 rows together, and of each kind alone.

Page 500 is reached by following the cursor (whose pages may have any length), and asked for in turn with page 1, over HTTP with
the log on. Sorted by name and by key alone; each SQL source has an index on the name. `python -m benchmarks.paging`.
"""

from __future__ import annotations

import argparse
import hashlib
import sqlite3
import statistics
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing
from pathlib import Path
from typing import Any

import httpx
import psycopg

from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster
from tests.support import mariadb
from tests.support.gateway import RunningGateway

SIZES = {"postgresql": 400_000, "sqlite": 250_000, "mariadb": 250_000, "csv": 100_000}
PAGE, NUMBER, LONGEST = 50, 500, 1000
BEHIND = PAGE * (NUMBER - 1)
FIELDS = {"kode_faskes": "kode", "nama": "nama", "jenis": "jenis", "alamat": "alamat"}
ORDERS = {"by key": [], "by name": ["nama"]}
_BLOCK = 10_000


def rows(kind: str) -> Iterator[tuple[str, str, str, str]]:
    """One agency's facilities: names in no order, a few of them twice."""
    for number in range(SIZES[kind]):
        name = hashlib.md5(f"{kind}{number // 2 if number % 100 == 1 else number}".encode(), usedforsecurity=False)
        yield f"{kind[0].upper()}{number:07}", f"Nama {name.hexdigest()[:16]}", "klinik", f"Jalan {number}"


def fill_postgresql(url: str) -> dict[str, Any]:
    """A table with the index that its sort needs."""
    with psycopg.connect(url, autocommit=True) as connection, connection.cursor() as cursor:
        cursor.execute(
            'CREATE TABLE faskes (kode text COLLATE "C" PRIMARY KEY, nama text COLLATE "C" NOT NULL, jenis text NOT NULL, alamat text)'
        )
        with cursor.copy("COPY faskes FROM STDIN") as copy:
            for row in rows("postgresql"):
                copy.write_row(row)
        cursor.execute("CREATE INDEX ON faskes (nama, kode)")
        cursor.execute("VACUUM ANALYZE faskes")
    return {"kind": "sql", "url": f"{url}?sslmode=disable", "table": "faskes"}


def fill_sqlite(file: Path) -> None:
    """The same as a file."""
    with closing(sqlite3.connect(file)) as database:
        database.execute(
            "CREATE TABLE faskes (kode TEXT PRIMARY KEY NOT NULL, nama TEXT NOT NULL, jenis TEXT NOT NULL, alamat TEXT)"
        )
        database.executemany("INSERT INTO faskes VALUES (?, ?, ?, ?)", rows("sqlite"))
        database.execute("CREATE INDEX nama ON faskes (nama, kode)")
        database.commit()


def fill_mariadb(port: int, name: str) -> dict[str, Any]:
    """The same in MariaDB, its texts compared by their bytes."""
    with closing(mariadb.admin(port, name)) as session, session.cursor() as cursor:
        cursor.execute(
            "CREATE TABLE faskes (kode varchar(20) PRIMARY KEY, nama varchar(60) NOT NULL, jenis varchar(20) NOT NULL,"
            " alamat varchar(60)) COLLATE utf8mb4_nopad_bin"
        )
        block: list[tuple[str, str, str, str]] = []
        for row in rows("mariadb"):
            block.append(row)
            if len(block) == _BLOCK:
                cursor.executemany("INSERT INTO faskes VALUES (%s, %s, %s, %s)", block)
                block.clear()
        cursor.executemany("INSERT INTO faskes VALUES (%s, %s, %s, %s)", block) if block else None
        cursor.execute("CREATE INDEX nama ON faskes (nama, kode)")
        cursor.execute("ANALYZE TABLE faskes")
    return {
        "kind": "sql",
        "url": f"mysql://{mariadb.USER}:${{secret:sandi}}@127.0.0.1:{port}/{name}",
        "table": "faskes",
    }


def fill_csv(file: Path) -> None:
    """The same as text."""
    with file.open("w", encoding="utf-8") as written:
        written.write("kode,nama,jenis,alamat\n")
        written.writelines(",".join(row) + "\n" for row in rows("csv"))


def asked(client: httpx.Client, question: dict[str, Any]) -> dict[str, Any]:
    """One page, complete."""
    page: dict[str, Any] = (
        client.post("/v1/records/fasilitas-kesehatan/search", json=question).raise_for_status().json()
    )
    if not page["complete"]:
        raise SystemExit(str(page["sources"]))
    return page


def cursor_behind(client: httpx.Client, question: dict[str, Any]) -> str:
    """The cursor of page 500, reached in pages of 1,000; no record may come twice."""
    seen: set[str] = set()
    cursor: str | None = None
    while len(seen) < BEHIND:
        limit = min(LONGEST, BEHIND - len(seen))
        page = asked(client, {**question, "limit": limit, **({"cursor": cursor} if cursor else {})})
        before = len(seen)
        seen.update(item["_source"]["agency"] + item["kode_faskes"] for item in page["items"])
        cursor = page["next_cursor"]
        if len(seen) != before + limit or cursor is None:
            raise SystemExit(f"{len(seen)} different records after {before + limit}")
    assert cursor is not None
    return cursor


def measure(client: httpx.Client, rounds: int) -> None:
    """Page 1 and page 500 in turn."""
    for order, sort in ORDERS.items():
        for agencies in (*[[kind] for kind in SIZES], [kind for kind in SIZES if kind != "csv"], list(SIZES)):
            question = {"sort": sort, "limit": PAGE, "agencies": agencies}
            last = {**question, "cursor": cursor_behind(client, question)}
            first, later = [], []
            for number in range(rounds + 1):
                for times, body in ((first, question), (later, last)):
                    started = time.perf_counter()
                    page = asked(client, body)
                    times.append(time.perf_counter() - started)
                if number == 0:
                    pushed = " ".join(sorted({",".join(source["pushed"]) or "nothing" for source in page["sources"]}))
            one, other = statistics.median(first[1:]) * 1000, statistics.median(later[1:]) * 1000
            print(
                f"P14 {' + '.join(agencies)}, {order}: page {NUMBER} {other:.1f} ms, page 1 {one:.1f} ms: {other / one:.2f} x"
                f" (pushed: {pushed})",
                flush=True,
            )


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=15)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place, ExitStack() as opened:
        cluster = shared_cluster(Path(place))
        opened.callback(stop_shared_cluster, Path(place))
        port = opened.enter_context(mariadb.running_server())
        sources = {
            "postgresql": fill_postgresql(opened.enter_context(fresh_database(cluster))),
            "mariadb": fill_mariadb(port, opened.enter_context(mariadb.fresh_database(port))),
            "sqlite": {"kind": "sql", "url": "sqlite:inbox/faskes.db", "table": "faskes"},
            "csv": {"kind": "file", "location": "inbox/faskes.csv"},
        }
        gateway = RunningGateway(
            Path(place) / "instance",
            {"SIMPUL_RATE_PER_MINUTE": "1000000", "SIMPUL_AGREEMENT_RATE_PER_MINUTE": "100000000"},
        )
        gateway.init()
        gateway.start()
        opened.callback(gateway.stop)
        for kind, source in sources.items():
            gateway.agency(kind)
            if kind == "mariadb":
                secret = {"value": mariadb.PASSWORD, "agency": kind}
                gateway.admin.put("/v1/secrets/sandi", json=secret).raise_for_status()
            if kind in ("sqlite", "csv"):
                file = Path(place) / f"faskes.{'db' if kind == 'sqlite' else 'csv'}"
                (fill_sqlite if kind == "sqlite" else fill_csv)(file)
                gateway.upload(kind, file)
            manifest = {"connector": f"{kind}-faskes", "agency": kind, "schema": "fasilitas_kesehatan@1"}
            gateway.publish({**manifest, "source": source, "fields": FIELDS})
        client = gateway.client("client", "csv")
        client.timeout = httpx.Timeout(120)
        measure(client, given.rounds)


if __name__ == "__main__":
    main()
