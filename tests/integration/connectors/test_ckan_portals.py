"""CKAN portals that change while they are read, hide packages, contradict themselves; what `discover` tells of them; a portal as a real one wrote it."""

from __future__ import annotations

import contextlib
import json
from collections.abc import AsyncIterator, Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from app.connectors.contract import Connector
from app.connectors.diagnosis import Diagnoses
from app.connectors.requests import ScanRequest
from app.connectors.suite import opened, read
from app.errors import SimpulError, SourceFailed, SourceFormatError
from tests.support.acceptance_files import LOOKALIKES, real_files
from tests.support.sources import Answer, SourceServer

API = "/api/3/action"
PACKAGES = {"mode": "packages"}


@pytest.fixture
def server() -> Iterator[SourceServer]:
    server = SourceServer()
    yield server
    server.close()


def said(result: object) -> Answer:
    return 200, "application/json", json.dumps({"success": True, "result": result}).encode()


def package(at: int, **more: Any) -> dict[str, Any]:
    return {"id": f"p{at:03}", "title": f"Data {at}", "private": False, "state": "active", "resources": [], **more}


@contextlib.asynccontextmanager
async def reading(folder: Path, server: SourceServer, **source: Any) -> AsyncIterator[Connector]:
    connector = opened(folder, {"kind": "ckan", "url": server.url, **source})
    try:
        yield connector
    finally:
        await connector.close()


async def ids(folder: Path, server: SourceServer) -> tuple[list[str], list[str]]:
    async with reading(folder, server, **PACKAGES) as connector:
        batches = [batch async for batch in connector.scan(ScanRequest(columns=("id",)))]
    return [row[0] for batch in batches for row in batch.rows or ()], [
        note for batch in batches for note in batch.notes
    ]


async def fault(folder: Path, server: SourceServer, **source: Any) -> SimpulError:
    async with reading(folder, server, **source) as connector:
        with pytest.raises(SimpulError) as caught:
            await read(connector, ScanRequest())
    return caught.value


class Portal:
    """Its packages in the order of their ids; `then` is called after every page."""

    def __init__(
        self, server: SourceServer, packages: list[Any], then: Callable[[Portal], None] = lambda _: None
    ) -> None:
        self.packages = packages
        self.count: Any = None
        self.pages = 0
        self._then = then
        server.routes[f"{API}/package_search"] = self._search

    def _search(self, query: dict[str, str], _headers: dict[str, str]) -> Answer:
        first, size = int(query.get("start", "0")), min(int(query["rows"]), 10)
        ordered = sorted(self.packages, key=lambda one: str(one["id"]) if isinstance(one, dict) and "id" in one else "")
        count = len(ordered) if self.count is None else self.count
        answer = said({"count": count, "results": ordered[first : first + size]})
        self.pages += 1
        self._then(self)
        return answer


def once(at_page: int, change: Callable[[list[Any]], None]) -> Callable[[Portal], None]:
    def then(portal: Portal) -> None:
        if portal.pages == at_page:
            change(portal.packages)

    return then


async def test_a_portal_that_caps_its_pages_is_read_whole(server: SourceServer, tmp_path: Path) -> None:
    Portal(server, [package(at) for at in range(25)])
    assert await ids(tmp_path, server) == ([f"p{at:03}" for at in range(25)], [])


@pytest.mark.parametrize(
    "change",
    [
        lambda found: found.append(package(0)),
        lambda found: found.pop(0),
        lambda found: (found.pop(0), found.append(package(99))),
        lambda found: (found.append(package(0)), found.pop(-2)),
    ],
)
async def test_what_comes_or_goes_before_the_place_read_moves_others_and_the_read_is_not_called_whole(
    server: SourceServer, tmp_path: Path, change: Callable[[list[Any]], None]
) -> None:
    Portal(server, [package(at) for at in range(1, 26)], once(1, change))
    found = await fault(tmp_path, server, **PACKAGES)
    assert (type(found), found.facts["rule"], found.retryable) == (SourceFailed, "moved_between_pages", True)


