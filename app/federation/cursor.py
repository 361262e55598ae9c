"""Signed opaque cursors: the place of the last record given, bound to the question and the policy. Never an offset."""

from __future__ import annotations

import base64
import binascii
import hmac
import json
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.errors import CursorInvalid
from app.federation.query import Answer, Query
from app.schemas.numbers import exact_decimal

_SIGNATURE_BYTES = 16
_MOST_CHARACTERS = 8192
_IDENTITY = 3
"""Behind the sort values stand agency, dataset, key."""


def make_token(key: bytes, purpose: str, bound: str, place: list[Any]) -> str:
    """A token of `[A-Za-z0-9_-]` that holds the place and fits only this purpose and question."""
    payload = json.dumps([_packed(value) for value in place], separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    return base64.urlsafe_b64encode(_sign(key, purpose, bound, payload) + payload).rstrip(b"=").decode()


def open_token(key: bytes, purpose: str, bound: str, token: str) -> list[Any]:
    """The place in a token; raises `CursorInvalid` for anything that this gateway did not make for this question."""
    try:
        if len(token) > _MOST_CHARACTERS:
            raise ValueError
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        signature, payload = raw[:_SIGNATURE_BYTES], raw[_SIGNATURE_BYTES:]
        if not hmac.compare_digest(signature, _sign(key, purpose, bound, payload)):
            raise ValueError
        return [_unpacked(value) for value in json.loads(payload.decode("utf-8", "surrogatepass"))]
    except (ValueError, binascii.Error):
        detail = "this cursor is not one of this gateway for this very question; start again at the first page"
        raise CursorInvalid(detail) from None


def resume(key: bytes, token: str | None, query: Query, bound: str) -> Query:
    """The query continued behind the cursor's place."""
    if token is None:
        return query
    place, *owed = open_token(key, "records", bound, token)
    if len(place) != len(query.sort) + _IDENTITY:
        raise CursorInvalid("this cursor does not belong to this sort order; start again at the first page")
    return replace(query, after=tuple(place), owed={name: None if at is None else tuple(at) for name, at in owed})


def following(key: bytes, answer: Answer, bound: str) -> str | None:
    """The cursor of the page behind this answer, None at the end."""
    if answer.after is None:
        return None
    owed = [[name, None if at is None else list(at)] for name, at in answer.owed.items()]
    return make_token(key, "records", bound, [list(answer.after), *owed])


def _sign(key: bytes, purpose: str, bound: str, payload: bytes) -> bytes:
    return hmac.digest(key, f"{purpose}\0{bound}\0".encode() + payload, "sha256")[:_SIGNATURE_BYTES]


def _packed(value: Any) -> Any:
    match value:
        case datetime():
            return {"t": value.isoformat()}
        case date():
            return {"d": value.isoformat()}
        case Decimal():
            return {"n": str(value)}
        case float():
            return {"f": value.hex()}
        case list():
            return [_packed(part) for part in value]
    return value


def _unpacked(value: Any) -> Any:
    match value:
        case {"t": str(text)}:
            return datetime.fromisoformat(text)
        case {"d": str(text)}:
            return date.fromisoformat(text)
        case {"n": str(text)}:
            return exact_decimal(text)
        case {"f": str(text)}:
            return float.fromhex(text)
        case list():
            return [_unpacked(part) for part in value]
    return value
