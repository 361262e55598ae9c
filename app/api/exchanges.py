"""`/v1/exchanges`: the auditors' reads of the exchange log. Reading it is itself an entry."""

from __future__ import annotations

import base64
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from fastapi import APIRouter, Request, Response

from app.api.bodies import answer
from app.api.dependencies import exchange, only_parameters, principal, services
from app.audit.filters import ExchangeFilter, Scope
from app.audit.search import Cursor, ExchangeSearch, Inclusion
from app.audit.store import StoredEntry
from app.errors import FieldError, LimitOutOfRange, ValidationFailed
from app.federation import cursor as signed
from app.gateway.state import State

router = APIRouter(prefix="/v1/exchanges", tags=["audit"])

_TEXTS = {
    "consumer": "agency",
    "client": "client",
    "provider": "provider",
    "schema": "schema",
    "dataset": "dataset",
    "field": "field",
    "purpose": "purpose",
    "basis": "basis",
    "agreement": "agreement",
    "outcome": "outcome",
    "rule": "rule",
    "kind": "kind",
    "op": "op",
    "exchange_id": "xid",
}
_CHOICES = {
    "outcome": ("allow", "deny", "1xx", "2xx", "3xx", "4xx", "5xx"),
    "kind": ("intent", "outcome", "delivery", "aborted", "admin", "audit_read", "erasure"),
}
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MOST_ENTRIES = 1000
_DAY_CHARACTERS = 10
_SUBJECT = "exchanges"


def _parameters() -> dict[str, Any]:
    def one(name: str, text: str, shape: dict[str, Any], example: Any) -> dict[str, Any]:
        found = {"name": name, "in": "query", "description": text, "schema": shape}
        return found if example is None else {**found, "example": example}

    word = {"type": "string", "maxLength": 200}
    examples = {"consumer": "rsud-kartini", "provider": "disdukcapil", "schema": "penduduk_verifikasi"}
    listed = [
        one(name, f"Only entries with this {name}", {**word, **({"enum": list(_CHOICES[name])} if name in _CHOICES else {})},
            examples.get(name))
        for name in _TEXTS
    ]  # fmt: skip
    listed += [
        one("from", "From this time (RFC 3339), or this WIB day", word, "2026-11-01"),
        one("to", "Until before this time, or to the end of this WIB day", word, None),
        one("status", "HTTP status of the answer", {"type": "integer", "minimum": 100, "maximum": 599}, 200),
        one("min_rows", "At least so many records were released", {"type": "integer", "minimum": 0}, None),
        one(
            "limit",
            "Entries on the page",
            {"type": "integer", "minimum": 1, "maximum": _MOST_ENTRIES, "default": 100},
            100,
        ),
        one("cursor", "`next_cursor` of the page before", {"type": "string", "maxLength": 2048}, None),
    ]
    return {"parameters": listed}


@router.get("", summary="Search the exchange log", openapi_extra=_parameters())
async def list_exchanges(request: Request) -> Response:
    """Entries, newest first, in pages that are fixed to one tree size: appending meanwhile shifts nothing.

    An auditor sees entries in which its agency is consumer or provider; a supervisor sees all.
    """
    known = {*_TEXTS, "from", "to", "status", "min_rows"}
    given = only_parameters(request, *sorted(known), "limit", "cursor")
    state, under_way = services(request), exchange(request)
    limit = _whole(given.pop("limit", "100"), "limit")
    if not 1 <= limit <= _MOST_ENTRIES:
        raise LimitOutOfRange(f"limit is between 1 and {_MOST_ENTRIES}", limit_rows=_MOST_ENTRIES)
    token = given.pop("cursor", None)
    wanted = _filter(state, given)
    scope = _scope(request, state)
    bound = repr((sorted(given.items()), scope.agency))
    position = signed.open_token(state.cursor_key, _SUBJECT, bound, token) if token else None
    cursor = Cursor(*position) if position else None
    under_way.decide(allow=True, rule="auditor_scope" if scope.agency else "supervisor")
    under_way.shape = "&".join(f"{name}=?" for name in sorted(given)) or None
    under_way.detail["filter"] = given
    page = await ExchangeSearch(state.log, state.log.reader).search(wanted, scope, limit=limit, cursor=cursor)
    under_way.rows = len(page.entries)
    following = None
    if page.next is not None:
        following = signed.make_token(state.cursor_key, _SUBJECT, bound, [page.next.tree_size, page.next.before_idx])
    document = {
        "items": [_entry(entry) for entry in page.entries],
        "next_cursor": following,
        "meta": {"tree_size": page.tree_size, "scope": scope.agency or "all", "zone": state.settings.zone},
    }
    return answer(document)