async def test_what_comes_or_goes_behind_is_read_as_it_is_then(server: SourceServer, tmp_path: Path) -> None:
    Portal(server, [package(at) for at in range(25)], once(1, lambda found: found.append(package(99))))
    found, _ = await ids(tmp_path, server)
    assert found == [*(f"p{at:03}" for at in range(25)), "p099"]
    Portal(server, [package(at) for at in range(25)], once(1, lambda found: found.pop()))
    found, _ = await ids(tmp_path, server)
    assert found == [f"p{at:03}" for at in range(24)]


async def test_a_portal_that_heeds_no_order_is_not_called_whole(server: SourceServer, tmp_path: Path) -> None:
    def search(query: dict[str, str], _headers: dict[str, str]) -> Answer:
        at = int(query["start"])
        return said(
            {"count": 25, "results": [package((one * 7) % 25 if at else one) for one in range(at, min(at + 10, 25))]}
        )

    server.routes[f"{API}/package_search"] = search
    assert (await fault(tmp_path, server, **PACKAGES)).facts["rule"] == "moved_between_pages"


async def test_private_packages_and_drafts_are_left_out_and_told(server: SourceServer, tmp_path: Path) -> None:
    hidden = [package(3, private=True), package(4, state="draft"), package(5, state="deleted")]
    Portal(server, [package(1), package(2), *hidden, package(6)])
    found, notes = await ids(tmp_path, server)
    assert found == ["p001", "p002", "p006"]
    assert notes == ["3 packages are private or not active, and are left out"]


@pytest.mark.parametrize(
    ("count", "rule"), [(30, "total_not_reached"), (20, "total_exceeded"), ("25", "no_count"), (None, "no_count")]
)
async def test_the_count_of_the_portal_is_held_to(
    server: SourceServer, tmp_path: Path, count: object, rule: str
) -> None:
    portal = Portal(server, [package(at) for at in range(25)])
    if count is None:
        server.routes[f"{API}/package_search"] = lambda _q, _h: said({"results": [package(1)]})
    portal.count = count
    found = await fault(tmp_path, server, **PACKAGES)
    assert (type(found), found.facts["rule"]) == (SourceFormatError, rule)


async def test_what_is_no_package_is_a_reject(server: SourceServer, tmp_path: Path) -> None:
    Portal(server, [package(1), "x", package(2)])
    async with reading(tmp_path, server, **PACKAGES) as connector:
        batches = [batch async for batch in connector.scan(ScanRequest())]
    assert [reject.rule for batch in batches for reject in batch.rejects] == ["not_an_object"]
    assert sum(len(batch) for batch in batches) == 2


# --- tables of the datastore ----------------------------------------------------------------------------------------------


def table(
    server: SourceServer, rows: list[dict[str, Any]], then: Callable[[int], None] = lambda _: None, **told: Any
) -> list[dict[str, str]]:
    asked: list[dict[str, str]] = []

    def search(query: dict[str, str], _headers: dict[str, str]) -> Answer:
        asked.append(query)
        at, size = int(query["offset"]), min(int(query["limit"]), 10)
        answer = said({"records": rows[at : at + size], "total": len(rows), **told})
        then(len(asked))
        return answer

    server.routes[f"{API}/datastore_search"] = search
    return asked


@pytest.mark.parametrize(
    ("told", "rule"),
    [
        ({"total": 30}, "total_not_reached"),
        ({"total": 5}, "total_exceeded"),
        ({"total": 30, "total_was_estimated": True}, None),
    ],
)
async def test_a_table_is_held_against_its_total_unless_it_was_estimated(
    server: SourceServer, tmp_path: Path, told: dict[str, Any], rule: str | None
) -> None:
    table(server, [{"_id": at, "kode": at} for at in range(25)], **told)
    if rule is None:
        async with reading(tmp_path, server, resource="r") as connector:
            assert len(await read(connector, ScanRequest())) == 25
        return
    assert (await fault(tmp_path, server, resource="r")).facts["rule"] == rule


