"""`/v1/access`: what the caller may use, and whether a question would be allowed, by which agreement and rule, field by field."""

from __future__ import annotations

from datetime import date
from typing import Annotated, Any, Literal, cast

from fastapi import Request, Response
from pydantic import Field

from app.access.agreements import ALL_RIGHTS, Terms
from app.access.decisions import Operation
from app.api.governance.agreements import Basis, Form, Granted, Life, Mask, Purposes, Right
from app.api.layer.answers import Answer, Id, Name, Told, Whole
from app.api.layer.bodies import answer, read_model
from app.api.layer.dependencies import only_parameters, principal, services
from app.api.layer.resource import EVERYONE, READ, Resource, Rule
from app.api.layer.wire import Slug, Wire, Word
from app.errors import FieldError, ValidationFailed
from app.gateway import entitlements
from app.gateway.entitlements import Left, Question, Usable, Verdict
from app.gateway.exchange import Assertions
from app.schemas import registry
from app.schemas.registry import SchemaDef

routes = Resource("/v1", "governance")

Asked = Literal["list", "lookup", "search", "verify", "match", "aggregate", "sql", "export", "changes"]
Code = Annotated[str, Field(max_length=64)]


class QuotaLeft(Answer):
    """One limit of a day, and what is left of it."""

    limit: Whole
    left: Whole


class QuotasLeft(Answer):
    """What is left today (of the instance's zone); null: not limited by the agreement."""

    requests: QuotaLeft | None
    rows: QuotaLeft | None
    subjects: QuotaLeft | None


class AccessItem(Answer):
    """What the caller may use of one provider's data; without an agreement where it is open."""

    schema_name: Name = Field(alias="schema")
    provider: Id
    provided: bool = Field(description="Whether the provider has published a dataset of it")
    fields: Granted
    agreement: Id | None
    purposes: Purposes
    basis: Basis | None
    valid_until: date | None
    masks: dict[Name, Mask] = Field(max_length=200)
    row_filter: Annotated[str, Field(max_length=2048)] | None
    rights: list[Right] = Field(max_length=10, description="What is allowed beyond reading, or verifying, one by one")
    formats: list[Form] = Field(max_length=7, description="In which answers may leave; empty: in all")
    quota: QuotasLeft | None
    data_life_days: Life | None = Field(description="How many days the consumer may keep what it got")


class AccessAnswer(Answer):
    """What the caller may use."""

    items: list[AccessItem] = Field(max_length=100_000)


class ExplainAccessBody(Wire):
    """What somebody would ask."""

    schema_name: Word = Field(alias="schema", examples=["penduduk_verifikasi"])
    operation: Asked = Field(default="list", examples=["verify"])
    provider: Slug | None = Field(default=None, description="Absent: all that provide the schema")
    fields: list[Word] | None = Field(default=None, min_length=1, max_length=200, description="Absent: all fields")
    format: Form = "json"
    rights: list[Right] = Field(
        default_factory=list, max_length=3, description="What an SQL statement does: `join`, `aggregate`"
    )
    purpose: Code | None = Field(default=None, examples=["pelayanan_kesehatan"])
    agreement: Code | None = Field(default=None, description="Chooses one of several fitting agreements")
    officer: bool = Field(default=False, description="Whether officer and case would be named")
    client: Code | None = Field(
        default=None, description="Whose access: a client of one's agency; any for the walidata and the supervisor"
    )


class FieldVerdictAnswer(Answer):
    """Whether the value of one field would be there, and by which rule."""

    name: Name
    allow: bool
    rule: Name
    mask: Mask | None
    detail: Told | None


class VerdictAnswer(Answer):
    """What one provider would answer. `rule` names what decides; `code` is that of the problem."""

    provider: Id
    provided: bool = Field(description="Whether the provider has published a dataset of it")
    allow: bool
    rule: Name
    code: Name | None
    detail: Told | None
    agreement: Id | None
    purpose: Name | None
    basis: Basis | None
    valid_until: date | None
    row_filter: Annotated[str, Field(max_length=2048)] | None
    quota: QuotasLeft | None
    fields: list[FieldVerdictAnswer] = Field(max_length=500)


class ExplainAccessAnswer(Answer):
    """Whether a question would be allowed. No source was touched."""

    allow: bool = Field(description="Whether some provider would answer")
    schema_name: Name = Field(alias="schema")
    operation: Asked
    client: Name
    agency: Id
    items: list[VerdictAnswer] = Field(max_length=10_000)


