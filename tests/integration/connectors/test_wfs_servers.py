"""WFS 2: a real MapServer, and answers of servers that contradict themselves."""

from __future__ import annotations

import contextlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from app.connectors.contract import CountEstimate
from app.connectors.diagnosis import Diagnoses
from app.connectors.requests import ScanRequest
from app.connectors.suite import PERSON, read
from app.errors import SimpulError, SourceFailed, SourceFormatError, SourceMissing, SourceRejected
from tests.integration.connectors.test_ogc_servers import fault, feature, ids, page, reading, sent
from tests.support.mapserver import PATH, mapserver
from tests.support.sources import Answer, SourceServer

WFS = {"service": "wfs"}
_XML = "text/xml; charset=utf-8"


def told(
    formats: str = "application/json", paging: str = "TRUE", names: str = "faskes", version: str = "2.0.0"
) -> bytes:
    """Capabilities as servers write them."""
    types = "".join(
        f"<FeatureType><Name>{name}</Name><Title>Data {name}</Title><DefaultCRS>urn:ogc:def:crs:EPSG::4326</DefaultCRS>"
        "<ows:WGS84BoundingBox><ows:LowerCorner>110 -7</ows:LowerCorner><ows:UpperCorner>112 -5</ows:UpperCorner></ows:WGS84BoundingBox>"
        "</FeatureType>"
        for name in names.split()
    )
    return (
        f'<WFS_Capabilities version="{version}" xmlns="http://www.opengis.net/wfs/2.0" xmlns:ows="http://www.opengis.net/ows/1.1">'
        '<ows:OperationsMetadata><ows:Operation name="GetFeature"><ows:Parameter name="outputFormat"><ows:AllowedValues>'
        f"<ows:Value>text/xml; subtype=gml/3.2</ows:Value><ows:Value>{formats}</ows:Value></ows:AllowedValues></ows:Parameter></ows:Operation>"
        f'<ows:Constraint name="ImplementsResultPaging"><ows:NoValues/><ows:DefaultValue>{paging}</ows:DefaultValue></ows:Constraint>'
        f"</ows:OperationsMetadata><FeatureTypeList>{types}</FeatureTypeList></WFS_Capabilities>"
    ).encode()


class Wfs:
    """A server of one feature type: what it says and gives can be set."""

    def __init__(self, server: SourceServer) -> None:
        self.url = f"{server.url}/wfs"
        self.features = [feature(at) for at in range(1, 26)]
        self.counts: list[Any] = []
        self.capabilities = told()
        self.ignores_start = False
        self.asked: list[dict[str, str]] = []
        server.routes["/wfs"] = self._answer

    def _answer(self, query: dict[str, str], _headers: dict[str, str]) -> Answer:
        self.asked.append(query)
        if query["request"] == "GetCapabilities":
            return 200, _XML, self.capabilities
        if query.get("resultType") == "hits":
            count = self.counts.pop(0) if self.counts else len(self.features)
            body = f'<FeatureCollection xmlns="http://www.opengis.net/wfs/2.0" numberMatched="{count}" numberReturned="0"/>'
            return 200, _XML, body.encode()
        at = 0 if self.ignores_start else int(query.get("startIndex", "0"))
        size = min(int(query.get("count", "1000")), 10)
        return sent(page(self.features[at : at + size]))


@pytest.fixture
def server() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


@pytest.fixture
def wfs(server: SourceServer) -> Wfs:
    return Wfs(server)


async def test_pages_go_on_until_as_many_came_as_the_server_counts(wfs: Wfs, tmp_path: Path) -> None:
    assert await ids(tmp_path, wfs.url, **WFS, sort="kode", bbox=[110, -7, 112, -5]) == list(range(1, 26))
    first = next(query for query in wfs.asked if "startIndex" in query)
    assert first == {
        "service": "WFS",
        "version": "2.0.0",
        "request": "GetFeature",
        "typeNames": "faskes",
        "outputFormat": "application/json",
        "srsName": "urn:ogc:def:crs:EPSG::4326",
        "sortBy": "kode",
        "startIndex": "0",
        "count": "1000",
        "bbox": "-7,110,-5,112,urn:ogc:def:crs:EPSG::4326",
    }


async def test_a_server_that_counts_nothing_is_read_to_an_empty_page(wfs: Wfs, tmp_path: Path) -> None:
    wfs.counts = ["unknown", "unknown"]
    assert await ids(tmp_path, wfs.url, **WFS) == list(range(1, 26))
    async with reading(tmp_path, wfs.url, **WFS) as connector:
        wfs.counts = ["unknown"]
        assert isinstance(connector, CountEstimate)
        assert await connector.estimate(ScanRequest()) is None


async def test_a_server_without_paging_is_asked_once_and_held_to_its_count(wfs: Wfs, tmp_path: Path) -> None:
    wfs.capabilities = told(paging="FALSE")
    found = await fault(tmp_path, wfs.url, **WFS)
    assert found.facts["rule"] == "total_not_reached"
    wfs.features = wfs.features[:10]
    assert await ids(tmp_path, wfs.url, **WFS) == list(range(1, 11))
    assert not any("startIndex" in query for query in wfs.asked)