async def test_rows_that_move_between_pages_are_a_fault_that_may_be_tried_again(
    server: SourceServer, tmp_path: Path
) -> None:
    rows = [{"_id": at, "kode": at} for at in range(25)]
    table(server, rows, lambda page: rows.insert(0, {"_id": -1, "kode": -1}) if page == 1 else None)
    found = await fault(tmp_path, server, resource="r")
    assert (type(found), found.facts["rule"]) == (SourceFailed, "moved_between_pages")
    rows = [{"_id": at, "kode": at} for at in range(25)]
    table(server, rows, lambda page: rows.append(rows.pop(0)) if page == 1 else None)
    assert (await fault(tmp_path, server, resource="r")).facts["rule"] == "moved_between_pages"


async def test_a_view_without_numbers_of_rows_is_read_in_its_own_order(server: SourceServer, tmp_path: Path) -> None:
    asked = table(server, [{"kode": at} for at in range(25)])
    whole = server.routes[f"{API}/datastore_search"]
    refusal = (409, "application/json", b'{"success": false}')
    server.routes[f"{API}/datastore_search"] = lambda query, headers: (
        refusal if "sort" in query else whole(query, headers)
    )
    async with reading(tmp_path, server, resource="r") as connector:
        assert [kode for (kode,) in await read(connector, ScanRequest())] == list(range(25))
    assert len(asked) == 3


# --- discover -------------------------------------------------------------------------------------------------------------


async def test_the_only_table_among_the_resources_of_a_package_is_proposed(
    server: SourceServer, tmp_path: Path
) -> None:
    resources = [
        {"id": "a", "name": "Panduan", "format": "PDF", "datastore_active": False},
        {"id": "b", "name": "Harga 2025", "format": "CSV", "datastore_active": True},
    ]
    server.routes[f"{API}/package_show"] = lambda _q, _h: said({"resources": resources})
    async with reading(tmp_path, server, package="harga") as connector:
        assert isinstance(connector, Diagnoses)
        found = await connector.diagnose()
        assert found.source == {"resource_name": "Harga 2025"}
        assert found.notes == ("the package has 2 resources: Panduan (PDF), Harga 2025 (CSV)",)
        resources[0]["datastore_active"] = True
        assert (await connector.diagnose()).source == {}


async def test_a_portal_as_a_real_one_wrote_it_is_told_with_what_its_files_are(
    server: SourceServer, tmp_path: Path
) -> None:
    captured = ((real_files() or LOOKALIKES) / "diskominfo_ckan_package_search.json").read_bytes()
    name = json.loads(captured)["result"]["results"][0]["resources"][0]["name"]
    server.json(f"{API}/package_search", captured)
    async with reading(tmp_path, server, **PACKAGES) as connector:
        assert isinstance(connector, Diagnoses)
        found = await connector.diagnose()
        assert found.notes == (
            "the portal says that it has 1 packages",
            f"files of the first packages are not what their label says: {name} (CSV, in truth PNG)",
        )
        assert found.titles == ()  # the portal does not say what it is called
        server.routes[f"{API}/status_show"] = lambda _q, _h: said({"site_title": "Satu Data Muara Enim"})
        assert (await connector.diagnose()).titles == ("Satu Data Muara Enim",)
        (discovered,) = (await connector.discover()).sample
        assert discovered["resources"][0]["detected_format"] == "PNG"


@pytest.mark.parametrize("source", [{"resource": "r"}, PACKAGES])
async def test_the_same_page_again_and_again_is_refused(
    server: SourceServer, tmp_path: Path, source: dict[str, Any]
) -> None:
    """A portal without totals, numbers of rows and ids that heeds no `offset` was read without end."""
    server.routes[f"{API}/datastore_search"] = lambda _q, _h: said({"records": [{"kode": 1}, {"kode": 2}]})
    server.routes[f"{API}/package_search"] = lambda _q, _h: said({"results": [{"title": "a"}] * 3, "count": 10**9})
    assert "again and again" in (await fault(tmp_path, server, **source)).detail
