"""`/v1/erasures`, `/v1/legal-holds`: personal values go when a provider concerned or the supervisor agrees, unless the law keeps them."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.access.hands import sees
from app.api.audit.exchange_filters import moment
from app.api.audit.guardian_wire import SUBJECT, ActorAnswer, ErasureBody, HoldBody
from app.api.layer.answers import Answer, Id, Moment, Whole
from app.api.layer.bodies import answer, read_model
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.resource import GUARDIANS, Resource, Rule
from app.audit.erasure import requests as governance
from app.audit.erasure.requests import ErasureRequest, ErasureState, HoldState, LegalHold
from app.errors import FieldError, ValidationFailed
from app.gateway import erasures
from app.gateway.erasures import Draft
from app.gateway.services import Services

routes = Resource("/v1", "governance")

_EXAMPLE = {"subject": SUBJECT, "basis": "UU 27/2022 Ps. 8", "reference": "PERMOHONAN-12/2026"}
_HOLD = {"subject": SUBJECT, "basis": "Penyidikan LP/B/120/XI/2026", "reference": "B-120/2026"}

Reason = Annotated[str, Field(max_length=500)]
Limit = Annotated[str, Field(max_length=100)] | SkipJsonSchema[None]


class ErasureScope(Answer):
    """A person, by the kind of identifier alone, or the limits of a range as they were sent; what is absent means any."""

    id_type: Limit = None
    from_: Limit = Field(default=None, alias="from")
    to: Limit = None
    agreement: Limit = None
    provider: Limit = None
    schema_name: Limit = Field(default=None, alias="schema")


class ErasedCopies(Answer):
    """Copies outside the log that went: rejected records and discovery reports of these connectors, and snapshots."""

    rejects: Whole
    samples: Whole
    snapshots: Whole = Field(default=0, description="Snapshots of datasets; new ones are taken from the sources")
    connectors: list[Id] = Field(max_length=100_000)


class ErasureResult(Answer):
    """What went, which entries record it, and which receivers to tell."""

    details: Whole
    tags: Whole
    entries: list[Whole] = Field(max_length=1_000_000, description="Indexes of the entries that record it")
    receivers: list[Annotated[str, Field(max_length=200)]] = Field(max_length=100_000)
    copies: ErasedCopies


class ErasureAnswer(Answer):
    """An erasure: what was proposed, by whom, who decided, and what went. The identifier is never shown."""

    id: Id
    state: ErasureState
    of: ErasureScope
    trail: bool = Field(description="Whether the subject tags go too")
    basis: Reason
    reference: Reason
    proposed_by: ActorAnswer
    approved_by: ActorAnswer | None = Field(description="Who approved or refused it")
    result: ErasureResult | None = Field(description="Null before it was carried out")
    created_at: Moment
    changed_at: Moment


class ProposedErasure(ErasureAnswer):
    """An erasure that was proposed, and how many entries it would touch."""

    entries: Annotated[int, Field(ge=0, le=5000, description="Counted up to 5000")]


class ErasuresAnswer(Answer):
    """All erasures, newest first."""

    items: list[ErasureAnswer] = Field(max_length=1_000_000)


class HoldAnswer(Answer):
    """A legal hold: what no erasure touches while it is active."""

    id: Id
    state: HoldState
    of: ErasureScope
    basis: Reason
    reference: Reason
    placed_by: ActorAnswer
    released_by: ActorAnswer | None
    created_at: Moment
    changed_at: Moment


class HoldsAnswer(Answer):
    """All legal holds, newest first."""

    items: list[HoldAnswer] = Field(max_length=1_000_000)


_PROPOSED = {
    "id": "ers-5f0c2a9b71d4",
    "state": "proposed",
    "of": {"id_type": "nik"},
    "trail": False,
    "basis": "UU 27/2022 Ps. 8",
    "reference": "PERMOHONAN-12/2026",
    "proposed_by": {"agency": "disdukcapil", "client": "disdukcapil-steward"},
    "approved_by": None,
    "result": None,
    "created_at": "2026-11-20T02:00:00Z",
    "changed_at": "2026-11-20T02:00:00Z",
}
_DECIDED = {
    "approved_by": {"agency": "diskominfo", "client": "diskominfo-pengawas"},
    "changed_at": "2026-11-21T03:00:00Z",
}
_DONE = {
    **_PROPOSED,
    **_DECIDED,
    "state": "done",
    "result": {
        "details": 2,
        "tags": 0,
        "entries": [184212],
        "receivers": ["ID-JEPARA/GOV/rsud-kartini"],
        "copies": {"rejects": 0, "samples": 1, "snapshots": 3, "connectors": ["dukcapil-penduduk"]},
    },
}
_HELD = {
    "id": "hld-91be3f07c2a6",
    "state": "active",
    "of": {"from": "2026-01-01", "to": "2026-01-31", "agreement": "pks-dukcapil-rsud"},
    "basis": "Penyidikan LP/B/120/XI/2026",
    "reference": "B-120/2026",
    "placed_by": {"agency": "rsud-kartini", "client": "rsud-steward"},
    "released_by": None,
    "created_at": "2026-11-20T02:00:00Z",
    "changed_at": "2026-11-20T02:00:00Z",
}
_RELEASED = {
    **_HELD,
    "state": "released",
    "released_by": {"agency": "diskominfo", "client": "diskominfo-pengawas"},
    "changed_at": "2026-12-01T02:00:00Z",
}


@routes.get(
    "/erasures",
    Rule("erasure.list", GUARDIANS, "audit_read"),
    summary="Erasures",
    answer=ErasuresAnswer,
    example={"items": [_DONE]},
)
async def list_erasures(request: Request) -> Response:
    """Those that concern the caller's agency (all, for the supervisor), newest first: what was proposed, by whom, and what went.

    Identifiers are never shown.
    """
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    under_way.decide(allow=True, rule="concerned")
    async with state.database.read() as connection:
        found = await governance.list_erasures(connection)
    caller = principal(request)
    return answer({"items": [_erasure(item) for item in found if sees(caller, erasures.concerned_of(item))]})


@routes.post(
    "/erasures",
    Rule("erasure.propose", GUARDIANS, "admin"),
    summary="Propose an erasure",
    status_code=201,
    body=ErasureBody,
    body_example=_EXAMPLE,
    answer=ProposedErasure,
    example={**_PROPOSED, "entries": 2},
)
async def propose_erasure(request: Request) -> Response:
    """Of one person, or of a range. Nothing goes before somebody of another agency approves.

    Values and copies will go (details of entries, rejects, discovery reports, snapshots);
    entries, proofs and, unless `trail` is set, the trail of
    who received data stay. Only entries that stand now are meant. `entries` counts them, up to 5000.
    """
    body = read_model(request, ErasureBody)
    state = services(request)
    made, entries = await erasures.propose(state, exchange(request), _draft(state, body, trail=body.trail))
    return answer({**_erasure(made), "entries": entries}, 201, {"location": f"/v1/erasures/{made.id}"})


@routes.get(
    "/erasures/{erasure}",
    Rule("erasure.read", GUARDIANS, "audit_read"),
    summary="One erasure",
    answer=ErasureAnswer,
    example=_DONE,
)
async def get_erasure(erasure: str, request: Request) -> Response:
    """Its state, and after it was carried out: what went, which entries record it, which receivers to tell."""
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    under_way.decide(allow=True, rule="concerned")
    return answer(_erasure(await erasures.seen_erasure(state, under_way, erasure)))


@routes.post(
    "/erasures/{erasure}/approve",
    Rule("erasure.approve", GUARDIANS, "admin"),
    summary="Approve and carry out an erasure",
    answer=ErasureAnswer,
    example=_DONE,
)
async def approve_erasure(erasure: str, request: Request) -> Response:
    """By a steward of a provider whose entries or copies it concerns, or the supervisor, of another agency than the proposer's.

    Carried out at once; an interrupted one is taken up again.
    """
    only_parameters(request)
    return answer(_erasure(await erasures.approve(services(request), exchange(request), erasure)))


@routes.post(
    "/erasures/{erasure}/refuse",
    Rule("erasure.refuse", GUARDIANS, "admin"),
    summary="Refuse an erasure",
    answer=ErasureAnswer,
    example={**_PROPOSED, **_DECIDED, "state": "refused"},
)
async def refuse_erasure(erasure: str, request: Request) -> Response:
    """Ends a proposal; nothing goes. By an agency that it concerns, the proposer's, or the supervisor."""
    only_parameters(request)
    return answer(_erasure(await erasures.refuse(services(request), exchange(request), erasure)))


