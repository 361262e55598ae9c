"""`/v1/incident-scope`: what a client, credential or connector touched in a window, whom it concerns, whom to tell by when."""

from __future__ import annotations

from dataclasses import asdict
from datetime import UTC, datetime
from functools import partial
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field

from app.access.hands import sees
from app.api.audit.exchange_filters import moment
from app.api.audit.guardian_wire import ActorAnswer, IncidentBody, IncidentChange
from app.api.layer.answers import Answer, Id, Moment, Name, Whole
from app.api.layer.bodies import answer, as_seen, read_model, tagged
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.resource import GUARDIANS, STEWARDS, Resource, Rule
from app.audit.read import incidents as stored
from app.audit.read.incidents import Incident, IncidentState
from app.audit.read.notices import notice
from app.errors import FieldError, ValidationFailed
from app.gateway import incidents

routes = Resource("/v1/incident-scope", "audit")

_EXAMPLE = {
    "title": "Kredensial SIMRS bocor",
    "client": "rsud-simrs",
    "from": "2026-11-01",
    "to": "2026-11-20",
    "known_at": "2026-11-21T08:00:00+07:00",
}

Members = Annotated[list[Annotated[str, Field(max_length=200)]], Field(max_length=100_000)]


class IncidentExtent(Answer):
    """What the client, credential or connector touched in the window."""

    entries: Whole
    exchanges: Whole
    rows: Whole
    subjects: Whole = Field(description="People, one a person and year")
    fields: list[Name] = Field(max_length=10_000)
    schemas: list[Name] = Field(max_length=1000)
    receivers: Members
    providers: Members
    tree_size: Whole = Field(description="Entries of the log that were looked at")


class IncidentAnswer(Answer):
    """An incident: its extent, its deadline, its state and the draft of the notice."""

    id: Id
    state: IncidentState
    title: Annotated[str, Field(max_length=500)]
    client: Name | None
    credential: Name | None
    connector: Id | None
    window: Annotated[str, Field(max_length=140)]
    known_at: Moment
    deadline: Moment = Field(description="3 x 24 hours after it became known")
    overdue: bool
    found: IncidentExtent
    notice: Annotated[str, Field(max_length=10_000_000, description="Draft of the notice, in Indonesian")]
    opened_by: ActorAnswer


class IncidentsAnswer(Answer):
    """All incidents, newest first."""

    items: list[IncidentAnswer] = Field(max_length=1_000_000)


class ResolvedAnswer(Answer):
    """People of the incident among the caller's own records, by kind of identifier."""

    subjects: dict[Name, Annotated[list[Annotated[str, Field(max_length=64)]], Field(max_length=10_000_000)]] = Field(
        max_length=100
    )
    unresolved: Whole = Field(description="Tags that name nobody there any more")


_FOUND = {
    "entries": 4,
    "exchanges": 2,
    "rows": 2,
    "subjects": 2,
    "fields": ["nama", "nik", "tanggal_lahir"],
    "schemas": ["penduduk_verifikasi"],
    "receivers": ["ID-JEPARA/GOV/rsud-kartini"],
    "providers": ["ID-JEPARA/GOV/disdukcapil"],
    "tree_size": 184211,
}
_OPENED = {
    "id": "inc-0b7d9e42f1c8",
    "state": "open",
    "title": "Kredensial SIMRS bocor",
    "client": "rsud-simrs",
    "credential": None,
    "connector": None,
    "window": "2026-11-01 - 2026-11-20",
    "known_at": "2026-11-21T01:00:00Z",
    "deadline": "2026-11-24T01:00:00Z",
    "overdue": False,
    "found": _FOUND,
    "notice": notice(
        "Kredensial SIMRS bocor",
        _FOUND,
        known_at=datetime(2026, 11, 21, 1, tzinfo=UTC),
        deadline=datetime(2026, 11, 24, 1, tzinfo=UTC),
        window="2026-11-01 - 2026-11-20",
        zone="Asia/Jakarta",
    ),
    "opened_by": {"agency": "diskominfo", "client": "diskominfo-pengawas"},
}


