"""`POST /v1/records/{schema}/match` of a personal schema: who is in the register with these values, and nothing of who is not."""

from __future__ import annotations

from typing import Annotated, Literal

from fastapi import Request, Response
from pydantic import Field

from app.api.layer.answers import Answer, Whole
from app.api.layer.bodies import answer, purpose_in_body, read_model
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.formats import only_json
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.layer.wire import Day, Wire
from app.api.records import examples as docs
from app.errors import FieldError, ValidationFailed
from app.gateway import person_match, verification
from app.gateway.person_match import MOST_PERSONS, Person
from app.schemas.registry import SchemaDef

_Number = Annotated[str, Field(min_length=1, max_length=32, description="NIK, 16 digits")]


class PersonValues(Wire):
    """What is asserted of a person; at least one of them."""

    nama: Annotated[str, Field(min_length=1, max_length=200)] | None = Field(
        default=None, description="Name to compare", examples=["Siti Contoh Aminah"]
    )
    tanggal_lahir: Day | None = Field(default=None, description="Birth date to compare")


class PersonItem(Wire):
    """One person."""

    key: _Number = Field(examples=["3320990101900001"])
    values: PersonValues


class PersonMatchBody(Wire):
    """Persons to look for. Identifiers stand only here, never in an address."""

    keys: list[PersonItem] = Field(min_length=1, max_length=MOST_PERSONS)
    purpose: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="Instead of Simpul-Purpose")


class MatchedPerson(Answer):
    """Whether a person is there with these values."""

    key: Annotated[str, Field(max_length=32)] = Field(description="As it was sent")
    status: Literal["matched", "unmatched", "invalid"]
    reason: Annotated[str, Field(max_length=2000)] | None = Field(
        description="`no_match`, whatever does not fit; of an invalid identifier the rule that it breaks"
    )


class PersonCounts(Answer):
    """How many persons of each status."""

    matched: Whole
    unmatched: Whole
    invalid: Whole


class PersonMatchAnswer(Answer):
    """One answer a person, in order. No value of the register is shown."""

    items: list[MatchedPerson] = Field(max_length=MOST_PERSONS)
    counts: PersonCounts


_BODY = {"keys": [{"key": "3320990101900001", "values": {"nama": "Siti Contoh Aminah", "tanggal_lahir": "1990-01-01"}}]}
_ANSWER = {
    "items": [{"key": "3320990101900001", "status": "matched", "reason": None}],
    "counts": {"matched": 1, "unmatched": 0, "invalid": 0},
}


def person_match_routes(routes: Resource, schema: SchemaDef) -> None:
    """Adds the match route of one personal schema."""

    async def match_persons(request: Request) -> Response:
        state, under_way = services(request), exchange(request)
        only_json(request)
        purpose_in_body(request)
        allowed = verification.authorise(state, under_way, schema, "match")
        only_parameters(request, "f")
        persons = _persons(read_model(request, PersonMatchBody, "f"))
        found = await person_match.match_persons(state, under_way, schema, allowed, persons)
        counts = {status: sum(one.status == status for one in found) for status in ("matched", "unmatched", "invalid")}
        items = [MatchedPerson(key=one.number, status=one.status, reason=one.reason) for one in found]
        made = PersonMatchAnswer(items=items, counts=PersonCounts(**counts))
        return answer(made, headers={"cache-control": "no-store"})

    routes.add(
        "POST",
        f"/{schema.meta.slug}/match",
        Rule("match", EVERYONE, "outcome", practice=True, told_as="/v1/records/{schema}/match"),
        match_persons,
        name=f"match_{schema.name}",
        summary=f"Match persons against {schema.meta.title_en}",
        description="Whether up to 100 persons are in the register with the asserted values. Needs an agreement with the right "
        "`match`, a purpose, the officer and the case. Each person counts as one verification, and is recorded with a keyed tag. A "
        "person who is not there and one with other values are answered alike.",
        answer=PersonMatchAnswer,
        example=_ANSWER,
        body=PersonMatchBody,
        body_example=_BODY,
        openapi_extra={"parameters": docs.header_parameters(personal=True)},
    )


def _persons(body: PersonMatchBody) -> list[Person]:
    """The persons; one without anything to compare would only be asked whether it exists."""
    persons = [
        Person(item.key, {name: str(value) for name, value in item.values.model_dump(exclude_none=True).items()})
        for item in body.keys
    ]
    first = {person.number: index for index, person in reversed(list(enumerate(persons)))}
    again = [index for index, person in enumerate(persons) if first[person.number] != index]
    if again:
        faults = [FieldError(f"/keys/{index}/key", "repeated", "each person stands once") for index in again]
        raise ValidationFailed("a person is asked about once, with one set of values", errors=faults)
    bare = [index for index, person in enumerate(persons) if not person.values]
    if bare:
        detail = "name at least one value to compare: nama, tanggal_lahir"
        faults = [FieldError(f"/keys/{index}/values", "missing", detail) for index in bare]
        raise ValidationFailed("a person is matched by values, never by the identifier alone", errors=faults)
    return persons