@routes.get(
    "/legal-holds",
    Rule("hold.list", GUARDIANS, "audit_read"),
    summary="Legal holds",
    answer=HoldsAnswer,
    example={"items": [_HELD]},
)
async def list_holds(request: Request) -> Response:
    """Those that concern the caller's agency (all, for the supervisor), newest first."""
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    under_way.decide(allow=True, rule="concerned")
    async with state.database.read() as connection:
        found = await governance.list_holds(connection)
    caller = principal(request)
    return answer({"items": [_hold(item) for item in found if sees(caller, erasures.concerned_of(item))]})


@routes.post(
    "/legal-holds",
    Rule("hold.place", GUARDIANS, "admin"),
    summary="Place a legal hold",
    status_code=201,
    body=HoldBody,
    body_example=_HOLD,
    answer=HoldAnswer,
    example={**_HELD, "of": {"id_type": "nik"}},
)
async def place_hold(request: Request) -> Response:
    """On one person, or on a range: no erasure touches it. It works at once."""
    body = read_model(request, HoldBody)
    state = services(request)
    made = await erasures.hold(state, exchange(request), _draft(state, body))
    return answer(_hold(made), 201, {"location": f"/v1/legal-holds/{made.id}"})


@routes.post(
    "/legal-holds/{hold}/release",
    Rule("hold.release", GUARDIANS, "admin"),
    summary="Release a legal hold",
    answer=HoldAnswer,
    example=_RELEASED,
)
async def release_hold(hold: str, request: Request) -> Response:
    """By the agency that placed it, or the supervisor."""
    only_parameters(request)
    return answer(_hold(await erasures.release(services(request), exchange(request), hold)))


