"""This process among the replicas: says that it lives, and closes what stopped ones left open, as long as it runs.

A replica that is started anew has another name, so nobody else would ever close what its former process left.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from contextlib import suppress

import structlog

from app.audit.store.contract import Replicas
from app.audit.write.writer import GroupWriter
from app.errors import LogError, LogUnavailable

BEAT_SECONDS = 2.0
_logger = structlog.get_logger("simpul.log")


class Presence:
    """A round every two seconds. A fault of the store ends a round, never the rounds."""

    def __init__(
        self,
        replicas: Replicas,
        writer: GroupWriter,
        close_orphans: Callable[[], Awaitable[int]],
        *,
        beat_seconds: float = BEAT_SECONDS,
    ) -> None:
        """`close_orphans` closes the intents of stopped replicas; `beat_seconds`: between two rounds."""
        self._replicas = replicas
        self._writer = writer
        self._close_orphans = close_orphans
        self._beat_seconds = beat_seconds
        self._stopping = asyncio.Event()
        self._task: asyncio.Task[None] | None = None

    def start(self) -> None:
        """Rounds in the background from now on."""
        self._task = asyncio.create_task(self._run(), name="exchange-log-presence")

    async def stop(self) -> None:
        """End after the round under way."""
        self._stopping.set()
        if self._task is not None:
            await self._task

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._beat_seconds)
            if self._stopping.is_set():
                return
            try:
                await self._round()
            except LogError as error:
                _logger.warning("replica_not_heard", code=error.code, reason=error.detail)
            except Exception as error:  # the rounds last as long as the process; the next one tries again
                _logger.exception("replica_round_failed", kind=type(error).__name__)

    async def _round(self) -> None:
        if not await self._replicas.beat():
            self._writer.block(LogUnavailable("this replica was silent for too long and declared stopped"))
        elif self._writer.error is None:
            await self._close_orphans()
