"""Servers of features and portals that answer whatever JSON there is: records, rejects, or an error of ours; never a fault of the code."""

from __future__ import annotations

import asyncio
import contextlib
import json
from pathlib import Path
from typing import Any

import pytest
from hypothesis import HealthCheck, example, given, settings
from hypothesis import strategies as st

from app.connectors.diagnosis import Diagnoses
from app.connectors.requests import ScanRequest
from app.connectors.suite import opened, read
from app.errors import SimpulError
from tests.support.sources import SourceServer

_NAMES = [
    "features",
    "links",
    "type",
    "properties",
    "geometry",
    "id",
    "rel",
    "href",
    "numberMatched",
    "numberReturned",
    "collections",
    "conformsTo",
    "extent",
    "spatial",
    "bbox",
    "crs",
    "coordinates",
]
_NAMES += [
    "success",
    "result",
    "results",
    "count",
    "records",
    "total",
    "resources",
    "name",
    "format",
    "mimetype",
    "url",
    "datastore_active",
    "private",
    "state",
    "_id",
    "site_title",
    "title",
]
_PLAIN = (
    st.none()
    | st.booleans()
    | st.integers(-3, 3)
    | st.floats(allow_nan=False)
    | st.sampled_from(["", "next", "string", "FeatureCollection", "/x", "http://["])
)
JSON = st.recursive(
    _PLAIN,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(_NAMES), inner, max_size=4),
    max_leaves=12,
)
FEATURES = st.fixed_dictionaries(
    {"type": st.just("FeatureCollection"), "features": st.lists(JSON, max_size=3)},
    optional={"links": JSON, "numberMatched": JSON, "numberReturned": JSON},
)
RESULT = st.fixed_dictionaries({"success": st.just(True), "result": JSON})
FOUND = st.builds(
    lambda name, listed, count: {"success": True, "result": {name: listed, "count": count, "total": count}},
    st.sampled_from(["results", "records", "resources"]),
    st.lists(JSON, max_size=3) | JSON,
    st.integers(0, 3) | JSON,
)
SOURCES = (
    {"kind": "ogc", "collection": "a"},
    {"kind": "ogc"},
    {"kind": "ogc", "service": "wfs", "collection": "a"},
    {"kind": "ckan", "mode": "packages"},
    {"kind": "ckan", "resource": "a"},
    {"kind": "ckan", "package": "a"},
)


class Whatever(SourceServer):
    """Gives one answer at every address."""

    def __init__(self) -> None:
        super().__init__()
        self.answer: Any = None
        self.routes = _Everywhere(self)  # type: ignore[assignment]


class _Everywhere:
    def __init__(self, server: Whatever) -> None:
        self._server = server

    def get(self, _path: str) -> Any:
        return lambda _query, _headers: (200, "application/json", json.dumps(self._server.answer).encode())


async def tried(folder: Path, source: dict[str, Any]) -> None:
    connector = opened(folder, source, deadline_seconds=5)
    try:
        for work in (connector.learn(), read(connector, ScanRequest()), connector.discover(), connector.check()):
            with contextlib.suppress(SimpulError):
                await work
        if isinstance(connector, Diagnoses):
            with contextlib.suppress(SimpulError):
                await connector.diagnose()
    finally:
        await connector.close()


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: "-".join(map(str, source.values())))
def test_whatever_json_comes_is_read_or_refused(tmp_path: Path, source: dict[str, Any]) -> None:
    server = Whatever()

    @settings(max_examples=30, deadline=None, suppress_health_check=list(HealthCheck))
    @given(JSON | FEATURES | RESULT | FOUND)
    @example({"type": "FeatureCollection", "features": [], "links": 3})
    @example({"conformsTo": 3, "collections": [{"id": "a", "extent": {"spatial": {"bbox": [None]}}}]})
    @example({"success": True, "result": {"resources": 3, "results": [{"id": "a", "resources": 3}], "count": 1}})
    def whatever(answer: Any) -> None:
        server.answer = answer
        asyncio.run(tried(tmp_path, {**source, "url": server.url}))

    try:
        whatever()
    finally:
        server.close()
