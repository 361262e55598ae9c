"""Failed proofs: how many 401s an address may cause in a minute, and how long one waits after wrong secrets in a row.

In memory of one process, as the work that it guards is: each process has its own threads for argon2. A back-off belongs to a
client at an address, so nobody locks out a client from elsewhere. What is right is never refused by it, except a secret that
has to be hashed first.
"""

from __future__ import annotations

import ipaddress
import time
from collections import OrderedDict
from collections.abc import Callable
from math import ceil
from typing import Final

from app.errors import RateLimited

SECRET_COST: Final = 10
"""A wrong secret counts as so many other refusals: it costs 20 ms of a core, a wrong token or signature 0.2 ms at most."""
FREE_FAILURES: Final = 5
LONGEST_WAIT_SECONDS: Final = 300
_FORGOTTEN_SECONDS: Final = 3600.0
_KEYS: Final = 50_000


class FailedAttempts:
    """Counts by address (an IPv6 address by its /64, which one subscriber has)."""

    def __init__(self, per_minute: int, *, keys: int = _KEYS, clock: Callable[[], float] = time.monotonic) -> None:
        self._limit = per_minute
        self._interval_seconds = 60.0 / per_minute
        self._keys = keys
        self._clock = clock
        self._whole_at: OrderedDict[str, float] = OrderedDict()
        self._in_a_row: OrderedDict[tuple[str, str], tuple[int, float]] = OrderedDict()

    def check(self, address: str, client_id: str | None = None) -> None:
        """Raises `RateLimited` while this address has failed too often, or this client at it; nothing is counted."""
        now, key = self._clock(), group_of(address)
        ahead_seconds = self._whole_at.get(key, now) - now
        over_seconds = ahead_seconds + self._interval_seconds - 60.0
        if over_seconds > self._interval_seconds * 1e-6:
            raise self._refusal(over_seconds, "failed_attempts_of_address")
        if client_id is not None:
            failures, last = self._in_a_row.get((key, client_id), (0, now))
            wait_seconds = last + self.wait_after(failures) - now
            if wait_seconds > 0:
                raise self._refusal(wait_seconds, "failed_attempts_in_a_row")

    def failed(self, address: str, client_id: str | None = None, *, cost: int = 1) -> None:
        """Counts a refusal; with `client_id` a wrong secret of this client."""
        now, key = self._clock(), group_of(address)
        whole_at = max(self._whole_at.get(key, now), now) + cost * self._interval_seconds
        # What came at once over the limit is not counted on and on: whoever stops is free again after a minute.
        self._keep(self._whole_at, key, min(whole_at, now + 60.0 + cost * self._interval_seconds))
        if client_id is None:
            return
        failures, last = self._in_a_row.get((key, client_id), (0, now))
        self._keep(self._in_a_row, (key, client_id), (failures + 1 if now - last < _FORGOTTEN_SECONDS else 1, now))

    def succeeded(self, address: str, client_id: str) -> None:
        """The client is itself here: its failures in a row end."""
        self._in_a_row.pop((group_of(address), client_id), None)

    @staticmethod
    def wait_after(failures: int) -> float:
        """Seconds until the next try: none for the first five failures, then 1, 2, 4, … 300."""
        over = failures - FREE_FAILURES
        return 0.0 if over < 0 else float(min(2 ** min(over, 20), LONGEST_WAIT_SECONDS))

    def _refusal(self, wait_seconds: float, rule: str) -> RateLimited:
        wait = max(1, ceil(wait_seconds))
        return RateLimited(
            f"Too many failed proofs from your address; mend the credential and go on in {wait} s.",
            retry_after_seconds=wait,
            rule=rule,
            limit=self._limit,
        )

    def _keep(self, kept: OrderedDict, key: object, value: object) -> None:  # type: ignore[type-arg]
        kept[key] = value
        kept.move_to_end(key)
        if len(kept) > self._keys:
            kept.popitem(last=False)


def group_of(address: str) -> str:
    """What is counted together with an address: an IPv4 address alone, an IPv6 address with its /64."""
    try:
        found = ipaddress.ip_address(address)
    except ValueError:
        return address
    if isinstance(found, ipaddress.IPv4Address):
        return address
    if found.ipv4_mapped is not None:
        return str(found.ipv4_mapped)
    return str(ipaddress.ip_network((int(found) >> 64 << 64, 64)))
