"""Servers of OGC API Features: a real pygeoapi, and servers that contradict themselves; what `check` and `discover` tell of them."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.connectors.contract import Connector, CountEstimate, RowEstimate
from app.connectors.diagnosis import Diagnoses
from app.connectors.requests import ScanRequest
from app.connectors.suite import opened, read
from app.errors import SimpulError, SourceFailed, SourceFormatError, SourceMissing
from app.filters.tree import And, Compare, In, Literal, Or, Property
from tests.support.pygeoapi import WORLD, collection, running_pygeoapi
from tests.support.sources import Answer, SourceServer

JEPARA = {"spatial": {"bbox": [110.3, -6.9, 111.0, -5.6], "crs": WORLD["spatial"]["crs"]}}
ITEMS = "/collections/faskes/items"
_PART3 = "http://www.opengis.net/spec/ogcapi-features-3/1.0/conf/"
_CQL2 = "http://www.opengis.net/spec/cql2/1.0/conf/"
CORE = "http://www.opengis.net/spec/ogcapi-features-1/1.0/conf/core"
CQL2 = [CORE, f"{_PART3}filter", f"{_PART3}features-filter", f"{_CQL2}cql2-text", f"{_CQL2}basic-cql2"]


def feature(at: int, lng: float = 110.5, lat: float = -6.5, **properties: Any) -> dict[str, Any]:
    point = {"type": "Point", "coordinates": [lng + at / 1000, lat]}
    return {"type": "Feature", "id": at, "geometry": point, "properties": {"nama": f"n{at}", **properties}}


def page(features: list[Any], following: str | None = None, **more: Any) -> dict[str, Any]:
    links = [] if following is None else [{"rel": "next", "href": following, "type": "application/geo+json"}]
    return {"type": "FeatureCollection", "features": features, "links": links, **more}


def sent(value: object) -> Answer:
    return 200, "application/json", json.dumps(value).encode()


@contextlib.asynccontextmanager
async def reading(folder: Path, url: str, **more: Any) -> AsyncIterator[Connector]:
    connector = opened(folder, {"kind": "ogc", "url": url, "collection": "faskes", **more})
    try:
        yield connector
    finally:
        await connector.close()


async def ids(folder: Path, url: str, **more: Any) -> list[Any]:
    async with reading(folder, url, **more) as connector:
        return [row[0] for row in await read(connector, ScanRequest(columns=("id",)))]


async def fault(folder: Path, url: str, **more: Any) -> SimpulError:
    async with reading(folder, url, **more) as connector:
        with pytest.raises(SimpulError) as caught:
            await read(connector, ScanRequest())
    return caught.value


@pytest.fixture(scope="module")
def geo(tmp_path_factory) -> Iterator[str]:
    folder = tmp_path_factory.mktemp("pygeoapi")
    files = {
        "faskes": [feature(at, jenis="klinik" if at % 2 else "puskesmas") for at in range(1, 131)],
        "terbalik": [feature(at, lng=-6.5, lat=110.5) for at in range(1, 4)],
        "bernama": [feature(at, id=f"K{at}") for at in range(1, 4)],
    }
    for name, features in files.items():
        (folder / f"{name}.geojson").write_text(json.dumps({"type": "FeatureCollection", "features": features}))
    made = {name: collection(folder / f"{name}.geojson", extents=JEPARA, title=f"Data {name}") for name in files}
    with running_pygeoapi(folder, made) as url:
        yield url


@pytest.fixture
def server() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


# --- a real server ----------------------------------------------------------------------------------------------------


async def test_every_feature_comes_though_the_server_gives_fewer_than_asked_for(geo: str, tmp_path: Path) -> None:
    assert await ids(tmp_path, geo, size=1_000) == list(range(1, 131))


async def test_a_rectangle_is_selected_by_the_server_and_counted_as_such(geo: str, tmp_path: Path) -> None:
    box = [110.5095, -6.6, 110.5205, -6.4]
    assert await ids(tmp_path, geo, bbox=box) == list(range(10, 21))
    async with reading(tmp_path, geo, bbox=box) as connector:
        assert isinstance(connector, CountEstimate)
        assert await connector.estimate(ScanRequest()) == RowEstimate(11, sure=True)


async def test_equality_of_a_text_goes_to_the_server_and_comparisons_stay_here(geo: str, tmp_path: Path) -> None:
    async with reading(tmp_path, geo) as connector:
        await connector.learn()
        wanted = Compare("=", Property("jenis"), Literal("klinik"))
        assert connector.takes(wanted)
        assert not connector.takes(Compare(">", Property("jenis"), Literal("klinik")))
        assert not connector.takes(Or((wanted, wanted)))
        found = await read(connector, ScanRequest(columns=("id",), filter=wanted))
    assert [key for (key,) in found] == list(range(1, 131, 2))


async def test_a_limit_ends_the_read_there(geo: str, tmp_path: Path) -> None:
    async with reading(tmp_path, geo) as connector:
        assert len(await read(connector, ScanRequest(limit=7))) == 7
        assert len(await read(connector, ScanRequest(limit=63))) == 63


async def test_a_property_called_id_keeps_its_name(geo: str, tmp_path: Path) -> None:
    async with reading(tmp_path, geo, collection="bernama") as connector:
        names = [column.name for column in (await connector.discover()).columns]
        found = await read(connector, ScanRequest(columns=("id", "feature_id")))
    assert names == ["nama", "id", "geometry", "feature_id"]
    assert found[0] == ("K1", 1)


async def test_check_tells_the_coordinates_and_when_they_are_turned_round(geo: str, tmp_path: Path) -> None:
    async with reading(tmp_path, geo) as connector:
        steps = await connector.check()
        assert [step.name for step in steps] == ["dns", "read", "collection"]
        assert steps[-1].note == "coordinates are CRS84 (WGS 84, longitude first)"
    async with reading(tmp_path, geo, collection="terbalik") as connector:
        assert "only when they are read latitude first" in (await connector.check())[-1].note
        assert any("latitude first" in note for note in (await connector.discover()).notes)


async def test_a_collection_that_is_not_there_is_told_with_those_that_are(geo: str, tmp_path: Path) -> None:
    async with reading(tmp_path, geo, collection="hilang") as connector:
        (_, step) = await connector.check()
    assert isinstance(step.error, SourceMissing)
    assert step.field == "/source/collection"
    assert "bernama, faskes, terbalik" in step.error.detail or "faskes, terbalik, bernama" in step.error.detail


async def test_discover_lists_the_collections_until_one_is_stated(geo: str, tmp_path: Path) -> None:
    async with reading(tmp_path, geo, collection=None) as connector:
        found = await connector.discover()
        assert set(found.tables) == {"faskes", "terbalik", "bernama"}
        assert found.columns == ()
        assert isinstance(connector, Diagnoses)
        assert "faskes (Data faskes)" in (await connector.diagnose()).notes[0]
    async with reading(tmp_path, geo) as connector:
        assert isinstance(connector, Diagnoses)
        assert (await connector.diagnose()).titles == ("Data faskes",)
        assert [column.name for column in (await connector.discover()).columns] == ["nama", "jenis", "geometry", "id"]


async def test_the_only_collection_is_proposed(tmp_path: Path, server: SourceServer) -> None:
    server.routes["/collections"] = lambda _q, _h: sent(
        {"collections": [{"id": "a b"}, {"id": "x", "itemType": "record"}]}
    )
    async with reading(tmp_path, server.url, collection=None) as connector:
        assert isinstance(connector, Diagnoses)
        assert (await connector.diagnose()).source == {"collection": "a b"}
    server.routes["/collections/a%20b/items"] = lambda _q, _h: sent(page([feature(1)]))
    assert await ids(tmp_path, server.url, collection="a b") == [1]


# --- the end of a read --------------------------------------------------------------------------------------------------


def pages(server: SourceServer, *made: dict[str, Any]) -> None:
    """Pages by `at`, each with a link to the next where it has none of its own."""

    def answer(query: dict[str, str], _headers: dict[str, str]) -> Answer:
        at = int(query.get("at", "0"))
        found = dict(made[at])
        if at + 1 < len(made) and not found["links"]:
            found["links"] = [{"rel": "next", "href": f"{ITEMS}?at={at + 1}"}]
        return sent(found)

    server.routes[ITEMS] = answer


async def test_a_short_page_and_an_empty_one_are_no_end(server: SourceServer, tmp_path: Path) -> None:
    pages(server, page([feature(1)]), page([]), page([feature(2)]))
    assert await ids(tmp_path, server.url) == [1, 2]


@pytest.mark.parametrize(
    ("made", "error", "rule"),
    [
        ([page([feature(1)], numberMatched=3), page([feature(2)], numberMatched=3)], SourceFormatError, "total_not_reached"),
        ([page([feature(1), feature(2)], numberMatched=1)], SourceFormatError, "total_exceeded"),
        ([page([feature(1)], numberMatched=3), page([feature(2)], numberMatched=2), page([feature(3)], numberMatched=2)], SourceFailed, "moved_between_pages"),
        ([page([feature(1), feature(2)]), page([feature(2), feature(3)])], SourceFailed, "moved_between_pages"),
        ([page([feature(1)], numberReturned=2)], SourceFormatError, "number_returned"),
    ],
)  # fmt: skip
async def test_what_came_is_held_against_what_the_server_says(
    server: SourceServer, tmp_path: Path, made: list[dict[str, Any]], error: type[SimpulError], rule: str
) -> None:
    pages(server, *made)
    found = await fault(tmp_path, server.url)
    assert type(found) is error
    assert found.facts["rule"] == rule
    assert found.retryable is (rule == "moved_between_pages")


async def test_a_total_that_fits_in_the_end_is_believed(server: SourceServer, tmp_path: Path) -> None:
    pages(server, page([feature(1)], numberMatched=1), page([feature(2)], numberMatched=2))
    assert await ids(tmp_path, server.url) == [1, 2]


async def test_links_that_go_round_or_elsewhere_are_refused(server: SourceServer, tmp_path: Path) -> None:
    pages(server, page([feature(1)]), page([feature(2)], f"{ITEMS}?at=1"))
    assert "again and again" in (await fault(tmp_path, server.url)).detail
    pages(server, page([feature(1)]), page([feature(1)]))
    assert "again and again" in (await fault(tmp_path, server.url)).detail
    pages(server, page([feature(1)], "http://127.0.0.2/collections/faskes/items"))
    assert "another host" in (await fault(tmp_path, server.url)).detail


async def test_coordinates_of_another_system_are_refused(server: SourceServer, tmp_path: Path) -> None:
    pages(server, page([feature(1)]))
    server.more_headers[ITEMS] = {"Content-Crs": "<http://www.opengis.net/def/crs/OGC/1.3/CRS84h>"}
    assert await ids(tmp_path, server.url) == [1]
    server.more_headers[ITEMS] = {"Content-Crs": "<http://www.opengis.net/def/crs/EPSG/0/4326>"}
    found = await fault(tmp_path, server.url)
    assert found.facts["rule"] == "crs"
    assert "EPSG/0/4326" in found.detail


async def test_what_is_no_feature_is_a_reject(server: SourceServer, tmp_path: Path) -> None:
    pages(server, page([feature(1), "x", {"type": "Feature", "id": 3, "geometry": None, "properties": [1]}]))
    async with reading(tmp_path, server.url) as connector:
        batches = [batch async for batch in connector.scan(ScanRequest())]
    assert [reject.location for batch in batches for reject in batch.rejects] == [
        "feature, record 2",
        "feature, record 3",
    ]


async def test_times_and_rectangles_are_sent_on_the_first_request_and_links_are_followed_as_they_are(
    server: SourceServer, tmp_path: Path
) -> None:
    pages(server, page([feature(1)]), page([feature(2)]))
    await ids(tmp_path, server.url, datetime="2025-01-01T00:00:00Z/..", bbox=[110, -7, 111.5, -5])
    assert server.asked == [
        f"{ITEMS}?bbox=110,-7,111.5,-5&datetime=2025-01-01T00:00:00Z/..&limit=1000",
        f"{ITEMS}?at=1",
    ]


# --- conditions ---------------------------------------------------------------------------------------------------------


def stating(server: SourceServer, classes: list[str]) -> None:
    server.routes["/conformance"] = lambda _q, _h: sent({"conformsTo": classes})
    server.routes["/collections/faskes"] = lambda _q, _h: sent({"id": "faskes"})
    kinds = {
        "nama": {"type": "string"},
        "harga": {"type": "number"},
        "waktu": {"type": "string", "format": "date-time"},
    }
    kinds["geom"] = {"type": "string", "x-ogc-role": "primary-geometry"}
    kinds["limit"] = {"type": "string"}
    server.routes["/collections/faskes/queryables"] = lambda _q, _h: sent({"properties": kinds})


async def test_cql2_is_written_only_where_the_server_states_that_it_conforms(
    server: SourceServer, tmp_path: Path
) -> None:
    stating(server, [*CQL2, f"{_CQL2}advanced-comparison-operators"])
    asked: list[dict[str, str]] = []

    def answer(query: dict[str, str], _headers: dict[str, str]) -> Answer:
        asked.append(query)
        return sent(page([feature(1)]))

    server.routes[ITEMS] = answer
    name, price = Property("nama"), Property("harga")
    cheap = Or((Compare("<=", price, Literal(12_500)), In(name, (Literal("O'Brien"), Literal('a"b')))))
    wanted = And((Compare("=", name, Literal("Pasar I")), cheap))
    async with reading(tmp_path, server.url) as connector:
        await connector.learn()
        can = connector.capabilities
        assert can.filter_columns == {"nama", "harga", "limit"}
        assert can.most_keys == 100
        assert connector.takes(wanted)
        assert not connector.takes(Compare("<", name, Literal("b")))  # a server sorts texts as it likes
        assert not connector.takes(Compare("=", name, Literal("x" * 7_000)))
        await read(connector, ScanRequest(filter=wanted))
    told = {
        "filter": """("nama" = 'Pasar I' AND ("harga" <= 12500 OR "nama" IN ('O''Brien', 'a"b')))""",
        "filter-lang": "cql2-text",
    }
    assert asked == [{**told, "limit": "1000"}]


@pytest.mark.parametrize("missing", CQL2[1:])
async def test_one_class_that_is_not_stated_and_nothing_is_sent(
    server: SourceServer, tmp_path: Path, missing: str
) -> None:
    stating(server, [one for one in CQL2 if one != missing])
    async with reading(tmp_path, server.url) as connector:
        await connector.learn()
        assert connector.capabilities.filter_exactness == "none"


async def test_parameters_are_sent_for_texts_that_have_no_other_meaning(server: SourceServer, tmp_path: Path) -> None:
    stating(server, [f"{_PART3}queryables-query-parameters"])
    pages(server, page([feature(1)]))
    name = Property("nama")
    both = And((Compare("=", name, Literal("a")), Compare("=", name, Literal("b"))))
    async with reading(tmp_path, server.url) as connector:
        await connector.learn()
        assert connector.capabilities.filter_columns == {"nama"}
        assert not connector.takes(Compare("=", name, Literal("")))
        await read(connector, ScanRequest(filter=both))
        assert "does not state that it conforms" in (await connector.check())[-1].note
    assert f"{ITEMS}?nama=a&limit=1000" in server.asked
