"""What a caller asserts in headers: a mode that nobody knows and a name that is not its own are refused at every door."""

from __future__ import annotations

from typing import Any

import httpx
import pytest

from tests.integration.api.test_recorded import LIST, PERSON, VERIFY, WHY, reader, recorded, supervisor
from tests.support.gateway import RunningGateway

__all__ = ["reader", "supervisor"]

_COUNT = {"aggregates": [{"function": "count", "as": "n"}]}
DOORS: list[tuple[str, str, dict[str, Any]]] = [
    ("GET", LIST, {}),
    ("GET", f"{LIST}?f=csv", {}),
    ("GET", f"{LIST}/P1", {}),
    ("POST", f"{LIST}/search", {"json": {"limit": 1}}),
    ("POST", f"{LIST}/aggregate", {"json": _COUNT}),
    ("POST", f"{LIST}/match", {"json": {"keys": ["P1"]}}),
    ("GET", f"{LIST}/changes", {}),
    ("GET", f"{LIST}/conflicts", {}),
    ("POST", "/v1/queries", {"json": {"sql": "SELECT kode_faskes FROM fasilitas_kesehatan"}}),
    ("POST", "/v1/explain", {"json": {"schema": "fasilitas_kesehatan"}}),
    ("POST", VERIFY, {"json": PERSON, "headers": {**WHY, "Simpul-Purpose": "pelayanan_kesehatan"}}),
]


def asked(client: httpx.Client, door: tuple[str, str, dict[str, Any]], **headers: str) -> httpx.Response:
    method, path, more = door
    return client.request(method, path, **{**more, "headers": {**more.get("headers", {}), **headers}})


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
def test_an_unknown_mode_is_refused_and_recorded(
    reader: httpx.Client, supervisor: httpx.Client, door: tuple[str, str, dict[str, Any]]
) -> None:
    for mode in ("produksi", "", "UJI"):
        answer = asked(reader, door, **{"Simpul-Mode": mode})
        assert (answer.status_code, answer.json()["code"]) == (400, "mode_unknown"), mode
    recorded(supervisor, answer)


def test_an_unknown_mode_changes_nothing(gateway: RunningGateway) -> None:
    mode = {"Simpul-Mode": "produksi"}
    for answer in (
        gateway.admin.get("/v1/agencies", headers=mode),
        gateway.admin.post("/v1/agencies", json={"id": "baru", "name": "Baru"}, headers=mode),
    ):
        assert (answer.status_code, answer.json()["code"]) == (400, "mode_unknown")
    assert "baru" not in {found["id"] for found in gateway.admin.get("/v1/agencies").json()["items"]}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
def test_the_name_of_another_client_is_refused_and_recorded(
    gateway: RunningGateway, reader: httpx.Client, supervisor: httpx.Client, door: tuple[str, str, dict[str, Any]]
) -> None:
    instance = gateway.admin.get("/status").json()["instance"]
    for stated in (f"{instance}/GOV/dinkes", f"{instance}/GOV/rsud/another", "rsud", "", f"{instance}/COM/rsud"):
        answer = asked(reader, door, **{"X-Road-Client": stated})
        assert (answer.status_code, answer.json()["code"]) == (403, "road_client_mismatch"), stated
        assert answer.json()["rule"] == "road_client_mismatch"
        assert f"{instance}/GOV/rsud" in answer.json()["detail"]
    _, outcome = recorded(supervisor, answer)
    assert outcome["dec"] == {"effect": "deny", "rule": "road_client_mismatch"}


@pytest.mark.parametrize("door", DOORS, ids=lambda door: f"{door[0]} {door[1]}")
def test_the_own_name_is_taken_and_recorded(
    gateway: RunningGateway, supervisor: httpx.Client, reader: httpx.Client, door: tuple[str, str, dict[str, Any]]
) -> None:
    instance = gateway.admin.get("/status").json()["instance"]
    plain = asked(reader, door)
    told = asked(reader, door, **{"X-Road-Client": f"{instance}/GOV/rsud"})
    assert told.status_code == plain.status_code == 200, told.text
    intent, outcome = recorded(supervisor, told)
    assert intent["detail"]["road_client"] == f"{instance}/GOV/rsud"
    whole = asked(reader, door, **{"X-Road-Client": intent["client"]["agency"] + "%2F" + intent["client"]["client"]})
    assert whole.status_code == 200, whole.text
    assert outcome["client"]["agency"] == f"{instance}/GOV/rsud"


def test_unrecorded_routes_look_at_the_name_too(reader: httpx.Client) -> None:
    answer = reader.get("/v1/schemas", headers={"X-Road-Client": "ID-LAIN/GOV/rsud"})
    assert (answer.status_code, answer.json()["code"]) == (403, "road_client_mismatch")
