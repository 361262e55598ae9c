"""P2b: one answer out of 4 REST sources of 50 records each, beside a bare FastAPI + aiohttp + orjson that only merges.

Sources, peer and gateway run on one machine, the two sides in turn under wrk with 16 connections; the gateway checks token
and grants, maps and validates every record, and records each exchange. `python -m benchmarks.fanout [--rounds 5] [--seconds 4]`.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import re
import statistics
import subprocess
import sys
import tempfile
import time
from pathlib import Path
from typing import ClassVar

import httpx
import orjson

from tests.support.gateway import RunningGateway
from tests.support.ports import free_port

SOURCES = 4
RECORDS = 50


def document(source: int) -> bytes:
    """What a source answers: 50 facilities."""
    rows = [
        {
            "kode": f"S{source}{number:04d}",
            "nama": f"Fasilitas {source} {number}",
            "jenis": "klinik",
            "alamat": f"Jalan {number}",
            "lat": -6.5 + number / 1000,
            "lng": 110.6 + number / 1000,
        }
        for number in range(RECORDS)
    ]
    return orjson.dumps({"data": rows})


class _Source(asyncio.Protocol):
    """Answers every request with its document; keeps connections open."""

    bodies: ClassVar[dict[bytes, bytes]] = {}

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self.transport = transport
        self.buffer = b""

    def data_received(self, data: bytes) -> None:
        self.buffer += data
        while b"\r\n\r\n" in self.buffer:
            head, self.buffer = self.buffer.split(b"\r\n\r\n", 1)
            body = self.bodies[head.split(b" ", 2)[1].partition(b"?")[0]]
            self.transport.write(  # type: ignore[attr-defined]
                b"HTTP/1.1 200 OK\r\ncontent-type: application/json\r\ncontent-length: %d\r\n\r\n%b" % (len(body), body)
            )


async def serve_sources(port: int) -> None:
    """All sources in one process."""
    _Source.bodies = {b"/s%d" % source: document(source) for source in range(SOURCES)}
    server = await asyncio.get_running_loop().create_server(_Source, "127.0.0.1", port)
    await server.serve_forever()


def serve_bare(sources: str, port: int) -> None:
    """The peer: asks all, merges, answers bytes."""
    from collections.abc import AsyncIterator  # noqa: PLC0415 - only the peer's process needs these
    from contextlib import asynccontextmanager  # noqa: PLC0415

    import aiohttp  # noqa: PLC0415
    import uvicorn  # noqa: PLC0415
    from fastapi import FastAPI, Response  # noqa: PLC0415

    @asynccontextmanager
    async def lifespan(app: FastAPI) -> AsyncIterator[None]:
        async with aiohttp.ClientSession() as session:
            app.state.session = session
            yield

    app = FastAPI(lifespan=lifespan)

    async def one(source: int) -> list[dict[str, object]]:
        async with app.state.session.get(f"{sources}/s{source}") as answer:
            return orjson.loads(await answer.read())["data"]  # type: ignore[no-any-return]

    @app.get("/records")
    async def records() -> Response:
        found = await asyncio.gather(*(one(source) for source in range(SOURCES)))
        merged = sorted((row for rows in found for row in rows), key=lambda row: row["kode"])  # type: ignore[arg-type, return-value]
        return Response(orjson.dumps({"items": merged}), media_type="application/json")

    uvicorn.run(
        app, host="127.0.0.1", port=port, loop="uvloop", http="httptools", access_log=False, log_level="warning"
    )


LUA = """
request = function()
  return wrk.format("GET", string.format("{path}", math.random({least}, {most})))
