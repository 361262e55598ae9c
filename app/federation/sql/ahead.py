"""Workers of callers' SQL, started ahead: the engine of the next statement is made while nobody waits for it.

Each serves one statement and is killed with it. None is started before the first statement, so a gateway that is asked for none has none.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import os
import select
import shutil
import signal
import socket
from collections import deque
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from app.children import work_folder
from app.federation.sql.worker import FRAME
from app.nursery import Nursery, NurseryDied

MEMORY_BYTES: Final = 512 << 20
TEMP_BYTES: Final = 1 << 30
_AHEAD: Final = 2
_NURSERY: Final = Nursery("import sys; sys.modules['numpy'] = None; from app.federation.sql.worker import main; main()")
"""The engine and Arrow read numpy where it is installed, and the worker never needs it: a third of its start less."""


@dataclass(frozen=True, slots=True)
class Started:
    """A worker: the socket to it, a descriptor of its process, and the folder for what it spills."""

    talk: socket.socket
    process: int
    folder: Path

    @property
    def lives(self) -> bool:
        """Whether it has not ended by itself."""
        return not select.select([self.process], [], [], 0)[0]

    def kill(self) -> None:
        """Ends it, whatever it does."""
        with contextlib.suppress(ProcessLookupError):
            signal.pidfd_send_signal(self.process, signal.SIGKILL)

    def forget(self) -> None:
        """Waits until a killed one is gone, then removes what it spilled. Blocks."""
        try:
            select.select([self.process], [], [])
        finally:
            os.close(self.process)
            shutil.rmtree(self.folder, ignore_errors=True)


class WorkersAhead:
    """The workers of one gateway."""

    def __init__(self, root: Path, most: int) -> None:
        """`root`: where their folders are made; `most`: how many there are at once, those that wait with those that work."""
        self._root, self._most = root, most
        self._waiting: deque[Started] = deque()
        self._taken = 0
        self._filling: asyncio.Task[None] | None = None
        self._given_up: set[asyncio.Future[Started]] = set()
        self._closed = False

    async def take(self) -> Started:
        """A worker for one statement, which the caller gives to `end`. Raises `NurseryDied`."""
        self._taken += 1
        try:
            return await self._next()
        except BaseException:
            self._taken -= 1
            raise

    async def end(self, used: Started) -> None:
        """Ends a worker that was taken, whatever it does; then those are started that the next statements take."""
        used.kill()
        await asyncio.to_thread(used.forget)
        self._taken -= 1
        if self._wanted and (self._filling is None or self._filling.done()):
            self._filling = asyncio.ensure_future(self._fill())

    async def _next(self) -> Started:
        while True:
            while self._waiting:
                found = self._waiting.popleft()
                if found.lives:
                    return found
                await _dismiss(found)
            if self._filling is None or self._filling.done():
                break
            await asyncio.shield(self._filling)  # one is on its way
        starting = asyncio.ensure_future(asyncio.to_thread(_start, self._root))
        try:
            return await asyncio.shield(starting)
        except asyncio.CancelledError:
            self._given_up.add(starting)
            starting.add_done_callback(self._keep)
            raise

    @property
    def _wanted(self) -> bool:
        waiting = len(self._waiting)
        return not self._closed and waiting < _AHEAD and waiting + self._taken < self._most

    async def close(self) -> None:
        """Ends those that wait."""
        self._closed = True
        await asyncio.gather(
            *self._given_up, *([] if self._filling is None else [self._filling]), return_exceptions=True
        )
        while self._waiting:
            await _dismiss(self._waiting.popleft())

    async def _fill(self) -> None:
        with contextlib.suppress(NurseryDied):  # the next statement meets it, and tells it
            while self._wanted:
                self._waiting.append(await asyncio.to_thread(_start, self._root))

    def _keep(self, starting: asyncio.Future[Started]) -> None:
        """One whose statement was given up while it started."""
        self._given_up.discard(starting)
        if starting.exception() is None:
            self._waiting.append(starting.result())


async def _dismiss(found: Started) -> None:
    found.kill()
    found.talk.close()
    await asyncio.to_thread(found.forget)


def _start(root: Path) -> Started:
    """Blocks until the process is there; its engine is made meanwhile."""
    folder = work_folder(root, "sql")
    try:
        talk, process = _NURSERY.fork()
    except NurseryDied:
        shutil.rmtree(folder, ignore_errors=True)
        raise
    settings = json.dumps({"memory_bytes": MEMORY_BYTES, "temp_bytes": TEMP_BYTES, "folder": str(folder)}).encode()
    with contextlib.suppress(OSError):  # it ended: whoever takes it sees that
        talk.sendall(FRAME.pack(b"S", len(settings)) + settings)
    return Started(talk, process, folder)
