"""Step-up at every door: what needs a fresh second factor of a person, and who may not act whatever is fresh."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import httpx
import pytest

from app.api.routes import RULES
from tests.integration.api.conftest import terms
from tests.support.gateway import RunningGateway
from tests.support.people import Browser, PersonAt, age

SUBJECT = {"id_type": "nik", "value": "3320990101900001"}
ERASURE = {"subject": SUBJECT, "basis": "UU 27/2022 Ps. 8", "reference": "P-1"}
HOLD = {"range": {"provider": "dinkes"}, "basis": "Penyidikan", "reference": "B-1"}
USAGE = {"subject": SUBJECT}
CASE = {"x-road-issue": "RM-1"}


@pytest.fixture(scope="module")
def people(gateway: RunningGateway) -> dict[str, PersonAt]:
    """One person of each kind that acts in matters of governance."""
    wanted = {
        "consumer": ("steward", "rsud"),
        "provider": ("steward", "dinkes"),
        "admin": ("admin", "diskominfo"),
        "supervisor": ("supervisor", "diskominfo"),
        "auditor": ("auditor", "dinkes"),
    }
    return {
        name: PersonAt(gateway, role, agency, f"{name}@step.example").open() for name, (role, agency) in wanted.items()
    }


@pytest.fixture
def pages(gateway: RunningGateway, people: dict[str, PersonAt]) -> dict[str, Browser]:
    """All of them signed in a while ago: no second factor is fresh any more."""
    opened = {name: person.sign_in() for name, person in people.items()}
    age(gateway, "fresh_until", 301)
    return opened


@pytest.fixture
def walidata(gateway: RunningGateway, people: dict[str, PersonAt]) -> Browser:
    """The admin alone, signed in a while ago."""
    page = people["admin"].sign_in()
    age(gateway, "fresh_until", 301)
    return page


def stale(answer: httpx.Response) -> None:
    assert (answer.status_code, answer.json()["code"], answer.json()["rule"]) == (
        403, "step_up_required", "step_up_required",
    ), answer.text  # fmt: skip
    assert "/v1/session/step-up" in answer.json()["detail"]


def after_step_up(
    person: PersonAt, page: Browser, ask: Callable[[], httpx.Response], status: int = 200
) -> httpx.Response:
    """Refused while nothing is fresh, done once it is."""
    stale(ask())
    stepped = person.step_up(page)
    assert stepped.status_code == 200, stepped.text
    answer = ask()
    assert answer.status_code == status, answer.text
    return answer


def test_an_agreement_is_approved_with_a_fresh_factor_alone(
    people: dict[str, PersonAt], pages: dict[str, Browser]
) -> None:
    body = terms("dinkes", id="pks-orang")
    assert pages["consumer"].post("/v1/agreements", json=body).status_code == 201
    path = "/v1/agreements/pks-orang/approve"
    first = after_step_up(people["provider"], pages["provider"], lambda: pages["provider"].post(path))
    assert first.json()["state"] == "approved"
    last = after_step_up(people["admin"], pages["admin"], lambda: pages["admin"].post(path))
    assert last.json()["state"] == "active"
    hands = {one["client"] for one in last.json()["signatories"]}
    assert hands == {f"person:{people[name].id}" for name in ("consumer", "provider", "admin")}


def test_no_person_acts_twice_also_with_a_fresh_factor(people: dict[str, PersonAt], pages: dict[str, Browser]) -> None:
    body = terms("dinkes", id="pks-sendiri", consumer="dinkes")
    page = pages["provider"]
    assert page.post("/v1/agreements", json=body).status_code == 201
    assert people["provider"].step_up(page).status_code == 200
    again = page.post("/v1/agreements/pks-sendiri/approve")
    assert (again.status_code, again.json()["rule"]) == (403, "second_hand")


def test_who_may_not_act_is_not_asked_for_a_factor(pages: dict[str, Browser]) -> None:
    assert pages["consumer"].post("/v1/agreements", json=terms("dinkes", id="pks-asing")).status_code == 201
    other = pages["consumer"].post("/v1/agreements/pks-asing/approve")
    assert other.json()["rule"] == "other_agency"
    assert pages["auditor"].post("/v1/erasures", json=ERASURE).json()["code"] == "role_forbidden"


def test_erasing_and_releasing_need_one(people: dict[str, PersonAt], pages: dict[str, Browser]) -> None:
    consumer, supervisor = pages["consumer"], pages["supervisor"]
    made = after_step_up(people["consumer"], consumer, lambda: consumer.post("/v1/erasures", json=ERASURE), 201).json()
    approve = f"/v1/erasures/{made['id']}/approve"
    done = after_step_up(people["supervisor"], supervisor, lambda: supervisor.post(approve))
    assert done.json()["state"] == "done"


def test_placing_a_hold_takes_none_and_releasing_one_does(
    people: dict[str, PersonAt], pages: dict[str, Browser]
) -> None:
    page = pages["provider"]
    placed = page.post("/v1/legal-holds", json=HOLD)
    assert placed.status_code == 201, placed.text
    path = f"/v1/legal-holds/{placed.json()['id']}/release"
    assert after_step_up(people["provider"], page, lambda: page.post(path)).json()["state"] == "released"


def test_the_trail_of_a_person_is_read_with_one(people: dict[str, PersonAt], pages: dict[str, Browser]) -> None:
    page = pages["auditor"]
    stale(page.post("/v1/subject-usage", json={}))
    after_step_up(people["auditor"], page, lambda: page.post("/v1/subject-usage", json=USAGE, headers=CASE))


def test_the_data_tracker_asks_for_one_too(people: dict[str, PersonAt], pages: dict[str, Browser]) -> None:
    page = pages["auditor"]
    asked = {"params": {"userCode": SUBJECT["value"]}, "headers": {"x-road-userid": SUBJECT["value"]}}
    after_step_up(people["auditor"], page, lambda: page.get("/v2/findUsage", **asked))


def test_an_admin_makes_and_resets_people_with_one(people: dict[str, PersonAt], walidata: Browser) -> None:
    """Whoever holds another's code could act as that one: a session that was left open is not enough."""
    page = walidata
    body = PersonAt.body("steward", "dinkes", "baru@step.example")
    made = after_step_up(people["admin"], page, lambda: page.post("/v1/people", json=body), 201).json()
    path = f"/v1/people/{made['id']}"
    assert page.patch(path, json={"role": "auditor"}).json()["role"] == "auditor"
    assert page.post(f"{path}/reset").status_code == 201


