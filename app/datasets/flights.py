"""One read for all who ask a source the same at the same time. Nothing is kept: the next question is asked anew."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Hashable
from dataclasses import dataclass
from typing import Any, Generic, TypeVar

from app.errors import SourceTimeout

T = TypeVar("T")


@dataclass(slots=True, eq=False)
class _Flight(Generic[T]):
    task: asyncio.Task[T]
    waiting: int = 0


class Flights(Generic[T]):
    """Reads under way by question. A read is cancelled when nobody waits for it any more."""

    def __init__(self) -> None:
        self._under_way: dict[Hashable, _Flight[T]] = {}

    async def join(self, question: Hashable, read: Callable[[], Coroutine[Any, Any, T]]) -> T:
        """What the read of this question gives or raises; started here, or by somebody a moment ago."""
        flight = self._under_way.get(question)
        if flight is None:
            flight = self._under_way[question] = _Flight(asyncio.create_task(read()))
            flight.task.add_done_callback(lambda task: self._landed(question, task))
        flight.waiting += 1
        try:
            return await asyncio.shield(flight.task)
        except asyncio.CancelledError:
            task = asyncio.current_task()
            if flight.task.cancelled() and (task is None or not task.cancelling()):
                # The read was cancelled underneath, not the one who waits: for them the source did not answer.
                raise SourceTimeout("the read of the source was broken off", step="read") from None
            raise
        finally:
            flight.waiting -= 1
            if flight.waiting == 0 and not flight.task.done():
                self._under_way.pop(question, None)
                await _stopped(flight.task)

    def _landed(self, question: Hashable, task: asyncio.Task[T]) -> None:
        flight = self._under_way.get(question)
        if flight is not None and flight.task is task:
            del self._under_way[question]
        if not task.cancelled():
            task.exception()  # looked at here, also when everybody has left


async def _stopped(task: asyncio.Task[Any]) -> None:
    """Cancels the task and waits until it has let go of its source."""
    task.cancel()
    await asyncio.wait([task])
