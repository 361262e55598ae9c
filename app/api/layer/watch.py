"""Watches a request while it is answered: ends the work when the consumer leaves or the time is over."""

from __future__ import annotations

import asyncio
import contextlib

from starlette.types import Message, Receive

from app.errors import RequestTimeout

_WATCH_AFTER_SECONDS = 0.25


def in_time(receive: Receive, seconds: float) -> Receive:
    """`receive` of a body each piece of which arrives within so many seconds, or the request ends (`RequestTimeout`)."""

    async def piece() -> Message:
        try:
            async with asyncio.timeout(seconds):
                return await receive()
        except TimeoutError:
            raise RequestTimeout(f"nothing of the body arrived for {seconds:g} s", limit_seconds=seconds) from None

    return piece


class Watch:
    """Cancels the task that made it when the consumer leaves or the time is over. Costs nothing while answers are quick."""

    def __init__(self, receive: Receive) -> None:
        self.gone = False
        self.late = False
        self._pending = False
        self._receive = receive
        self._timer: asyncio.TimerHandle | None = None
        self._watcher: asyncio.Task[None] | None = None
        self._owner = asyncio.current_task()

    def arm(self, seconds: float, *, listen: bool) -> None:
        """Starts a moment from now: `seconds` until it is late; `listen` when nobody else reads what the client sends."""
        moment = min(_WATCH_AFTER_SECONDS, seconds)
        self._timer = asyncio.get_running_loop().call_later(moment, self._start, seconds - moment, listen)

    def start(self) -> None:
        """Starts to listen now."""
        self._watcher = asyncio.create_task(self._watch())

    def disarm(self) -> None:
        """Stops; may be called twice."""
        if self._timer is not None:
            self._timer.cancel()
        if self._watcher is not None:
            self._watcher.cancel()

    def uncancel(self) -> None:
        """The cancellation was ours and has done its work: the task goes on to record the exchange."""
        self._pending = False
        if self._owner is not None:
            self._owner.uncancel()

    async def absorb(self) -> None:
        """Takes a cancellation of ours that came just as the work ended, so that it does not hit what follows."""
        if self._pending:
            with contextlib.suppress(asyncio.CancelledError):
                await asyncio.sleep(0)
            self.uncancel()

    def _start(self, seconds: float, listen: bool) -> None:
        self._timer = asyncio.get_running_loop().call_later(seconds, self._expire)
        if listen:
            self.start()

    def _expire(self) -> None:
        self.late = True
        self._cancel()

    async def _watch(self) -> None:
        while (await self._receive())["type"] != "http.disconnect":
            pass
        self.gone = True
        self._cancel()

    def _cancel(self) -> None:
        if self._owner is not None and not self._pending:
            self._pending = True
            self._owner.cancel()


def cancelled_from_outside() -> bool:
    """Whether the present task itself was asked to end (the server stops), rather than something it waited for."""
    task = asyncio.current_task()
    return task is not None and task.cancelling() > 0
