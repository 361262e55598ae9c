"""`/v1/erasures`, `/v1/legal-holds`: personal values go when two agencies agree, unless the law keeps them."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from app.api.audit.exchange_filters import moment
from app.api.audit.guardian_wire import SUBJECT, ErasureBody, HoldBody
from app.api.layer.bodies import answer, read_model
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.resource import GUARDIANS, Resource, Rule
from app.audit.erasure import requests as governance
from app.audit.erasure.requests import ErasureRequest, LegalHold
from app.errors import FieldError, ValidationFailed
from app.gateway import erasures
from app.gateway.erasures import Draft
from app.gateway.services import Services

routes = Resource("/v1", "governance")

_EXAMPLE = {"subject": SUBJECT, "basis": "UU 27/2022 Ps. 8", "reference": "PERMOHONAN-12/2026"}
_HOLD = {"subject": SUBJECT, "basis": "Penyidikan LP/B/120/XI/2026", "reference": "B-120/2026"}


@routes.get("/erasures", Rule("erasure.list", GUARDIANS, "audit_read"), summary="Erasures")
async def list_erasures(request: Request) -> Response:
    """All erasures, newest first: what was proposed, by whom, and what went. Identifiers are never shown."""
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    under_way.decide(allow=True, rule="role")
    async with state.database.read() as connection:
        found = await governance.list_erasures(connection)
    return answer({"items": [_erasure(item) for item in found]})


@routes.post(
    "/erasures",
    Rule("erasure.propose", GUARDIANS, "admin"),
    summary="Propose an erasure",
    status_code=201,
    body=ErasureBody,
    body_example=_EXAMPLE,
)
async def propose_erasure(request: Request) -> Response:
    """Of one person, or of a range. Nothing goes before somebody of another agency approves.

    Values and copies will go (details of entries, rejects, discovery reports); entries, proofs and, unless `trail` is set, the trail of
    who received data stay. Only entries that stand now are meant. `entries` counts them, up to 5000.
    """
    body = read_model(request, ErasureBody)
    state = services(request)
    made, entries = await erasures.propose(state, exchange(request), _draft(state, body, trail=body.trail))
    return answer({**_erasure(made), "entries": entries}, 201, {"location": f"/v1/erasures/{made.id}"})


@routes.get("/erasures/{erasure}", Rule("erasure.read", GUARDIANS, "audit_read"), summary="One erasure")
async def get_erasure(erasure: str, request: Request) -> Response:
    """Its state, and after it was carried out: what went, which entries record it, which receivers to tell."""
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    under_way.decide(allow=True, rule="role")
    async with state.database.read() as connection:
        return answer(_erasure(await governance.get_erasure(connection, erasure)))


@routes.post(
    "/erasures/{erasure}/approve",
    Rule("erasure.approve", GUARDIANS, "admin"),
    summary="Approve and carry out an erasure",
)
async def approve_erasure(erasure: str, request: Request) -> Response:
    """By somebody of another agency than the proposer's. Carried out at once; an interrupted one is taken up again."""
    only_parameters(request)
    return answer(_erasure(await erasures.approve(services(request), exchange(request), erasure)))


@routes.post("/erasures/{erasure}/refuse", Rule("erasure.refuse", GUARDIANS, "admin"), summary="Refuse an erasure")
async def refuse_erasure(erasure: str, request: Request) -> Response:
    """Ends a proposal; nothing goes."""
    only_parameters(request)
    return answer(_erasure(await erasures.refuse(services(request), exchange(request), erasure)))


@routes.get("/legal-holds", Rule("hold.list", GUARDIANS, "audit_read"), summary="Legal holds")
async def list_holds(request: Request) -> Response:
    """All legal holds, newest first."""
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    under_way.decide(allow=True, rule="role")
    async with state.database.read() as connection:
        found = await governance.list_holds(connection)
    return answer({"items": [_hold(item) for item in found]})


@routes.post(
    "/legal-holds",
    Rule("hold.place", GUARDIANS, "admin"),
    summary="Place a legal hold",
    status_code=201,
    body=HoldBody,
    body_example=_HOLD,
)
async def place_hold(request: Request) -> Response:
    """On one person, or on a range: no erasure touches it. It works at once."""
    body = read_model(request, HoldBody)
    state = services(request)
    made = await erasures.hold(state, exchange(request), _draft(state, body))
    return answer(_hold(made), 201, {"location": f"/v1/legal-holds/{made.id}"})


@routes.post("/legal-holds/{hold}/release", Rule("hold.release", GUARDIANS, "admin"), summary="Release a legal hold")
async def release_hold(hold: str, request: Request) -> Response:
    """By somebody of another agency than the one that placed it."""
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
        "proposed_by": found.proposer,
        "approved_by": found.approver,
        "result": found.result,
        "created_at": found.created_at,
        "changed_at": found.changed_at,
    }


def _hold(found: LegalHold) -> dict[str, Any]:
    return {
        "id": found.id,
        "state": found.state,
        "of": found.selection["shown"],
        "basis": found.basis,
        "reference": found.reference,
        "placed_by": found.proposer,
        "released_by": found.approver,
        "created_at": found.created_at,
        "changed_at": found.changed_at,
    }
