"""`/v1/people`: the accounts of people, for the walidata."""

from __future__ import annotations

from datetime import UTC, datetime

from fastapi import Request, Response

from app.access.people import accounts
from app.access.people.accounts import Code, Person, PersonDraft
from app.access.step_up import ACCOUNTS
from app.api.layer.bodies import answer, as_seen, read_model, tagged
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.resource import ADMINS, Resource, Rule
from app.api.people.wire import (
    PERSON_EXAMPLE,
    PeopleAnswer,
    PersonAnswer,
    PersonBody,
    PersonChange,
    PersonMade,
    person_document,
)
from app.gateway.administration import act

routes = Resource("/v1", "people")

_CODE = {"code": "kode-sekali-pakai", "code_expires_at": "2026-11-23T01:00:00Z"}


@routes.get(
    "/people",
    Rule("catalogue", ADMINS),
    summary="All people",
    answer=PeopleAnswer,
    example={"items": [PERSON_EXAMPLE]},
)
async def list_people(request: Request) -> Response:
    """For the walidata: every account, without what proves its person."""
    only_parameters(request)
    async with services(request).database.read() as connection:
        found = await accounts.list_people(connection)
    return answer({"items": [person_document(one) for one in found]}, headers={"cache-control": "no-store"})


@routes.post(
    "/people",
    Rule("person.create", ADMINS, "admin", fresh=ACCOUNTS),
    summary="Register a person",
    status_code=201,
    body=PersonBody,
    body_example={
        "agency": "dinkes",
        "role": "steward",
        "name": "Rini Wulandari",
        "login": "rini@dinkes.jepara.example",
    },
    answer=PersonMade,
    example={**PERSON_EXAMPLE, "opened": False, **_CODE},
)
async def create_person(request: Request) -> Response:
    """For the walidata: an account of one agency with one role, and the code by which its person opens it within three days.

    A person steps up first (`step_up_required`).
    """
    body = read_model(request, PersonBody)
    state, under_way = services(request), exchange(request)
    state.agency(body.agency)
    draft = PersonDraft(**body.model_dump())
    made, code = await act(state, under_way, lambda found: accounts.create_person(found, draft, datetime.now(UTC)))
    under_way.tells(person={"id": made.id, "agency": made.agency, "role": made.role})
    return answer(_with_code(made, code), 201, {"location": f"/v1/people/{made.id}"})


@routes.get(
    "/people/{person}",
    Rule("catalogue", ADMINS),
    summary="One person",
    answer=PersonAnswer,
    example=PERSON_EXAMPLE,
)
async def get_person(person: str, request: Request) -> Response:
    """For the walidata: agency, role and state of an account."""
    only_parameters(request)
    async with services(request).database.read() as connection:
        return answer(person_document(await accounts.get_person(connection, person)))


@routes.patch(
    "/people/{person}",
    Rule("person.change", ADMINS, "admin", fresh=ACCOUNTS),
    summary="Change or disable a person",
    body=PersonChange,
    body_example={"disabled": True},
    answer=PersonAnswer,
    example={**PERSON_EXAMPLE, "disabled": True},
)
async def change_person(person: str, request: Request) -> Response:
    """For the walidata: sessions of a person that is disabled or moved end at once, on every replica. A lock is lifted.

    A person steps up first (`step_up_required`).
    """
    body = read_model(request, PersonChange)
    state, under_way = services(request), exchange(request)
    if body.agency is not None:
        state.agency(body.agency)
    expected = as_seen(request, f"person {person}", person_document, required=True)
    change = body.model_dump(exclude_none=True)
    under_way.tells(person={"id": person, **{name: value for name, value in change.items() if name != "name"}})
    made = await act(
        state,
        under_way,
        lambda found: accounts.change_person(found, person, change, datetime.now(UTC), expected=expected),
    )
    return tagged(person_document(made))


@routes.post(
    "/people/{person}/reset",
    Rule("person.reset", ADMINS, "admin", fresh=ACCOUNTS),
    summary="New code for a person",
    status_code=201,
    answer=PersonMade,
    example={**PERSON_EXAMPLE, "opened": False, **_CODE},
)
async def reset_person(person: str, request: Request) -> Response:
    """For the walidata: password, second factor, recovery codes and sessions are gone at once; the code opens the account again.

    A person steps up first (`step_up_required`).
    """
    only_parameters(request)
    expected = as_seen(request, f"person {person}", person_document)
    under_way = exchange(request)
    under_way.tells(person={"id": person})
    made, code = await act(
        services(request),
        under_way,
        lambda found: accounts.reset_person(found, person, datetime.now(UTC), expected=expected),
    )
    return answer(_with_code(made, code), 201, {"location": f"/v1/people/{made.id}"})


def _with_code(made: Person, code: Code) -> dict[str, object]:
    return {**person_document(made), "code": code.text, "code_expires_at": code.expires_at}
