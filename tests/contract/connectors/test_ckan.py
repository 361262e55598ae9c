"""Kind ckan against a small portal of our own: a datastore with filters and pages, a resource that is only a file, the packages."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from pathlib import Path

import pyarrow as pa
import pytest

from app.connectors.contract import JSON_COLUMN, Connector
from app.connectors.suite import PERSON, TEXTS, WHOLE_READS, ConnectorSuite, Fault, Subject, opened
from app.errors import SourceFailed, SourceFormatError, SourceMissing, SourceRejected, SourceUnreachable
from tests.support.sources import SourceServer

_NAMES = ("kode", "nama", "jumlah")
_ROWS = [(f"k{place}", text if place % 5 else None, place) for place, text in enumerate(TEXTS * 40)]


def _search(query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
    if query.get("resource_id") != "ada":
        body = {"success": False, "error": {"__type": "Not Found Error", "message": PERSON}}
        return 404, "application/json", json.dumps(body).encode()
    rows = [{"_id": place, **dict(zip(_NAMES, row, strict=True))} for place, row in enumerate(_ROWS)]
    for name, value in json.loads(query.get("filters", "{}")).items():
        rows = [row for row in rows if str(row[name]).casefold() == str(value).casefold()]
    first, size = int(query.get("offset", "0")), int(query.get("limit", "100"))
    body = {"success": True, "result": {"records": rows[first : first + size], "total": len(rows)}}
    return 200, "application/json", json.dumps(body).encode()


_PACKAGES = [
    {"id": f"p{place:03}", "title": text, "private": False, "state": "active", "resources": []}
    for place, text in enumerate(TEXTS * 7)
]


def _package_search(query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
    assert query["sort"] == "id asc"
    first, size = int(query["start"]), min(int(query["rows"]), 60)
    return _json({"success": True, "result": {"count": len(_PACKAGES), "results": _PACKAGES[first : first + size]}})


def _json(value: object, status: int = 200) -> tuple[int, str, bytes]:
    return status, "application/json", json.dumps(value).encode()


@pytest.fixture(scope="module")
def server():
    server = SourceServer()
    api = "/api/3/action"
    server.routes[f"{api}/datastore_search"] = _search
    server.routes[f"{api}/package_search"] = _package_search
    server.routes["/rusak/api/3/action/package_search"] = lambda _q, _h: (503, "text/plain", PERSON.encode())
    server.routes["/salah/api/3/action/package_search"] = lambda _q, _h: _json({"success": True, "result": [PERSON]})
    refused = {"success": False, "error": {"message": PERSON}}
    server.routes["/tolak/api/3/action/package_search"] = lambda _q, _h: _json(refused)
    server.routes[f"{api}/resource_show"] = lambda query, _h: _json(
        {"success": True, "result": {"url": f"{server.url}/{query['id']}.csv", "format": "CSV"}}
    )
    server.routes["/gambar.csv"] = lambda _q, _h: (200, "text/csv", b"\x89PNG\r\n\x1a\n" + b"\0" * 50)
    server.routes["/rusak/api/3/action/datastore_search"] = lambda _q, _h: (503, "text/plain", PERSON.encode())
    server.routes["/salah/api/3/action/datastore_search"] = lambda _q, _h: _json({"success": True, "result": [PERSON]})
    yield server
    server.close()


def _portal(folder: Path, server: SourceServer) -> Subject:
    """The packages of the portal as records."""

    def at(url: str) -> Connector:
        return opened(folder, {"kind": "ckan", "url": url, "mode": "packages"})

    return Subject(
        at(server.url),
        pa.schema([pa.field(name, pa.string(), metadata=JSON_COLUMN) for name in _PACKAGES[0]]),
        [tuple(package.values()) for package in _PACKAGES],
        missing_column_is_null=True,
        faults=[
            Fault("broken", lambda: at(f"{server.url}/rusak"), SourceFailed, True),
            Fault("no results", lambda: at(f"{server.url}/salah"), SourceFormatError, False),
            Fault("refused", lambda: at(f"{server.url}/tolak"), SourceRejected, False),
            Fault("not there", lambda: at(f"{server.url}/kosong"), SourceMissing, False),
            Fault("refuses", lambda: at("http://127.0.0.1:1"), SourceUnreachable, True),
        ],
        cannot=WHOLE_READS | {"fingerprint", "estimate"},
    )


@pytest.fixture(scope="module", params=["resource", "packages"])
async def subject(server, tmp_path_factory, request) -> AsyncIterator[Subject]:
    folder = tmp_path_factory.mktemp("ckan")
    if request.param == "packages":
        portal = _portal(folder, server)
        yield portal
        await portal.connector.close()
        return

    def at(path: str, resource: str = "ada") -> Connector:
        return opened(folder, {"kind": "ckan", "url": f"{server.url}{path}", "resource": resource})

    connector = at("")
    yield Subject(
        connector,
        pa.schema([pa.field(name, pa.string(), metadata=JSON_COLUMN) for name in _NAMES]),
        _ROWS,
        literals={"nama": TEXTS, "kode": ("k1", "K1", "k99999")},
        texts=frozenset({"nama", "kode"}),
        missing_column_is_null=True,
        faults=[
            Fault("neither table nor file", lambda: at("", "tidak-ada"), SourceMissing, False),
            Fault("a PNG called CSV", lambda: at("", "gambar"), SourceFormatError, False),
            Fault("broken", lambda: at("/rusak"), SourceFailed, True),
            Fault("no records", lambda: at("/salah"), SourceFormatError, False),
            Fault(
                "refuses",
                lambda: opened(folder, {"kind": "ckan", "url": "http://127.0.0.1:1", "resource": "ada"}),
                SourceUnreachable,
                True,
            ),
        ],
        cannot=WHOLE_READS - {"filters"} | {"fingerprint", "estimate"},
    )
    await connector.close()


class TestCkan(ConnectorSuite):
    only_asks = True
