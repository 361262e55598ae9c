"""Sessions and their cookies: every way in which one ends, and what a page of another site may not do with one."""

from __future__ import annotations

import time
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.people import Browser, PersonAt, age

FOREIGN = "https://jahat.example"


def value_of(page: Browser) -> str:
    return str(page.cookies["simpul-session"])


def with_cookie(gateway: RunningGateway, value: str) -> Browser:
    page = Browser(gateway.url)
    page.cookies.set("simpul-session", value, domain="127.0.0.1")
    return page


def invalid(page: httpx.Client) -> None:
    answer = page.get("/v1/session")
    assert (answer.status_code, answer.json()["code"]) == (401, "session_invalid"), answer.text


def test_the_value_changes_at_sign_in_and_at_step_up(steward: PersonAt, gateway: RunningGateway) -> None:
    planted = "A" * 43
    page = steward.sign_in(with_cookie(gateway, planted))
    first, token = value_of(page), page.csrf
    assert first != planted
    invalid(with_cookie(gateway, planted))
    assert steward.step_up(page).status_code == 200
    second = value_of(page)
    assert (second != first, page.csrf != token) == (True, True)
    invalid(with_cookie(gateway, first))
    steward.sign_in(page)
    invalid(with_cookie(gateway, second))


def test_after_sign_out_the_cookie_is_of_nobody(steward: PersonAt, gateway: RunningGateway) -> None:
    page = steward.sign_in()
    value = value_of(page)
    gone = page.delete("/v1/session")
    assert (gone.status_code, "Max-Age=0" in gone.headers["set-cookie"]) == (204, True)
    invalid(with_cookie(gateway, value))


@pytest.mark.parametrize("change", [{"disabled": True}, {"role": "auditor"}, {"agency": "rsud"}])
def test_a_person_that_is_disabled_or_moved_is_out_at_once(
    steward: PersonAt, gateway: RunningGateway, change: dict[str, Any]
) -> None:
    page = steward.sign_in()
    assert gateway.admin.patch(f"/v1/people/{steward.id}", json=change).status_code == 200
    invalid(page)
    if "disabled" in change:  # nor does the session come back to life
        assert gateway.admin.patch(f"/v1/people/{steward.id}", json={"disabled": False}).status_code == 200
        invalid(page)


def test_people_of_a_disabled_agency_are_out(gateway: RunningGateway) -> None:
    name = f"tutup-{time.monotonic_ns() % 10**8}"
    gateway.agency(name)
    person = PersonAt(gateway, "steward", name, f"orang@{name}.example").open()
    page = person.sign_in()
    assert gateway.admin.patch(f"/v1/agencies/{name}", json={"disabled": True}).status_code == 200
    invalid(page)
    person.forget_used()
    assert Browser(gateway.url).post("/sign-in", json=person.proof()).status_code == 401


@pytest.mark.parametrize(("what", "seconds"), [("idle_until", 1801), ("expires_at", 28_801)])
def test_a_session_ends_by_itself(steward: PersonAt, gateway: RunningGateway, what: str, seconds: int) -> None:
    page = steward.sign_in()
    assert page.get("/v1/session").status_code == 200
    age(gateway, what, seconds)
    invalid(page)


def test_own_sessions_are_listed_and_ended_elsewhere(steward: PersonAt, gateway: RunningGateway) -> None:
    here, there = steward.sign_in(), steward.sign_in()
    items = here.get("/v1/sessions").json()["items"]
    assert sorted(one["current"] for one in items) == [False, True]
    other = next(one["id"] for one in items if not one["current"])
    foreign = PersonAt(gateway, "steward", "dinkes", f"lain-{steward.login}").open().sign_in()
    assert foreign.delete(f"/v1/sessions/{other}").status_code == 404
    assert here.delete(f"/v1/sessions/{other}").status_code == 204
    invalid(there)
    assert here.get("/v1/session").status_code == 200


def test_a_person_has_twenty_sessions_at_most(steward: PersonAt) -> None:
    pages = [steward.sign_in() for _ in range(22)]
    invalid(pages[0])
    assert len(pages[-1].get("/v1/sessions").json()["items"]) == 20


CHANGE = ("PUT", "/v1/secrets/uji", {"value": "rahasia"})