end
"""


def wrk(url: str, authorization: str, seconds: int, *, most: int = SOURCES * RECORDS) -> float:
    """Requests per second; every answer must be a 200. With a larger `most` hardly two questions are the same."""
    parts = httpx.URL(url)
    with tempfile.NamedTemporaryFile("w", suffix=".lua") as script:
        path = f"{parts.raw_path.decode()}?limit=%d"
        script.write(LUA.format(path=path, least=SOURCES * RECORDS, most=most))
        script.flush()
        command = [
            "wrk",
            "-t1",
            "-c16",
            f"-d{seconds}s",
            "-s",
            script.name,
            "-H",
            f"Authorization: {authorization}",
            url,
        ]
        said = subprocess.run(command, capture_output=True, text=True, check=True).stdout
    if "Non-2xx" in said:
        raise SystemExit(said)
    return float(re.search(r"Requests/sec:\s+([\d.]+)", said)[1])  # type: ignore[index]


def gateway_on(folder: Path, sources: str) -> tuple[RunningGateway, str]:
    """The gateway with four agencies."""
    running = RunningGateway(
        folder / "instance", {"SIMPUL_RATE_PER_MINUTE": "100000000", "SIMPUL_AGREEMENT_RATE_PER_MINUTE": "100000000"}
    )
    running.init()
    running.start()
    for source in range(SOURCES):
        running.agency(f"opd-{source}")
        running.publish(
            {
                "connector": f"opd-{source}-faskes",
                "agency": f"opd-{source}",
                "schema": "fasilitas_kesehatan@1",
                "source": {"kind": "rest", "url": f"{sources}/s{source}", "record_path": "$.data[*]"},
                "fields": {
                    "kode_faskes": "kode", "nama": "nama", "jenis": "jenis", "alamat": "alamat", "lat": "lat", "lng": "lng",
                },
            }
        )  # fmt: skip
    return running, running.client("client", "opd-0").headers["authorization"]


def main() -> None:
    """Prints the ratio."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rounds", type=int, default=5)
    parser.add_argument("--seconds", type=int, default=4)
    parser.add_argument("--serve", choices=["sources", "bare"])
    parser.add_argument("--port", type=int)
    parser.add_argument("--sources")
    given = parser.parse_args()
    if given.serve == "sources":
        import uvloop  # noqa: PLC0415

        uvloop.run(serve_sources(given.port))
    elif given.serve == "bare":
        serve_bare(given.sources, given.port)
    else:
        measure(given.rounds, given.seconds)


def started(*arguments: str) -> subprocess.Popen[bytes]:
    """This module in a process of its own."""
    return subprocess.Popen([sys.executable, "-m", "benchmarks.fanout", *arguments], env={**os.environ})


def answers(url: str, authorization: str) -> bytes:
    """The answer, as soon as there is one."""
    for _ in range(200):
        try:
            found = httpx.get(url, headers={"authorization": authorization}, trust_env=False)
            if found.status_code == 200:
                return found.content
        except httpx.HTTPError:
            pass
        time.sleep(0.1)
    raise SystemExit(f"no answer from {url}")


def measure(rounds: int, seconds: int) -> None:
    """Peer and gateway in turn."""
    sources_port, bare_port = free_port(), free_port()
    sources = f"http://127.0.0.1:{sources_port}"
    processes = [started("--serve", "sources", "--port", str(sources_port))]
    processes.append(started("--serve", "bare", "--sources", sources, "--port", str(bare_port)))
    with tempfile.TemporaryDirectory() as place:
        running = None
        try:
            answers(f"{sources}/s0", "")
            running, authorization = gateway_on(Path(place), sources)
            ours_url = f"{running.url}/v1/records/fasilitas-kesehatan"
            bare_url = f"http://127.0.0.1:{bare_port}/records"
            for url in (bare_url, ours_url):
                count = len(orjson.loads(answers(f"{url}?limit={SOURCES * RECORDS}", authorization))["items"])
                if count != SOURCES * RECORDS:
                    raise SystemExit(f"{url} gave {count} records")
            for name, most in (("the same question", SOURCES * RECORDS), ("different questions", 1000)):
                ratios, ours, theirs = [], [], []
                for _ in range(rounds + 1):
                    theirs.append(wrk(bare_url, "", seconds, most=most))
                    ours.append(wrk(ours_url, authorization, seconds, most=most))
                    ratios.append(ours[-1] / theirs[-1])
                mine, peer = statistics.median(ours[1:]), statistics.median(theirs[1:])
                spread = f"{min(ratios[1:]):.2f} - {max(ratios[1:]):.2f}"
                print(
                    f"P2b 16 connections, {name}: {mine:,.0f}/s against {peer:,.0f}/s bare,"
                    f" ratio {statistics.median(ratios[1:]):.2f} ({spread})"
                )
        finally:
            if running is not None:
                running.stop()
            for process in processes:
                process.terminate()
                process.wait()


if __name__ == "__main__":
    main()
