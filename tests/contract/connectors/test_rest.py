"""Kind rest against a server of our own: pages, a parameter that can be pushed, faults."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator

import pyarrow as pa
import pytest

from app.connectors.contract import JSON_COLUMN, Connector
from app.connectors.requests import ScanRequest
from app.errors import (
    NetworkForbidden,
    SourceAuthFailed,
    SourceFailed,
    SourceFormatError,
    SourceMissing,
    SourcePermissionDenied,
    SourceTimeout,
    SourceUnreachable,
)
from tests.contract.connectors.suite import PERSON, TEXTS, WHOLE_READS, ConnectorSuite, Fault, Subject, opened, read
from tests.support.sources import SourceServer

_ROWS = [(place, text if place % 5 else None, place % 3) for place, text in enumerate(TEXTS)]
_NAMES = ("id", "nama", "jenis")
_SIZE = 7


def _answer(query: dict[str, str], headers: dict[str, str]) -> tuple[int, str, bytes]:
    if headers.get("x-api-key") != "uji-4f9c1e":
        return 401, "text/plain", PERSON.encode()
    rows = [dict(zip(_NAMES, row, strict=True)) for row in _ROWS]
    if "nama" in query:  # a service that compares loosely: a superset
        rows = [row for row in rows if (row["nama"] or "").strip().casefold() == query["nama"].strip().casefold()]
    page = int(query.get("page", "1"))
    return 200, "application/json", json.dumps({"items": rows[(page - 1) * _SIZE : page * _SIZE]}).encode()


@pytest.fixture(scope="module")
def server():
    server = SourceServer()
    server.routes["/api"] = _answer
    server.routes["/denied"] = lambda _q, _h: (403, "text/plain", PERSON.encode())
    server.routes["/broken"] = lambda _q, _h: (500, "text/plain", PERSON.encode())
    server.routes["/page"] = lambda _q, _h: (200, "text/html", f"<html>{PERSON}</html>".encode())
    server.routes["/halves"] = lambda _q, _h: (200, "application/json", f'{{"items": [{{"nama": "{PERSON}"'.encode())
    yield server
    server.close()


def _source(url: str, **changes: object) -> dict:
    source = {
        "kind": "rest",
        "url": url,
        "record_path": "$.items[*]",
        "auth": {"kind": "api_key", "value": "${secret:PW}"},
        "paging": {"kind": "page", "param": "page", "size": _SIZE},
        "pushdown": {"nama": "nama"},
    }
    return {**source, **changes}


@pytest.fixture(scope="module")
async def subject(server, tmp_path_factory) -> AsyncIterator[Subject]:
    folder = tmp_path_factory.mktemp("rest")
    connector = opened(folder, _source(f"{server.url}/api"))

    def at(path: str, **changes: object) -> Connector:
        return opened(folder, _source(f"{server.url}{path}", **changes))

    yield Subject(
        connector,
        pa.schema([pa.field(name, pa.string(), metadata=JSON_COLUMN) for name in _NAMES]),
        _ROWS,
        literals={"nama": TEXTS},
        texts=frozenset({"nama"}),
        missing_column_is_null=True,
        faults=[
            Fault("no key", lambda: at("/api", auth={"kind": "none"}), SourceAuthFailed, False),
            Fault("denied", lambda: at("/denied"), SourcePermissionDenied, False),
            Fault("not there", lambda: at("/nowhere"), SourceMissing, False),
            Fault("broken", lambda: at("/broken"), SourceFailed, True),
            Fault("a page", lambda: at("/page"), SourceFormatError, False),
            Fault("half an answer", lambda: at("/halves"), SourceFormatError, False),
            Fault("refuses", lambda: opened(folder, _source("http://127.0.0.1:1/x")), SourceUnreachable, True),
            Fault("forbidden", lambda: opened(folder, _source("http://169.254.169.254/x")), NetworkForbidden, False),
        ],
        cannot=WHOLE_READS - {"filters"} | {"fingerprint", "estimate"},
    )
    await connector.close()


class TestRest(ConnectorSuite):
    async def test_deadline_and_leaving_close_the_connection(self, tmp_path) -> None:
        open_now: set[asyncio.StreamWriter] = set()
        asked = asyncio.Event()

        async def hang(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            open_now.add(writer)
            asked.set()
            try:
                while await reader.read(1000):  # never answers; an empty read is the other side going away
                    pass
            finally:
                open_now.discard(writer)
                writer.close()

        stub = await asyncio.start_server(hang, "127.0.0.1", 0)
        url = f"http://127.0.0.1:{stub.sockets[0].getsockname()[1]}/api"
        connector = opened(tmp_path, _source(url), deadline_seconds=30)
        try:
            with pytest.raises(SourceTimeout):
                await read(connector, ScanRequest(deadline=time.monotonic() + 0.3))
            assert await _empties(open_now)

            asked.clear()
            task = asyncio.create_task(read(connector, ScanRequest()))
            await asyncio.wait_for(asked.wait(), 10)
            task.cancel()
            with pytest.raises(asyncio.CancelledError):
                await task
            assert await _empties(open_now)
        finally:
            await connector.close()
            stub.close()


async def _empties(found: set) -> bool:
    for _ in range(100):
        if not found:
            return True
        await asyncio.sleep(0.02)
    return False
