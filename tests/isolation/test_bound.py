"""Cursors, jobs and receipts belong to one client, its purpose and its grant; whoever else shows them gets nothing, and is told the rule."""

from __future__ import annotations

import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import httpx
import pytest

from tests.isolation.test_routes import told
from tests.isolation.world import CONSUMER, PROVIDER, PURPOSE, WHY, Caller, World, terms

LIST = "/v1/records/fasilitas-kesehatan"
UNDER = {**WHY, "Simpul-Agreement": "pks-active"}
BOUND = (422, "cursor_invalid", "cursor_bound")
OTHER_PURPOSE = "statistik"


@dataclass(frozen=True)
class Paged:
    """A question in pages: `key` is the member of the answer that goes on."""

    method: str
    path: str
    ask: dict[str, Any]
    sent: str = "cursor"

    def page(self, session: httpx.Client, headers: dict[str, str], cursor: str | None = None) -> httpx.Response:
        more = {} if cursor is None else {self.sent: cursor}
        if self.method == "GET":
            return session.get(self.path, params={**self.ask, **more}, headers=headers)
        return session.post(self.path, json={**self.ask, **more}, headers=headers)


PAGED = {
    "list": Paged("GET", LIST, {"limit": "1"}),
    "sorted": Paged("GET", LIST, {"limit": "1", "sort": "-email_kontak"}),
    "merged": Paged("GET", LIST, {"limit": "1", "view": "merged"}),
    "search": Paged("POST", f"{LIST}/search", {"limit": 1}),
    "changes": Paged("GET", f"{LIST}/changes", {"limit": "1"}, "since"),
}


@pytest.fixture(scope="module")
def colleague(world: World) -> httpx.Client:
    """Another client of the consumer, with the same agreement."""
    return world.sign_in(*world.credential("client", CONSUMER, "pemakai-rekan"))


@pytest.fixture(scope="module")
def second(world: World) -> Iterator[dict[str, str]]:
    """The same grant by another agreement, which allows another purpose too."""
    world.gateway.agree(terms("pks-kedua", purposes=[PURPOSE, OTHER_PURPOSE]))
    yield {**WHY, "Simpul-Agreement": "pks-kedua"}
    world.gateway.steward(PROVIDER).post("/v1/agreements/pks-kedua/end", json={"reason": "uji"}).raise_for_status()


@pytest.mark.parametrize("name", PAGED)
def test_a_cursor_is_its_clients_alone(
    world: World, colleague: httpx.Client, second: dict[str, str], name: str
) -> None:
    paged, owner = PAGED[name], world.sessions[Caller("client", CONSUMER)]
    first = paged.page(owner, UNDER)
    assert first.status_code == 200, first.text
    cursor = first.json()["next_cursor"]
    assert cursor is not None
    assert paged.page(owner, UNDER, cursor).status_code == 200

    assert told(paged.page(colleague, UNDER, cursor)) == BOUND
    assert told(paged.page(owner, second, cursor)) == BOUND
    under_second = paged.page(owner, second).json()["next_cursor"]
    assert told(paged.page(owner, {**second, "Simpul-Purpose": OTHER_PURPOSE}, under_second)) == BOUND
    assert paged.page(colleague, UNDER).status_code == 200, "the colleague may ask the question itself"


@pytest.mark.parametrize("name", [name for name in PAGED if name != "changes"])
def test_a_cursor_of_open_data_is_its_clients_too(world: World, colleague: httpx.Client, name: str) -> None:
    paged = PAGED[name]
    if name == "sorted":
        paged = Paged("GET", LIST, {"limit": "1", "sort": "-nama"})
    cursor = paged.page(world.sessions[Caller("client", "lain")], {}).json()["next_cursor"]
    for session in (
        colleague,
        world.sessions[Caller("auditor", "lain")],
        world.sessions[Caller("admin", "diskominfo")],
    ):
        assert told(paged.page(session, {}, cursor)) == BOUND


def test_a_cursor_of_an_agreement_that_is_revoked_is_worth_nothing(world: World) -> None:
    owner = world.sessions[Caller("client", CONSUMER)]
    world.gateway.agree(terms("pks-sebentar"))
    under = {**WHY, "Simpul-Agreement": "pks-sebentar"}
    cursors = {name: paged.page(owner, under).json()["next_cursor"] for name, paged in PAGED.items()}
    revoked = world.gateway.steward(PROVIDER).post("/v1/agreements/pks-sebentar/revoke", json={"reason": "uji"})
    assert revoked.status_code == 200, revoked.text
    for name, paged in PAGED.items():
        status, code, rule = told(paged.page(owner, under, cursors[name]))
        assert status in {403, 422}, name
        if status == 403:
            assert (code, rule) == ("agreement_not_active", "agreement_revoked"), name
        else:
            assert (code, rule) == ("cursor_invalid", "cursor_bound"), name


