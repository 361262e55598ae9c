"""Places at something that many want, shared fairly: by client, and with some kept for who asks for little.

In memory of one process. Does not live here: what a place is at (a source, the SQL workers, the jobs, the gateway itself).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.errors import ServerOverloaded


class FairPlaces:
    """A number of places. The next free one goes to the waiting client that holds the fewest; nobody holds all of them.

    `bulk` places are at most three quarters: a look-up finds one while lists and exports wait.
    """

    def __init__(self, places: int) -> None:
        kept = places // 4 if places > 2 else places - 1 if places == 2 else 0
        self.places = places
        self.share = places - kept
        """Most places of one client, and of all bulk work."""
        self._free = places
        self._bulk_free = self.share
        self._held: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[asyncio.Future[None], bool]]] = {}

    @property
    def free(self) -> int:
        """Places that nobody holds."""
        return self._free

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(line) for line in self._waiting.values())

    @asynccontextmanager
    async def place(self, client: str, *, bulk: bool = False, until: float | None = None) -> AsyncGenerator[None]:
        """A place while the context lasts. `ServerOverloaded` when there is none until `until` (monotonic seconds)."""
        if not self.enter(client, bulk=bulk):
            await self.wait(client, bulk=bulk, until=until)
        try:
            yield
        finally:
            self.leave(client, bulk=bulk)

    def enter(self, client: str, *, bulk: bool = False) -> bool:
        """A place at once, without waiting; False when there is none for this client. Ends with `leave`."""
        held = self._held.get(client, 0)
        if self._free <= 0 or held >= self.share or (bulk and self._bulk_free <= 0) or client in self._waiting:
            return False
        self._held[client] = held + 1
        self._free -= 1
        self._bulk_free -= bulk
        return True

    def leave(self, client: str, *, bulk: bool = False) -> None:
        """Gives back a place; the next one that waits gets it."""
        self._give(client, bulk)

    async def wait(self, client: str, *, bulk: bool = False, until: float | None = None) -> None:
        """Waits for a place that `enter` did not give. Errors as for `place`; ends with `leave`."""
        turn: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._waiting.setdefault(client, deque()).append((turn, bulk))
        try:
            async with asyncio.timeout(None if until is None else max(until - time.monotonic(), 0)):
                await turn
        except BaseException as error:
            if turn.done() and not turn.cancelled():
                self._give(client, bulk)  # it came just now, and nobody uses it
            else:
                self._forget(client, turn, bulk)
            if isinstance(error, TimeoutError):
                detail = f"all {self.places} places are taken; nothing was asked: try again in a moment"
                raise ServerOverloaded(detail, retry_after_seconds=1) from None
            raise

    def _may(self, client: str, bulk: bool) -> bool:
        return self._free > 0 and self._held.get(client, 0) < self.share and (not bulk or self._bulk_free > 0)

    def _hold(self, client: str, bulk: bool) -> None:
        self._free -= 1
        self._bulk_free -= bulk
        self._held[client] = self._held.get(client, 0) + 1

    def _give(self, client: str, bulk: bool) -> None:
        self._free += 1
        self._bulk_free += bulk
        held = self._held[client] - 1
        if held:
            self._held[client] = held
        else:
            del self._held[client]
        while self._waiting and self._free and self._next():
            pass

    def _next(self) -> bool:
        """Gives one free place to who holds the fewest and has waited longest."""
        for client in sorted(self._waiting, key=lambda one: self._held.get(one, 0)):
            for turn, bulk in self._waiting[client]:
                if not turn.done() and self._may(client, bulk):
                    self._forget(client, turn, bulk)
                    self._hold(client, bulk)
                    turn.set_result(None)
                    return True
        return False

    def _forget(self, client: str, turn: asyncio.Future[None], bulk: bool) -> None:
        line = self._waiting.get(client)
        if line is not None and (turn, bulk) in line:
            line.remove((turn, bulk))
            if not line:
                del self._waiting[client]
