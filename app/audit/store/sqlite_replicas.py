"""Replicas of the embedded log: there is one, since the lock of the folder is its alone."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence

from app.audit.store.contract import LogReader


class OneReplica:
    """`Replicas` on SQLite. What stands in the table at opening was left by processes that have ended."""

    registrations = 1

    def __init__(self, reader: LogReader, forget: Callable[[Sequence[str]], Awaitable[None]]) -> None:
        """`forget` removes rows of `log_replica`."""
        self._reader = reader
        self._forget = forget
        self._looked = False

    async def leads(self) -> bool:
        """See `Replicas.leads`: always."""
        return True

    async def beat(self) -> bool:
        """See `Replicas.beat`: nobody else listens."""
        return True

    async def claim(self) -> dict[str, int]:
        """See `Replicas.claim`: all that are there, until they are closed; rows that come later are our own."""
        if self._looked:
            return {}
        rows = await self._reader.fetch("SELECT replica, open_from FROM log_replica")
        self._looked = not rows
        return {str(name): int(mark) for name, mark in rows}

    async def retire(self, replicas: Sequence[str]) -> None:
        """See `Replicas.retire`."""
        await self._forget(replicas)
        self._looked = True

    async def leave(self, *, nothing_open: bool) -> None:
        """See `Replicas.leave`: what is left open is found by the next opening."""
        if nothing_open:
            rows = await self._reader.fetch("SELECT replica FROM log_replica")
            await self._forget([str(name) for (name,) in rows])
