"""What the replicas of one instance count together: requests of a client and of an agreement, added up in PostgreSQL.

No request waits for it. Twice a second a replica adds what it let in to the row of the key and learns what all of them let
in; between two such moments each goes by what it knew. So a burst may pass once at every replica, and is owed: the rows keep
all of it, and until it is made up for nobody lets more in. Over any longer time the rate is that of one process.
"""

from __future__ import annotations

import time
from collections.abc import Sequence

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.rates import RateLimiter
from app.access.tables import rate_window
from app.database import Database

_SWEEP_SECONDS = 60.0
_OWED_SECONDS = 3600.0
_MOST_KEYS = 5_000
_QUICK = sa.text("SET LOCAL synchronous_commit = off")
_ADD = sa.text(
    """INSERT INTO rate_window AS kept (name, whole_at)
 SELECT given.name, moment.now + given.seconds
 FROM unnest(CAST(:names AS text[]), CAST(:seconds AS double precision[])) AS given(name, seconds),
 (SELECT CAST(extract(epoch FROM clock_timestamp()) AS double precision) AS now) AS moment ORDER BY given.name
 ON CONFLICT (name) DO UPDATE SET whole_at = least(
  greatest(kept.whole_at, CAST(extract(epoch FROM clock_timestamp()) AS double precision))
   + excluded.whole_at - CAST(extract(epoch FROM clock_timestamp()) AS double precision),
  CAST(extract(epoch FROM clock_timestamp()) AS double precision) + :most)
 RETURNING name, whole_at - CAST(extract(epoch FROM clock_timestamp()) AS double precision)"""
)


class SharedRates:
    """Adds up the counts of these limiters over all replicas; on SQLite there is one process, and nothing to do."""

    def __init__(self, database: Database, limiters: Sequence[RateLimiter]) -> None:
        self._database = database
        self._limiters = {limiter.policy: limiter for limiter in limiters}
        self._swept = time.monotonic()

    async def share(self) -> None:
        """Tells and learns. Raises `StoreUnavailable`; what could not be told is told the next time."""
        for policy, limiter in self._limiters.items():
            spent = limiter.take_spent()
            names = sorted(spent)
            for start in range(0, len(names), _MOST_KEYS):
                part = {name: spent[name] for name in names[start : start + _MOST_KEYS]}
                try:
                    limiter.learn(await self._added(policy, part))
                except Exception:
                    limiter.give_back({name: spent[name] for name in names[start:]})
                    raise

    async def _added(self, policy: str, spent: dict[str, float]) -> dict[str, float]:
        async with self._database.begin() as connection:
            if connection.dialect.name != "postgresql":
                return {}
            await connection.execute(_QUICK)
            await self._sweep(connection)
            names = [f"{policy}:{name}" for name in spent]
            values = {"names": names, "seconds": list(spent.values()), "most": _OWED_SECONDS}
            found = await connection.execute(_ADD, values)
            return {str(name).partition(":")[2]: float(ahead) for name, ahead in found}

    async def _sweep(self, connection: AsyncConnection) -> None:
        if time.monotonic() - self._swept > _SWEEP_SECONDS:
            self._swept = time.monotonic()
            await connection.execute(sa.delete(rate_window).where(rate_window.c.whole_at < time.time() - _OWED_SECONDS))
