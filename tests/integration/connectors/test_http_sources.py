"""REST and CKAN over real HTTP: redirects, paging, credentials, a file behind a resource."""

from __future__ import annotations

import asyncio
import base64
import contextlib
import gzip
import json
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pytest

from app.connectors.contract import Connector
from app.connectors.environment import Environment, Limits, NetworkPolicy
from app.connectors.http import HttpSource
from app.connectors.network import resolve_allowed
from app.connectors.requests import ScanRequest
from app.connectors.suite import SECRET, Secrets, opened, read
from app.errors import (
    NetworkForbidden,
    SourceAuthFailed,
    SourceFormatError,
    SourceRejected,
    SourceTimeout,
    SourceTooLarge,
    SourceUnreachable,
)
from tests.support.sources import SourceServer

_ROWS = [{"id": place, "nama": f"n{place}"} for place in range(1, 26)]


@pytest.fixture
def server() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


@pytest.fixture
async def http(tmp_path: Path) -> AsyncIterator[HttpSource]:
    source = HttpSource(_environment(tmp_path, ("127.0.0.1/32",)))
    yield source
    await source.close()


def _environment(root: Path, networks: tuple[str, ...], **limits: Any) -> Environment:
    policy = NetworkPolicy(networks=tuple(map(ip_network, networks)))
    return Environment("dinkes", "uji", root, root, Secrets(), policy, Limits(**{"deadline_seconds": 5.0, **limits}))


def _json(value: object) -> tuple[int, str, bytes]:
    return 200, "application/json", json.dumps(value).encode()


