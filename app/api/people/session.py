"""`/v1/session`, `/v1/sessions`: the own session of a person, its second factor, and its end."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request, Response

from app.access.people import accounts, sessions
from app.access.people.sessions import Opened
from app.api.layer.bodies import answer, read_model
from app.api.layer.cookies import SESSION, cookie
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.resource import EVERYONE, READ, Resource, Rule
from app.api.people.wire import (
    SESSION_EXAMPLE,
    SessionAnswer,
    SessionsAnswer,
    StepUpBody,
    own_session,
    session_document,
)
from app.errors import NotFound
from app.gateway import people
from app.gateway.administration import act

routes = Resource("/v1", "people")

_ITEM = {
    "id": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "current": True,
    "means": "totp",
    "created_at": "2026-11-20T01:00:00Z",
    "last_seen": "2026-11-20T01:12:00Z",
    "expires_at": "2026-11-20T09:00:00Z",
}


@routes.get("/session", READ, summary="Who is signed in", answer=SessionAnswer, example=SESSION_EXAMPLE)
async def get_session(request: Request) -> Response:
    """For people: agency, role, the CSRF token of this session, and until when the second factor counts as fresh."""
    only_parameters(request)
    session, value = own_session(request)
    async with services(request).database.read() as connection:
        person = await accounts.get_person(connection, session.person)
    return answer(session_document(person, Opened(value, session)), headers={"cache-control": "no-store"})


@routes.post(
    "/session/step-up",
    Rule("person.step_up", EVERYONE, "admin"),
    summary="Show the second factor again",
    body=StepUpBody,
    body_example={"totp": "492039"},
    answer=SessionAnswer,
    example={**SESSION_EXAMPLE, "fresh_until": "2026-11-20T01:17:00Z"},
)
async def step_up(request: Request) -> Response:
    """For people: with a new code approving, erasing, releasing a hold and reading a person's trail are open for five minutes.

    The session goes on under another value of the cookie and another CSRF token; the old ones are dead.
    """
    session, _ = own_session(request)
    body = read_model(request, StepUpBody)
    state, address = services(request), request.client.host if request.client else ""
    opened = await people.step_up(state, exchange(request), session, body.totp, address)
    async with state.database.read() as connection:
        person = await accounts.get_person(connection, session.person)
    left = int((opened.session.expires_at - datetime.now(UTC)).total_seconds())
    headers = {"set-cookie": cookie(state.settings, SESSION, opened.value, max(left, 1)), "cache-control": "no-store"}
    return answer(session_document(person, opened), headers=headers)


@routes.delete("/session", Rule("person.sign_out", EVERYONE, "admin"), summary="Sign out", status_code=204)
async def sign_out(request: Request) -> Response:
    """For people: the session ends at once, on every replica."""
    only_parameters(request)
    session, _ = own_session(request)
    state = services(request)
    await act(state, exchange(request), lambda found: sessions.end_session(found, session.person, session.id))
    return Response(status_code=204, headers={"set-cookie": cookie(state.settings, SESSION, "", 0)})


@routes.get("/sessions", READ, summary="Own sessions", answer=SessionsAnswer, example={"items": [_ITEM]})
async def list_sessions(request: Request) -> Response:
    """For people: where they are signed in."""
    only_parameters(request)
    session, _ = own_session(request)
    async with services(request).database.read() as connection:
        found = await sessions.sessions_of(connection, session.person, datetime.now(UTC))
    items = [
        {
            "id": one.id,
            "current": one.id == session.id,
            "means": one.means,
            "created_at": one.created_at,
            "last_seen": one.last_seen,
            "expires_at": one.expires_at,
        }
        for one in found
    ]
    return answer({"items": items}, headers={"cache-control": "no-store"})


@routes.delete(
    "/sessions/{session}",
    Rule("person.end_session", EVERYONE, "admin"),
    summary="End one of the own sessions",
    status_code=204,
)
async def end_session(session: str, request: Request) -> Response:
    """For people: a session elsewhere ends at once."""
    only_parameters(request)
    own, _ = own_session(request)
    ended = await act(
        services(request), exchange(request), lambda found: sessions.end_session(found, own.person, session)
    )
    if not ended:
        raise NotFound("you have no session of this id; GET /v1/sessions lists yours")
    return Response(status_code=204)
