"""`/v1/agreements`, `/v1/purposes`: under which arrangement data may be read, and why."""

from __future__ import annotations

from dataclasses import asdict
from datetime import date
from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field

from app.access import agreements
from app.access.agreements import Agreement, EffectiveState, Expected, Terms
from app.access.quotas import Quota
from app.api.layer.answers import Answer, Id, Moment, Name, Whole
from app.api.layer.bodies import answer, as_seen, read_model, tagged
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.resource import READ, STEWARDS, Resource, Rule
from app.api.layer.wire import AgreementBody, ReasonBody
from app.gateway import agreements as agreeing
from app.gateway.agreements import today
from app.schemas import registry

routes = Resource("/v1", "governance")

_EXAMPLE = {
    "provider": "disdukcapil",
    "consumer": "rsud-kartini",
    "schema": "penduduk_verifikasi",
    "fields": ["*"],
    "purposes": ["pelayanan_kesehatan"],
    "basis": "UU 17/2023 Ps. 173; PKS 400/12/2026",
    "valid_from": "2026-01-01",
    "valid_until": "2026-12-31",
    "rights": ["match"],
    "quota": {"requests": 10_000, "subjects": 2_000},
    "formats": ["json"],
    "data_life_days": 90,
    "detail_days": 365,
    "dpia": "DPIA-2026-014",
}

Basis = Annotated[str, Field(max_length=500)]
Granted = Annotated[list[Name], Field(max_length=200)]
Form = Literal["json", "ndjson", "csv", "xlsx", "parquet", "arrow", "geojson"]
Life = Annotated[int, Field(ge=1, le=36_500, json_schema_extra={"format": "int32"})]
Mask = Literal["hide", "hash", "last4", "year-only", "region-only"]
Right = Literal["aggregate", "join", "match"]
Purposes = Annotated[list[Name], Field(max_length=50)]


class PurposeAnswer(Answer):
    """A code for the header `Simpul-Purpose`, and the law that allows it."""

    code: Id
    title_id: Annotated[str, Field(max_length=200)]
    title_en: Annotated[str, Field(max_length=200)]
    legal_basis: Basis


class PurposesAnswer(Answer):
    """All purposes."""

    items: list[PurposeAnswer] = Field(max_length=1000)


class SignatoryAnswer(Answer):
    """Who signed which step, and when."""

    step: Literal["propose", "provider", "walidata", "end", "revoke"]
    agency: Id
    client: Name
    at: Moment


class QuotaAnswer(Answer):
    """Most in a day; null: not limited by the agreement."""

    requests: Whole | None
    rows: Whole | None
    subjects: Whole | None


class AgreementAnswer(Answer):
    """Terms, state and signatories of an agreement."""

    id: Id
    state: EffectiveState
    provider: Id
    consumer: Id
    schema_name: Name = Field(alias="schema")
    fields: Granted = Field(description='Granted fields, or ["*"]')
    purposes: Purposes
    basis: Basis
    valid_from: date
    valid_until: date = Field(description="Last day, included")
    consumer_client: Id | None
    row_filter: Annotated[str, Field(max_length=2048)] | None
    masks: dict[Name, Mask] = Field(max_length=200)
    rights: list[Right] = Field(max_length=10, description="What is allowed beyond reading, or verifying, one by one")
    quota: QuotaAnswer | None = Field(description="Null: only what the gateway itself limits")
    formats: list[Form] = Field(max_length=7, description="In which answers may leave; empty: in all")
    data_life_days: Life | None = Field(description="How many days the consumer may keep what it got")
    detail_days: Life | None = Field(
        description="How many days the log keeps the details of exchanges under it; null: no end"
    )
    dpia: Basis | None = Field(description="Reference of the data protection impact assessment (UU 27/2022)")
    renews: Id | None = Field(description="The agreement that this one goes on from")
    signatories: list[SignatoryAnswer] = Field(max_length=10)
    reason: Annotated[str, Field(max_length=500)] | None = Field(description="Why it ended")
    created_at: Moment
    changed_at: Moment


class AgreementsAnswer(Answer):
    """Agreements, by id."""

    items: list[AgreementAnswer] = Field(max_length=100_000)


_PURPOSE = {
    "code": "pelayanan_kesehatan",
    "title_id": "Pelayanan kesehatan",
    "title_en": "Health services",
    "legal_basis": "UU 17/2023 tentang Kesehatan",
}
_PROPOSED: dict[str, Any] = {
    "id": "pks-dukcapil-rsud",
    "state": "proposed",
    **_EXAMPLE,
    "consumer_client": None,
    "row_filter": None,
    "masks": {},
    "rights": ["match"],
    "quota": {"requests": 10_000, "rows": None, "subjects": 2_000},
    "formats": ["json"],
    "data_life_days": 90,
    "detail_days": 365,
    "dpia": "DPIA-2026-014",
    "renews": None,
    "signatories": [
        {"step": "propose", "agency": "rsud-kartini", "client": "rsud-steward", "at": "2025-12-01T02:00:00Z"}
    ],
    "reason": None,
    "created_at": "2025-12-01T02:00:00Z",
    "changed_at": "2025-12-01T02:00:00Z",
}


def _signed(state: str, step: str, agency: str, at: str, reason: str | None = None) -> dict[str, Any]:
    """The example one step later."""
    signature = {"step": step, "agency": agency, "client": f"{agency}-steward", "at": at}
    signatories = [*_PROPOSED["signatories"], signature]
    return {**_PROPOSED, "state": state, "signatories": signatories, "reason": reason, "changed_at": at}


