"""Kind rest against servers of our own: pages of every make, by GET and by POST, a parameter that can be pushed, faults."""

from __future__ import annotations

import asyncio
import json
import time
from collections.abc import AsyncIterator, Callable
from typing import Any
from urllib.parse import urlencode
from xml.sax.saxutils import escape

import pyarrow as pa
import pytest

from app.connectors.contract import JSON_COLUMN, Connector
from app.connectors.requests import ScanRequest
from app.connectors.suite import PERSON, TEXTS, WHOLE_READS, ConnectorSuite, Fault, Subject, opened, read
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
from tests.support.sources import SourceServer

_ROWS = [(place, text if place % 5 else None, place % 3) for place, text in enumerate(TEXTS)]
_NAMES = ("id", "nama", "jenis")
_SIZE = 7
_TEXT_ROWS = [(str(place), text, str(kind)) for place, text, kind in _ROWS if text != "\uffff"]
"""As XML has them: text, without the sign that no XML may hold."""


def _answer(query: dict[str, str], headers: dict[str, str]) -> tuple[int, str, bytes]:
    if headers.get("x-api-key") != "uji-4f9c1e":
        return 401, "text/plain", PERSON.encode()
    rows = [dict(zip(_NAMES, row, strict=True)) for row in _ROWS]
    if "nama" in query:  # a service that compares loosely: a superset
        rows = [row for row in rows if (row["nama"] or "").strip().casefold() == query["nama"].strip().casefold()]
    page = int(query.get("page", "1"))
    return 200, "application/json", json.dumps({"items": rows[(page - 1) * _SIZE : page * _SIZE]}).encode()


def _rows(asked: dict[str, Any]) -> list[dict[str, Any]]:
    rows = [dict(zip(_NAMES, row, strict=True)) for row in _ROWS]
    return [row for row in rows if "nama" not in asked or row["nama"] == asked["nama"]]


