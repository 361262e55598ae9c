"""`/v1/exchanges`: the auditors' reads of the exchange log. Reading it is itself an entry."""

from __future__ import annotations

import base64
from typing import Any

from fastapi import Request, Response

from app.api.audit.exchange_filters import FILTER_NAMES, exchange_filter, filter_parameters, parameter, scope_of, whole
from app.api.audit.log_wire import ENTRY, EXCHANGE, LOG_META, ExchangeAnswer, ExchangesAnswer
from app.api.layer.bodies import answer
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.formats import next_page
from app.api.layer.resource import AUDITORS, Resource, Rule
from app.audit.read.search import Cursor, ExchangeSearch, Inclusion
from app.audit.store.contract import StoredEntry
from app.errors import LimitOutOfRange
from app.federation.question import cursor as signed
from app.gateway.exchange import ReadOutcome

routes = Resource("/v1/exchanges", "audit")

_MOST_ENTRIES = 1000
_SUBJECT = "exchanges"


def _parameters() -> dict[str, Any]:
    limit = {"type": "integer", "format": "int32", "minimum": 1, "maximum": _MOST_ENTRIES, "default": 100}
    cursor = {"type": "string", "maxLength": 2048}
    paging = [
        parameter("limit", "Entries on the page", limit, 100),
        parameter("cursor", "`next_cursor` of the page before", cursor),
    ]
    return {"parameters": filter_parameters() + paging}


@routes.get(
    "",
    Rule("exchange.search", AUDITORS, "audit_read"),
    summary="Search the exchange log",
    openapi_extra=_parameters(),
    answer=ExchangesAnswer,
    example={"items": [ENTRY], "next_cursor": None, "meta": LOG_META},
)
async def list_exchanges(request: Request) -> Response:
    """Entries, newest first, in pages that are fixed to one tree size: appending meanwhile shifts nothing.

    An auditor sees entries in which its agency is consumer or provider; a supervisor sees all.
    """
    given = only_parameters(request, *FILTER_NAMES, "limit", "cursor")
    state, under_way = services(request), exchange(request)
    limit = whole(given.pop("limit", "100"), "limit")
    if not 1 <= limit <= _MOST_ENTRIES:
        raise LimitOutOfRange(f"limit is between 1 and {_MOST_ENTRIES}", limit_rows=_MOST_ENTRIES)
    token = given.pop("cursor", None)
    wanted = exchange_filter(state, given)
    scope = scope_of(request, state)
    bound = repr((sorted(given.items()), scope.agency, principal(request).client_id))
    position = signed.open_token(state.cursor_key, _SUBJECT, bound, token) if token else None
    cursor = Cursor(*position) if position else None
    under_way.decide(allow=True, rule="auditor_scope" if scope.agency else "supervisor")
    under_way.asks(structure="&".join(f"{name}=?" for name in sorted(given)) or None)
    under_way.tells(filter=given)
    page = await ExchangeSearch(state.log, state.log.reader).search(wanted, scope, limit=limit, cursor=cursor)
    under_way.answered(ReadOutcome(len(page.entries)))
    following = None
    if page.next is not None:
        following = signed.make_token(state.cursor_key, _SUBJECT, bound, [page.next.tree_size, page.next.before_idx])
    document = {
        "items": [_entry(entry) for entry in page.entries],
        "next_cursor": following,
        "meta": {"tree_size": page.tree_size, "scope": scope.agency or "all", "zone": state.settings.zone},
    }
    headers = {} if following is None else {"link": next_page(request, state.settings.base_url, following)}
    return answer(document, headers=headers)


@routes.get(
    "/{exchange_id}",
    Rule("exchange.read", AUDITORS, "audit_read"),
    summary="One exchange, end to end",
    answer=ExchangeAnswer,
    example=EXCHANGE,
)
async def get_exchange(exchange_id: str, request: Request) -> Response:
    """Every entry of the exchange (intent, outcome, …), the legs of its sources, and an inclusion proof of each entry.

    Takes the value of the `Exchange-Id` header of the answer.
    """
    only_parameters(request)
    state, under_way = services(request), exchange(request)
    scope = scope_of(request, state)
    under_way.decide(allow=True, rule="auditor_scope" if scope.agency else "supervisor")
    under_way.tells(read=exchange_id[:64])
    found = await ExchangeSearch(state.log, state.log.reader).exchange(exchange_id, scope)
    under_way.answered(ReadOutcome(len(found.entries)))
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
