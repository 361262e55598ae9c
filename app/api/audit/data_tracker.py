"""The Estonian Data Tracker's protocol (`/v2/findUsage`, `/v2/usagePeriod`, `/v2/heartbeat`), where the operator turns it on.

The protocol carries the identifier in the URL, so it is off by default and only an auditor's credential may use it.
"""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from fastapi import Request, Response

from app.access.step_up import SUBJECT_TRAIL, require_fresh
from app.api.audit.exchange_filters import moment, scope_of, whole, wrong
from app.api.layer.bodies import answer
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.resource import AUDITORS, Resource, Rule
from app.audit.entry.record import Subject, utc_text
from app.audit.read.filters import ExchangeFilter
from app.audit.read.search import ExchangeSearch
from app.audit.read.summary import summarise
from app.audit.store.contract import StoredEntry
from app.errors import NotFound, OfficerRequired
from app.gateway.erasures import personal_schemas, subject_tags
from app.gateway.exchange import ReadOutcome
from app.gateway.services import Services

routes = Resource("/v2", "audit", in_document=False)

_MOST_USAGES = 1000
_YEAR_US = 366 * 86_400_000_000


def _state(request: Request) -> Services:
    state = services(request)
    exchange(request).decide(allow=state.settings.data_tracker, rule="data_tracker")
    if not state.settings.data_tracker:
        raise NotFound("the Data Tracker routes are off; the operator turns them on with SIMPUL_DATA_TRACKER")
    return state


@routes.get("/heartbeat", Rule("tracker.heartbeat", AUDITORS, "audit_read"), summary="Data Tracker: is it there")
async def heartbeat(request: Request) -> Response:
    """Whether the log can be asked."""
    only_parameters(request)
    state = _state(request)
    return answer({"status": "OK" if state.log.healthy() else "ERROR"})


@routes.get("/usagePeriod", Rule("tracker.period", AUDITORS, "audit_read"), summary="Data Tracker: since when")
async def usage_period(request: Request) -> Response:
    """The time of the first entry."""
    only_parameters(request)
    rows = await _state(request).log.reader.fetch("SELECT t_us FROM log_entry WHERE idx = 0")
    start = utc_text(datetime.fromtimestamp(rows[0][0] / 1_000_000, UTC)) if rows else utc_text()
    return answer({"periodStart": start})


@routes.get("/findUsage", Rule("tracker.usage", AUDITORS, "audit_read"), summary="Data Tracker: who received data")
async def find_usage(request: Request) -> Response:
    """Who received data about the person who asks: `X-Road-UserId` must be `userCode`."""
    require_fresh(principal(request), SUBJECT_TRAIL)
    given = only_parameters(request, "userCode", "offset", "limit", "periodStart", "periodEnd")
    state, under_way = _state(request), exchange(request)
    code, asker = given.get("userCode", ""), under_way.assertions.officer or ""
    if not code or code != asker:
        raise OfficerRequired("X-Road-UserId must name the person of userCode: nobody asks about others here")
    state.usage_rate.check(principal(request).client_id)
    offset, limit = whole(given.get("offset", "0"), "offset"), whole(given.get("limit", "1000"), "limit")
    if not 1 <= limit <= _MOST_USAGES:
        raise wrong("limit", f"between 1 and {_MOST_USAGES}")
    id_type = next(iter(personal_schemas().values()))
    tags = subject_tags(state, id_type, code)
    under_way.concerns(Subject(id_type, code, "asked"))
    zone = state.settings.zone
    wanted = ExchangeFilter(
        tags=tags,
        kind="outcome",
        outcome="allow",
        from_us=moment(given["periodStart"], "periodStart", zone) if "periodStart" in given else None,
        to_us=moment(given["periodEnd"], "to", zone) if "periodEnd" in given else None,
    )
    scope, search = scope_of(request, state), ExchangeSearch(state.log, state.log.reader)
    found, cursor = list[StoredEntry](), None
    while len(found) < offset + limit:
        page = await search.search(wanted, scope, limit=_MOST_USAGES, cursor=cursor)
        found += page.entries
        cursor = page.next
        if cursor is None:
            break
    counted = await summarise(
        search, state.log.reader, state.log.subject_keys, wanted, scope,
        width_us=_YEAR_US, offset_us=0, dimension=None,
    )  # fmt: skip
    usages = [_usage(state, entry) for entry in found[offset : offset + limit]]
    under_way.answered(ReadOutcome(len(usages)))
    document = {"totalUsages": counted.total.entries, "usages": usages}
    return answer(document, headers={"cache-control": "no-store"})


def _usage(state: Services, entry: StoredEntry) -> dict[str, Any]:
    found = entry.members
    member = (found.get("client") or {}).get("agency", "")
    agency = state.catalog.agencies.get(member.rsplit("/", 1)[-1])
    purpose = state.access.snapshot.purposes.get(found.get("purpose") or "")
    return {
        "logtime": found["t"],
        "action": getattr(purpose, "title", None) or found.get("purpose") or found["op"],
        "receiverCode": member,
        "receiverName": agency.name if agency else None,
        "receiverSystem": (found.get("client") or {}).get("client"),
    }
