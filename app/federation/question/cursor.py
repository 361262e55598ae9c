"""Sealed cursors: the position of the last record given, bound to the question and the policy. Never an offset, and nothing to read.

AES-256-GCM under a key of its own. The nonce is a keyed digest of the position, so that one page has one cursor, the same each time.
"""

from __future__ import annotations

import base64
import binascii
import hmac
import json
import zlib
from collections.abc import Sequence
from dataclasses import replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import CursorInvalid, RequestError
from app.federation.question.query import Answer, Query, SourceStatus
from app.schemas.numbers import exact_decimal

_NONCE_BYTES = 12
_NOT_YOURS = (
    "this cursor is not one that this gateway gave this client for this very question, purpose and agreement; "
    "start again at the first page"
)
_MOST_CHARACTERS = 8192
_PACKED_BYTES = 512
"""Positions of more bytes are deflated: names and keys of many datasets have much in common."""
_MOST_BYTES = 1 << 20
_SNAPSHOT = "snapshot"
_OF_COPY = 3
"""Behind the position stand [dataset, position] of those that owe records, and [dataset, copy, "snapshot"]."""
_IDENTITY = 3
"""Behind the sort values stand agency, dataset, key."""


class CursorTooLong(RequestError):
    """The position of an answer needs more characters than an address or a body takes."""

    code = "cursor_too_long"


def make_token(key: bytes, purpose: str, bound: str, position: list[Any]) -> str:
    """A token of `[A-Za-z0-9_-]` that holds the position and fits only this purpose and question.

    Raises `CursorTooLong` for a position that `open_token` would not take back.
    """
    payload = json.dumps([_packed(value) for value in position], separators=(",", ":"), ensure_ascii=False).encode(
        "utf-8", "surrogatepass"
    )
    if len(payload) > _PACKED_BYTES:
        payload = zlib.compress(payload, 9)
    bound_to = f"{purpose}\0{bound}\0".encode()
    nonce = hmac.digest(key, b"cursor-nonce\0" + bound_to + payload, "sha256")[:_NONCE_BYTES]
    token = base64.urlsafe_b64encode(nonce + _cipher(key).encrypt(nonce, payload, bound_to)).rstrip(b"=").decode()
    if len(token) > _MOST_CHARACTERS:
        raise CursorTooLong(
            f"a cursor has at most {_MOST_CHARACTERS} characters, the position behind this answer needs {len(token)}; "
            "name fewer agencies, or sort by fields with shorter values",
            limit_characters=_MOST_CHARACTERS,
        )
    return token


def open_token(key: bytes, purpose: str, bound: str, token: str) -> list[Any]:
    """The position in a token; raises `CursorInvalid` for anything that this gateway did not make for this question."""
    try:
        if len(token) > _MOST_CHARACTERS:
            raise ValueError
        raw = base64.b64decode(token + "=" * (-len(token) % 4), altchars=b"-_", validate=True)
        bound_to = f"{purpose}\0{bound}\0".encode()
        payload = _cipher(key).decrypt(raw[:_NONCE_BYTES], raw[_NONCE_BYTES:], bound_to)
        if not payload.startswith(b"["):
            payload = zlib.decompressobj().decompress(payload, _MOST_BYTES)
        return [_unpacked(value) for value in json.loads(payload.decode("utf-8", "surrogatepass"))]
    except (ValueError, zlib.error, binascii.Error, InvalidTag):
        raise CursorInvalid(_NOT_YOURS, rule="cursor_bound") from None


def resume(key: bytes, token: str | None, query: Query, bound: str) -> Query:
    """The query continued behind the cursor's position."""
    if token is None:
        return query
    position, *owed = open_token(key, "records", bound, token)
    if len(position) != len(query.sort) + _IDENTITY:
        raise CursorInvalid("this cursor does not belong to this sort order; start again at the first page")
    copies = {one[0]: one[1] for one in owed if len(one) == _OF_COPY}
    owing = {one[0]: None if one[1] is None else tuple(one[1]) for one in owed if len(one) != _OF_COPY}
    return replace(query, after=tuple(position), owed=owing, copies=copies)


def following(key: bytes, answer: Answer, bound: str) -> str | None:
    """The cursor of the page behind this answer, None at the end."""
    if answer.after is None:
        return None
    owed = [[name, None if at is None else list(at)] for name, at in answer.owed.items()]
    return make_token(key, "records", bound, [list(answer.after), *owed, *copies_of(answer.sources)])


def copies_of(sources: Sequence[SourceStatus]) -> list[list[str]]:
    """The copies that an answer came from, as they stand in a cursor."""
    return [[source.dataset, source.snapshot, _SNAPSHOT] for source in sources if source.snapshot is not None]


def _cipher(key: bytes) -> AESGCM:
    return AESGCM(hmac.digest(key, b"cursor-seal", "sha256"))


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
