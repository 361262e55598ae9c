"""Quotas of agreements in one process: shares taken ahead from the store, so that a look-up waits for no round trip.

A share is a thirty-second of what is left, and one at the end: replicas together never grant more than the quota. What a share
holds and nobody used for a while goes back, also when the gateway stops; what a killed one held counts as used.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Collection, Sequence
from contextlib import suppress
from dataclasses import dataclass, field
from datetime import UTC, date, datetime, timedelta
from typing import Final
from zoneinfo import ZoneInfo

from app.access import quotas
from app.access.days import local_day
from app.access.quotas import AgreementQuotaSpent, Kind
from app.database import Database
from app.errors import StoreUnavailable

SHARE: Final = 32
LARGEST_SHARE: Final = {"requests": 256, "rows": 100_000, "subjects": 0}
HELD_BY_OTHERS: Final = 8
"""The part of a quota, one of so many, that other replicas may hold and give back."""
IDLE_SECONDS: Final = 2.0
_FORGET_SECONDS: Final = 3600.0
_WHAT: Final = {"requests": "requests", "rows": "rows", "subjects": "distinct persons"}


@dataclass(slots=True)
class _Share:
    """What this process may still grant of one quota. `beyond`: what the store had left when it was asked last."""

    day: date
    left: int = 0
    beyond: int = 0
    used_at: float = field(default_factory=time.monotonic)
    taking: asyncio.Lock = field(default_factory=asyncio.Lock)


class Quotas:
    """Counts for one process; the store counts for all."""

    def __init__(self, database: Database, zone: str, *, idle_seconds: float = IDLE_SECONDS) -> None:
        """`idle_seconds`: after which a share that nobody uses goes back."""
        self._idle_seconds = idle_seconds
        self._database = database
        self._zone = zone
        self._shares: dict[tuple[str, Kind], _Share] = {}
        self._forgot_at = float("-inf")

    def take_at_once(self, agreement: str, kind: Kind, day: date, count: int) -> bool:
        """Takes from the share that is held; False when it does not hold so many."""
        share = self._shares.get((agreement, kind))
        if share is None or share.day != day or share.left < count:
            return False
        share.left -= count
        share.used_at = time.monotonic()
        return True

    async def take(self, agreement: str, kind: Kind, limit: int, count: int, *, ahead: int = 1) -> None:
        """Counts so many; `AgreementQuotaSpent` when the day's quota does not hold them. `count` 0 asks whether `ahead` are left."""
        day = self.today()
        if self.take_at_once(agreement, kind, day, count) and (count or self._shares[agreement, kind].left >= ahead):
            return
        share = self._shares.get((agreement, kind))
        if share is None or share.day != day:
            share = self._shares[agreement, kind] = _Share(day)
        async with share.taking:
            wanted = max(count, ahead)
            if share.left < wanted:
                await self._refill(agreement, kind, limit, share, wanted)
            if share.left < wanted:
                raise self.spent(agreement, kind, limit, share.left + share.beyond)
            share.left -= count
            share.used_at = time.monotonic()

    async def _refill(self, agreement: str, kind: Kind, limit: int, share: _Share, wanted: int) -> None:
        missing = wanted - share.left
        async with self._database.begin() as connection:
            ahead = max(missing, min(LARGEST_SHARE[kind], max(share.beyond, limit if not share.beyond else 0) // SHARE))
            taken, share.beyond = await quotas.reserve(connection, agreement, share.day, kind, limit, missing, ahead)
            share.left += taken

    async def note_subjects(self, agreement: str, limit: int, tags: Collection[bytes]) -> None:
        """Counts the persons that were not asked about today, all or none; `AgreementQuotaSpent` when there is no room for them."""
        day = self.today()
        async with self._database.begin() as connection:
            left = await quotas.note_subjects(connection, agreement, day, tags, limit)
            used = {} if left is not None else await quotas.used_today(connection, [agreement], day)
        if left is None:
            raise self.spent(agreement, "subjects", limit, max(limit - used[agreement]["subjects"], 0))

    async def used_today(self, agreements: Sequence[str]) -> dict[str, dict[Kind, int]]:
        """What was used today by all replicas; what this one holds for requests to come is not."""
        day = self.today()
        async with self._database.read() as connection:
            used = await quotas.used_today(connection, agreements, day)
        for (agreement, kind), share in self._shares.items():
            if agreement in used and share.day == day:
                used[agreement][kind] = max(used[agreement][kind] - share.left, 0)
        return used

    def left_at_most(self, agreement: str, kind: Kind, limit: int) -> int:
        """Surely no more than this is left, whatever other replicas give back: a reading that is beyond it can stop."""
        share = self._shares.get((agreement, kind))
        if share is None or share.day != self.today():
            return limit
        return min(limit, share.left + share.beyond + limit // HELD_BY_OTHERS)

    def left_here(self, agreement: str, kind: Kind, limit: int) -> int:
        """What was left when the store was asked last, for this process."""
        share = self._shares.get((agreement, kind))
        return limit if share is None or share.day != self.today() else share.left + share.beyond

    def today(self) -> date:
        """The day that counts."""
        return local_day(datetime.now(UTC), self._zone)

    async def sweep(self) -> None:
        """Gives back what nobody used for a while; forgets past days."""
        now, day = time.monotonic(), self.today()
        for (agreement, kind), share in list(self._shares.items()):
            if share.day != day:
                del self._shares[agreement, kind]
            elif share.left and now - share.used_at > self._idle_seconds and not share.taking.locked():
                await self._give_back(agreement, kind, share)
        if now - self._forgot_at > _FORGET_SECONDS:
            async with self._database.begin() as connection:
                await quotas.forget(connection, day)
            self._forgot_at = now

    async def close(self) -> None:
        """Gives back all that is held."""
        with suppress(StoreUnavailable):
            for (agreement, kind), share in list(self._shares.items()):
                if share.left and share.day == self.today():
                    await self._give_back(agreement, kind, share)

    async def _give_back(self, agreement: str, kind: Kind, share: _Share) -> None:
        async with share.taking:
            count, share.left = share.left, 0
            try:
                async with self._database.begin() as connection:
                    await quotas.give_back(connection, agreement, share.day, kind, count)
            except StoreUnavailable:
                share.left += count
                raise
            share.beyond += count

    def spent(self, agreement: str, kind: Kind, limit: int, left: int) -> AgreementQuotaSpent:
        """The refusal, with what is left and when there is more."""
        now = datetime.now(UTC)
        tomorrow = self.today() + timedelta(days=1)
        midnight = datetime(tomorrow.year, tomorrow.month, tomorrow.day, tzinfo=ZoneInfo(self._zone))
        advice = f"ask for at most {left}" if left else "go on tomorrow"
        return AgreementQuotaSpent(
            f"Agreement {agreement} allows {limit} {_WHAT[kind]} a day and {left} are left: {advice}, or agree on more.",
            rule=f"quota_{kind}",
            agreement=agreement,
            limit=limit,
            left=left,
            retry_after_seconds=max(1, round((midnight - now).total_seconds())),
        )