_LEFT = {
    "requests": {"limit": 10_000, "left": 9_214},
    "rows": None,
    "subjects": {"limit": 2_000, "left": 1_871},
}
_USABLE = {
    "schema": "penduduk_verifikasi",
    "provider": "disdukcapil",
    "provided": True,
    "fields": ["nama", "nik", "status_dasar", "tanggal_lahir"],
    "agreement": "pks-dukcapil-rsud",
    "purposes": ["pelayanan_kesehatan"],
    "basis": "UU 17/2023 Ps. 173; PKS 400/12/2026",
    "valid_until": "2026-12-31",
    "masks": {},
    "row_filter": None,
    "rights": ["match"],
    "formats": ["json"],
    "quota": _LEFT,
    "data_life_days": 90,
}
_QUESTION = {
    "schema": "penduduk_verifikasi",
    "operation": "verify",
    "fields": ["nik", "nama"],
    "purpose": "pelayanan_kesehatan",
    "officer": True,
}
_GRANTED = {"allow": True, "rule": "agreement", "mask": None, "detail": None}
_EXPLAINED = {
    "allow": True,
    "schema": "penduduk_verifikasi",
    "operation": "verify",
    "client": "rsud-simrs",
    "agency": "rsud-kartini",
    "items": [
        {
            "provider": "disdukcapil",
            "provided": True,
            "allow": True,
            "rule": "agreement",
            "code": None,
            "detail": None,
            "agreement": "pks-dukcapil-rsud",
            "purpose": "pelayanan_kesehatan",
            "basis": "UU 17/2023 Ps. 173; PKS 400/12/2026",
            "valid_until": "2026-12-31",
            "row_filter": None,
            "quota": _LEFT,
            "fields": [{"name": "nik", **_GRANTED}, {"name": "nama", **_GRANTED}],
        }
    ],
}


@routes.get("/access", READ, summary="What the caller may use", answer=AccessAnswer, example={"items": [_USABLE]})
async def list_access(request: Request) -> Response:
    """Schema by schema and provider by provider: which fields, under which agreement and terms, until when, and what is left today."""
    only_parameters(request)
    state, caller = services(request), principal(request)
    items = [_usable(found) for found in await entitlements.usable(state, caller)]
    return answer({"items": items}, headers={"cache-control": "no-store"})


@routes.post(
    "/access/explain",
    Rule("access.explain", EVERYONE),
    summary="Would this be allowed",
    body=ExplainAccessBody,
    body_example=_QUESTION,
    answer=ExplainAccessAnswer,
    example=_EXPLAINED,
)
async def explain_access(request: Request) -> Response:
    """Allow or deny, by which agreement and rule, field by field, with what to do; no source is touched and no quota is spent.

    The answer is that of the decision itself: what is told here is what the read would be told. A steward asks for the clients of
    its agency.
    """
    body, state = read_model(request, ExplainAccessBody), services(request)
    schema = registry.get(body.schema_name)
    if body.provider is not None:
        state.agency(body.provider)
    asked = Question(
        operation=cast("Operation", body.operation),
        schema=schema,
        provider=body.provider,
        fields=_known_fields(schema, body.fields),
        form=body.format,
        rights=frozenset(body.rights),
        asserted=Assertions(
            purpose=body.purpose,
            agreement=body.agreement,
            officer="named" if body.officer else None,
            case="named" if body.officer else None,
        ),
    )
    whose = entitlements.spoken_for(state, principal(request), body.client)
    verdicts = await entitlements.explain(state, whose, asked)
    document = {
        "allow": any(one.allow for one in verdicts),
        "schema": schema.name,
        "operation": body.operation,
        "client": whose.client_id,
        "agency": whose.agency,
        "items": [_verdict(one) for one in verdicts],
    }
    return answer(document, headers={"cache-control": "no-store"})


def _known_fields(schema: SchemaDef, fields: list[str] | None) -> tuple[str, ...] | None:
    if fields is None:
        return None
    detail = f"not a field of {schema.name}; it has: {', '.join(schema.fields)}"
    faults = [
        FieldError(f"/fields/{index}", "field_unknown", detail)
        for index, name in enumerate(fields)
        if name not in schema.fields
    ]
    if faults:
        raise ValidationFailed(f"fields: {detail}", errors=faults)
    return tuple(dict.fromkeys(fields))


def _usable(found: Usable) -> dict[str, Any]:
    terms: Terms | None = found.agreement.terms if found.agreement is not None else None
    return {
        "schema": found.schema.name,
        "provider": found.provider,
        "provided": found.provided,
        "fields": sorted(found.fields),
        "agreement": found.agreement.id if found.agreement is not None else None,
        "purposes": list(terms.purposes) if terms else [],
        "basis": terms.basis if terms else None,
        "valid_until": terms.valid_until if terms else None,
        "masks": dict(terms.masks) if terms else {},
        "row_filter": terms.row_filter if terms else None,
        "rights": list(terms.rights_in(lookup_only=found.schema.meta.lookup_only) if terms else ALL_RIGHTS),
        "formats": list(terms.formats) if terms else [],
        "quota": _quota(found.left or {}),
        "data_life_days": terms.data_life_days if terms else None,
    }


def _verdict(one: Verdict) -> dict[str, Any]:
    decision = one.decision
    return {
        "provider": one.provider,
        "provided": one.provided,
        "allow": one.allow,
        "rule": one.rule,
        "code": one.code,
        "detail": one.detail,
        "agreement": decision.agreement,
        "purpose": decision.purpose,
        "basis": decision.basis,
        "valid_until": decision.valid_until,
        "row_filter": decision.row_filter,
        "quota": _quota(one.left),
        "fields": [
            {"name": field.name, "allow": field.allow, "rule": field.rule, "mask": field.mask, "detail": field.detail}
            for field in one.fields
        ],
    }


def _quota(left: Left) -> dict[str, Any] | None:
    if not left:
        return None
    given = {kind: {"limit": limit, "left": rest} for kind, (limit, rest) in left.items()}
    return {"requests": given.get("requests"), "rows": given.get("rows"), "subjects": given.get("subjects")}
