"""Authority is asked where it is used: a disabled agency does nothing more, within a second, and others do nothing under it."""

from __future__ import annotations

import threading
import time
from collections.abc import Callable
from typing import Any

import httpx
import pytest

from tests.integration.api.conftest import agree, facility_manifest, gateway, services
from tests.support.gateway import RunningGateway
from tests.support.sources import SourceServer

__all__ = ["gateway", "services"]
LIST = "/v1/records/fasilitas-kesehatan"


def within_a_second(ask: Callable[[], httpx.Response], status: int) -> httpx.Response:
    """The first answer of this status."""
    ends = time.monotonic() + 1.0
    while (answer := ask()).status_code != status and time.monotonic() < ends:
        time.sleep(0.02)
    assert answer.status_code == status, answer.text
    return answer


def disable(gateway: RunningGateway, agency: str, *, disabled: bool) -> None:
    answer = gateway.admin.patch(f"/v1/agencies/{agency}", json={"disabled": disabled})
    assert answer.status_code == 200, answer.text


@pytest.fixture
def agency(gateway: RunningGateway) -> Any:
    """An agency that holds a client, a steward and a connector; enabled again behind the test."""
    name = f"uji-mati-{time.monotonic_ns() % 10**9}"
    gateway.agency(name)
    yield name
    disable(gateway, name, disabled=False)


def made(gateway: RunningGateway, agency: str, role: str) -> tuple[str, str]:
    body = {"agency": agency, "role": role, "name": "Uji", "id": f"k-{role}-{time.monotonic_ns()}"}
    answer = gateway.admin.post("/v1/clients", json=body).json()
    return answer["client_id"], answer["client_secret"]


def test_a_disabled_agency_gets_no_tokens_and_those_it_has_are_dead(gateway: RunningGateway, agency: str) -> None:
    credential = made(gateway, agency, "client")
    client, steward = gateway.session(*credential), gateway.session(*made(gateway, agency, "steward"))
    assert client.get(LIST).status_code == 200
    assert steward.put(f"/v1/agencies/{agency}/files/a.csv", content=b"kode,nama\nF1,Satu\n").status_code == 201
    disable(gateway, agency, disabled=True)
    within_a_second(lambda: client.get(LIST), 401)
    assert steward.put(f"/v1/agencies/{agency}/files/b.csv", content=b"kode\n").status_code == 401
    manifest = facility_manifest(f"{agency}-f", agency)
    assert steward.put(f"/v1/connectors/{agency}-f", json=manifest).status_code == 401
    refused = httpx.post(f"{gateway.url}/oauth/token", data={"grant_type": "client_credentials"}, auth=credential)
    assert (refused.status_code, refused.json()["error"]) == (401, "invalid_client")
    disable(gateway, agency, disabled=False)
    within_a_second(lambda: client.get(LIST), 200)


def test_agreements_of_a_disabled_agency_grant_nothing(gateway: RunningGateway, agency: str) -> None:
    agree(gateway, f"pks-{agency}", agency)
    reader = gateway.client("client", "rsud")

    def held() -> list[str]:
        return [found.get("agreement") for found in reader.get("/v1/access").json()["items"]]

    assert f"pks-{agency}" in held()
    disable(gateway, agency, disabled=True)
    ends = time.monotonic() + 1.0
    while f"pks-{agency}" in held() and time.monotonic() < ends:
        time.sleep(0.02)
    assert f"pks-{agency}" not in held()
    disable(gateway, agency, disabled=False)
    assert f"pks-{agency}" in held()


def test_nobody_locks_the_own_door_for_ever(gateway: RunningGateway) -> None:
    answer = gateway.admin.patch("/v1/agencies/diskominfo", json={"disabled": True})
    assert (answer.status_code, answer.json()["code"]) == (409, "state_conflict")


def test_hostile_39_a_job_ends_when_its_authority_does(
    gateway: RunningGateway, services: SourceServer, agency: str
) -> None:
    client = gateway.session(*made(gateway, agency, "client"))
    route, asked, release = services.routes["/rs"], threading.Event(), threading.Event()

    def slow(_query: dict[str, str], _headers: dict[str, str]) -> tuple[int, str, bytes]:
        asked.set()
        release.wait(20)
        return 200, "application/json", b'{"data": []}'

    services.routes["/rs"] = slow
    try:
        address = client.get(LIST, params={"f": "csv"}, headers={"prefer": "respond-async"}).headers["location"]
        assert asked.wait(20)
        disable(gateway, agency, disabled=True)
        time.sleep(1.5)
        disable(gateway, agency, disabled=False)
        within_a_second(lambda: client.get(LIST, params={"agencies": "dinkes"}), 200)
        found = client.get(address).json()
    finally:
        release.set()
        services.routes["/rs"] = route
    assert (found["state"], found["problem"]["code"]) == ("failed", "access_denied")
    assert client.get(f"{address}/result").json()["code"] == "state_conflict"


def test_who_fetches_a_result_is_seen_by_the_provider(gateway: RunningGateway, agency: str) -> None:
    client = gateway.session(*made(gateway, agency, "client"))
    address = client.get(LIST, params={"f": "csv"}, headers={"prefer": "respond-async"}).headers["location"]
    ends = time.monotonic() + 20
    while client.get(address).json()["state"] != "done" and time.monotonic() < ends:
        time.sleep(0.05)
    fetched = client.get(f"{address}/result")
    assert fetched.status_code == 200
    shown = gateway.client("auditor", "rsud").get(f"/v1/exchanges/{fetched.headers['exchange-id']}")
    assert shown.status_code == 200, shown.text
    outcome = shown.json()["entries"][-1]
    assert (outcome["op"], outcome["kind"]) == ("job.result", "outcome")
    assert {used["dataset"] for used in outcome["datasets"]} >= {"dinkes-faskes", "rsud-rs"}
