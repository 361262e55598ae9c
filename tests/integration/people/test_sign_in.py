"""Opening an account and signing in: what counts once counts once, and a refusal says nothing of why."""

from __future__ import annotations

import sqlite3
import statistics
import threading
import time
from typing import Any

import httpx
import pytest

from tests.support.gateway import RunningGateway
from tests.support.people import PASSWORD, Browser, PersonAt, age

WRONG = "bukan sandi yang benar"


def refused(answer: httpx.Response) -> dict[str, Any]:
    """The problem of a refusal, without what differs with every request."""
    assert answer.status_code == 401, answer.text
    return {name: value for name, value in answer.json().items() if name != "trace_id"}


def test_a_person_opens_its_account_and_is_signed_in(steward: PersonAt, gateway: RunningGateway) -> None:
    page = steward.sign_in()
    found = page.get("/v1/session").json()
    assert (found["person"], found["agency"], found["role"]) == (f"person:{steward.id}", "dinkes", "steward")
    assert page.get("/v1/agreements").status_code == 200
    assert page.get("/v1/clients").json()["code"] == "role_forbidden"
    entries = gateway.client("supervisor", "dinkes").get("/v1/exchanges", params={"client": f"person:{steward.id}"})
    assert {entry["op"] for entry in entries.json()["items"]} >= {"person.sign_in", "person.open"}
    told = entries.text + (gateway.folder / "serve.log").read_text("utf-8")
    assert steward.login not in told
    assert f"Nama {steward.login}" not in told


def test_the_cookie_is_closed_to_scripts_and_other_sites(steward: PersonAt, gateway: RunningGateway) -> None:
    with Browser(gateway.url) as page:
        answer = page.post("/sign-in", json=steward.proof())
    given = answer.headers["set-cookie"]
    assert given.startswith("simpul-session=")
    assert {part.strip() for part in given.split(";")[1:]} == {
        "Path=/", "Max-Age=28800", "HttpOnly", "SameSite=Strict",
    }  # fmt: skip
    value = given.partition("=")[2].partition(";")[0]
    assert value not in answer.text
    assert answer.headers["cache-control"] == "no-store"
    stored = (gateway.folder / "simpul.db").read_bytes()
    assert value.encode() not in stored
    assert steward.secret.encode() not in stored


def test_a_code_of_the_authenticator_counts_once(steward: PersonAt, gateway: RunningGateway) -> None:
    proof = steward.proof()
    with Browser(gateway.url) as page:
        assert page.post("/sign-in", json=proof).status_code == 200
    with Browser(gateway.url) as page:
        assert refused(page.post("/sign-in", json=proof))["code"] == "sign_in_refused"


def test_a_code_counts_once_also_for_many_at_the_same_time(steward: PersonAt, gateway: RunningGateway) -> None:
    proof, found = steward.proof(), list[int]()

    def ask() -> None:
        with Browser(gateway.url) as page:
            found.append(page.post("/sign-in", json=proof).status_code)

    asking = [threading.Thread(target=ask) for _ in range(5)]
    for one in asking:
        one.start()
    for one in asking:
        one.join()
    assert sorted(found) == [200, 401, 401, 401, 401]


def test_the_first_code_of_opening_is_no_second_one(gateway: RunningGateway) -> None:
    person = PersonAt(gateway, "auditor", "rsud", "pembuka@rsud.example")
    with Browser(gateway.url) as page:
        given = {"login": person.login, "code": person.made["code"]}
        person.secret = page.post("/sign-in/account", json=given).json()["secret"]
        first = person.code()
        body = {**given, "password": PASSWORD, "totp": first}
        assert page.post("/sign-in/account/open", json=body).status_code == 201
        assert page.post("/sign-in/account/open", json=body).json()["code"] == "person_code_invalid"
        refused(page.post("/sign-in", json={"login": person.login, "password": PASSWORD, "totp": first}))


def test_a_recovery_code_counts_once_and_gives_no_fresh_factor(steward: PersonAt, gateway: RunningGateway) -> None:
    body = {"login": steward.login, "password": PASSWORD, "recovery_code": steward.recovery_codes[0].upper()}
    with Browser(gateway.url) as page:
        signed = page.post("/sign-in", json=body)
        assert (signed.status_code, signed.json()["fresh_until"], signed.json()["means"]) == (200, None, "recovery")
    with Browser(gateway.url) as page:
        refused(page.post("/sign-in", json=body))
        assert page.post("/sign-in", json=body | {"recovery_code": steward.recovery_codes[1]}).status_code == 200


def test_every_refusal_reads_alike_and_takes_alike(steward: PersonAt, gateway: RunningGateway) -> None:
    disabled = PersonAt(gateway, "steward", "dinkes", f"mati-{steward.login}").open()
    assert gateway.admin.patch(f"/v1/people/{disabled.id}", json={"disabled": True}).status_code == 200
    unopened = PersonAt(gateway, "steward", "dinkes", f"baru-{steward.login}")
    tries = {
        "unknown": {"login": f"tidak-ada-{steward.login}", "password": WRONG, "totp": "000000"},
        "password": {"login": steward.login, "password": WRONG, "totp": steward.code()},
        "factor": {"login": steward.login, "password": PASSWORD, "totp": "000000"},
        "disabled": disabled.proof(),
        "unopened": {"login": unopened.login, "password": WRONG, "totp": "000000"},
    }
    told, took = list[dict[str, Any]](), dict[str, list[float]]()
    with Browser(gateway.url) as page:
        for _ in range(2):
            for name, body in tries.items():
                started = time.perf_counter()
                told.append(refused(page.post("/sign-in", json=body)))
                took.setdefault(name, []).append(time.perf_counter() - started)
    assert all(one == told[0] for one in told)
    times = [statistics.median(found) for found in took.values()]
    assert min(times) >= 0.34
    assert max(times) - min(times) < 0.15