def test_a_cursor_of_the_log_is_its_auditors(world: World) -> None:
    own = world.sessions[Caller("auditor", CONSUMER)]
    colleague = world.sign_in(*world.credential("auditor", CONSUMER, "pemakai-auditor-2"))
    cursor = own.get("/v1/exchanges", params={"limit": 1}).json()["next_cursor"]
    assert own.get("/v1/exchanges", params={"limit": 1, "cursor": cursor}).status_code == 200
    assert told(colleague.get("/v1/exchanges", params={"limit": 1, "cursor": cursor})) == BOUND


def _job(session: httpx.Client, headers: dict[str, str]) -> str:
    taken = session.get(LIST, params={"f": "csv"}, headers={**headers, "Prefer": "respond-async"})
    assert taken.status_code == 202, taken.text
    address = taken.headers["location"].removeprefix(str(session.base_url).rstrip("/"))
    ends = time.monotonic() + 20
    while (found := session.get(address).json())["state"] in {"queued", "running"} and time.monotonic() < ends:
        time.sleep(0.05)
    assert found["state"] == "done", found
    return address


def test_a_job_is_its_clients_purposes_and_agreements(
    world: World, colleague: httpx.Client, second: dict[str, str]
) -> None:
    owner = world.sessions[Caller("client", CONSUMER)]
    address = _job(owner, UNDER)
    for ask in (address, f"{address}/result"):
        assert told(colleague.get(ask)) == (404, "job_unknown", None)
    assert told(colleague.delete(address)) == (404, "job_unknown", None)

    assert told(owner.get(f"{address}/result", headers=second)) == (403, "access_denied", "job_bound")
    other = {"Simpul-Purpose": OTHER_PURPOSE}
    assert told(owner.get(f"{address}/result", headers=other)) == (403, "access_denied", "job_bound")
    for headers in (WHY, UNDER):
        assert owner.get(f"{address}/result", headers=headers).status_code == 200


def test_a_job_of_an_agreement_that_is_revoked_gives_nothing(world: World) -> None:
    owner = world.sessions[Caller("client", CONSUMER)]
    world.gateway.agree(terms("pks-pekerjaan"))
    address = _job(owner, {**WHY, "Simpul-Agreement": "pks-pekerjaan"})
    done = world.gateway.steward(PROVIDER).post("/v1/agreements/pks-pekerjaan/revoke", json={"reason": "uji"})
    assert done.status_code == 200, done.text
    assert told(owner.get(f"{address}/result", headers=WHY)) == (403, "access_denied", "grants_changed")


def test_a_receipt_is_for_its_client_and_the_auditors_of_both_sides(world: World, colleague: httpx.Client) -> None:
    address = f"/v1/exchanges/{world.names['exchange_id']}/receipt"
    unknown = (404, "exchange_unknown", None)
    assert world.sessions[Caller("client", CONSUMER)].get(address).status_code == 200
    assert told(colleague.get(address)) == unknown
    nobodys = "/v1/exchanges/019aa1b2-0000-7000-8000-000000000001/receipt"
    refused = [
        {
            name: value
            for name, value in colleague.get(path).json().items()
            if name in {"type", "title", "detail", "code"}
        }
        for path in (address, nobodys)
    ]
    assert refused[0] == refused[1]


def test_an_idempotency_key_is_its_clients_alone(world: World, colleague: httpx.Client) -> None:
    owner, stranger = world.sessions[Caller("client", CONSUMER)], world.sessions[Caller("client", "lain")]
    asked = {"Prefer": "respond-async", "Idempotency-Key": "kunci-bersama-0001"}
    answers = [session.get(LIST, params={"f": "csv"}, headers=asked) for session in (owner, colleague, stranger, owner)]
    assert [answer.status_code for answer in answers] == [202] * 4
    assert len({answer.headers["location"] for answer in answers}) == 3
    assert ["idempotency-replayed" in answer.headers for answer in answers] == [False, False, False, True]