def test_nothing_happens_to_people_without_one(gateway: RunningGateway, walidata: Browser) -> None:
    """Reading takes none; the refusal comes before any look at the body, the condition and the person."""
    page, nobody = walidata, "/v1/people/00000000-0000-7000-8000-000000000000"
    before = page.get("/v1/people").json()
    stale(page.post("/v1/people", json={"role": "raja"}))
    stale(page.post("/v1/people", content=b"<a/>", headers={"content-type": "application/xml"}))
    for person in (f"/v1/people/{before['items'][0]['id']}", nobody):
        stale(page.patch(person, json={"role": "admin"}))
        stale(page.post(f"{person}/reset"))
    assert page.get("/v1/people").json() == before
    found = gateway.client("supervisor", "diskominfo").get("/v1/exchanges", params={"kind": "admin"}).json()["items"]
    refused = {one["op"] for one in found if one["dec"].get("rule") == "step_up_required"}
    assert refused >= {"person.create", "person.change", "person.reset"}


def test_an_admin_makes_credentials_of_clients_with_one(
    gateway: RunningGateway, people: dict[str, PersonAt], walidata: Browser
) -> None:
    page = walidata
    body = {"agency": "dinkes", "role": "steward", "name": "Uji", "id": "step-klien"}
    for path in ("/v1/clients/step-klien/rotate", "/v1/clients/step-klien/enrolment"):
        stale(page.post(path))
    stale(page.put("/v1/clients/step-klien/keys", json={"keys": []}))
    made = after_step_up(people["admin"], page, lambda: page.post("/v1/clients", json=body), 201).json()
    age(gateway, "fresh_until", 301)
    stale(page.post("/v1/clients/step-klien/rotate"))
    assert gateway.session(made["client_id"], made["client_secret"]), "a refused rotation leaves the secret"
    assert page.patch("/v1/clients/step-klien", json={"disabled": True}).json()["disabled"], "stopping takes one hand"
    for change in ({"disabled": False}, {"disabled": True, "dpop": False}):
        stale(page.patch("/v1/clients/step-klien", json=change))
    after_step_up(people["admin"], page, lambda: page.post("/v1/clients/step-klien/rotate"))