@pytest.mark.parametrize(
    ("counts", "error", "rule"),
    [
        ([30, 30], SourceFormatError, "total_not_reached"),
        ([24, 24], SourceFormatError, "total_exceeded"),
        ([25, 26], SourceFailed, "moved_between_pages"),
        ([26, 25], SourceFailed, "moved_between_pages"),
        ([24, 25], None, ""),
    ],
)
async def test_what_came_is_held_against_counts_before_and_after(
    wfs: Wfs, tmp_path: Path, counts: list[int], error: type[SimpulError] | None, rule: str
) -> None:
    wfs.counts = list(counts)
    if error is None:
        assert await ids(tmp_path, wfs.url, **WFS) == list(range(1, 26))
        return
    found = await fault(tmp_path, wfs.url, **WFS)
    assert (type(found), found.facts["rule"]) == (error, rule)


async def test_the_first_page_again_and_again_is_refused(wfs: Wfs, tmp_path: Path) -> None:
    wfs.ignores_start = True
    assert "again and again" in (await fault(tmp_path, wfs.url, **WFS)).detail


async def test_a_server_without_geojson_is_told_what_to_switch_on(wfs: Wfs, tmp_path: Path) -> None:
    wfs.capabilities = told("application/gml+xml; version=3.2")
    found = await fault(tmp_path, wfs.url, **WFS)
    assert found.facts["rule"] == "no_geojson"
    assert "application/gml+xml; version=3.2" in found.detail


async def test_what_is_no_wfs_2_is_told(wfs: Wfs, server: SourceServer, tmp_path: Path) -> None:
    wfs.capabilities = told(version="1.1.0")
    assert "version 2" in (await fault(tmp_path, wfs.url, **WFS)).detail
    wfs.capabilities = b"<!DOCTYPE x [<!ENTITY a 'b'>]><x>&a;</x>"
    assert "document type" in (await fault(tmp_path, wfs.url, **WFS)).detail
    report = '<ExceptionReport xmlns="http://www.opengis.net/ows/1.1"><Exception exceptionCode="OperationNotSupported">'
    wfs.capabilities = f"{report}<ExceptionText>{PERSON}</ExceptionText></Exception></ExceptionReport>".encode()
    found = await fault(tmp_path, wfs.url, **WFS)
    assert isinstance(found, SourceRejected)
    assert found.detail == "the server answered with an exception report (OperationNotSupported)"


async def test_an_exception_report_in_the_place_of_features_is_told(wfs: Wfs, tmp_path: Path) -> None:
    async with reading(tmp_path, wfs.url, **WFS, collection="lain") as connector:
        (_, step) = await connector.check()
        assert isinstance(step.error, SourceMissing)
        assert "it has faskes" in step.error.detail


@pytest.mark.external
async def test_a_real_mapserver_is_read_whole_and_checked(tmp_path: Path) -> None:
    features = [{**feature(at), "properties": {"kode": f"K{at:03}", "nama": f"n{at}"}} for at in range(1, 131)]
    file = tmp_path / "faskes.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    with contextlib.closing(mapserver(tmp_path, {"faskes": file})) as served:
        url = served.url + PATH
        async with reading(tmp_path, url, **WFS, collection=None) as connector:
            assert isinstance(connector, Diagnoses)
            assert (await connector.diagnose()).source == {"collection": "ms:faskes"}
        async with reading(tmp_path, url, **WFS, size=50, collection="ms:faskes") as connector:
            found = await read(connector, ScanRequest(columns=("nama", "geometry")))
            assert [name for name, _ in found] == [f"n{at}" for at in range(1, 131)]
            assert [round(float(point["coordinates"][0]), 3) for _, point in found[:2]] == [110.501, 110.502]
            steps = await connector.check()
            assert [(step.name, step.error) for step in steps] == [("dns", None), ("read", None), ("collection", None)]
            assert steps[-1].note == "coordinates are CRS84 (WGS 84, longitude first)"
        box = [110.5095, -6.6, 110.5205, -6.4]
        async with reading(tmp_path, url, **WFS, size=4, collection="ms:faskes", bbox=box) as connector:
            found = await read(connector, ScanRequest(columns=("nama",)))
            assert [name for (name,) in found] == [f"n{at}" for at in range(10, 21)]


@pytest.mark.external
async def test_a_real_mapserver_without_geojson_is_told_so(tmp_path: Path) -> None:
    file = tmp_path / "faskes.geojson"
    file.write_text(json.dumps({"type": "FeatureCollection", "features": [feature(1)]}))
    with contextlib.closing(mapserver(tmp_path, {"faskes": file}, geojson=False)) as served:
        found = await fault(tmp_path, served.url + PATH, **WFS, collection="ms:faskes")
        assert found.facts["rule"] == "no_geojson"
