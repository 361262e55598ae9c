"""`count` and `sum` by region over 1,200,000 rows of PostgreSQL, as an aggregate and as SQL, beside the same `GROUP BY` by psql.

psql counts rows; the gateway maps and validates every one, finds second records of a key and keys of other agencies, and records
the exchange. All three in turn, the answers compared. `python -m benchmarks.groups [--rows 1200000] [--rounds 5]`.
"""

from __future__ import annotations

import argparse
import statistics
import subprocess

import httpx
import psycopg

from benchmarks.bulk import filled
from benchmarks.join import in_turn
from benchmarks.lookup import gateway_on
from tests.support.gateway import RunningGateway

FIELDS = ("npsn", "nama", "bentuk", "status", "kode_wilayah", "alamat", "lat", "lng", "jumlah_siswa")
GROUPED = "SELECT kode_wilayah, count(*) AS n, sum(jumlah_siswa) AS siswa FROM {0} GROUP BY kode_wilayah ORDER BY 1"
ASKED = {
    "group_by": ["kode_wilayah"],
    "aggregates": [{"function": "count", "as": "n"}, {"function": "sum", "field": "jumlah_siswa", "as": "siswa"}],
}


def fill(url: str, rows: int) -> None:
    """The schools of sixteen districts, beside the table that every gateway of a benchmark has."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE faskes (kode text PRIMARY KEY, nama text NOT NULL, jenis text, kelas text, alamat text,"
            " lat double precision, lng double precision, status text)"
        )
        connection.execute(
            "CREATE TABLE sekolah (npsn text PRIMARY KEY, nama text NOT NULL, bentuk text, status text, kode_wilayah text,"
            " alamat text, lat double precision, lng double precision, jumlah_siswa integer)"
        )
        connection.execute(
            "INSERT INTO sekolah SELECT (20000000 + n)::text, 'SD ' || n, 'SD', 'NEGERI', '33.20.' || lpad((n % 16 + 1)::text, 2, '0'),"
            f" 'Jalan ' || n, -6.5 + n / 1e7, 110.6 + n / 1e7, n % 700 FROM generate_series(1, {rows}) n"
        )
        connection.execute("VACUUM ANALYZE")


def publish(running: RunningGateway, source: str) -> None:
    """The schools of one agency."""
    running.agency("disdikpora")
    running.publish(
        {
            "connector": "disdikpora-sekolah",
            "agency": "disdikpora",
            "schema": "satuan_pendidikan@1",
            "source": {"kind": "sql", "url": source, "table": "sekolah"},
            "fields": {name: name for name in FIELDS},
        }
    )


def measure(session: httpx.Client, source: str, rounds: int) -> None:
    """Prints the ratios."""
    found: dict[str, list[tuple[str, int, int]]] = {}

    def by_psql() -> None:
        asked = ["psql", source, "-qAtF,", "-c", GROUPED.format("sekolah")]
        lines = subprocess.run(asked, check=True, capture_output=True, text=True).stdout.split()
        found["psql"] = [(place, int(n), int(total)) for place, n, total in (line.split(",") for line in lines)]

    def by_aggregate() -> None:
        answer = session.post("/v1/records/satuan-pendidikan/aggregate", json=ASKED).raise_for_status().json()
        found["aggregate"] = [(one["kode_wilayah"], one["n"], one["siswa"]) for one in answer["items"]]

    def by_sql() -> None:
        answer = session.post("/v1/queries", json={"sql": GROUPED.format("satuan_pendidikan")}).raise_for_status()
        found["SQL"] = [(one["kode_wilayah"], one["n"], int(one["siswa"])) for one in answer.json()["items"]]

    seconds = in_turn({"psql": by_psql, "aggregate": by_aggregate, "SQL": by_sql}, rounds)
    theirs = seconds.pop("psql")
    for name, ours in seconds.items():
        if found[name] != found["psql"]:
            raise SystemExit(f"{name} answers otherwise than psql: {found[name][:3]} and {found['psql'][:3]}")
        ratios = [mine / peer for mine, peer in zip(ours, theirs, strict=True)]
        print(
            f"by region, {name}: {statistics.median(ours):.2f} s beside {statistics.median(theirs):.3f} s by psql, "
            f"{statistics.median(ratios):.1f} x ({min(ratios):.1f} - {max(ratios):.1f})",
            flush=True,
        )


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    with filled(given.rows, fill) as (source, folder):
        running, authorization = gateway_on(folder, source)
        try:
            publish(running, source)
            headers = {"authorization": authorization}
            with httpx.Client(base_url=running.url, headers=headers, trust_env=False, timeout=600) as session:
                measure(session, source, given.rounds)
        finally:
            running.stop()


if __name__ == "__main__":
    main()
