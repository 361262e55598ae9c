"""`Idempotency-Key` on its way through the layer: which requests heed it, what is kept of their answer, and how that is sent again."""

from __future__ import annotations

import base64
import hashlib
import json
import re
from collections.abc import Mapping
from typing import Final

from starlette.types import Scope

from app.api.layer.capture import Capture
from app.api.layer.resource import Rule
from app.errors import RequestError
from app.gateway.exchange import Exchange
from app.gateway.idempotency import IdempotencyKeys

HEADER: Final = b"idempotency-key"
REPLAYED: Final = (b"idempotency-replayed", b"true")
KEY_PATTERN: Final = r'^("[!#-\[\]-~]{1,255}"|[!#-+\--:<-\[\]-~]{1,255})$'
"""A key, in quotes or bare, as the document says it."""
_KEY: Final = re.compile(KEY_PATTERN)
_MEANING: Final = {b"content-type": b"", b"accept": b"*/*", b"simpul-purpose": b"", b"simpul-agreement": b""}
"""Headers that make another request of the same body, and what their absence means."""
_OF_THIS_CONNECTION: Final = frozenset({b"content-length", b"date", b"server"})
_FAULT = 500
_REFUSED = 400


class IdempotencyKeyInvalid(RequestError):
    """The key is none."""

    code = "idempotency_key_invalid"


class Once:
    """One keyed request: reserved before its work, settled when its answer is there."""

    def __init__(self, keys: IdempotencyKeys, exchange: Exchange, key: str, fingerprint: str) -> None:
        self._keys = keys
        self._exchange = exchange
        self._key = key
        self._fingerprint = fingerprint
        self._mine = False

    async def replayed(self, capture: Capture) -> bool:
        """True: the request was answered before, and `capture` holds that answer. False: it is to be done now.

        Raises what `IdempotencyKeys.reserve` raises.
        """
        exchange = self._exchange
        kept = await self._keys.reserve(exchange.principal.client_id, self._key, self._fingerprint, exchange.id)
        if kept is None:
            self._mine = True
            return False
        exchange.decide(allow=True, rule="idempotency_replay")
        exchange.tells(replays=kept.exchange)
        _fill(capture, kept.answer)
        return True

    async def settle(self, capture: Capture) -> None:
        """A refusal, and an answer that changed nothing, free the key; an answer is kept; after a fault nobody knows."""
        if not self._mine:
            return
        self._mine = False
        kept = all(name.lower() != b"set-cookie" for name, _ in capture.headers)  # whoever repeats it gets no cookie
        done = kept and capture.status < _REFUSED and (self._exchange.closing == "admin" or capture.status == 202)
        cut_off = capture.status >= _FAULT or capture.status == 499
        if done:
            await self._keys.settle(self._exchange.id, _kept(capture))
        elif cut_off and self._exchange.intended:
            await self._keys.settle(self._exchange.id, None)
        else:
            await self._keys.release(self._exchange.id)


def once(
    keys: IdempotencyKeys, exchange: Exchange, scope: Scope, headers: Mapping[bytes, bytes], rule: Rule, body: bytes
) -> Once | None:
    """What holds a request to its `Idempotency-Key`: every POST that changes something, and every request that makes a job.

    None where there is no key, or nothing that a repetition could do twice. Raises `IdempotencyKeyInvalid`, heeded or not:
    whoever asks for a job next would send the same.
    """
    given = headers.get(HEADER)
    if given is None:
        return None
    found = _KEY.fullmatch(given.decode("latin-1").strip())
    if found is None:
        detail = "Idempotency-Key is 1 to 255 visible ASCII characters, in quotes or bare (a UUID, for example)"
        raise IdempotencyKeyInvalid(detail)
    if not heeds(rule, scope["method"], headers):
        return None
    digest = hashlib.sha256()
    meant = [headers.get(name, absent) for name, absent in _MEANING.items()]
    for part in (scope["method"].encode(), scope["raw_path"], scope["query_string"], *meant, body):
        digest.update(len(part).to_bytes(8, "big") + part)
    apart = "" if exchange.mode is None else f"{exchange.mode} "  # no key has a blank
    return Once(keys, exchange, apart + found[1].strip('"'), digest.hexdigest())


def heeds(rule: Rule, method: str, headers: Mapping[bytes, bytes]) -> bool:
    """Whether a repetition of this request could do something twice."""
    if rule.recording == "admin":
        return method == "POST"
    return rule.recording == "outcome" and b"respond-async" in headers.get(b"prefer", b"").lower()


def _kept(capture: Capture) -> bytes:
    headers = [[name.decode(), value.decode("latin-1")] for name, value in capture.headers]
    body = base64.b64encode(b"".join(capture.chunks())).decode()
    return json.dumps({"status": capture.status, "headers": headers, "body": body}).encode()


def _fill(capture: Capture, answer: bytes) -> None:
    kept = json.loads(answer)
    headers = {name: value for name, value in kept["headers"] if name.lower().encode() not in _OF_THIS_CONNECTION}
    capture.replace(kept["status"], headers, base64.b64decode(kept["body"]))
    capture.headers.append(REPLAYED)
