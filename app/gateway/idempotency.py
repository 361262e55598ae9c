"""Idempotency keys (draft-ietf-httpapi-idempotency-key-header): a request that is sent again is not done again.

A key is reserved before the work and settled after it, in a table that replicas share. What was answered is kept for 24 hours,
sealed. Where nobody can know whether the work was done, that is said; it is never done a second time by guess.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass
from datetime import UTC, datetime, timedelta
from typing import Final

from app.access.sealing import Seal, Sealed
from app.catalog import idempotency as table
from app.catalog.idempotency import KeyedRequest
from app.database import Database
from app.errors import Conflict, QuotaExceeded, RequestError

KEPT_HOURS: Final = 24
KEYS_A_CLIENT: Final = 10_000
_GRACE_SECONDS: Final = 30.0
_SWEEP_SECONDS: Final = 60.0


class IdempotencyKeyReused(RequestError):
    """The key stood for another request."""

    code = "idempotency_key_reused"


class IdempotencyInProgress(Conflict):
    """The first request with this key is not answered yet."""

    code = "idempotency_in_progress"


class IdempotencyOutcomeUnknown(Conflict):
    """The first request with this key was cut off: whether it was done is not known."""

    code = "idempotency_outcome_unknown"


@dataclass(frozen=True, slots=True)
class KeptAnswer:
    """What the first request was answered. `exchange`: the one that did the work; `answer`: as it was given to `settle`."""

    exchange: str
    answer: bytes


class IdempotencyKeys:
    """The keys of all clients."""

    def __init__(
        self, database: Database, seal: Seal, *, request_seconds: float, keys_a_client: int = KEYS_A_CLIENT
    ) -> None:
        """`request_seconds`: how long a request can take before it must have ended."""
        self._database = database
        self._seal = seal
        self._longest = timedelta(seconds=request_seconds + _GRACE_SECONDS)
        self._keys_a_client = keys_a_client
        self._swept: datetime | None = None

    async def reserve(self, client: str, key: str, fingerprint: str, exchange: str) -> KeptAnswer | None:
        """None: the key is this exchange's, which must `settle` or `release` it. Else what was answered under it.

        Raises `IdempotencyKeyReused`, `IdempotencyInProgress`, `IdempotencyOutcomeUnknown`, `QuotaExceeded`.
        """
        moment = datetime.now(UTC)
        new = KeyedRequest(
            client=client,
            key=hashlib.sha256(key.encode()).hexdigest(),
            fingerprint=fingerprint,
            exchange=exchange,
            state="running",
            started_at=moment,
            expires_at=moment + timedelta(hours=KEPT_HOURS),
        )
        async with self._database.begin() as connection:
            found = await table.reserve(connection, new)
            if found.exchange == exchange and await table.count(connection, client) > self._keys_a_client:
                detail = f"a client has at most {self._keys_a_client} idempotency keys in {KEPT_HOURS} hours"
                raise QuotaExceeded(detail, limit=self._keys_a_client)
        if found.exchange == exchange:
            return None
        if found.fingerprint != fingerprint:
            detail = "this Idempotency-Key stood for another request (route, body, purpose, agreement or form): take a new key"
            raise IdempotencyKeyReused(detail, first_exchange=found.exchange)
        if found.state == "running" and found.started_at + self._longest > moment:
            detail = "the first request with this Idempotency-Key is under way; send it again in a moment"
            raise IdempotencyInProgress(detail, retry_after_seconds=1, first_exchange=found.exchange)
        if found.state != "answered" or found.sealed is None:
            detail = (
                "the first request with this Idempotency-Key was cut off, and whether it was done is not known: "
                "look at what stands there now, then send it with a new key if it is still wanted"
            )
            raise IdempotencyOutcomeUnknown(detail, first_exchange=found.exchange)
        sealed = Sealed(found.sealed, found.nonce or b"", found.key_id or "")
        return KeptAnswer(found.exchange, self._seal.open(sealed, *_row(found.exchange)))

    async def settle(self, exchange: str, answer: bytes | None) -> None:
        """Keeps what the request of this exchange is answered; None: whether its work was done is not known."""
        async with self._database.begin() as connection:
            if answer is None:
                await table.settle(connection, exchange, state="unknown")
                return
            sealed = self._seal.seal(answer, *_row(exchange))
            kept = {"sealed": sealed.sealed, "nonce": sealed.nonce, "key_id": sealed.key_id}
            await table.settle(connection, exchange, state="answered", **kept)

    async def release(self, exchange: str) -> None:
        """The request of this exchange did nothing: its key may be sent again, also with another body."""
        async with self._database.begin() as connection:
            await table.release(connection, exchange)

    async def sweep(self) -> None:
        """Removes what is older than a day; looks once a minute at most."""
        moment = datetime.now(UTC)
        if self._swept is not None and (moment - self._swept).total_seconds() < _SWEEP_SECONDS:
            return
        self._swept = moment
        async with self._database.begin() as connection:
            await table.forget_expired(connection, moment)


def _row(exchange: str) -> tuple[str, str]:
    return "idempotency_key", exchange
