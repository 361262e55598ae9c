"""P1: governed, recorded look-up by key on a PostgreSQL source, beside a bare FastAPI + asyncpg + Pydantic endpoint.

Both serve the same rows on the same machine, in turn, under wrk. `python -m benchmarks.lookup [--rounds 5] [--seconds 4]`.
"""

from __future__ import annotations

import argparse
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path

import httpx
import psycopg

from app.database import upgrade
from app.settings import load_settings
from tests.fixtures.postgres import fresh_database, shared_cluster, stop_shared_cluster
from tests.support.gateway import RunningGateway
from tests.support.ports import free_port

ROWS = 100_000
LUA = """
request = function()
  local n = math.random(0, {last})
  return wrk.format("GET", string.format("{path}F%06d", n))
end
wrk.headers["Authorization"] = "{authorization}"
"""


def fill(url: str) -> None:
    """The source: 100,000 facilities."""
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(
            "CREATE TABLE faskes (kode text PRIMARY KEY, nama text NOT NULL, jenis text, kelas text, alamat text,"
            " lat double precision, lng double precision, status text)"
        )
        connection.execute(
            "INSERT INTO faskes SELECT 'F' || lpad(n::text, 6, '0'), 'Fasilitas ' || n, 'klinik', 'B', 'Jalan ' || n,"
            f" -6.5 + n / 1e6, 110.6 + n / 1e6, 'beroperasi' FROM generate_series(0, {ROWS - 1}) n"
        )
        connection.execute("ANALYZE faskes")


def wrk(url: str, path: str, authorization: str, connections: int, seconds: int) -> float:
    """Requests per second; every answer must be a 200."""
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        script.write(LUA.format(last=ROWS - 1, path=path, authorization=authorization))
        script.flush()
        command = ["wrk", "-t1", f"-c{connections}", f"-d{seconds}s", "-s", script.name, url]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(said)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]


def gateway_on(folder: Path, source: str) -> tuple[RunningGateway, str]:
    """The gateway with its store, log and source on one PostgreSQL."""
    running = RunningGateway(
        folder / "instance",
        {
            "SIMPUL_DATABASE_URL": source,
            "SIMPUL_RATE_PER_MINUTE": "100000000",
            "SIMPUL_AGREEMENT_RATE_PER_MINUTE": "100000000",
        },
    )
    import os  # noqa: PLC0415 - only this function changes the environment

    os.environ["SIMPUL_DATABASE_URL"] = source
    running.init()
    upgrade(load_settings(dir=running.folder))
    running.start()
    running.agency("dinkes")
    match = re.fullmatch(r"postgresql://([^@]+)@([^/]+)/(\w+)", source)
    if match is None:
        raise SystemExit(source)
    running.publish(
        {
            "connector": "dinkes-faskes",
            "agency": "dinkes",
            "schema": "fasilitas_kesehatan@1",
            "source": {"kind": "sql", "url": source, "table": "faskes"},
            "fields": {
                "kode_faskes": "kode", "nama": "nama", "jenis": "jenis", "kelas": "kelas", "alamat": "alamat",
                "lat": "lat", "lng": "lng", "status_operasi": "status",
            },
        }
    )  # fmt: skip
    session = running.client("client", "dinkes")
    return running, session.headers["authorization"]


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as place:
        cluster = shared_cluster(Path(place))
        try:
            with fresh_database(cluster) as source:
                fill(source)
                measure(Path(place), source, given.rounds, given.seconds)
        finally:
            stop_shared_cluster(Path(place))


def measure(place: Path, source: str, rounds: int, seconds: int) -> None:
    """Bare endpoint and gateway in turn."""
    running, authorization = gateway_on(place, source)
    port = free_port()
    bare = subprocess.Popen([sys.executable, "-m", "benchmarks.bare_lookup", source, str(port)])
    try:
        while True:
            try:
                httpx.get(f"http://127.0.0.1:{port}/records/F000001", trust_env=False).raise_for_status()
                break
            except httpx.HTTPError:
                time.sleep(0.1)
        path = "/v1/records/fasilitas-kesehatan/"
        for connections in (16, 64):
            ratios, ours, theirs = [], [], []
            for _ in range(rounds + 1):
                theirs.append(wrk(f"http://127.0.0.1:{port}", "/records/", "", connections, seconds))
                ours.append(wrk(running.url, path, authorization, connections, seconds))
                ratios.append(ours[-1] / theirs[-1])
            mine, peer = statistics.median(ours[1:]), statistics.median(theirs[1:])
            spread = f"{min(ratios[1:]):.2f} - {max(ratios[1:]):.2f}"
            print(
                f"P1 {connections:>2} connections: {mine:,.0f}/s against {peer:,.0f}/s bare, ratio {statistics.median(ratios[1:]):.2f} ({spread})"
            )
    finally:
        bare.terminate()
        bare.wait()
        running.stop()


if __name__ == "__main__":
    main()
