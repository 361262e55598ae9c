"""Kind ogc against a real pygeoapi: pages by its links, properties that it takes as parameters, its own count."""

from __future__ import annotations

import json
from collections.abc import AsyncIterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.connectors.contract import JSON_COLUMN, Connector
from app.connectors.suite import PERSON, TEXTS, WHOLE_READS, ConnectorSuite, Fault, Subject, opened
from app.errors import (
    NetworkForbidden,
    SourceAuthFailed,
    SourceFailed,
    SourceFormatError,
    SourceMissing,
    SourceUnreachable,
)
from tests.support.pygeoapi import collection, running_pygeoapi
from tests.support.sources import SourceServer

_NAMES = ("nama", "jenis", "geometry", "id")


def _point(place: int) -> dict[str, Any]:
    return {"type": "Point", "coordinates": [Decimal("110.5") + Decimal(place) / 100, Decimal("-6.5")]}


_ROWS = [
    (text if place % 5 else None, place % 3, None if place % 7 == 0 else _point(place), f"f{place}")
    for place, text in enumerate(TEXTS)
]


def features(rows: list[tuple[Any, ...]]) -> bytes:
    found = [
        {"type": "Feature", "id": key, "geometry": geometry, "properties": {"nama": name, "jenis": kind}}
        for name, kind, geometry, key in rows
    ]
    return json.dumps({"type": "FeatureCollection", "features": found}, default=float).encode()


@pytest.fixture(scope="module")
def geo(tmp_path_factory):
    folder = tmp_path_factory.mktemp("pygeoapi")
    file = folder / "faskes.geojson"
    file.write_bytes(features(_ROWS))
    with running_pygeoapi(folder, {"faskes": collection(file)}) as url:
        yield url


@pytest.fixture(scope="module")
def broken():
    """Servers that are none of OGC API Features, or a broken one."""
    server = SourceServer()
    at = "/collections/faskes/items"
    server.routes[f"/tertutup{at}"] = lambda _q, _h: (401, "text/plain", PERSON.encode())
    server.routes[f"/rusak{at}"] = lambda _q, _h: (500, "text/plain", PERSON.encode())
    server.routes[f"/halaman{at}"] = lambda _q, _h: (200, "text/html", f"<p>{PERSON}</p>".encode())
    server.routes[f"/separuh{at}"] = lambda _q, _h: (200, "application/json", f'{{"features": ["{PERSON}'.encode())
    server.routes[f"/lain{at}"] = lambda _q, _h: (200, "application/json", json.dumps({"items": [PERSON]}).encode())
    yield server
    server.close()


@pytest.fixture(scope="module")
async def subject(geo: str, broken: SourceServer, tmp_path_factory) -> AsyncIterator[Subject]:
    folder: Path = tmp_path_factory.mktemp("ogc")

    def at(url: str, **more: Any) -> Connector:
        return opened(folder, {"kind": "ogc", "url": url, "collection": "faskes", "size": 10, **more})

    connector = at(geo)
    yield Subject(
        connector,
        pa.schema([pa.field(name, pa.string(), metadata=JSON_COLUMN) for name in _NAMES]),
        _ROWS,
        literals={"nama": TEXTS},
        texts=frozenset({"nama"}),
        missing_column_is_null=True,
        faults=[
            Fault("no such collection", lambda: at(geo, collection="bukan"), SourceMissing, False),
            Fault("closed", lambda: at(f"{broken.url}/tertutup"), SourceAuthFailed, False),
            Fault("broken", lambda: at(f"{broken.url}/rusak"), SourceFailed, True),
            Fault("a page", lambda: at(f"{broken.url}/halaman"), SourceFormatError, False),
            Fault("half an answer", lambda: at(f"{broken.url}/separuh"), SourceFormatError, False),
            Fault("no features", lambda: at(f"{broken.url}/lain"), SourceFormatError, False),
            Fault("refuses", lambda: at("http://127.0.0.1:1"), SourceUnreachable, True),
            Fault("forbidden", lambda: at("http://169.254.169.254"), NetworkForbidden, False),
        ],
        cannot=WHOLE_READS - {"filters"} | {"fingerprint"},
    )
    await connector.close()


class TestOgc(ConnectorSuite):
    only_asks = True
