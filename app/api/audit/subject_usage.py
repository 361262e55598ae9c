"""`POST /v1/subject-usage`: who received data about this person, when and why. The question is itself an entry."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field

from app.access.step_up import SUBJECT_TRAIL, require_fresh
from app.api.audit.exchange_filters import moment, scope_of
from app.api.audit.guardian_wire import SUBJECT, SubjectUsageBody
from app.api.audit.log_wire import ENTRY, LOG_META, FieldList, LogMeta, LogVerdict, Member, MemberList, Uuid
from app.api.layer.answers import Answer, Digest, Moment, Name, Whole
from app.api.layer.bodies import answer, read_model
from app.api.layer.dependencies import exchange, principal, services
from app.api.layer.headers import LONGEST
from app.api.layer.resource import AUDITORS, Resource, Rule
from app.audit.entry.members import Kind
from app.audit.entry.record import Subject
from app.audit.read.filters import ExchangeFilter
from app.audit.read.search import Cursor, ExchangeSearch
from app.audit.store.contract import StoredEntry
from app.errors import CaseRequired
from app.federation.question import cursor as signed
from app.gateway.erasures import subject_tags
from app.gateway.exchange import ReadOutcome

routes = Resource("/v1", "audit")

_SUBJECT = "subject-usage"
_CASE = {
    "name": "X-Road-Issue",
    "in": "header",
    "required": True,
    "description": "The case for which this is asked",
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST["X-Road-Issue"], "pattern": r"\S"},
    "example": "PERMOHONAN-12/2026",
}


class UsageItem(Answer):
    """An entry that asked for, released or compared data of the person."""

    exchange_id: Uuid
    index: Whole
    leaf_hash: Digest
    time: Moment
    kind: Kind
    operation: Annotated[str, Field(max_length=80)]
    roles: list[Literal["asked", "released", "compared"]] = Field(max_length=3)
    receiver: Member | None
    client: Annotated[str, Field(max_length=200)] | None
    providers: MemberList
    schemas: list[Name] = Field(max_length=1000)
    fields: FieldList
    purpose: Annotated[str, Field(max_length=200)] | None
    basis: Annotated[str, Field(max_length=500)] | None
    agreement: Annotated[str, Field(max_length=200)] | None
    decision: LogVerdict | None
    status: Annotated[int, Field(ge=100, le=599)] | None
    mode: Literal["uji"] | None = Field(description="`uji`: practice; no record of anybody was released")


class UsageMeta(LogMeta):
    """What was read, and what proves the answer."""

    years: list[Annotated[int, Field(ge=1900, le=9999)]] = Field(
        max_length=1000, description="Years whose keys of subject tags are there"
    )
    proves: Annotated[str, Field(max_length=500)]


class UsageAnswer(Answer):
    """Who received data about the person, newest first."""

    items: list[UsageItem] = Field(max_length=1000)
    next_cursor: Annotated[str, Field(max_length=2048)] | None
    meta: UsageMeta


_USAGE = {
    "items": [
        {
            "exchange_id": ENTRY["xid"],
            "index": ENTRY["index"],
            "leaf_hash": ENTRY["leaf_hash"],
            "time": ENTRY["t"],
            "kind": "outcome",
            "operation": "verify",
            "roles": ["asked", "compared"],
            "receiver": "ID-JEPARA/GOV/rsud-kartini",
            "client": "rsud-simrs",
            "providers": ENTRY["providers"],
            "schemas": ENTRY["schemas"],
            "fields": ENTRY["fields"],
            "purpose": ENTRY["purpose"],
            "basis": ENTRY["basis"],
            "agreement": ENTRY["agreement"],
            "mode": None,
            "decision": ENTRY["dec"],
            "status": 200,
        }
    ],
    "next_cursor": None,
    "meta": {
        **LOG_META,
        "years": [2026],
        "proves": "each item by the receipt of its exchange; completeness by `simpul log verify`",
    },
}


@routes.post(
    "/subject-usage",
    Rule("subject.usage", AUDITORS, "audit_read"),
    summary="Who received data about a person",
    body=SubjectUsageBody,
    body_example={"subject": SUBJECT},
    answer=UsageAnswer,
    example=_USAGE,
    openapi_extra={"parameters": [_CASE]},
)
async def find_usage(request: Request) -> Response:
    """Every entry that asked for, released or compared data of this person, newest first, in the scope of the caller.

    The case stands in `X-Road-Issue`. Each hit can be proven offline (its exchange has a receipt); that no hit is missing is
    proven by `simpul log verify`, which rebuilds the index of tags from the committed details. Bare days are days of the
    instance's zone.
    """
    require_fresh(principal(request), SUBJECT_TRAIL)
    state, under_way = services(request), exchange(request)
    if not under_way.assertions.case:
        raise CaseRequired("send the case for which you ask in X-Road-Issue")
    state.usage_rate.check(principal(request).client_id)
    body = read_model(request, SubjectUsageBody)
    scope, zone = scope_of(request, state), state.settings.zone
    tags = subject_tags(state, body.subject.id_type, body.subject.value)
    under_way.decide(allow=True, rule="auditor_scope" if scope.agency else "supervisor")
    under_way.asks(structure=f"{body.subject.id_type} = ?")
    under_way.concerns(Subject(body.subject.id_type, body.subject.value, "asked"))
    wanted = ExchangeFilter(
        from_us=moment(body.from_, "from", zone) if body.from_ else None,
        to_us=moment(body.to, "to", zone) if body.to else None,
        tags=tags,
    )
    bound = repr((wanted, scope.agency, principal(request).client_id))
    position = signed.open_token(state.cursor_key, _SUBJECT, bound, body.cursor) if body.cursor else None
    search = ExchangeSearch(state.log, state.log.reader)
    page = await search.search(wanted, scope, limit=body.limit, cursor=Cursor(*position) if position else None)
    roles = await search.roles([entry.idx for entry in page.entries], tags)
    under_way.answered(ReadOutcome(len(page.entries)))
    following = None
    if page.next is not None:
        following = signed.make_token(state.cursor_key, _SUBJECT, bound, [page.next.tree_size, page.next.before_idx])
    return answer(
        {
            "items": [_usage(entry, roles.get(entry.idx, [])) for entry in page.entries],
            "next_cursor": following,
            "meta": {
                "tree_size": page.tree_size,
                "scope": scope.agency or "all",
                "zone": zone,
                "years": state.log.subject_keys.epochs(),
                "proves": "each item by the receipt of its exchange; completeness by `simpul log verify`",
            },
        },
        headers={"cache-control": "no-store"},
    )


def _usage(entry: StoredEntry, roles: list[str]) -> dict[str, Any]:
    found = entry.members
    client = found.get("client") or {}
    return {
        "exchange_id": found["xid"],
        "index": entry.idx,
        "leaf_hash": entry.leaf_hash.hex(),
        "time": found["t"],
        "kind": found["kind"],
        "operation": found["op"],
        "roles": roles,
        "receiver": client.get("agency"),
        "client": client.get("client"),
        "providers": found.get("providers", []),
        "schemas": found.get("schemas", []),
        "fields": found.get("fields", []),
        "purpose": found.get("purpose"),
        "basis": found.get("basis"),
        "agreement": found.get("agreement"),
        "mode": found.get("mode"),
        "decision": found.get("dec"),
        "status": found.get("status"),
    }
