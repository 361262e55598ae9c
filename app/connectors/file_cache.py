"""FileCache of files that stand elsewhere: one for all who read the same, in a folder of this process alone, counted to an agency's share.

A copy is whole or it is not there. A newer one takes its stead; who reads the old one reads it to its end.
"""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import os
import secrets
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Hashable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import IO, Protocol

from app.errors import SourceError, SourceFailed, SourceTimeout, SourceTooLarge

BLOCK_BYTES = 1 << 20
"""So much is gathered before it is written, in a thread."""


class DiskShare(Protocol):
    """What an agency may take of the disk."""

    def take(self, size: int) -> None:
        """Before so many bytes are written. Raises a `SourceError` leaf where they are too many."""

    def give(self, size: int) -> None:
        """Bytes that are gone."""


class Unbounded:
    """The share of what is no gateway: a command, a test."""

    def take(self, size: int) -> None:
        """Everything may be taken."""

    def give(self, size: int) -> None:
        """Nothing is counted."""


@dataclass(frozen=True, slots=True)
class Brought:
    """What was written into a sink is whole. `memo`: what is needed to ask again whether it is still the same."""

    memo: Mapping[str, str] = field(default_factory=dict)


@dataclass(slots=True)
class CachedFile:
    """A whole file. `mark`: SHA-256 of its bytes; `as_of`: when the source was last seen to hold just these."""

    path: Path
    mark: str
    size: int
    memo: Mapping[str, str]
    as_of: datetime
    confirmed: float
    """The same by `time.monotonic()`."""
    users: int = 0
    current: bool = True


class Sink:
    """Where a file that is brought is written. More than `most` bytes raise `SourceTooLarge`."""

    def __init__(self, path: Path, most: int, take: Callable[[int], None]) -> None:
        self._most = most
        self._take = take
        self._file: IO[bytes] = os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "wb")
        self._digest = hashlib.sha256()
        self._waiting = bytearray()
        self.size = 0

    async def write(self, chunk: bytes) -> None:
        """The next bytes."""
        self._waiting += chunk
        if len(self._waiting) >= BLOCK_BYTES:
            await asyncio.to_thread(self.flush)

    def write_here(self, chunk: bytes) -> None:
        """The same for who is in a thread already."""
        self._waiting += chunk
        if len(self._waiting) >= BLOCK_BYTES:
            self.flush()

    def flush(self) -> None:
        """Writes what was gathered."""
        block, self._waiting = bytes(self._waiting), bytearray()
        if self.size + len(block) > self._most:
            detail = (
                f"the file has more than {self._most} bytes, the most that are read of a source (SIMPUL_SOURCE_BYTES)"
            )
            raise SourceTooLarge(detail, field="/source/location", limit_bytes=self._most)
        self._take(len(block))
        self.size += len(block)
        self._digest.update(block)
        try:
            self._file.write(block)
            self._file.flush()
        except OSError as error:
            raise SourceFailed(f"the copy of the file could not be written: {error.strerror}") from None

    def close(self) -> str:
        """The mark of what was written."""
        self._file.close()
        return self._digest.hexdigest()


Bring = Callable[[CachedFile | None, Sink], Awaitable[Brought | None]]
"""Writes the file, or says (None) that the copy at hand is still it."""


class _Slot:
    """One file: its copy, who brings it, whose it is."""

    def __init__(self) -> None:
        self.copy: CachedFile | None = None
        self.bringing: asyncio.Task[None] | None = None
        self.by: Hashable = None
        self.owners: set[Hashable] = set()