@routes.post(
    "",
    Rule("incident.open", GUARDIANS - {"steward"}, "admin"),
    summary="Open an incident",
    status_code=201,
    body=IncidentBody,
    body_example=_EXAMPLE,
    answer=IncidentAnswer,
    example=_OPENED,
)
async def open_incident(request: Request) -> Response:
    """Counts the people, fields, exchanges and receivers, and drafts the notice of UU 27/2022 Ps. 46 (3 x 24 hours).

    Names a client (and one credential of it) or a connector, and a window. Nobody is named: `resolve` tells a provider who its own are.
    """
    body = read_model(request, IncidentBody)
    state, zone = services(request), services(request).settings.zone
    if (body.client is None) == (body.connector is None):
        rule = "give either client or connector"
        raise ValidationFailed(rule, errors=[FieldError("", "choice", rule)])
    known_at = datetime.fromtimestamp(moment(body.known_at, "known_at", zone) / 1e6, UTC)
    window = body.model_dump(by_alias=True, include={"from_", "to"})
    wanted = {
        "client": body.client,
        "credential": body.credential,
        "connector": body.connector,
        "from_us": moment(body.from_, "from", zone),
        "to_us": moment(body.to, "to", zone),
        "window": f"{window['from']} - {window['to']}",
    }
    made = await incidents.open_incident(state, exchange(request), body.title, wanted, known_at)
    return answer(_document(made, zone), 201, {"location": f"/v1/incident-scope/{made.id}"})


@routes.get(
    "",
    Rule("incident.list", GUARDIANS, "audit_read"),
    summary="Incidents",
    answer=IncidentsAnswer,
    example={"items": [_OPENED]},
)
async def list_incidents(request: Request) -> Response:
    """Those that concern the caller's agency (all, for the supervisor), newest first, with deadline and state."""
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    under_way.decide(allow=True, rule="concerned")
    async with state.database.read() as connection:
        found = await stored.list_incidents(connection)
    caller, zone = principal(request), state.settings.zone
    return answer({"items": [_document(item, zone) for item in found if sees(caller, incidents.concerned_of(item))]})


@routes.get(
    "/{incident}",
    Rule("incident.read", GUARDIANS, "audit_read"),
    summary="One incident",
    answer=IncidentAnswer,
    example=_OPENED,
)
async def get_incident(incident: str, request: Request) -> Response:
    """Extent, deadline, state and the draft of the notice."""
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    under_way.decide(allow=True, rule="concerned")
    return answer(_document(await incidents.seen_incident(state, under_way, incident), state.settings.zone))


@routes.patch(
    "/{incident}",
    Rule("incident.change", GUARDIANS - {"steward"}, "admin"),
    summary="Move an incident",
    body=IncidentChange,
    body_example={"state": "notified"},
    answer=IncidentAnswer,
    example={**_OPENED, "state": "notified"},
)
async def change_incident(incident: str, request: Request) -> Response:
    """To `notified` when the notice went out, to `closed` when all is done. By the agency that opened it, or the supervisor."""
    body = read_model(request, IncidentChange)
    state = services(request)
    zone = state.settings.zone
    expected = as_seen(request, f"incident {incident}", partial(_document, zone=zone), required=True)
    moved = await incidents.move(state, exchange(request), incident, body.state, expected=expected)
    return tagged(_document(moved, zone))


@routes.post(
    "/{incident}/resolve",
    Rule("incident.resolve", STEWARDS, "outcome"),
    summary="Name the people to their provider",
    answer=ResolvedAnswer,
    example={"subjects": {"nik": ["3320990101900001"]}, "unresolved": 1},
)
async def resolve_incident(incident: str, request: Request) -> Response:
    """For a steward: identifiers of the people of the incident among its own agency's records, so that they can be written to.

    `unresolved` counts tags that name nobody there any more.
    """
    only_parameters(request)
    found = await incidents.resolve(services(request), exchange(request), incident)
    return answer(asdict(found), headers={"cache-control": "no-store"})


def _document(found: Incident, zone: str) -> dict[str, Any]:
    wanted = found.wanted
    return {
        "id": found.id,
        "state": found.state,
        "title": found.title,
        "client": wanted.get("client"),
        "credential": wanted.get("credential"),
        "connector": wanted.get("connector"),
        "window": wanted["window"],
        "known_at": found.known_at,
        "deadline": found.deadline,
        "overdue": found.state == "open" and datetime.now(UTC) > found.deadline,
        "found": found.found,
        "notice": notice(
            found.title,
            found.found,
            known_at=found.known_at,
            deadline=found.deadline,
            window=wanted["window"],
            zone=zone,
        ),
        "opened_by": found.author,
    }