_APPROVED = _signed("approved", "provider", "disdukcapil", "2025-12-08T03:30:00Z")
_ENDED = _signed("ended", "end", "rsud-kartini", "2026-10-01T02:00:00Z", "Kerja sama selesai")
_REVOKED = _signed("revoked", "revoke", "disdukcapil", "2026-10-01T02:00:00Z", "Pelanggaran ketentuan")


@routes.get("/purposes", READ, summary="Purposes", answer=PurposesAnswer, example={"items": [_PURPOSE]})
async def list_purposes(request: Request) -> Response:
    """The codes for the header `Simpul-Purpose`, with their legal basis."""
    only_parameters(request)
    return answer({"items": [asdict(purpose) for purpose in services(request).access.snapshot.purposes.values()]})


@routes.get("/agreements", READ, summary="Agreements", answer=AgreementsAnswer, example={"items": [_APPROVED]})
async def list_agreements(request: Request) -> Response:
    """Those in which the caller's agency is provider or consumer; all of them for the walidata and the supervisor."""
    only_parameters(request)
    state, caller = services(request), principal(request)
    async with state.database.read() as connection:
        agency = None if caller.role in agreements.SEES_ALL else caller.agency
        found = await agreements.list_agreements(connection, agency=agency)
    return answer({"items": [_document(agreement, today(state)) for agreement in found]})


@routes.post(
    "/agreements",
    Rule("agreement.propose", STEWARDS, "admin"),
    summary="Propose an agreement",
    status_code=201,
    body=AgreementBody,
    body_example=_EXAMPLE,
    answer=AgreementAnswer,
    example=_PROPOSED,
)
async def propose_agreement(request: Request) -> Response:
    """By the consumer's steward (or the walidata). Active once the provider and then the walidata have approved."""
    body = read_model(request, AgreementBody)
    state = services(request)
    terms = Terms(
        provider=body.provider,
        consumer=body.consumer,
        schema=registry.get(body.schema_name).name,
        fields=tuple(body.fields),
        purposes=tuple(body.purposes),
        basis=body.basis,
        valid_from=body.valid_from,
        valid_until=body.valid_until,
        consumer_client=body.consumer_client,
        row_filter=body.row_filter,
        masks=body.masks,
        rights=None if body.rights is None else tuple(body.rights),
        quota=None if body.quota is None else Quota(**body.quota.model_dump()),
        formats=tuple(body.formats),
        data_life_days=body.data_life_days,
        detail_days=body.detail_days,
        dpia=body.dpia,
        renews=body.renews,
    )
    made = await agreeing.propose(state, exchange(request), terms, agreement_id=body.id)
    return tagged(_document(made, today(state)), 201, {"location": f"/v1/agreements/{made.id}"})


@routes.get("/agreements/{agreement}", READ, summary="One agreement", answer=AgreementAnswer, example=_APPROVED)
async def get_agreement(agreement: str, request: Request) -> Response:
    """Terms, state and signatories."""
    only_parameters(request)
    state, caller = services(request), principal(request)
    async with state.database.read() as connection:
        found = await agreements.visible_agreement(connection, agreement, caller)
    return answer(_document(found, today(state)))


@routes.post(
    "/agreements/{agreement}/approve",
    Rule("agreement.approve", STEWARDS, "admin"),
    summary="Approve an agreement",
    answer=AgreementAnswer,
    example=_APPROVED,
)
async def approve_agreement(agreement: str, request: Request) -> Response:
    """First the provider's steward, then the walidata: the agreement is active from its first day."""
    only_parameters(request)
    state = services(request)
    made = await agreeing.approve(state, exchange(request), agreement, expected=_as_seen(request, agreement))
    return tagged(_document(made, today(state)))


@routes.post(
    "/agreements/{agreement}/end",
    Rule("agreement.end", STEWARDS, "admin"),
    summary="End an agreement",
    body=ReasonBody,
    body_example={"reason": "Kerja sama selesai"},
    answer=AgreementAnswer,
    example=_ENDED,
)
async def end_agreement(agreement: str, request: Request) -> Response:
    """By a steward of either side or the walidata, before its last day; also withdraws a proposal."""
    body, state = read_model(request, ReasonBody), services(request)
    made = await agreeing.end(state, exchange(request), agreement, body.reason, expected=_as_seen(request, agreement))
    return tagged(_document(made, today(state)))


@routes.post(
    "/agreements/{agreement}/revoke",
    Rule("agreement.revoke", STEWARDS, "admin"),
    summary="Revoke an agreement",
    body=ReasonBody,
    body_example={"reason": "Pelanggaran ketentuan"},
    answer=AgreementAnswer,
    example=_REVOKED,
)
async def revoke_agreement(agreement: str, request: Request) -> Response:
    """By the provider's steward or the walidata; acts within a second on every replica."""
    body, state = read_model(request, ReasonBody), services(request)
    made = await agreeing.revoke(
        state, exchange(request), agreement, body.reason, expected=_as_seen(request, agreement)
    )
    return tagged(_document(made, today(state)))


def _as_seen(request: Request, agreement: str) -> Expected:
    day = today(services(request))
    return as_seen(request, f"agreement {agreement}", lambda found: _document(found, day))


def _document(agreement: Agreement, today: date) -> dict[str, Any]:
    terms = asdict(agreement.terms)
    return {
        "id": agreement.id,
        "state": agreement.state_on(today),
        **terms,
        "rights": agreement.terms.rights_in(lookup_only=registry.get(agreement.terms.schema).meta.lookup_only),
        "signatories": [
            {"step": one.step, "agency": one.agency, "client": one.client, "at": one.at}
            for one in agreement.signatories
        ],
        "reason": agreement.reason,
        "created_at": agreement.created_at,
        "changed_at": agreement.changed_at,
    }