def test_programs_of_the_walidata_prove_themselves_by_their_token(gateway: RunningGateway) -> None:
    admin = gateway.client("admin", "diskominfo")
    made = admin.post("/v1/people", json=PersonAt.body("auditor", "rsud", "program@step.example"))
    assert made.status_code == 201, made.text
    assert admin.post(f"/v1/people/{made.json()['id']}/reset").status_code == 201


def test_every_route_that_makes_a_credential_of_another_asks_for_one() -> None:
    """A new one is found here: whatever an admin does to people and clients either says `fresh`, asks itself (`client.change`) or gives nothing away."""
    governed = [found for found in RULES if found.rule.op.startswith(("person.", "client."))]
    assert {found.rule.op for found in governed if not found.rule.fresh} == {
        "client.change", "person.step_up", "person.sign_out", "person.end_session",
    }  # fmt: skip


def test_a_fresh_factor_ends_after_five_minutes(
    gateway: RunningGateway, people: dict[str, PersonAt], pages: dict[str, Browser]
) -> None:
    page = pages["auditor"]
    assert people["auditor"].step_up(page).status_code == 200
    age(gateway, "fresh_until", 290)
    assert page.post("/v1/subject-usage", json=USAGE, headers=CASE).status_code == 200
    age(gateway, "fresh_until", 11)
    stale(page.post("/v1/subject-usage", json=USAGE, headers=CASE))


def test_signing_in_with_the_authenticator_counts_as_fresh(people: dict[str, PersonAt]) -> None:
    page = people["auditor"].sign_in()
    assert page.post("/v1/subject-usage", json=USAGE, headers=CASE).status_code == 200


@pytest.mark.parametrize("code", ["000000", "used"])
def test_a_wrong_or_used_code_is_refused(people: dict[str, PersonAt], pages: dict[str, Browser], code: str) -> None:
    person, page = people["consumer"], pages["consumer"]
    given = code
    if code == "used":
        person.forget_used()
        given = person.code()
        fresh = page.post("/v1/session/step-up", json={"totp": given})
        page.csrf = fresh.json()["csrf_token"]
    before = page.cookies["simpul-session"]
    answer = page.post("/v1/session/step-up", json={"totp": given})
    assert (answer.status_code, answer.json()["code"]) == (403, "second_factor_refused")
    assert page.cookies["simpul-session"] == before
    assert page.get("/v1/session").status_code == 200


def test_what_happened_stands_in_the_log(
    gateway: RunningGateway, people: dict[str, PersonAt], pages: dict[str, Browser]
) -> None:
    person, page = people["consumer"], pages["consumer"]
    people["consumer"].step_up(page)
    page.post("/v1/session/step-up", json={"totp": "000000"})
    page.delete("/v1/session")
    asked = {"client": f"person:{person.id}", "kind": "admin"}
    found = gateway.client("supervisor", "diskominfo").get("/v1/exchanges", params=asked).json()["items"]
    seen: set[tuple[Any, ...]] = {(one["op"], one["dec"]["effect"]) for one in found}
    assert seen >= {
        ("person.open", "allow"), ("person.sign_in", "allow"), ("person.step_up", "allow"), ("person.step_up", "deny"),
        ("person.sign_out", "allow"),
    }  # fmt: skip
