"""An incident from the log's side: its extent, its notice, and who the people are, told to their provider alone."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Any

from app.access.hands import require_hand, sees
from app.audit.erasure.requests import new_id
from app.audit.keys.subjects import subject_tag
from app.audit.read import incidents
from app.audit.read.incidents import Incident, IncidentState
from app.audit.read.search import ExchangeSearch
from app.datasets.records import ReadRequest
from app.errors import EntryInvalid, NotFound
from app.gateway.administration import act
from app.gateway.erasures import personal_schemas
from app.gateway.exchange import Exchange, ReadOutcome
from app.gateway.services import Services

NOTICE_HOURS = 72


@dataclass(frozen=True, slots=True)
class Resolved:
    """Identifiers of the people concerned, by type, and how many tags name nobody in the provider's data any more."""

    subjects: Mapping[str, list[str]]
    unresolved: int


async def open_incident(
    state: Services, exchange: Exchange, title: str, wanted: Mapping[str, Any], known_at: datetime
) -> Incident:
    """Measures the extent and stores the incident with its deadline."""
    now = datetime.now(UTC)
    found = await incidents.extent(ExchangeSearch(state.log, state.log.reader), state.log.reader, wanted)
    principal = exchange.principal
    made = Incident(
        id=new_id("inc"),
        state="open",
        title=title,
        wanted=wanted,
        known_at=known_at,
        deadline=known_at + timedelta(hours=NOTICE_HOURS),
        found=found.document(),
        author={"agency": principal.agency, "client": principal.client_id},
        created_at=now,
        changed_at=now,
    )
    await act(state, exchange, lambda connection: incidents.add_incident(connection, made))
    return made


async def seen_incident(state: Services, exchange: Exchange, incident_id: str) -> Incident:
    """One incident that concerns the caller; one of others is as unknown as none."""
    async with state.database.read() as connection:
        found = await incidents.get_incident(connection, incident_id)
    if not sees(exchange.principal, concerned_of(found)):
        raise NotFound(incidents.NO_INCIDENT)
    return found


def concerned_of(found: Incident) -> frozenset[str]:
    """The agencies that an incident concerns: who opened it, whose data it was, who received it."""
    members = (*found.found.get("providers", ()), *found.found.get("receivers", ()))
    return frozenset({found.author["agency"], *(member.rsplit("/", 1)[-1] for member in members)})


async def move(
    state: Services,
    exchange: Exchange,
    incident_id: str,
    target: IncidentState,
    *,
    expected: Callable[[Incident], None],
) -> Incident:
    """Notes that the notice went out, or that the incident is closed, unless `expected` refuses it as it stands."""
    found = await seen_incident(state, exchange, incident_id)
    require_hand(exchange.principal, "incident.move", concerned=(found.author["agency"],))
    now = datetime.now(UTC)
    return await act(state, exchange, lambda found: incidents.move_incident(found, incident_id, target, now, expected))


async def resolve(state: Services, exchange: Exchange, incident_id: str) -> Resolved:
    """The people of the incident among the caller's own records: each record's tags are made again and compared.

    Only the provider learns them, and only its own; the identifiers of others never leave their sources.
    """
    agency = exchange.principal.agency
    found = await seen_incident(state, exchange, incident_id)
    exchange.decide(allow=True, rule="own_dataset")
    search, reader = ExchangeSearch(state.log, state.log.reader), state.log.reader
    measured = await incidents.extent(search, reader, found.wanted, provider=state.names.member(agency))
    exchange.touches((agency,))
    await exchange.intend(state.log)
    keys = [state.log.subject_keys.key(year) for year in state.log.subject_keys.epochs()]
    left, subjects = set(measured.tags), dict[str, list[str]]()
    deadline = time.monotonic() + state.settings.request_seconds
    for schema, subject in personal_schemas().items():
        for opened in state.sources.of_schema(schema):
            if opened.agency != agency:
                continue
            result = await opened.source.read(ReadRequest(fields=(subject,), deadline=deadline))
            for record in result.records:
                value = str(record.values.get(subject) or "")
                known = _tags(keys, subject, value) & measured.tags
                if known:
                    subjects.setdefault(subject, []).append(value)
                    left -= known
    exchange.answered(ReadOutcome(sum(map(len, subjects.values()))))
    return Resolved(subjects, len(left))


def _tags(keys: list[bytes], id_type: str, value: str) -> set[bytes]:
    try:
        return {subject_tag(key, id_type, value) for key in keys}
    except EntryInvalid:
        return set()
