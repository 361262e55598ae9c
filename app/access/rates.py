"""Requests per minute of one key (a client, an agreement), by the generic cell rate algorithm.

GCRA keeps one number per key: the time at which its allowance is whole again (ITU-T I.371). It is counted in the memory of
the process; `shared_rates.py` adds up what the replicas counted.
"""

from __future__ import annotations

import time
from collections import OrderedDict
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from math import ceil

from app.errors import QuotaExceeded, RateLimited


@dataclass(frozen=True, slots=True)
class Allowance:
    """What is left after a request: requests at once, and seconds until all of `limit` is there again."""

    limit: int
    remaining: int
    reset_seconds: int
    policy: str = "client"
    """Of what: the name of the policy in the headers."""


class RateLimiter:
    """Allows `per_minute` requests a key, a whole minute's worth at once; above `keys` it forgets the quietest."""

    def __init__(
        self,
        per_minute: int,
        *,
        policy: str = "client",
        keys: int = 50_000,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self.policy = policy
        self._spent: dict[str, int] = {}
        self._told: set[str] = set()
        self._limit = per_minute
        self._interval_seconds = 60.0 / per_minute
        self._keys = keys
        self._clock = clock
        self._whole_at: OrderedDict[str, float] = OrderedDict()

    def check(self, key: str) -> Allowance:
        """Count one request of `key`, or raise `RateLimited` with the seconds to wait; a refused one is not counted."""
        now = self._clock()
        whole_at = max(self._whole_at.get(key, now), now) + self._interval_seconds
        ahead_seconds = whole_at - now
        if ahead_seconds > 60.0 + self._interval_seconds * 1e-6:
            wait_seconds = max(1, ceil(ahead_seconds - 60.0))
            raise RateLimited(
                f"More than {self._limit} requests of this {self.policy} in a minute; go on in {wait_seconds} s.",
                retry_after_seconds=wait_seconds,
                limit=self._limit,
            )
        self._whole_at[key] = whole_at
        self._whole_at.move_to_end(key)
        if len(self._whole_at) > self._keys:
            self._whole_at.popitem(last=False)
        if len(self._spent) < self._keys or key in self._spent:
            self._spent[key] = self._spent.get(key, 0) + 1
        remaining = int((60.0 - ahead_seconds) / self._interval_seconds + 1e-6)
        return Allowance(self._limit, remaining, ceil(ahead_seconds), self.policy)

    def take_spent(self) -> dict[str, float]:
        """What was counted since the last call, by key, in seconds of the allowance; 0 of keys that are not whole again since then."""
        now = self._clock()
        spent, self._spent = self._spent, {}
        told = {key: 0.0 for key in self._told if self._whole_at.get(key, now) > now}
        told |= {key: count * self._interval_seconds for key, count in spent.items()}
        self._told = set(told)
        return told

    def give_back(self, spent: Mapping[str, float]) -> None:
        """Counts again what could not be told to the others."""
        for key, seconds in spent.items():
            self._spent[key] = self._spent.get(key, 0) + round(seconds / self._interval_seconds)

    def learn(self, ahead: Mapping[str, float]) -> None:
        """How far each key is ahead of now by the count of all replicas, in seconds; what came in since then is added."""
        now = self._clock()
        for key, seconds in ahead.items():
            since = self._spent.get(key, 0) * self._interval_seconds
            self._whole_at[key] = max(self._whole_at.get(key, now), now + max(seconds, 0.0) + since)


class ByteQuota:
    """Bytes of one key in an hour, by the same algorithm: what was spent comes back evenly. One spends first and is stopped after."""

    def __init__(self, per_hour: int, *, keys: int = 50_000, clock: Callable[[], float] = time.monotonic) -> None:
        self._seconds_a_byte = 3600.0 / per_hour
        self._per_hour = per_hour
        self._keys = keys
        self._clock = clock
        self._whole_at: OrderedDict[str, float] = OrderedDict()

    def spend(self, key: str, size: int) -> None:
        """Counts what was used."""
        if not size:
            return
        self._whole_at[key] = max(self._whole_at.get(key, 0.0), self._clock()) + size * self._seconds_a_byte
        self._whole_at.move_to_end(key)
        if len(self._whole_at) > self._keys:
            self._whole_at.popitem(last=False)

    def check(self, key: str) -> None:
        """Raises `QuotaExceeded` with the seconds to wait once an hour's worth is spent."""
        ahead_seconds = self._whole_at.get(key, 0.0) - self._clock()
        if ahead_seconds > 3600.0:
            raise QuotaExceeded(
                f"your requests put more than {self._per_hour} bytes into the log's details within an hour; send smaller ones",
                limit_bytes=self._per_hour,
                retry_after_seconds=ceil(ahead_seconds - 3600.0),
            )
