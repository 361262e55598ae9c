"""Slots at something that many want, shared fairly: by client, and with some kept for who asks for little.

In memory of one process. Does not live here: what a slot is at (a source, the SQL workers, the jobs, the gateway itself).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

from app.errors import ServerOverloaded


class Bulkhead:
    """A number of slots. The next free one goes to the waiting client that holds the fewest; nobody holds all of them.

    `bulk` work (lists, exports, statements) has three quarters of them, so that a look-up finds one beside it.
    """

    def __init__(self, slots: int, *, quick_shares: bool = True) -> None:
        """`quick_shares`: whether what is no bulk work is held to a share too; at a source look-ups take what is free."""
        kept = slots // 4 if slots > 2 else slots - 1 if slots == 2 else 0
        self.slots = slots
        self.share = slots - kept if quick_shares else slots
        """Most slots of one client."""
        self.bulk = slots - kept
        """Most slots of all bulk work; of one client one less, where there are several."""
        self._bulk_share = self.share if quick_shares else max(self.bulk - 1, 1)
        self._free = slots
        self._bulk_free = self.bulk
        self._held: dict[str, int] = {}
        self._held_bulk: dict[str, int] = {}
        self._waiting: dict[str, deque[tuple[asyncio.Future[None], bool]]] = {}

    @property
    def free(self) -> int:
        """Slots that nobody holds."""
        return self._free

    @property
    def waiting(self) -> int:
        """How many wait."""
        return sum(len(line) for line in self._waiting.values())

    @asynccontextmanager
    async def slot(self, client: str, *, bulk: bool = False, until: float | None = None) -> AsyncGenerator[None]:
        """A slot while the context lasts. `ServerOverloaded` when there is none until `until` (monotonic seconds)."""
        if not self.enter(client, bulk=bulk):
            await self.wait(client, bulk=bulk, until=until)
        try:
            yield
        finally:
            self.leave(client, bulk=bulk)

    def enter(self, client: str, *, bulk: bool = False) -> bool:
        """A slot at once, without waiting; False when there is none for this client. Ends with `leave`."""
        if client in self._waiting or not self._may(client, bulk):
            return False
        self._hold(client, bulk)
        return True

    def leave(self, client: str, *, bulk: bool = False) -> None:
        """Gives back a slot; the next one that waits gets it."""
        self._give(client, bulk)

    async def wait(self, client: str, *, bulk: bool = False, until: float | None = None) -> None:
        """Waits for a slot that `enter` did not give. Errors as for `slot`; ends with `leave`."""
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
                detail = f"all {self.slots} places are taken; nothing was asked: try again in a moment"
                raise ServerOverloaded(detail, retry_after_seconds=1) from None
            raise

    def _may(self, client: str, bulk: bool) -> bool:
        if self._free <= 0 or self._held.get(client, 0) >= self.share:
            return False
        return not bulk or (self._bulk_free > 0 and self._held_bulk.get(client, 0) < self._bulk_share)

    def _hold(self, client: str, bulk: bool) -> None:
        self._free -= 1
        self._held[client] = self._held.get(client, 0) + 1
        if bulk:
            self._bulk_free -= 1
            self._held_bulk[client] = self._held_bulk.get(client, 0) + 1

    def _give(self, client: str, bulk: bool) -> None:
        self._free += 1
        _less(self._held, client)
        if bulk:
            self._bulk_free += 1
            _less(self._held_bulk, client)
        while self._waiting and self._free and self._next():
            pass

    def _next(self) -> bool:
        """Gives one free slot to who holds the fewest and has waited longest."""
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


def _less(held: dict[str, int], client: str) -> None:
    left = held[client] - 1
    if left:
        held[client] = left
    else:
        del held[client]
