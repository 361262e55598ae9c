"""Route x role x own, provider, consumer or other agency x state of the agreement: every route of the application, over HTTP."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import replace

import httpx
import pytest
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from app.main import create_app
from app.settings import Settings
from tests.isolation.rows import (
    CHANGED,
    EVERYONE,
    OF_OTHERS,
    OK,
    OTHERS,
    PARTIES,
    REASON,
    ROWS,
    SEES_ALL,
    STALE,
    STEWARDS,
    UNAUTHORISED,
    UNKNOWN,
    WRONG_ROLE,
    Row,
    Told,
)  # fmt: skip
from tests.isolation.world import CALLERS, CONSUMER, NOBODY, PROVIDER, STATES, WHY, Caller, World

WRONG_STEP: Told = (403, "role_forbidden", "role_not_allowed")
RECORDS = re.compile(r"^(\w+) /v1/records/[^/]+(.*)$")
NO_SUCH = "019aa1b2-0000-7000-8000-000000000001"


def served() -> set[str]:
    """Every route of the running application, however it came there; those of shared schemas by their template."""
    waiting: list[BaseRoute] = list(create_app(Settings.model_construct()).routes)
    found: set[str] = set()
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            found |= {f"{method} {route.path}" for method in route.methods}
        else:
            inner = getattr(route, "original_router", None) or route
            waiting += getattr(inner, "routes", [])
    return found


def of_records(route: str) -> str | None:
    """What a route of records does, whatever its schema; None for others."""
    match = RECORDS.fullmatch(route)
    return f"{match[1]} {match[2]}".strip() if match else None


def told(answer: httpx.Response) -> Told:
    """Status, code and rule."""
    if not answer.headers.get("content-type", "").startswith("application/problem+json"):
        return (answer.status_code, None, None)
    problem = answer.json()
    return (answer.status_code, problem["code"], problem.get("rule"))


def ask(world: World, caller: Caller, route: str, row: Row) -> httpx.Response:
    """The route's question, its path filled with the names of the matter."""
    method, path = route.split(" ", 1)
    unknown = dict.fromkeys(("upload", "erasure", "hold", "incident", "job"), NO_SUCH)
    names = {**unknown, **world.names, **row.names}
    filled = path.replace(":path}", "}").format(**names)
    return world.sessions[caller].request(method, filled, json=row.body, content=row.content, headers=dict(row.headers))


def differences(world: World, route: str, row: Row) -> Iterator[str]:
    """Where callers are told something else than the row says."""
    for caller in CALLERS:
        answer = ask(world, caller, route, row)
        if told(answer) != row.expected(caller):
            yield f"{route}: {caller} got {told(answer)}, expected {row.expected(caller)}: {answer.text[:300]}"


def test_every_route_has_a_row_and_every_row_a_route() -> None:
    plain = {route for route in served() if of_records(route) is None and not route.startswith("POST /v1/queries")}
    plain -= {"POST /v1/explain"}
    assert len(plain) > 100
    assert sorted(plain - ROWS.keys()) == []
    assert sorted(ROWS.keys() - plain) == []


@pytest.mark.parametrize("route", ROWS)
def test_who_passes(world: World, route: str) -> None:
    assert list(differences(world, route, ROWS[route])) == []


@pytest.mark.parametrize("route", OF_OTHERS)
def test_who_passes_where_the_matter_is_named(world: World, route: str) -> None:
    assert list(differences(world, route, OF_OTHERS[route])) == []


def test_a_row_that_is_wrong_is_found(world: World) -> None:
    wrong = Row(OK, STEWARDS)
    assert any("client of lain" in found for found in differences(world, "GET /v1/agreements", wrong))


