"""A blocking iterator (file parser, SQLite cursor) pulled from its own bounded threads, one item ahead, with a deadline.

The promise: closing the async iterator stops the work, waits for the thread to let go, and closes the blocking iterator.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator, Callable, Iterator
from concurrent.futures import Executor, Future, ThreadPoolExecutor
from typing import TypeVar

from app.errors import SourceTimeout
from app.lanes import bulk_executor

Item = TypeVar("Item")
_LET_GO_SECONDS = 30.0


class _End:
    """The mark that an iterator is exhausted."""


_END = _End()


class BulkThread:
    """The process's one thread for bulk work in the place of threads of one's own: for what computes and hardly ever waits."""

    @property
    def executor(self) -> Executor:
        """Shared with all other bulk work."""
        return bulk_executor()

    async def call(self, work: Callable[[], Item], deadline: float | None = None) -> Item:
        """As `Threads.call`."""
        return await _result(self.executor.submit(work), deadline)

    def close(self) -> None:
        """There is nothing to give back."""


class Threads:
    """The threads of one connector: started with the first work, given back by `close`."""

    def __init__(self, name: str, count: int) -> None:
        self._name = name
        self._count = count
        self._executor: ThreadPoolExecutor | None = None

    @property
    def executor(self) -> Executor:
        """The running executor."""
        if self._executor is None:
            self._executor = ThreadPoolExecutor(self._count, thread_name_prefix=self._name)
        return self._executor

    async def call(self, work: Callable[[], Item], deadline: float | None = None) -> Item:
        """The result of one blocking call; `SourceTimeout` when the deadline (monotonic seconds) passes first."""
        pending = self.executor.submit(work)
        return await _result(pending, deadline)

    def close(self) -> None:
        """Stops accepting work; threads end when their present work ends. May be called twice."""
        executor, self._executor = self._executor, None
        if executor is not None:
            executor.shutdown(wait=False, cancel_futures=True)


async def pull(
    threads: Threads | BulkThread,
    iterator: Iterator[Item],
    deadline: float | None,
    stop: Callable[[], None] = lambda: None,
) -> AsyncIterator[Item]:
    """The items of `iterator`, each computed in a thread. `stop` is called once, from the loop, to interrupt the work.

    Raises `SourceTimeout` when `deadline` (monotonic seconds) passes.
    """
    executor = threads.executor
    pending: Future[Item | _End] | None = executor.submit(next, iterator, _END)
    try:
        while pending is not None:
            item = await _result(pending, deadline)
            if isinstance(item, _End):
                pending = None
                return
            pending = executor.submit(next, iterator, _END)
            yield item
    finally:
        stop()
        await _let_go(pending, iterator)


async def _result(pending: Future[Item], deadline: float | None) -> Item:
    waiting = asyncio.wrap_future(pending)
    if deadline is None:
        return await waiting
    waiting.add_done_callback(_retrieve)  # whoever waits may be late, or leave
    try:
        async with asyncio.timeout(max(0.0, deadline - time.monotonic())):
            return await asyncio.shield(waiting)
    except TimeoutError:
        raise SourceTimeout("The source did not answer before the deadline", step="read") from None


async def _let_go(pending: Future[Item] | None, iterator: Iterator[Item]) -> None:
    """Closes the iterator once no thread is inside it (a generator cannot be closed while it runs), and waits for that."""
    close: Callable[[], None] = getattr(iterator, "close", lambda: None)
    if pending is None:
        close()
        return
    waiting = asyncio.wrap_future(pending)
    waiting.add_done_callback(_retrieve)
    pending.add_done_callback(lambda _: close())
    await asyncio.wait({waiting}, timeout=_LET_GO_SECONDS)


def _retrieve(done: asyncio.Future[Item]) -> None:
    """Marks the outcome of abandoned work as seen; nobody waits for it any more."""
    if not done.cancelled():
        done.exception()