@contextlib.asynccontextmanager
async def serving(
    answer: Callable[[asyncio.StreamReader, asyncio.StreamWriter], Awaitable[None]],
) -> AsyncIterator[str]:
    """The address of a server that answers one request a connection by a function over its bytes."""
    tasks: set[asyncio.Task[None]] = set()

    async def handle(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        tasks.add(asyncio.current_task())  # type: ignore[arg-type]
        try:
            with contextlib.suppress(OSError, asyncio.IncompleteReadError):
                await answer(reader, writer)
                await writer.drain()
        finally:
            writer.close()
            with contextlib.suppress(OSError):
                await writer.wait_closed()

    stub = await asyncio.start_server(handle, "127.0.0.1", 0)
    try:
        yield f"http://127.0.0.1:{stub.sockets[0].getsockname()[1]}"
    finally:
        stub.close()
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


# --- redirects --------------------------------------------------------------------------------------------------


@contextlib.asynccontextmanager
async def _redirecting(target: str) -> AsyncIterator[tuple[str, list[bytes]]]:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        head = f"HTTP/1.1 302 Found\r\nLocation: {target}\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
        writer.write(head.encode())

    async with serving(answer) as url:
        yield f"{url}/", seen


@pytest.mark.parametrize(
    "target",
    [
        "http://169.254.169.254/latest",
        "http://127.0.0.2/",
        "http://[::1]/",
        "http://2130706433/",
        "http://a@127.0.0.1/",
        "file:///etc/passwd",
    ],
)
async def test_hostile_45_a_redirect_to_a_forbidden_place_is_not_followed(http: HttpSource, target: str) -> None:
    async with _redirecting(target) as (url, _):
        with pytest.raises(NetworkForbidden):
            await http.get(url)


async def test_hostile_45_a_redirect_in_a_circle_ends(http: HttpSource) -> None:
    async with _redirecting("/lagi") as (url, seen):
        with pytest.raises(SourceRejected):
            await http.get(url)
    assert len(seen) == 6


async def test_hostile_45_credentials_never_follow_to_another_host(http: HttpSource, server: SourceServer) -> None:
    told: list[dict[str, str]] = []
    server.routes["/tujuan"] = lambda _q, headers: told.append(headers) or _json([])  # type: ignore[func-returns-value]
    async with _redirecting(f"{server.url}/tujuan") as (url, seen):
        await http.get(url, headers={"x-api-key": SECRET, "authorization": f"Bearer {SECRET}"})
    assert SECRET.encode() in seen[0]
    assert SECRET not in repr(told)
    assert "authorization" not in told[0]


async def test_hostile_46_proxies_of_the_surroundings_are_ignored(
    http: HttpSource, server: SourceServer, monkeypatch
) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    server.json("/a", b"[]")
    assert (await http.get(f"{server.url}/a")).status == 200


async def test_hostile_48_a_bomb_is_cut_off_before_it_fills_the_memory(tmp_path: Path) -> None:
    bomb = gzip.compress(b"0" * 50_000_000)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: gzip\r\nContent-Length: {len(bomb)}\r\n\r\n"
        writer.write(head.encode() + bomb)

    source = HttpSource(_environment(tmp_path, ("127.0.0.1/32",), bytes=1_000_000))
    async with serving(answer) as url:
        with pytest.raises(SourceTooLarge):
            await source.get(url)
        await source.close()


@pytest.mark.parametrize("packing", ["gzip", "x-gzip", "gzip, gzip"])
async def test_a_body_is_unpacked_as_often_as_it_was_packed(http: HttpSource, packing: str) -> None:
    body = b'[{"id": 1}]'
    for _ in packing.split(","):
        body = gzip.compress(body)

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        head = f"HTTP/1.1 200 OK\r\nContent-Encoding: {packing}\r\nContent-Length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)

    async with serving(answer) as url:
        assert (await http.get(url)).content == b'[{"id": 1}]'


async def test_a_cookie_of_a_service_is_given_back(http: HttpSource) -> None:
    seen: list[bytes] = []

    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        seen.append(await reader.readuntil(b"\r\n\r\n"))
        writer.write(
            b"HTTP/1.1 200 OK\r\nSet-Cookie: sesi=7; Path=/\r\nContent-Length: 2\r\nConnection: close\r\n\r\n[]"
        )

    async with serving(answer) as url:
        await http.get(url)
        await http.get(url)
    assert b"sesi=7" not in seen[0]
    assert b"Cookie: sesi=7" in seen[1]


async def test_hostile_47_a_connection_that_breaks_off_is_no_late_answer(http: HttpSource) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n[")

    async with serving(answer) as url:
        with pytest.raises(SourceUnreachable, match="broke off"):
            await http.get(url)


async def test_hostile_47_a_trickle_ends_at_the_deadline(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.readuntil(b"\r\n\r\n")
        writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
        while True:
            writer.write(b"1")
            await writer.drain()
            await asyncio.sleep(0.05)

    source = HttpSource(_environment(tmp_path, ("127.0.0.1/32",)))
    started = time.monotonic()
    async with serving(answer) as url:
        with pytest.raises(SourceTimeout):
            await source.get(url, deadline=started + 0.5)
        await source.close()
    assert time.monotonic() - started < 3


async def test_hostile_44_a_name_is_dialled_where_the_policy_looked(tmp_path: Path, server: SourceServer) -> None:
    policy = _environment(tmp_path, ("127.0.0.1/32",)).network
    assert "127.0.0.1" in await resolve_allowed("localhost", 80, policy)
    with pytest.raises(NetworkForbidden):
        await resolve_allowed("localhost", 80, NetworkPolicy())


# --- paging -----------------------------------------------------------------------------------------------------


def _pages(kind: str, server: SourceServer) -> dict[str, Any]:
    """A service that pages in one way, and the `paging:` that says so."""

    def rows(first: int, size: int) -> list[dict[str, Any]]:
        return _ROWS[first : first + size]

    if kind == "page":
        server.routes["/api"] = lambda q, _h: _json({"items": rows((int(q["hal"]) - 1) * 10, int(q["n"]))})
        return {"kind": "page", "param": "hal", "size_param": "n", "size": 10}
    if kind == "page from 0":
        server.routes["/api"] = lambda q, _h: _json({"items": rows(int(q["hal"]) * 5, 5)})
        return {"kind": "page", "param": "hal", "size": 5, "first": 0}
    if kind == "offset":
        server.routes["/api"] = lambda q, _h: _json({"items": rows(int(q["mulai"]), 10)})
        return {"kind": "offset", "param": "mulai", "size": 10}
    if kind == "cursor":
        server.routes["/api"] = lambda q, _h: _json(
            {
                "items": rows(int(q.get("c", "0")), 10),
                "next": str(int(q.get("c", "0")) + 10) if int(q.get("c", "0")) < 20 else None,
            }
        )
        return {"kind": "cursor", "param": "c", "path": "$.next"}
    server.routes["/api"] = lambda q, _h: _json(
        {
            "items": rows(int(q.get("o", "0")), 10),
            "links": {"next": f"/api?o={int(q.get('o', '0')) + 10}" if int(q.get("o", "0")) < 20 else None},
        }
    )
    return {"kind": "next_link", "path": "$.links.next"}


@pytest.mark.parametrize("kind", ["page", "page from 0", "offset", "cursor", "next_link"])
async def test_every_kind_of_paging_gives_each_record_once(server: SourceServer, tmp_path: Path, kind: str) -> None:
    paging = _pages(kind, server)
    connector = opened(
        tmp_path, {"kind": "rest", "url": f"{server.url}/api", "record_path": "$.items[*]", "paging": paging}
    )
    try:
        assert [row[0] for row in await read(connector, ScanRequest())] == list(range(1, 26))
    finally:
        await connector.close()


async def test_a_link_header_leads_on(tmp_path: Path) -> None:
    async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = await reader.readuntil(b"\r\n\r\n")
        second = b"hal=2" in head
        body = json.dumps([{"id": 2}] if second else [{"id": 1}]).encode()
        link = b"" if second else b'Link: </api?hal=2>; rel="next"\r\n'
        writer.write(
            b"HTTP/1.1 200 OK\r\n" + link + f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n".encode() + body
        )

    async with serving(answer) as url:
        connector = opened(tmp_path, {"kind": "rest", "url": f"{url}/api", "paging": {"kind": "next_link"}})
        assert await read(connector, ScanRequest()) == [(1,), (2,)]
        await connector.close()


@pytest.mark.parametrize(
    ("following", "told"), [("http://lain.example/api?o=10", "another host"), ("/api?o=10", "again and again")]
)
async def test_a_next_link_that_leads_astray_or_round_is_an_error(server, tmp_path, following, told) -> None:
    server.routes["/api"] = lambda _q, _h: _json({"items": _ROWS[:2], "next": following})
    paging = {"kind": "next_link", "path": "$.next"}
    connector = opened(
        tmp_path, {"kind": "rest", "url": f"{server.url}/api", "record_path": "$.items[*]", "paging": paging}
    )
    try:
        with pytest.raises(SourceFormatError) as caught:
            await read(connector, ScanRequest())
    finally:
        await connector.close()
    assert told in caught.value.detail


# --- credentials ------------------------------------------------------------------------------------------------


def _guarded(server: SourceServer, name: str, value: str) -> None:
    server.routes["/api"] = lambda _q, headers: (
        _json([{"id": 1}]) if headers.get(name) == value else (401, "text/plain", b"")
    )


@pytest.mark.parametrize(
    ("auth", "header", "value"),
    [
        (
            {"kind": "basic", "user": "u", "password": "${secret:PW}"},
            "authorization",
            "Basic " + base64.b64encode(f"u:{SECRET}".encode()).decode(),
        ),
        ({"kind": "bearer", "token": "${secret:PW}"}, "authorization", f"Bearer {SECRET}"),
        ({"kind": "api_key", "name": "X-Kunci", "value": "${secret:PW}"}, "x-kunci", SECRET),
    ],
)
async def test_each_kind_of_credentials_opens_the_door(server, tmp_path, auth, header, value) -> None:
    _guarded(server, header, value)
    right = opened(tmp_path, {"kind": "rest", "url": f"{server.url}/api", "auth": auth})
    wrong = opened(tmp_path, {"kind": "rest", "url": f"{server.url}/api"})
    try:
        assert await read(right, ScanRequest()) == [(1,)]
        with pytest.raises(SourceAuthFailed):
            await read(wrong, ScanRequest())
    finally:
        await right.close()
        await wrong.close()


class _TokenServer:
    """An authorization server and the service that believes it (RFC 6749, section 4.4)."""

    def __init__(self) -> None:
        self.asked: list[tuple[str, str]] = []
        self.seconds: object = 3600
        self.good: set[str] = set()

    async def __call__(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        head = (await reader.readuntil(b"\r\n\r\n")).decode()
        headers = {line.partition(":")[0].lower(): line.partition(":")[2].strip() for line in head.split("\r\n")[1:]}
        body = (await reader.readexactly(int(headers.get("content-length", "0")))).decode()
        if head.startswith("POST /token"):
            self.asked.append((headers.get("authorization", ""), body))
            token = f"t{len(self.asked)}"
            self.good.add(token)
            status, answer = 200, {"access_token": token, "token_type": "Bearer", "expires_in": self.seconds}
        else:
            known = headers.get("authorization", "").removeprefix("Bearer ") in self.good
            status, answer = (200, [{"id": 1}]) if known else (401, [])
        text = json.dumps(answer).encode()
        writer.write(f"HTTP/1.1 {status} X\r\nContent-Length: {len(text)}\r\nConnection: close\r\n\r\n".encode() + text)


@contextlib.asynccontextmanager
async def _token_source(tokens: _TokenServer, folder: Path) -> AsyncIterator[Connector]:
    async with serving(tokens) as base:
        auth = {"kind": "oauth2", "token_url": f"{base}/token", "client_id": "simpul", "client_secret": "${secret:PW}"}
        source = {"kind": "rest", "url": f"{base}/api", "auth": {**auth, "scope": "baca"}}
        connector = opened(folder, source)
        yield connector
        await connector.close()


async def test_a_token_is_fetched_once_and_again_when_it_is_no_longer_believed(tmp_path: Path) -> None:
    tokens = _TokenServer()
    async with _token_source(tokens, tmp_path) as connector:
        assert await read(connector, ScanRequest()) == [(1,)]
        assert await read(connector, ScanRequest()) == [(1,)]
        assert len(tokens.asked) == 1
        tokens.good.clear()  # revoked before its time
        assert await read(connector, ScanRequest()) == [(1,)]
    credentials = "Basic " + base64.b64encode(f"simpul:{SECRET}".encode()).decode()
    assert tokens.asked == [(credentials, "grant_type=client_credentials&scope=baca")] * 2


@pytest.mark.parametrize("seconds", ["3600", "soon", None, -5])
async def test_a_strange_lifetime_of_a_token_does_no_harm(tmp_path: Path, seconds: object) -> None:
    tokens = _TokenServer()
    tokens.seconds = seconds
    async with _token_source(tokens, tmp_path) as connector:
        assert await read(connector, ScanRequest()) == [(1,)]


# --- CKAN -------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("ending", "body", "expected"),
    [
        ("csv", b"kode,nama\r\n3320,Jepara\r\n", [("3320", "Jepara")]),
        ("json", b'[{"kode": "3320", "nama": "Jepara"}]', [("3320", "Jepara")]),
    ],
)
async def test_without_a_datastore_the_file_behind_the_resource_is_read(
    server, tmp_path, ending, body, expected
) -> None:
    shown = {"success": True, "result": {"url": f"{server.url}/unduh.{ending}", "format": ending.upper()}}
    server.routes["/api/3/action/resource_show"] = lambda _q, _h: _json(shown)
    server.routes["/api/3/action/datastore_search"] = lambda _q, _h: (404, "application/json", b'{"success": false}')
    server.routes[f"/unduh.{ending}"] = lambda _q, _h: (200, "text/plain", body)
    connector = opened(tmp_path, {"kind": "ckan", "url": server.url, "resource": "r1"})
    try:
        assert await read(connector, ScanRequest()) == expected
        assert connector.capabilities.filter_exactness == "none"
        assert await read(connector, ScanRequest(columns=("nama",))) == [("Jepara",)]
    finally:
        await connector.close()


async def test_the_datastore_is_paged_to_its_end(server, tmp_path) -> None:
    rows = [{"_id": place, "kode": f"k{place}"} for place in range(2500)]

    def search(query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
        first, size = (
            int(query["offset"]),
            min(int(query["limit"]), 400),
        )  # a portal may cap its pages below what is asked
        return _json({"success": True, "result": {"records": rows[first : first + size], "total": len(rows)}})

    server.routes["/api/3/action/datastore_search"] = search
    connector = opened(tmp_path, {"kind": "ckan", "url": server.url, "resource": "r1"})
    try:
        assert len(await read(connector, ScanRequest())) == 2500
    finally:
        await connector.close()
