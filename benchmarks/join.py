"""P5: SQL join of two agencies' PostgreSQL with a selective filter, beside DuckDB on the live databases and on the rows as Parquet.

`python -m benchmarks.join [--rows 1200000] [--rounds 9]`. All three are asked in turn. DuckDB 1.4.4 and its postgres extension are
installed from PyPI into an environment of their own; without them Parquet alone is the peer. The exchange log is on and durable.
"""

from __future__ import annotations

import argparse
import json
import statistics
import subprocess
import venv
from collections.abc import Callable
from pathlib import Path

import duckdb
import httpx
import psycopg

from benchmarks.bulk import served, timed
from tests.support.gateway import RunningGateway

PACKAGES = ("duckdb==1.4.4", "duckdb-ext-postgres==1.4.4.20260205")
EXTENSION = "duckdb_ext/extensions/v1.4.4/linux_amd64/postgres_scanner.duckdb_extension"
WANTED = {
    "few (111 facilities)": "12345",
    "more (1,111 facilities)": "123",
    "nothing narrows (311,111 facilities)": "1",
}
JOIN = (
    "SELECT f.kode_faskes, s.npsn FROM fasilitas_kesehatan f JOIN satuan_pendidikan s ON s.alamat = f.kode_faskes "
    "WHERE f.nama LIKE 'Fasilitas {0}%'"
)
PEER_JOIN = (
    "SELECT f.kode, s.npsn FROM {faskes} f JOIN {sekolah} s ON s.kode = f.kode WHERE f.nama LIKE 'Fasilitas {0}%'"
)
LIVE = """
import json, sys
import duckdb
extension, source = sys.argv[1:]
engine = duckdb.connect()
engine.execute(f"LOAD '{extension}'")
engine.execute(f"ATTACH '{source}' AS live (TYPE postgres, READ_ONLY)")
for line in sys.stdin:
    print(len(engine.execute(json.loads(line)).fetchall()), flush=True)
"""


def live_peer(folder: Path, source: str) -> subprocess.Popen[str] | None:
    """DuckDB attached to the database, asked line by line; None where it cannot be installed."""
    venv.create(folder, with_pip=True)
    python = folder / "bin" / "python"
    if subprocess.run([python, "-m", "pip", "-q", "install", *PACKAGES], check=False).returncode:
        return None
    extension = next(folder.glob("lib/*/site-packages")) / EXTENSION
    command = [str(python), "-c", LIVE, str(extension), source]
    return subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True)


def as_parquet(source: str, folder: Path) -> dict[str, str]:
    """The tables as files, by name, quoted for a statement."""
    with psycopg.connect(source) as connection, duckdb.connect() as engine:
        for name in ("faskes", "sekolah"):
            text = folder / f"{name}.csv"
            with connection.cursor().copy(f"COPY {name} TO STDOUT (FORMAT csv, HEADER)") as copy:
                text.write_bytes(b"".join(bytes(part) for part in copy))
            engine.execute(f"COPY (SELECT * FROM read_csv('{text}', all_varchar = true)) TO '{folder / name}.parquet'")
    return {name: f"'{folder / name}.parquet'" for name in ("faskes", "sekolah")}


def in_turn(kinds: dict[str, Callable[[], object]], rounds: int) -> dict[str, list[float]]:
    """Seconds of each; the first round does not count."""
    found: dict[str, list[float]] = {name: [] for name in kinds}
    for number in range(rounds + 1):
        for name, work in kinds.items():
            seconds = timed(work)
            if number:
                found[name].append(seconds)
    return found


def join(session: httpx.Client, source: str, folder: Path, rounds: int) -> None:
    """Prints the figures."""
    files = as_parquet(source, folder)
    live = live_peer(folder / "peer", source)
    if live is None:
        print("P5: DuckDB's postgres extension could not be installed; Parquet alone is the peer", flush=True)
    for name, wanted in WANTED.items():

        def ours(wanted: str = wanted) -> None:
            session.post("/v1/queries", json={"sql": JOIN.format(wanted)}).raise_for_status()

        def on_files(wanted: str = wanted) -> None:
            with duckdb.connect() as engine:
                engine.execute(PEER_JOIN.format(wanted, **files)).fetchall()

        def on_databases(wanted: str = wanted) -> None:
            if live is not None and live.stdin is not None and live.stdout is not None:
                asked = PEER_JOIN.format(wanted, faskes="live.faskes", sekolah="live.sekolah")
                live.stdin.write(json.dumps(asked) + "\n")
                live.stdin.flush()
                live.stdout.readline()

        kinds: dict[str, Callable[[], object]] = {"ours": ours, "Parquet": on_files}
        if live is not None:
            kinds["live databases"] = on_databases
        found = in_turn(kinds, rounds)
        mine = found.pop("ours")
        for peer, theirs in found.items():
            ratios = [one / other for one, other in zip(mine, theirs, strict=True)]
            print(
                f"P5 {name}: {statistics.median(mine):.3f} s beside {statistics.median(theirs):.3f} s by DuckDB on {peer}, "
                f"{statistics.median(ratios):.2f} x ({min(ratios):.2f} - {max(ratios):.2f})",
                flush=True,
            )
    if live is not None and live.stdin is not None:
        live.stdin.close()
        live.wait()


def schools(running: RunningGateway, source: str) -> None:
    """The second agency's table."""
    running.agency("disdikpora")
    running.publish(
        {
            "connector": "disdikpora-sekolah",
            "agency": "disdikpora",
            "schema": "satuan_pendidikan@1",
            "source": {"kind": "sql", "url": source, "table": "sekolah"},
            "fields": {"npsn": "npsn", "nama": "nama", "bentuk": "bentuk", "alamat": "kode"},
        }
    )


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    with served(given.rows) as (running, session, source, folder):
        schools(running, source)
        join(session, source, folder, given.rounds)


if __name__ == "__main__":
    main()