class FileCache:
    """The copies of one agency."""

    def __init__(self, folder: Path, share: DiskShare | None = None) -> None:
        self._folder = folder
        self._share: DiskShare = share or Unbounded()
        self._slots: dict[Hashable, _Slot] = {}
        self._lock = threading.RLock()
        """FileCache are written in threads too, and make way for each other there."""

    @asynccontextmanager
    async def using(
        self,
        key: Hashable,
        bring: Bring,
        *,
        owner: Hashable,
        fresh: Callable[[CachedFile], bool],
        most: int,
        deadline: float | None,
        ending: str = "",
    ) -> AsyncIterator[CachedFile]:
        """The copy of `key`, brought where there is none that is `fresh`; it stays as it is until the context ends.

        Who comes while it is brought waits for the same; it goes on where one of them leaves at its deadline
        (`time.monotonic()` seconds, `SourceTimeout`). `owner`: whoever gives it up by `release`. `ending`: of the copy's name.
        """
        slot = self._slots.setdefault(key, _Slot())
        slot.owners.add(owner)
        while (copy := self._held(slot, fresh)) is None:
            if slot.bringing is None or slot.bringing.done():
                slot.bringing, slot.by = asyncio.create_task(self._bring(slot, bring, most, ending)), owner
                slot.bringing.add_done_callback(_retrieve)
            by = slot.by
            try:
                await _waited(slot.bringing, deadline)
            except SourceError:
                if by == owner or by in slot.owners or not slot.bringing.done():
                    raise  # else it failed because whoever brought it closed
        try:
            yield copy
        finally:
            with self._lock:
                copy.users -= 1
                if not copy.current and copy.users == 0:
                    self._drop(copy)

    def release(self, owner: Hashable) -> None:
        """Lets go of what nobody else owns."""
        for key, slot in list(self._slots.items()):
            slot.owners.discard(owner)
            if slot.owners:
                continue
            del self._slots[key]
            with contextlib.suppress(RuntimeError):  # the loop that it ran in may have ended
                if slot.bringing is not None:
                    slot.bringing.cancel()
            self._retire(slot)

    def _held(self, slot: _Slot, fresh: Callable[[CachedFile], bool]) -> CachedFile | None:
        with self._lock:
            copy = slot.copy
            if copy is None or not fresh(copy):
                return None
            copy.users += 1
            return copy

    async def _bring(self, slot: _Slot, bring: Bring, most: int, ending: str) -> None:
        begun, moment = time.monotonic(), datetime.now(UTC)
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{secrets.token_hex(12)}{ending}"
        taken = _Taken(self)
        sink = Sink(path, most, taken.take)
        kept = False
        try:
            brought = await bring(slot.copy, sink)
            if brought is not None:
                await asyncio.to_thread(sink.flush)
            mark, before = sink.close(), slot.copy
            if brought is None or (before is not None and before.mark == mark):
                assert before is not None  # noqa: S101 - what is unchanged is there
                before.as_of, before.confirmed = moment, begun
                before.memo = before.memo if brought is None else brought.memo
                return
            self._retire(slot)
            slot.copy = CachedFile(path, mark, sink.size, brought.memo, moment, begun)
            kept = True
            if not slot.owners:  # they left while it came
                self._retire(slot)
        finally:
            if not kept:
                sink.close()
                path.unlink(missing_ok=True)
                self._share.give(taken.size)

    def _retire(self, slot: _Slot) -> None:
        with self._lock:
            copy, slot.copy = slot.copy, None
            if copy is not None:
                copy.current = False
                if copy.users == 0:
                    self._drop(copy)

    def _drop(self, copy: CachedFile) -> None:
        copy.path.unlink(missing_ok=True)
        self._share.give(copy.size)

    def take(self, size: int) -> None:
        """Room for so many bytes; copies that nobody reads make way for it, the one longest unconfirmed first."""
        while True:
            try:
                self._share.take(size)
            except SourceError:
                with self._lock:
                    slot = self._longest_idle()
                    if slot is None:
                        raise
                    self._retire(slot)
            else:
                return

    def _longest_idle(self) -> _Slot | None:
        slots = [slot for slot in list(self._slots.values()) if slot.copy is not None and not slot.copy.users]
        slots = [slot for slot in slots if slot.bringing is None or slot.bringing.done()]
        return min(slots, key=lambda slot: slot.copy.confirmed if slot.copy is not None else 0.0, default=None)


class _Taken:
    """What one copy takes while it is written."""

    def __init__(self, copies: FileCache) -> None:
        self._copies = copies
        self.size = 0

    def take(self, size: int) -> None:
        self._copies.take(size)
        self.size += size


async def _waited(task: asyncio.Task[None], deadline: float | None) -> None:
    try:
        async with asyncio.timeout(None if deadline is None else max(0.0, deadline - time.monotonic())):
            await asyncio.shield(task)
    except asyncio.CancelledError:
        if task.cancelled():
            raise SourceFailed("the source was closed while its file came", field="/source/location") from None
        raise
    except TimeoutError:
        if task.done() and not task.cancelled() and task.exception() is not None:
            raise
        detail = "the file had not come before the deadline; it goes on coming, ask again in a moment"
        raise SourceTimeout(detail, field="/source/location", step="read") from None


def _retrieve(task: asyncio.Task[None]) -> None:
    """Whoever waited may have left."""
    if not task.cancelled():
        task.exception()