def test_an_account_is_locked_after_ten_failures_and_the_right_password_does_not_open_it(
    gateway: RunningGateway,
) -> None:
    person = PersonAt(gateway, "steward", "dinkes", "kunci@dinkes.example").open()
    with sqlite3.connect(gateway.folder / "simpul.db", timeout=20) as store:
        store.execute("UPDATE person SET failed = 9 WHERE id = ?", (person.id,))
    with Browser(gateway.url) as page:
        refused(page.post("/sign-in", json={"login": person.login, "password": WRONG, "totp": "000000"}))
        refused(page.post("/sign-in", json=person.proof()))
        assert gateway.admin.get(f"/v1/people/{person.id}").json()["locked_until"] is not None
        age(gateway, "locked_until", 901)
        person.forget_used()
        assert page.post("/sign-in", json=person.proof()).status_code == 200


def test_wrong_proofs_in_a_row_wait_longer_each_time(gateway: RunningGateway) -> None:
    with Browser(gateway.url) as page:
        body = {"login": "tidak-pernah-ada", "password": WRONG, "totp": "000000"}
        found = [page.post("/sign-in", json=body).status_code for _ in range(6)]
        assert found == [401] * 5 + [429]
        waiting = page.post("/sign-in", json=body)
        assert waiting.json()["rule"] == "failed_attempts_in_a_row"
        assert int(waiting.headers["retry-after"]) >= 1


@pytest.mark.parametrize(
    ("password", "rule"),
    [("pendek", "password"), ("aaaaaaaaaaaaaaaa", "password"), ("ini lemah@dinkes ya", "password")],
)
def test_a_password_that_will_not_do_is_told(gateway: RunningGateway, password: str, rule: str) -> None:
    person = PersonAt(gateway, "steward", "dinkes", f"lemah@{time.monotonic_ns()}.example")
    with Browser(gateway.url) as page:
        given = {"login": person.login, "code": person.made["code"]}
        person.secret = page.post("/sign-in/account", json=given).json()["secret"]
        body = {**given, "password": password.replace("lemah@dinkes", "lemah"), "totp": person.code()}
        answer = page.post("/sign-in/account/open", json=body)
    assert (answer.status_code, answer.json()["errors"][0]["pointer"]) == (422, "/password")
    assert answer.json()["errors"][0]["code"] == rule
    assert password not in answer.text


def test_a_person_of_two_roles_or_two_agencies_cannot_be(steward: PersonAt, gateway: RunningGateway) -> None:
    body = {"agency": "rsud", "role": "auditor", "name": "Lain", "login": steward.login}
    again = gateway.admin.post("/v1/people", json=body)
    assert (again.status_code, again.json()["code"]) == (409, "conflict")
    several = gateway.admin.post("/v1/people", json=body | {"login": "dua.peran", "role": ["auditor", "steward"]})
    assert (several.status_code, several.json()["errors"][0]["pointer"]) == (422, "/role")
    assert gateway.admin.post("/v1/people", json=body | {"login": "opd.lain", "agency": "tiada"}).status_code == 404


@pytest.mark.parametrize("path", ["/sign-in/oidc", "/sign-in/oidc/callback"])
def test_a_gateway_without_a_provider_says_so(gateway: RunningGateway, path: str) -> None:
    answer = Browser(gateway.url).get(path)
    assert (answer.status_code, answer.json()["code"]) == (404, "not_found")
    assert "POST /sign-in" in answer.json()["detail"]


def test_a_client_never_has_the_name_of_a_person(steward: PersonAt, gateway: RunningGateway) -> None:
    body = {"agency": "dinkes", "role": "client", "name": "Penyamar", "id": f"person:{steward.id}"}
    assert gateway.admin.post("/v1/clients", json=body).status_code == 422


def test_people_are_the_walidatas_alone(steward: PersonAt, gateway: RunningGateway) -> None:
    other = gateway.client("steward", "dinkes")
    assert other.get("/v1/people").status_code == 403
    assert steward.sign_in().get(f"/v1/people/{steward.id}").json()["code"] == "role_forbidden"
    assert PASSWORD not in gateway.admin.get("/v1/people").text
    assert "argon2" not in gateway.admin.get("/v1/people").text


def test_a_reset_takes_everything_and_gives_a_code(steward: PersonAt, gateway: RunningGateway) -> None:
    page = steward.sign_in()
    made = gateway.admin.post(f"/v1/people/{steward.id}/reset")
    assert made.status_code == 201, made.text
    assert page.get("/v1/session").json()["code"] == "session_invalid"
    steward.forget_used()
    refused(Browser(gateway.url).post("/sign-in", json=steward.proof()))
    steward.open(made.json()["code"]).sign_in()
