"""P4: a match of 100,000 keys (half of them known) against 1,200,000 rows of PostgreSQL, beside one `= ANY($1)` by asyncpg.

The peer opens a connection and fetches all columns; the gateway checks token and grants, binds every key, maps and validates every
record, compares, and records the exchange. The two in turn.
`python -m benchmarks.match [--rows 1200000] [--rounds 5] [--keys 100000]`.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Sequence
from pathlib import Path

import asyncpg
import httpx
import orjson

from benchmarks.bulk import PATH, served
from tests.support.gateway import RunningGateway

MOST_AT_ONCE = 200_000
"""More keys than these are a job."""


class Peak:
    """The most memory (MiB) that the gateway's process held since this was made."""

    def __init__(self, running: RunningGateway) -> None:
        self._process = Path(f"/proc/{running.pid}")
        (self._process / "clear_refs").write_text("5")
        self._before = self._mebibytes("VmRSS")

    def grown(self) -> int:
        """By how much."""
        return self._mebibytes("VmHWM") - self._before

    def most(self) -> int:
        """All that it held."""
        return self._mebibytes("VmHWM")

    def _mebibytes(self, name: str) -> int:
        lines = (self._process / "status").read_text().splitlines()
        return int(next(line for line in lines if line.startswith(name)).split()[1]) // 1024


async def ask(source: str, keys: Sequence[str]) -> int:
    """The peer."""
    connection = await asyncpg.connect(source)
    found = await connection.fetch("SELECT * FROM faskes WHERE kode = ANY($1::text[])", keys)
    await connection.close()
    return len(found)


def matched(session: httpx.Client, content: bytes, *, as_job: bool) -> int:
    """How many keys the gateway finds."""
    headers = {"content-type": "application/json", **({"prefer": "respond-async"} if as_job else {})}
    answer = session.post(f"{PATH}/match", content=content, headers=headers)
    if as_job:
        address = answer.headers["location"]
        while session.get(address).json()["state"] in {"queued", "running"}:
            time.sleep(0.1)
        answer = session.get(f"{address}/result")
        session.delete(address)
    found = orjson.loads(answer.content)
    if "counts" not in found:
        raise SystemExit(answer.text[:500])
    return int(found["counts"]["matched"])


def measure(session: httpx.Client, running: RunningGateway, source: str, given: argparse.Namespace) -> None:
    """Both sides in turn; the first round warms."""
    known = min(given.keys // 2, given.rows)
    keys = [f"F{number:07d}" for number in range(known)] + [f"X{number:07d}" for number in range(given.keys - known)]
    content = orjson.dumps({"keys": keys})
    ours, theirs = [], []
    peak = Peak(running)
    for _ in range(given.rounds + 1):
        started = time.perf_counter()
        if asyncio.run(ask(source, keys)) != known:
            raise SystemExit("the peer found something else")
        theirs.append(time.perf_counter() - started)
        started = time.perf_counter()
        found = matched(session, content, as_job=given.keys > MOST_AT_ONCE)
        ours.append(time.perf_counter() - started)
        if found != known:
            raise SystemExit("the gateway found something else")
    ratios = [mine / peer for mine, peer in zip(ours[1:], theirs[1:], strict=True)]
    mine, peer = statistics.median(ours[1:]), statistics.median(theirs[1:])
    print(
        f"P4 match of {given.keys:,} keys: {mine:.2f} s beside {peer:.2f} s, {statistics.median(ratios):.1f} x its time "
        f"({min(ratios):.1f} - {max(ratios):.1f}); memory grew by {peak.grown()} MiB",
        flush=True,
    )


def main() -> None:
    """Prints the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--keys", type=int, default=100_000)
    given = parser.parse_args()
    with served(given.rows) as (running, session, source, _):
        measure(session, running, source, given)


if __name__ == "__main__":
    main()
