"""P2, P4 and P5 beside a Trino that runs already, on the same databases, in turn. `bash benchmarks/peers/trino.sh` starts it.

Trino is asked over its own HTTP protocol and its rows are taken to the end; catalogs are made by statements. The gateway checks token
and grants, maps and validates every record and records the exchange; Trino does none of these. Keys of a match stand in a table of
Trino's memory before the time begins, since 100,000 in a statement take it ten times as long.
"""

from __future__ import annotations

import argparse
import statistics
import time
from collections.abc import Callable, Iterator, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpx
import orjson

from benchmarks import page
from benchmarks.bulk import served
from benchmarks.join import JOIN, PEER_JOIN, WANTED, in_turn, schools
from benchmarks.match import matched

START_SECONDS = 120


class Trino:
    """A server, asked until the last row."""

    def __init__(self, url: str) -> None:
        self._client = httpx.Client(base_url=url, headers={"x-trino-user": "bench"}, trust_env=False, timeout=120)

    def ready(self) -> None:
        """Waits until a statement answers."""
        ends = time.monotonic() + START_SECONDS
        while True:
            try:
                self.rows("SELECT 1")
            except (httpx.HTTPError, RuntimeError, KeyError, ValueError):
                if time.monotonic() > ends:
                    raise
                time.sleep(0.5)
            else:
                return

    def rows(self, statement: str) -> list[list[Any]]:
        """All rows; RuntimeError with Trino's words."""
        found: list[list[Any]] = []
        for part in self._parts(statement):
            found += part.get("data", [])
            if "error" in part:
                raise RuntimeError(part["error"]["message"])
        return found

    def _parts(self, statement: str) -> Iterator[dict[str, Any]]:
        answer = self._client.post("/v1/statement", content=statement.encode())
        while True:
            part: dict[str, Any] = orjson.loads(answer.raise_for_status().content)
            yield part
            if "nextUri" not in part:
                return
            answer = self._client.get(part["nextUri"])

    def catalogs(self, sources: dict[str, str]) -> None:
        """These databases under these names."""
        for name, source in sources.items():
            parts = urlsplit(source)
            self.rows(f"DROP CATALOG IF EXISTS {name}")
            self.rows(
                f'CREATE CATALOG {name} USING postgresql WITH ("connection-url" = \'jdbc:postgresql://{parts.hostname}:{parts.port}'
                f"{parts.path}?sslmode=disable', \"connection-user\" = '{parts.username}', \"connection-password\" = '{parts.password or 'x'}',"
                " \"decimal-mapping\" = 'ALLOW_OVERFLOW', \"metadata.cache-ttl\" = '10m', \"metadata.cache-missing\" = 'true')"
            )


def told(name: str, ours: Callable[[], object], theirs: Callable[[], object], rounds: int) -> None:
    """Both in turn; the first round warms."""
    found = in_turn({"ours": ours, "Trino": theirs}, rounds)
    ratios = [mine / peer for mine, peer in zip(found["ours"], found["Trino"], strict=True)]
    mine, peer = (statistics.median(found[side]) for side in ("ours", "Trino"))
    print(
        f"{name}: {mine:.3f} s beside {peer:.3f} s by Trino, {statistics.median(ratios):.2f} x its time"
        f" ({min(ratios):.2f} - {max(ratios):.2f})",
        flush=True,
    )


def pages(trino: Trino, rounds: int) -> None:
    """P2: the page of `benchmarks.page`."""
    with page.served() as (gateway, urls):
        catalogs = [f"p2_{number}" for number in range(len(urls))]
        trino.catalogs(dict(zip(catalogs, urls, strict=True)))
        session = gateway.client("client", "dinkes")
        for name, (column, value) in page.QUESTIONS.items():
            each = " UNION ALL ".join(
                f"SELECT kode, nama, jenis, kelas, alamat, lat, lng FROM {catalog}.public.faskes WHERE {column} = '{value}'"
                for catalog in catalogs
            )
            statement = f"SELECT * FROM ({each}) ORDER BY nama, kode LIMIT {page.PAGE}"
            body = {"filter": f"{column} = '{value}'", "sort": ["nama", "kode_faskes"], "limit": page.PAGE}

            def ours(body: dict[str, object] = body) -> list[str]:
                answer = session.post("/v1/records/fasilitas-kesehatan/search", json=body)
                return [item["nama"] for item in answer.raise_for_status().json()["items"]]

            def theirs(statement: str = statement) -> list[str]:
                return [row[1] for row in trino.rows(statement)]

            same(ours(), theirs())
            told(f"P2 {name}", ours, theirs, rounds)


def same(ours: object, theirs: object) -> None:
    """Ends with a word where the two answers differ."""
    if ours != theirs:
        raise SystemExit(f"the two answers differ: {str(ours)[:200]} and {str(theirs)[:200]}")


def large(trino: Trino, rows: int, rounds: int) -> None:
    """P4 and P5: a match of 100,000 keys, and the joins of `benchmarks.join`."""
    with served(rows) as (running, session, source, _):
        schools(running, source)
        trino.catalogs({"live": source, "other": source})
        keys = wanted(rows)
        trino.rows("CREATE CATALOG IF NOT EXISTS kept USING memory")
        trino.rows("CREATE TABLE kept.default.keys (kode varchar)")
        for first in range(0, len(keys), 10_000):
            values = ", ".join(f"('{key}')" for key in keys[first : first + 10_000])
            trino.rows(f"INSERT INTO kept.default.keys VALUES {values}")
        statement = "SELECT f.* FROM live.public.faskes f JOIN kept.default.keys k ON k.kode = f.kode"
        content = orjson.dumps({"keys": keys})
        same(matched(session, content, as_job=False), len(trino.rows(statement)))
        told(
            "P4 match of 100,000 keys",
            lambda: matched(session, content, as_job=False),
            lambda: trino.rows(statement),
            rounds,
        )
        for name, few in WANTED.items():
            peer = PEER_JOIN.format(few, faskes="live.public.faskes", sekolah="other.public.sekolah")
            asked = {"sql": JOIN.format(few)}

            def ours(asked: dict[str, str] = asked) -> int:
                return len(session.post("/v1/queries", json=asked).raise_for_status().json()["items"])

            def theirs(peer: str = peer) -> int:
                return len(trino.rows(peer))

            same(ours(), theirs())
            told(f"P5 {name}", ours, theirs, rounds)


def wanted(rows: int) -> Sequence[str]:
    """100,000 keys, half of them known."""
    half = min(50_000, rows)
    return [f"F{number:07d}" for number in range(half)] + [f"X{number:07d}" for number in range(100_000 - half)]


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("url")
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=9)
    given = parser.parse_args()
    trino = Trino(given.url)
    trino.ready()
    pages(trino, given.rounds)
    large(trino, given.rows, given.rounds)


if __name__ == "__main__":
    main()