@router.get("/{exchange_id}", summary="One exchange, end to end")
async def get_exchange(exchange_id: str, request: Request) -> Response:
    """Every entry of the exchange (intent, outcome, …), the legs of its sources, and an inclusion proof of each entry.

    Takes the value of the `Exchange-Id` header of the answer.
    """
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    scope = _scope(request, state)
    under_way.decide(allow=True, rule="auditor_scope" if scope.agency else "supervisor")
    under_way.detail["read"] = exchange_id[:64]
    found = await ExchangeSearch(state.log, state.log.reader).exchange(exchange_id, scope)
    under_way.rows = len(found.entries)
    closing = next(
        (entry for entry in reversed(found.entries) if entry.members["kind"] != "delivery"), found.entries[-1]
    )
    document = {
        "exchange_id": exchange_id,
        "entries": [_entry(entry, detail=True) for entry in found.entries],
        "sources": closing.members.get("sources", []),
        "proof": {
            "checkpoint": found.checkpoint.note,
            "inclusion": [_proof(proof) for proof in found.proofs],
        },
    }
    return answer(document)


def _scope(request: Request, state: State) -> Scope:
    caller = principal(request)
    return Scope(None) if caller.role == "supervisor" else Scope(state.names.member(caller.agency))


def _filter(state: State, given: dict[str, str]) -> ExchangeFilter:
    wanted: dict[str, Any] = {}
    for name, value in given.items():
        if name in _CHOICES and value not in _CHOICES[name]:
            raise _wrong(name, f"one of {', '.join(_CHOICES[name])}")
        if name in {"consumer", "provider"}:
            wanted[_TEXTS[name]] = value if "/" in value else state.names.member(value)
        elif name in _TEXTS:
            wanted[_TEXTS[name]] = value
        elif name in {"status", "min_rows"}:
            wanted[name] = _whole(value, name)
        else:
            wanted[f"{name}_us"] = _moment(value, name, state.settings.zone)
    return ExchangeFilter(**wanted)


def _moment(text: str, name: str, zone: str) -> int:
    """Microseconds since 1970. A bare day is a day of the instance's zone; as `to` it counts whole."""
    try:
        if len(text) == _DAY_CHARACTERS:
            moment = datetime.fromisoformat(text).replace(tzinfo=ZoneInfo(zone))
            moment += timedelta(days=1) if name == "to" else timedelta(0)
        else:
            moment = datetime.fromisoformat(text.replace(" ", "+"))
    except ValueError:
        raise _wrong(name, "a day (2026-11-20) or a time with zone (2026-11-20T08:00:00+07:00)") from None
    if moment.tzinfo is None:
        raise _wrong(name, "a time needs its zone: end it with Z or +07:00")
    return (moment - _EPOCH) // timedelta(microseconds=1)


def _whole(text: str, name: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise _wrong(name, "a whole number")
    return int(text)


def _wrong(name: str, rule: str) -> ValidationFailed:
    return ValidationFailed(f"{name}: {rule}", errors=[FieldError(name, "format", rule)])


def _entry(entry: StoredEntry, *, detail: bool = False) -> dict[str, Any]:
    shown: dict[str, Any] = {"index": entry.idx, "leaf_hash": entry.leaf_hash.hex(), **entry.members}
    shown["exchange_id"] = entry.members["xid"]
    if detail:
        shown["detail"] = entry.detail
        shown["entry"] = base64.b64encode(entry.entry_bytes).decode()
    return shown


def _proof(proof: Inclusion) -> dict[str, Any]:
    return {
        "index": proof.index,
        "leaf_hash": proof.leaf_hash.hex(),
        "tree_size": proof.checkpoint.size,
        "hashes": [found.hex() for found in proof.hashes],
    }
