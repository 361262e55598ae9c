"""Calls on an object that lives in a process of its own: files of agencies are parsed there, under limits of memory and time.

Workers are forked from one process that is loaded already, and kept while they are used. One that is late, left or broken is killed.
"""

from __future__ import annotations

import contextlib
import os
import pickle
import signal
import threading
from collections.abc import AsyncIterator, Iterator
from typing import Any, Final

from app.connectors.blocking import Threads, pull
from app.connectors.isolation.wire import FRAME, fault_of, unpacked
from app.errors import SourceFailed
from app.nursery import Nursery, NurseryDied

MOST_IDLE: Final = 2
MOST_BYTES: Final = 1 << 30
"""Most bytes that a worker gives at once: what it says is not believed beyond this."""
_ARROW: Final = {"ARROW_DEFAULT_MEMORY_POOL": "system"}
"""Arrow's own pool reserves a gibibyte of address space at its first use, which is all that a worker may have."""
_FROM_WORKER: Final = "the process that reads this source ended; it may need more memory than the limits allow"


_LOADED: Final = ("app.connectors.file.content", "app.connectors.sql.sqlite_file", "app.connectors.sql.postgres_copy")
NURSERY: Final = Nursery(f"from app.connectors.isolation.child import main; main(*{_LOADED!r})", _ARROW)
"""The loaded process that workers are forked from. One for this process (a forked one makes its own)."""


class _Worker:
    """The gateway's side of one worker."""

    def __init__(self, served: Any, memory_bytes: int) -> None:
        try:
            talk, process = NURSERY.fork()
        except NurseryDied:
            raise SourceFailed("no process could be started that reads files", field="/source") from None
        self._process: int | None = process
        with talk:  # the two files hold it from here on
            self._jobs, self._answers = talk.makefile("wb"), talk.makefile("rb")
        self.used = False
        self._lock = threading.Lock()
        try:
            self._send((served, memory_bytes))
        except (OSError, ValueError):
            self.close()
            raise SourceFailed(_FROM_WORKER, field="/source") from None

    def run(self, method: str, given: tuple[Any, ...]) -> Iterator[Any]:
        """The items of one call. Errors as the method raises them; `SourceFailed` when the worker ends."""
        self._send((method, given))
        beside: list[bytes] = []
        while True:
            kind, body = self._frame(MOST_BYTES - sum(map(len, beside)))
            if kind == b"B":
                beside.append(body)
                continue
            if kind == b"E":
                self.used = True
                return
            if kind == b"X":
                fault = fault_of(body)
                self._frame()
                self.used = True
                raise fault
            item, beside = unpacked(body, beside), []
            yield item

    def kill(self) -> None:
        """Ends it, whatever it does; whoever waits for its answer hears of it."""
        with self._lock, contextlib.suppress(ProcessLookupError):
            if self._process is not None:
                signal.pidfd_send_signal(self._process, signal.SIGKILL)

    def close(self) -> None:
        """Lets go of it: it ends when it has nothing to do."""
        for file in (self._jobs, self._answers):
            with contextlib.suppress(OSError):
                file.close()
        with self._lock:
            process, self._process = self._process, None
        if process is not None:
            os.close(process)

    def _send(self, job: Any) -> None:
        body = pickle.dumps(job, protocol=5)
        self._jobs.write(FRAME.pack(b"J", len(body)))
        self._jobs.write(body)
        self._jobs.flush()

    def _frame(self, most: int = MOST_BYTES) -> tuple[bytes, bytes]:
        head = self._answers.read(FRAME.size)
        if len(head) < FRAME.size:
            raise BrokenPipeError
        kind, size = FRAME.unpack(head)
        if size > most:
            raise SourceFailed("the process that reads this source gave too much at once", field="/source")
        return kind, self._answers.read(size)


class Isolated:
    """An object whose methods are called in a worker; several at once get several workers.

    The object is pickled to them; what they give back are plain values and value classes of the connectors.
    """

    def __init__(self, served: Any, *, name: str, memory_bytes: int, count: int) -> None:
        self._served = served
        self._memory_bytes = memory_bytes
        self._threads = Threads(name, count)
        self._lock = threading.Lock()
        self._idle: list[_Worker] = []
        self._closed = False

    def warm(self) -> None:
        """Has the process that workers are forked from started beside what goes on."""
        threading.Thread(target=NURSERY.start, name="nursery", daemon=True).start()

    async def call(self, method: str, *given: Any, deadline: float | None = None) -> Any:
        """The result of a method that gives one. Raises as the method does; `SourceTimeout` at the deadline (monotonic seconds)."""
        found = [item async for item in self.stream(method, *given, deadline=deadline)]
        if len(found) != 1:
            raise SourceFailed(_FROM_WORKER, field="/source")
        return found[0]

    async def stream(self, method: str, *given: Any, deadline: float | None = None) -> AsyncIterator[Any]:
        """The items of a method that gives an iterator. Closing it kills the worker that is still at it."""
        running, left = list[_Worker](), threading.Event()

        def stop() -> None:
            left.set()
            for worker in list(running):
                worker.kill()

        items = pull(self._threads, self._run(method, given, running, left), deadline, stop)
        try:
            async for item in items:
                yield item
        finally:
            await items.aclose()  # type: ignore[attr-defined]

    def close(self) -> None:
        """Lets the idle workers end. May be called twice."""
        with self._lock:
            self._closed, idle = True, self._idle
            self._idle = []
        for worker in idle:
            worker.close()
        self._threads.close()

    def _run(self, method: str, given: tuple[Any, ...], running: list[_Worker], left: threading.Event) -> Iterator[Any]:
        for last in (False, True):
            worker = self._take(fresh=last)
            running.append(worker)
            if left.is_set():  # whoever asked has gone meanwhile
                worker.kill()
            begun = whole = False
            try:
                for item in worker.run(method, given):
                    begun = True
                    yield item
                whole = True
                return
            except (BrokenPipeError, OSError, ValueError):
                # One that was idle too long has ended; a fresh one that ends has failed.
                if begun or last or left.is_set() or not worker.used:
                    raise SourceFailed(_FROM_WORKER, field="/source") from None
            except BaseException:
                whole = worker.used and not begun  # a fault that it told: it goes on serving
                raise
            finally:
                running.clear()
                self._give(worker, whole=whole)

    def _take(self, *, fresh: bool) -> _Worker:
        with self._lock:
            if self._idle and not fresh:
                return self._idle.pop()
        return _Worker(self._served, self._memory_bytes)

    def _give(self, worker: _Worker, *, whole: bool) -> None:
        with self._lock:
            if whole and not self._closed and len(self._idle) < MOST_IDLE:
                self._idle.append(worker)
                return
        if not whole:
            worker.kill()
        worker.close()