def _draft(state: Services, body: HoldBody, *, trail: bool = False) -> Draft:
    if (body.subject is None) == (body.range is None):
        rule = "give either subject or range"
        raise ValidationFailed(rule, errors=[FieldError("", "choice", rule)])
    if body.subject is not None:
        shown: dict[str, Any] = {"id_type": body.subject.id_type}
        return Draft(
            id_type=body.subject.id_type,
            value=body.subject.value,
            shown=shown,
            basis=body.basis,
            reference=body.reference,
            trail=trail,
        )
    wanted = body.range
    shown = {} if wanted is None else wanted.model_dump(by_alias=True, exclude_none=True)
    if not shown or trail:
        rule = "a range names at least one limit" if not shown else "trail goes with a subject only"
        raise ValidationFailed(rule, errors=[FieldError("/range" if not shown else "/trail", "choice", rule)])
    zone, terms = state.settings.zone, []
    for name in ("agreement", "schema"):
        if name in shown:
            terms.append(f"{name}:{shown[name]}")
    if "provider" in shown:
        terms.append(f"provider:{state.names.member(shown['provider'])}")
    return Draft(
        from_us=moment(shown["from"], "from", zone) if "from" in shown else None,
        to_us=moment(shown["to"], "to", zone) if "to" in shown else None,
        terms=tuple(terms),
        shown=shown,
        basis=body.basis,
        reference=body.reference,
    )


def _erasure(found: ErasureRequest) -> dict[str, Any]:
    return {
        "id": found.id,
        "state": found.state,
        "of": found.selection["shown"],
        "trail": found.trail,
        "basis": found.basis,
        "reference": found.reference,
        "proposed_by": _actor(found.proposer),
        "approved_by": _actor(found.approver),
        "result": found.result,
        "created_at": found.created_at,
        "changed_at": found.changed_at,
    }


def _actor(stored: Mapping[str, str] | None) -> dict[str, str] | None:
    """As shown: without the credential."""
    return None if stored is None else {"agency": stored["agency"], "client": stored["client"]}


def _hold(found: LegalHold) -> dict[str, Any]:
    return {
        "id": found.id,
        "state": found.state,
        "of": found.selection["shown"],
        "basis": found.basis,
        "reference": found.reference,
        "placed_by": _actor(found.proposer),
        "released_by": _actor(found.approver),
        "created_at": found.created_at,
        "changed_at": found.changed_at,
    }
