"""Services as they are made: presets, questions by POST, marks in headers, totals, rates; and what `diagnose` makes of a first answer."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.connectors.contract import Connector
from app.connectors.diagnosis import Diagnoses, Diagnosis
from app.connectors.requests import ScanRequest
from app.connectors.suite import SECRET, opened, read
from app.errors import (
    SimpulError,
    SourceAuthFailed,
    SourceBusy,
    SourceFailed,
    SourceFormatError,
    SourcePermissionDenied,
    SourceRejected,
)
from app.filters.tree import Compare, Literal, Property
from tests.support.sources import Answer, SourceServer

ROWS = [{"id": at, "nama": f"n{at}"} for at in range(1, 26)]
IDS = [row["id"] for row in ROWS]
Query = dict[str, str]


@pytest.fixture
def server() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


def sent(value: object) -> Answer:
    return 200, "application/json", json.dumps(value).encode()


def get(server: SourceServer, path: str, answer: Callable[[Query], object]) -> None:
    server.routes[path] = lambda query, _headers: sent(answer(query))


@contextlib.asynccontextmanager
async def reading(folder: Path, source: dict[str, Any], **limits: Any) -> AsyncIterator[Connector]:
    connector = opened(folder, {"kind": "rest", **source}, **limits)
    try:
        yield connector
    finally:
        await connector.close()


async def ids(folder: Path, source: dict[str, Any]) -> list[Any]:
    async with reading(folder, source) as connector:
        return [row[0] for row in await read(connector, ScanRequest(columns=("id",)))]


async def fault(folder: Path, source: dict[str, Any], **limits: Any) -> SimpulError:
    async with reading(folder, source, **limits) as connector:
        with pytest.raises(SimpulError) as caught:
            await read(connector, ScanRequest())
    return caught.value


def slice_of(at: int, size: int = 10) -> list[dict[str, Any]]:
    return ROWS[at : at + size]


# --- makes ------------------------------------------------------------------------------------------------------


async def test_laravel_without_a_total_ends_where_there_is_no_next_page(server: SourceServer, tmp_path: Path) -> None:
    def simple(query: Query) -> object:
        page = int(query["page"])
        rows = slice_of((page - 1) * 10)
        return {"data": rows, "current_page": page, "next_page_url": f"/api?page={page + 1}" if page < 3 else None}

    get(server, "/api", simple)
    assert await ids(tmp_path, {"url": f"{server.url}/api?tahun=2024", "paging": {"preset": "laravel"}}) == IDS
    assert server.asked == [f"/api?tahun=2024&page={page}" for page in (1, 2, 3)]


async def test_the_size_of_a_preset_is_sent_under_the_stated_name(server: SourceServer, tmp_path: Path) -> None:
    get(server, "/api", lambda _q: {"data": ROWS, "total": 25, "last_page": 1})
    paging = {"preset": "laravel", "size_param": "per_page", "size": 100}
    assert await ids(tmp_path, {"url": f"{server.url}/api", "paging": paging}) == IDS
    assert server.asked == ["/api?page=1&per_page=100"]


async def test_a_layer_gives_its_attributes_beside_the_geometry(server: SourceServer, tmp_path: Path) -> None:
    def layer(query: Query) -> object:
        assert query["where"] == "kab = '3320'"
        assert (query["outFields"], query["f"], query["outSR"]) == ("*", "json", "4326")
        at = int(query["resultOffset"])
        rows = [{"attributes": row, "geometry": {"x": 110.6, "y": -6.5}} for row in slice_of(at)]
        return {"features": rows, **({"exceededTransferLimit": True} if at < 20 else {})}

    get(server, "/query", layer)
    source = {"url": f"{server.url}/query", "params": {"where": "kab = '3320'"}, "paging": {"preset": "arcgis"}}
    async with reading(tmp_path, source) as connector:
        rows = await read(connector, ScanRequest(columns=("nama", "geometry")))
    assert [row[0] for row in rows] == [row["nama"] for row in ROWS]
    assert float(rows[0][1]["x"]) == 110.6


async def test_an_attribute_called_geometry_keeps_its_name(server: SourceServer, tmp_path: Path) -> None:
    features = [
        {"type": "Feature", "id": 9, "properties": {"geometry": "titik", "id": 1}, "geometry": {"type": "Point"}}
    ]
    get(server, "/query", lambda q: {"features": features if q["resultOffset"] == "0" else []})
    source = {"url": f"{server.url}/query", "params": {"f": "geojson"}, "paging": {"preset": "arcgis"}}
    async with reading(tmp_path, source) as connector:
        (row,) = await read(connector, ScanRequest(columns=("geometry", "id", "feature_geometry", "feature_id")))
    assert row == ("titik", 1, {"type": "Point"}, 9)


async def test_a_layer_that_says_more_and_gives_nothing_is_a_fault(server: SourceServer, tmp_path: Path) -> None:
    get(server, "/query", lambda _q: {"features": [], "exceededTransferLimit": True})
    found = await fault(tmp_path, {"url": f"{server.url}/query", "paging": {"preset": "arcgis"}})
    assert isinstance(found, SourceFormatError)
    assert "empty page" in found.detail


@pytest.mark.parametrize(
    ("code", "error"),
    [(498, SourceAuthFailed), (403, SourcePermissionDenied), (400, SourceRejected), (500, SourceFailed)],
)
async def test_an_error_in_the_document_is_one(server: SourceServer, tmp_path: Path, code: int, error: type) -> None:
    get(server, "/query", lambda _q: {"error": {"code": code, "message": SECRET}, "features": []})
    found = await fault(tmp_path, {"url": f"{server.url}/query", "paging": {"preset": "arcgis"}})
    assert type(found) is error
    assert SECRET not in found.detail


async def test_odata_says_its_number_on_the_first_page_only(server: SourceServer, tmp_path: Path) -> None:
    total = 25

    def answer(query: Query) -> object:
        at = int(query.get("$skip", "0"))
        page: dict[str, Any] = {"@odata.context": "x", "value": slice_of(at)}
        return (
            page
            | ({"@odata.count": total} if not at else {})
            | ({"@odata.nextLink": f"faskes?$skip={at + 10}"} if at < 20 else {})
        )

    get(server, "/faskes", answer)
    source = {"url": f"{server.url}/faskes", "paging": {"preset": "odata"}}
    assert await ids(tmp_path, source) == IDS
    assert server.asked[0] == "/faskes?$count=true"
    total = 30
    assert (await fault(tmp_path, source)).facts["rule"] == "total_not_reached"


# --- totals, marks ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize(("total", "rule"), [(24, "total_exceeded"), (26, "total_not_reached")])
@pytest.mark.parametrize("kind", ["drf", "page"])
async def test_a_total_that_is_not_what_was_read_is_a_fault(
    server: SourceServer, tmp_path: Path, total: int, rule: str, kind: str
) -> None:
    def answer(query: Query) -> object:
        at = int(query.get("o", "0")) if kind == "drf" else (int(query["page"]) - 1) * 10
        following = f"/api?o={at + 10}" if at < 20 else None
        return {"count": total, "next": following, "previous": None, "results": slice_of(at)}

    get(server, "/api", answer)
    paging = {"preset": "drf"} if kind == "drf" else {"kind": "page", "total": "$.count"}
    found = await fault(tmp_path, {"url": f"{server.url}/api", "record_path": "$.results[*]", "paging": paging})
    assert found.facts["rule"] == rule
    assert str(total) in found.detail


async def test_a_404_behind_the_last_page_does_not_hide_a_total(server: SourceServer, tmp_path: Path) -> None:
    def answer(query: Query, _headers: Query) -> Answer:
        rows = slice_of((int(query["page"]) - 1) * 10)
        return sent({"n": 26, "d": rows}) if rows else (404, "text/plain", b"")

    server.routes["/api"] = answer
    source = {"url": f"{server.url}/api", "record_path": "$.d[*]", "paging": {"kind": "page", "total": "$.n"}}
    assert (await fault(tmp_path, source)).facts["rule"] == "total_not_reached"


async def test_the_last_page_by_its_number_ends_the_read(server: SourceServer, tmp_path: Path) -> None:
    get(server, "/api", lambda q: {"akhir": 2, "d": slice_of(int(q["page"]) * 10)})
    paging = {"kind": "page", "first": 0, "last": "$.akhir"}
    assert await ids(tmp_path, {"url": f"{server.url}/api", "record_path": "$.d[*]", "paging": paging}) == IDS
    assert len(server.asked) == 3


async def test_a_mark_in_a_header_leads_on(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        at = int(head.partition("sesudah=")[2].partition(" ")[0] or "0")
        body = json.dumps(slice_of(at)).encode()
        mark = f"X-Next-Cursor: {at + 10}\r\n" if at < 20 else ""
        writer.write(
            f"HTTP/1.1 200 OK\r\n{mark}Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        )
        await writer.drain()
        writer.close()

    stub = await asyncio.start_server(answer, "127.0.0.1", 0)
    url = f"http://127.0.0.1:{stub.sockets[0].getsockname()[1]}/api"
    try:
        paging = {"kind": "cursor", "param": "sesudah", "header": "X-Next-Cursor"}
        assert await ids(tmp_path, {"url": url, "paging": paging}) == IDS
    finally:
        stub.close()


async def test_a_link_that_is_an_object_leads_on(server: SourceServer, tmp_path: Path) -> None:
    def answer(query: Query) -> object:
        at = int(query.get("o", "0"))
        return {"data": slice_of(at), "links": {"next": {"href": f"/api?o={at + 10}"} if at < 20 else None}}

    get(server, "/api", answer)
    paging = {"kind": "next_link", "path": "$.links.next"}
    assert await ids(tmp_path, {"url": f"{server.url}/api", "record_path": "$.data[*]", "paging": paging}) == IDS


# --- POST -------------------------------------------------------------------------------------------------------


async def test_a_question_is_posted_with_numbers_as_numbers_and_marks_as_they_came(
    server: SourceServer, tmp_path: Path
) -> None:
    seen: list[Any] = []

    def search(asked: Any, headers: Query) -> Answer:
        seen.append(asked)
        assert headers["content-type"] == "application/json"
        at = asked["variables"].get("after", [0])[0]
        return sent({"data": {"faskes": slice_of(at), "sesudah": [at + 10] if at < 20 else None}})

    server.posts["/graphql"] = search
    source = {
        "url": f"{server.url}/graphql",
        "method": "POST",
        "body": {"query": "{faskes}", "variables": {"kunci": "${secret:PW}", "token": "${secret:PW}"}},
        "record_path": "$.data.faskes[*]",
        "paging": {
            "kind": "cursor",
            "param": "$.variables.after",
            "size_param": "$.variables.first",
            "path": "$.data.sesudah",
        },
        "pushdown": {"nama": "$.variables.nama"},
    }
    assert await ids(tmp_path, source) == IDS
    own = {"kunci": SECRET, "token": SECRET, "first": 100}
    assert [asked["variables"] for asked in seen] == [own, {**own, "after": [10]}, {**own, "after": [20]}]
    async with reading(tmp_path, source) as connector:
        await read(connector, ScanRequest(filter=Compare("=", Property("nama"), Literal("${secret:PW}"))))
    assert seen[-1]["variables"]["nama"] == "${secret:PW}", "what a caller writes is no reference"


@pytest.mark.parametrize("status", [301, 302, 303, 307])
async def test_a_posted_question_goes_nowhere_else(server: SourceServer, tmp_path: Path, status: int) -> None:
    other = SourceServer()
    server.posts["/lama"] = lambda _asked, _headers: (status, "text/plain", b"")
    server.more_headers["/lama"] = {"Location": f"{other.url}/baru"}
    try:
        found = await fault(tmp_path, {"url": f"{server.url}/lama", "method": "POST", "body": {"nik": "1"}})
    finally:
        other.close()
    assert isinstance(found, SourceRejected)
    assert other.asked == []


async def test_a_posted_question_is_sent_again_on_its_own_host(server: SourceServer, tmp_path: Path) -> None:
    server.posts["/lama"] = lambda _asked, _headers: (308, "text/plain", b"")
    server.more_headers["/lama"] = {"Location": "/baru"}
    server.posts["/baru"] = lambda asked, _headers: sent([{"id": asked["id"]}])
    assert await ids(tmp_path, {"url": f"{server.url}/lama", "method": "POST", "body": {"id": 7}}) == [7]


# --- rates ------------------------------------------------------------------------------------------------------


async def test_requests_keep_to_the_rate(server: SourceServer, tmp_path: Path) -> None:
    moments: list[float] = []

    def answer(query: Query) -> object:
        moments.append(time.monotonic())
        return slice_of((int(query["page"]) - 1) * 10)

    get(server, "/api", answer)
    assert await ids(tmp_path, {"url": f"{server.url}/api", "paging": {"kind": "page"}, "rate": "10/s"}) == IDS
    assert len(moments) == 4
    assert moments[3] - moments[0] >= 0.28


async def test_a_request_without_a_turn_in_time_is_not_made(server: SourceServer, tmp_path: Path) -> None:
    get(server, "/api", lambda q: slice_of((int(q["page"]) - 1) * 10))
    source = {"url": f"{server.url}/api", "paging": {"kind": "page"}, "rate": "1/h"}
    found = await fault(tmp_path, source, deadline_seconds=2)
    assert isinstance(found, SourceBusy)
    assert found.facts["field"] == "/source/rate"
    assert len(server.asked) == 1


# --- diagnose ---------------------------------------------------------------------------------------------------


async def diagnosed(folder: Path, url: str, **stated: Any) -> Diagnosis:
    async with reading(folder, {"url": url, **stated}) as connector:
        assert isinstance(connector, Diagnoses)
        return await connector.diagnose()


def next_link(at: int) -> str | None:
    return f"/api?o={at + 10}" if at < 20 else None


def offset(query: Query) -> int:
    return int(query.get("o", "0"))


def laravel(query: Query) -> object:
    page = int(query.get("page", "1"))
    meta = {"current_page": page, "last_page": 3, "total": 25}
    return {"data": slice_of((page - 1) * 10), "links": {"next": f"/api?page={page + 1}"}, "meta": meta}


def numbered(query: Query) -> object:
    page = int(query.get("halaman", "1"))
    return {
        "hasil": {"daftar": slice_of((page - 1) * 10)},
        "info": {"halaman": page, "jumlah_halaman": 3, "jumlah": 25},
    }


RECOGNISED: list[tuple[str, Callable[[Query], object], dict[str, Any]]] = [
    ("laravel", laravel, {"paging": {"preset": "laravel"}}),
    (
        "drf",
        lambda q: {"count": 25, "next": next_link(offset(q)), "previous": None, "results": slice_of(offset(q))},
        {"paging": {"preset": "drf"}},
    ),
    (
        "odata",
        lambda q: {
            "@odata.context": "x",
            "value": slice_of(offset(q)),
            **({"@odata.nextLink": next_link(offset(q))} if offset(q) < 20 else {}),
        },
        {"paging": {"preset": "odata"}},
    ),
    (
        "arcgis",
        lambda q: {
            "objectIdFieldName": "id",
            "features": [{"attributes": row} for row in slice_of(int(q.get("resultOffset", 0)))],
        },
        {"paging": {"preset": "arcgis"}},
    ),
    (
        "a number of the page",
        numbered,
        {
            "record_path": "$.hasil.daftar[*]",
            "paging": {"kind": "page", "param": "halaman", "total": "$.info.jumlah", "last": "$.info.jumlah_halaman"},
        },
    ),
    (
        "an offset",
        lambda q: {"rows": slice_of(int(q.get("offset", 0))), "offset": int(q.get("offset", 0)), "totalRecords": 25},
        {
            "record_path": "$.rows[*]",
            "paging": {"kind": "offset", "param": "offset", "total": "$.totalRecords"},
        },
    ),
    (
        "a link",
        lambda q: {"items": slice_of(offset(q)), "_links": {"next": {"href": next_link(offset(q))}}, "total": 25},
        {
            "record_path": "$.items[*]",
            "paging": {"kind": "next_link", "path": "$._links.next.href", "total": "$.total"},
        },
    ),
    (
        "links by rel",
        lambda q: {
            "items": slice_of(offset(q)),
            "links": [{"rel": "self", "href": "/"}, {"rel": "next", "href": next_link(offset(q))}],
        },
        {"record_path": "$.items[*]", "paging": {"kind": "next_link", "path": "$.links[*].href"}},
    ),
    (
        "a cursor",
        lambda q: {"items": slice_of(int(q.get("cursor", 0))), "paging": {"next_cursor": int(q.get("cursor", 0)) + 10}},
        {
            "record_path": "$.items[*]",
            "paging": {"kind": "cursor", "param": "cursor", "path": "$.paging.next_cursor"},
        },
    ),
    (
        "a total alone, and pages by number",
        lambda q: {"items": slice_of((int(q.get("page", 1)) - 1) * 10), "total": 25},
        {"record_path": "$.items[*]", "paging": {"kind": "page", "total": "$.total"}},
    ),
    ("one page", lambda _q: ROWS, {}),
    ("a list in an envelope", lambda _q: {"status": "ok", "data": ROWS}, {"record_path": "$.data[*]"}),
]


@pytest.mark.parametrize(("answer", "expected"), [one[1:] for one in RECOGNISED], ids=[one[0] for one in RECOGNISED])
async def test_a_first_answer_tells_how_the_service_is_read(
    server: SourceServer, tmp_path: Path, answer: Callable[[Query], object], expected: dict[str, Any]
) -> None:
    get(server, "/api", answer)
    found = await diagnosed(tmp_path, f"{server.url}/api")

    assert found.source == expected
    assert found.notes == ()
    assert {guess.pointer for guess in found.guesses} == {f"/source/{name}" for name in expected}
    if "paging" in expected:
        assert "other records" in next(guess.why for guess in found.guesses if guess.pointer == "/source/paging")
    if "cursor" not in str(expected):
        assert await ids(tmp_path, {"url": f"{server.url}/api", **found.source}) == IDS


async def test_a_layer_is_asked_as_layers_are(server: SourceServer, tmp_path: Path) -> None:
    def layer(query: Query) -> object:
        if "where" not in query:
            return {"error": {"code": 400, "message": "Unable to perform query", "details": []}}
        return {"features": [{"attributes": row} for row in slice_of(int(query["resultOffset"]))]}

    get(server, "/rest/services/faskes/FeatureServer/0/query", layer)
    found = await diagnosed(tmp_path, f"{server.url}/rest/services/faskes/FeatureServer/0/query")
    assert found.source == {"paging": {"preset": "arcgis"}}


async def test_what_is_stated_is_never_contradicted(server: SourceServer, tmp_path: Path) -> None:
    get(server, "/api", laravel)
    stated = {"paging": {"kind": "none"}, "record_path": "$.data[*]"}
    found = await diagnosed(tmp_path, f"{server.url}/api", **stated)
    assert found.source == {}
    assert "25 records" in found.notes[0]
    astray = await diagnosed(tmp_path, f"{server.url}/api", record_path="$.isi[*]", paging={"kind": "page"})
    assert astray.source == {}
    assert "nothing at $.isi[*]" in astray.notes[0]


async def test_a_service_that_takes_no_page_is_told(server: SourceServer, tmp_path: Path) -> None:
    get(server, "/api", lambda _q: {"items": slice_of(0), "total": 25})
    found = await diagnosed(tmp_path, f"{server.url}/api")
    assert found.source == {"record_path": "$.items[*]"}
    assert "$.total says 25 records and the first answer gives 10" in found.notes[0]


async def test_a_link_to_another_host_is_told_and_not_followed(server: SourceServer, tmp_path: Path) -> None:
    get(server, "/api", lambda _q: {"items": slice_of(0), "next": "http://internal.example/api?o=10"})
    found = await diagnosed(tmp_path, f"{server.url}/api")
    assert found.source == {"record_path": "$.items[*]"}
    assert "another host" in found.notes[0]
