"""What may be used once (the `jti` of an assertion): a table that replicas share, written for many callers at once.

A use counts when its row stands, so nothing is used twice: not by another replica, not after a crash. The table is
bounded by what callers may send in the minutes that a use stays valid, and by `MOST_ROWS`; `sweep` clears it.
"""

from __future__ import annotations

import asyncio
import base64
import hashlib
import time
from datetime import UTC, datetime
from typing import Final, Protocol

import sqlalchemy as sa
from sqlalchemy.dialects.postgresql import insert as postgresql_insert
from sqlalchemy.dialects.sqlite import insert as sqlite_insert

from app.access.tables import used_once
from app.database import Database
from app.errors import ServerOverloaded

BATCH: Final = 200
WAITING: Final = 4_000
MOST_ROWS: Final = 2_000_000
_SWEEP_SECONDS: Final = 30.0


class Once(Protocol):
    """Remembers uses."""

    async def use(self, *names: str, until: float) -> bool:
        """True for the first use of these names; False for each later one before `until` (seconds since 1970)."""


class OnceRegister:
    """Uses in the store. One transaction takes all that wait, so its cost is shared."""

    def __init__(self, database: Database, *, most_rows: int = MOST_ROWS) -> None:
        self._database = database
        self._most_rows = most_rows
        self._waiting: list[tuple[str, datetime, asyncio.Future[bool]]] = []
        self._writer: asyncio.Task[None] | None = None
        self._swept = 0.0
        self._full = False

    async def use(self, *names: str, until: float) -> bool:
        """Raises `ServerOverloaded` when too many wait or too much is remembered, `StoreUnavailable` without a store."""
        if self._full or len(self._waiting) >= WAITING:
            raise ServerOverloaded("Too many proofs are on their way at once; try again.", retry_after_seconds=1)
        future: asyncio.Future[bool] = asyncio.get_running_loop().create_future()
        self._waiting.append((digest_of(*names), datetime.fromtimestamp(until, UTC), future))
        if self._writer is None or self._writer.done():
            self._writer = asyncio.create_task(self._write())
        return await future

    async def sweep(self) -> None:
        """Forgets what nobody could use any more; looks every half minute at most."""
        now = time.monotonic()
        if self._swept and now - self._swept < _SWEEP_SECONDS:
            return
        self._swept = now
        async with self._database.begin() as connection:
            await connection.execute(sa.delete(used_once).where(used_once.c.expires_at < datetime.now(UTC)))
            rows = (await connection.execute(sa.select(sa.func.count()).select_from(used_once))).scalar_one()
        self._full = rows >= self._most_rows

    async def _write(self) -> None:
        while self._waiting:
            taken, self._waiting = self._waiting[:BATCH], self._waiting[BATCH:]
            try:
                new = await self._insert({digest: until for digest, until, _ in taken})
            except Exception as fault:  # noqa: BLE001 - whoever waits is told, whatever it was
                for _, _, future in taken:
                    if not future.done():
                        future.set_exception(fault)
                continue
            for digest, _, future in taken:
                if not future.done():
                    future.set_result(digest in new)
                new.discard(digest)

    async def _insert(self, wanted: dict[str, datetime]) -> set[str]:
        """Those that were not there. In one order, so that two replicas never wait for each other."""
        rows = [{"digest": digest, "expires_at": wanted[digest]} for digest in sorted(wanted)]
        make = sqlite_insert if self._database.dialect == "sqlite" else postgresql_insert
        statement = make(used_once).values(rows).on_conflict_do_nothing().returning(used_once.c.digest)
        async with self._database.begin() as connection:
            return set((await connection.execute(statement)).scalars())


def digest_of(*names: str) -> str:
    """SHA-256 of the names, each with its length before it, in base64url."""
    parts = (name.encode(errors="surrogatepass") for name in names)
    text = b"".join(len(part).to_bytes(4, "big") + part for part in parts)
    return base64.urlsafe_b64encode(hashlib.sha256(text).digest()).rstrip(b"=").decode()