def step(act: str, state: str, caller: Caller) -> Told:
    """What an act on an agreement in this state answers to a request that names a state which is gone."""
    if caller == NOBODY:
        return UNAUTHORISED
    if caller.role not in STEWARDS:
        return WRONG_ROLE
    if caller.role == "admin":
        return WRONG_STEP if (act, state) == ("approve", "proposed") else CHANGED
    if caller.agency not in PARTIES:
        return UNKNOWN
    if act == "end":
        return CHANGED
    if (act, state) == ("approve", "approved"):
        return WRONG_STEP
    return CHANGED if caller.agency == PROVIDER else OTHERS


@pytest.mark.parametrize("state", STATES)
def test_who_moves_an_agreement_in_each_state(world: World, state: str) -> None:
    path, found = f"/v1/agreements/pks-{state}", []
    for caller in CALLERS:
        session = world.sessions[caller]
        expected = UNKNOWN if caller.agency not in PARTIES and caller.role not in SEES_ALL else OK
        answers = [("read", session.get(path), UNAUTHORISED if caller == NOBODY else expected)]
        for act, body in (("approve", None), ("end", REASON), ("revoke", REASON)):
            answer = session.post(f"{path}/{act}", json=body, headers=STALE)
            answers.append((act, answer, step(act, state, caller)))
        found += [
            f"{act}: {caller} got {told(got)}, expected {want}: {got.text[:200]}"
            for act, got, want in answers
            if told(got) != want
        ]
    assert found == []


def test_lists_of_agreements_hold_those_of_the_callers_agency(world: World) -> None:
    for caller in CALLERS[1:]:
        items = world.sessions[caller].get("/v1/agreements").json()["items"]
        seen = {item["id"] for item in items}
        concerned = caller.agency in {PROVIDER, CONSUMER} or caller.role in SEES_ALL
        assert seen >= {f"pks-{state}" for state in STATES} if concerned else seen == set(), str(caller)


def test_every_denial_is_recorded_with_its_rule(world: World) -> None:
    stranger, supervisor = Caller("steward", "lain"), next(one for one in CALLERS if one.role == "supervisor")
    for method, path in (("POST", "/v1/connectors/faskes/publish"), ("POST", "/v1/agreements/pks-active/approve")):
        refused = world.sessions[stranger].request(method, path)
        assert refused.status_code in {403, 404}
        shown = world.sessions[supervisor].get(f"/v1/exchanges/{refused.headers['exchange-id']}").json()
        entry = shown["entries"][-1]
        assert entry["status"] == refused.status_code
        assert entry["client"]["client"] == "lain-steward"


def test_a_name_that_stands_twice_is_refused_at_every_door(world: World) -> None:
    """Two readers of one body could see two things: none is told which it would be. What is unknown or moved on is told before."""
    twice = b'{"reason": "satu", "\\u0072eason": "dua"}'
    records = dict.fromkeys(
        ("POST /v1/records/fasilitas-kesehatan/" + door for door in ("search", "aggregate", "match")), Row(OK, EVERYONE)
    )
    more = (
        "POST /v1/records/penduduk-verifikasi/verify",
        "POST /v1/records/penduduk-verifikasi/match",
        "POST /v1/queries",
        "POST /v1/explain",
    )
    asked = (
        {route: row for route, row in ROWS.items() if row.body is not None}
        | records
        | dict.fromkeys(more, Row(OK, EVERYONE))
    )
    found: dict[str, int] = {}
    for route, row in asked.items():
        who = next(caller for caller in reversed(CALLERS) if row.expected(caller) == row.passed)
        who = Caller("client", CONSUMER) if route in more or route in records else who
        headers = {**WHY, **row.headers, "content-type": "application/json"}
        answer = ask(world, who, route, replace(row, body=None, content=twice, headers=headers))
        found[route] = answer.status_code
        assert answer.status_code != 400 or "twice" in answer.json()["detail"], (route, answer.text)
    late = {route: status for route, status in found.items() if status != 400}
    without = {
        "POST /v1/session/step-up",
        *(route for route in more if "penduduk" in route),
    }  # no session, no agreement: 403
    assert {route for route, status in late.items() if status == 403} == without
    assert all(status in {403, 404} for status in late.values()), late
    assert len(found) - len(late) >= 28, late