def _laravel(asked: dict[str, Any]) -> dict[str, Any]:
    rows, page = _rows(asked), int(asked.get("page", "1"))
    last = max(1, -(-len(rows) // _SIZE))
    return {
        "data": rows[(page - 1) * _SIZE : page * _SIZE],
        "links": {"prev": None, "next": f"/laravel?page={page + 1}" if page < last else None},
        "meta": {"current_page": page, "last_page": last, "per_page": _SIZE, "total": len(rows)},
    }


def _drf(asked: dict[str, Any]) -> dict[str, Any]:
    rows, at = _rows(asked), int(asked.get("offset", "0"))
    kept = {name: value for name, value in asked.items() if name == "nama"}
    following = "/drf?" + urlencode({**kept, "offset": at + _SIZE}) if at + _SIZE < len(rows) else None
    return {"count": len(rows), "next": following, "previous": None, "results": rows[at : at + _SIZE]}


def _odata(asked: dict[str, Any]) -> dict[str, Any]:
    rows, at = _rows(asked), int(asked.get("$skiptoken", "0"))
    page: dict[str, Any] = {"@odata.context": "$metadata#faskes", "value": rows[at : at + _SIZE]}
    if asked.get("$count") == "true":
        page["@odata.count"] = len(rows)
    if at + _SIZE < len(rows):
        kept = {name: value for name, value in asked.items() if name == "nama"}
        page["@odata.nextLink"] = "odata?" + urlencode({**kept, "$skiptoken": at + _SIZE})
    return page


def _arcgis(asked: dict[str, Any]) -> dict[str, Any]:
    if not {"where", "f"} <= asked.keys():
        return {"error": {"code": 400, "message": f"Invalid query parameters {PERSON}", "details": []}}
    rows, at = _rows(asked), int(asked["resultOffset"])
    size = min(int(asked["resultRecordCount"]), _SIZE)  # a layer cuts what is asked for to its own most
    page = {"objectIdFieldName": "id", "features": [{"attributes": row} for row in rows[at : at + size]]}
    return page | ({"exceededTransferLimit": True} if at + size < len(rows) else {})


def _posted(asked: dict[str, Any]) -> dict[str, Any]:
    rows, at = _rows(asked["where"]), int(asked["page"].get("from", 0))
    return {"hits": {"total": len(rows), "hits": rows[at : at + asked["page"]["size"]]}}


def _written(value: Any, name: str) -> str:
    """A value as an element; null by xsi:nil."""
    return f'<{name} xsi:nil="true"/>' if value is None else f"<{name}>{escape(str(value))}</{name}>"


def _xml(query: dict[str, str], headers: dict[str, str]) -> tuple[int, str, bytes]:
    if headers.get("x-api-key") != "uji-4f9c1e":
        return 401, "text/plain", PERSON.encode()
    rows, at = [row for row in _rows(query) if row["nama"] != "\uffff"], int(query["offset"])
    items = "".join(
        f"<item>{''.join(_written(row[name], name) for name in _NAMES)}</item>" for row in rows[at : at + _SIZE]
    )
    head = f'<hasil jumlah="{len(rows)}" xmlns:xsi="http://www.w3.org/2001/XMLSchema-instance">'
    return 200, "application/xml", f"{head}<halaman>{at}</halaman>{items}</hasil>".encode()


_MAKES: dict[str, Callable[[dict[str, Any]], dict[str, Any]]] = {
    "laravel": _laravel,
    "drf": _drf,
    "odata": _odata,
    "arcgis": _arcgis,
    "posted": _posted,
}


def _of(make: Callable[[dict[str, Any]], dict[str, Any]]) -> Callable[[Any, dict[str, str]], tuple[int, str, bytes]]:
    def answer(asked: Any, headers: dict[str, str]) -> tuple[int, str, bytes]:
        if headers.get("x-api-key") != "uji-4f9c1e":
            return 401, "text/plain", PERSON.encode()
        return 200, "application/json", json.dumps(make(asked)).encode()

    return answer


@pytest.fixture(scope="module")
def server():
    server = SourceServer()
    server.routes["/api"] = _answer
    for name, make in _MAKES.items():
        (server.posts if name == "posted" else server.routes)[f"/{name}"] = _of(make)
    server.routes["/xml"] = _xml
    server.routes["/denied"] = lambda _q, _h: (403, "text/plain", PERSON.encode())
    server.routes["/broken"] = lambda _q, _h: (500, "text/plain", PERSON.encode())
    server.routes["/page"] = lambda _q, _h: (200, "text/html", f"<html>{PERSON}</html>".encode())
    server.routes["/halves"] = lambda _q, _h: (200, "application/json", f'{{"items": [{{"nama": "{PERSON}"'.encode())
    yield server
    server.close()


def _make(server: SourceServer, name: str) -> dict[str, Any]:
    """The source of a make: its preset, or what has to be stated of it."""
    own = {"kind": "rest", "url": f"{server.url}/{name}", "auth": {"kind": "api_key", "value": "${secret:PW}"}}
    if name == "xml":
        paging = {"kind": "offset", "param": "offset", "size_param": "limit", "size": _SIZE, "total": "/hasil/@jumlah"}
        return own | {"format": "xml", "record_path": "/hasil/item", "paging": paging, "pushdown": {"nama": "nama"}}
    if name == "posted":
        paging = {"kind": "offset", "param": "$.page.from", "size_param": "$.page.size", "size": _SIZE}
        own |= {"method": "POST", "body": {"where": {}}, "record_path": "$.hits.hits[*]"}
        return own | {"paging": {**paging, "total": "$.hits.total"}, "pushdown": {"nama": "$.where.nama"}}
    return own | {"paging": {"preset": name}, "pushdown": {"nama": "nama"}}


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


@pytest.fixture(scope="module", params=["stated", *_MAKES, "xml"])
async def subject(server, tmp_path_factory, request) -> AsyncIterator[Subject]:
    folder = tmp_path_factory.mktemp("rest")
    stated = request.param == "stated"
    connector = opened(folder, _source(f"{server.url}/api") if stated else _make(server, request.param))

    def at(path: str, **changes: object) -> Connector:
        return opened(folder, _source(f"{server.url}{path}", **changes))

    yield Subject(
        connector,
        pa.schema([pa.field(name, pa.string(), metadata=JSON_COLUMN) for name in _NAMES]),
        _TEXT_ROWS if request.param == "xml" else _ROWS,
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
    only_asks = True

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