@pytest.mark.parametrize(
    ("headers", "rule"),
    [
        ({"simpul-csrf-token": None}, "csrf_token"),
        ({"simpul-csrf-token": "salah"}, "csrf_token"),
        ({"simpul-csrf-token": ""}, "csrf_token"),
        ({"origin": FOREIGN}, "csrf_origin"),
        ({"origin": "null"}, "csrf_origin"),
        ({"sec-fetch-site": "cross-site"}, "csrf_origin"),
        ({"sec-fetch-site": "same-site"}, "csrf_origin"),
        ({"sec-fetch-site": "none"}, "csrf_origin"),
        ({"origin": None, "sec-fetch-site": None}, "csrf_origin"),
        ({"origin": FOREIGN, "sec-fetch-site": None}, "csrf_origin"),
    ],
)
def test_a_change_by_cookie_comes_from_a_page_of_the_gateway(
    steward: PersonAt, headers: dict[str, str | None], rule: str
) -> None:
    page = steward.sign_in()
    method, path, body = CHANGE
    answer = page.request(method, path, json=body, headers=headers)
    assert (answer.status_code, answer.json()["code"], answer.json()["rule"]) == (403, "cross_site_refused", rule)
    assert page.request(method, path, json=body).status_code in {200, 201}


def test_the_token_of_another_session_does_not_do(steward: PersonAt) -> None:
    here, there = steward.sign_in(), steward.sign_in()
    method, path, body = CHANGE
    answer = here.request(method, path, json=body, headers={"simpul-csrf-token": there.csrf})
    assert answer.json()["rule"] == "csrf_token"


def test_another_site_reads_nothing_and_signs_nobody_in(steward: PersonAt, gateway: RunningGateway) -> None:
    page = steward.sign_in()
    assert page.get("/v1/session", headers={"sec-fetch-site": "cross-site"}).json()["rule"] == "csrf_origin"
    with Browser(gateway.url) as other:
        answer = other.post("/sign-in", json=steward.proof(), headers={"origin": FOREIGN})
        assert (answer.status_code, answer.json()["rule"]) == (403, "csrf_origin")
        assert "set-cookie" not in answer.headers


def test_a_token_counts_before_a_cookie_and_both_are_two_identities(steward: PersonAt, gateway: RunningGateway) -> None:
    page = steward.sign_in()
    token = gateway.client("steward", "rsud").headers["authorization"]
    both = page.get("/v1/agreements", headers={"authorization": token})
    assert (both.status_code, both.json()["code"]) == (403, "identity_ambiguous")
    assert page.delete("/v1/session").status_code == 204
    dead = with_cookie(gateway, "B" * 43)
    assert dead.get("/v1/agreements", headers={"authorization": token}).status_code == 200
    wrong = page.get("/v1/agreements", headers={"authorization": "Bearer salah"})
    assert (wrong.status_code, wrong.json()["code"]) == (401, "token_invalid")


def test_a_cookie_that_stands_there_twice_is_none(steward: PersonAt, gateway: RunningGateway) -> None:
    value = value_of(steward.sign_in())
    line = f"simpul-session={'C' * 43}; simpul-session={value}"
    with Browser(gateway.url) as page:
        answer = page.get("/v1/session", headers={"cookie": line})
    assert (answer.status_code, answer.json()["code"]) == (401, "session_invalid")


def test_a_client_has_no_session(gateway: RunningGateway) -> None:
    client = gateway.client("steward", "dinkes")
    for method, path in (("GET", "/v1/session"), ("DELETE", "/v1/session"), ("GET", "/v1/sessions")):
        answer = client.request(method, path)
        assert (answer.status_code, answer.json()["rule"]) == (403, "session_needed"), path
    assert client.post("/v1/session/step-up", json={"totp": "000000"}).json()["rule"] == "session_needed"


def test_an_answer_with_a_cookie_is_not_kept_for_a_repetition(steward: PersonAt, gateway: RunningGateway) -> None:
    page = steward.sign_in()
    steward.forget_used()
    key = {"idempotency-key": f"k-{time.monotonic_ns()}"}
    body = {"totp": steward.code()}
    old = with_cookie(gateway, value_of(page))
    first = page.post("/v1/session/step-up", json=body, headers=key)
    assert first.status_code == 200
    page.csrf = first.json()["csrf_token"]
    again = page.post("/v1/session/step-up", json=body, headers=key)
    assert (again.status_code, again.json()["code"]) == (403, "second_factor_refused")
    assert "set-cookie" not in again.headers
    invalid(old)
