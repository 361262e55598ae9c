"""At most so many requests in a time, evenly spaced: the rate that a service allows its callers."""

from __future__ import annotations

import asyncio
import re
import time

from app.errors import SourceBusy

_WRITTEN = re.compile(r"([1-9][0-9]{0,5})/(s|m|h)", re.ASCII)
_SECONDS = {"s": 1, "m": 60, "h": 3600}


def seconds_between(rate: str) -> float:
    """The time between two requests of a rate such as `5/s`, `100/m`, `1000/h`. Raises `ValueError`."""
    written = _WRITTEN.fullmatch(rate)
    if written is None:
        raise ValueError("a rate is a number of requests in a second, minute or hour, such as 5/s, 100/m, 1000/h")
    return _SECONDS[written[2]] / int(written[1])


class Pace:
    """The turns of all requests of one opened source. `rate` None: nobody waits."""

    def __init__(self, rate: str | None) -> None:
        self._rate = rate
        self._between = 0.0 if rate is None else seconds_between(rate)
        self._next = 0.0

    async def turn(self, ends: float) -> None:
        """Waits for the next turn. `SourceBusy` where it comes behind `ends` (monotonic seconds): the turn is left to others."""
        if not self._between:
            return
        now = time.monotonic()
        at = max(now, self._next)
        if at > now and at >= ends:
            raise SourceBusy(
                f"the stated rate of {self._rate} leaves this request no turn in time", field="/source/rate"
            )
        self._next = at + self._between
        if at > now:
            try:
                await asyncio.sleep(at - now)
            except asyncio.CancelledError:
                if self._next == at + self._between:
                    self._next = at
                raise
