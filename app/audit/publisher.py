"""Signs the tree: one checkpoint a second while it grows, into the store and the local file, never two for one size."""

from __future__ import annotations

import asyncio
import logging
import time
from contextlib import suppress
from pathlib import Path

from app.audit.checkpoint import Checkpoint, Signer
from app.audit.durable_files import replace_file
from app.audit.keys import CHECKPOINT_FILE
from app.audit.nodes import root_at
from app.audit.store import LogStore
from app.audit.writer import GroupWriter
from app.errors import LogBroken, LogError, LogUnavailable

_logger = logging.getLogger(__name__)


class Publisher:
    """Holds the last signed checkpoint and refuses to sign a tree that does not extend it."""

    def __init__(self, store: LogStore, signer: Signer, folder: Path, *, interval_seconds: float) -> None:
        """`folder` gets `log.checkpoint`."""
        self._store = store
        self._signer = signer
        self._path = folder / CHECKPOINT_FILE
        self._interval_seconds = interval_seconds
        self._writer: GroupWriter | None = None
        self._task: asyncio.Task[None] | None = None
        self._lock = asyncio.Lock()
        self._stopping = asyncio.Event()
        self.last: Checkpoint | None = None
        self.error: LogError | None = None

    def resume(self, last: Checkpoint | None) -> None:
        """Go on from the last checkpoint known at start."""
        self.last = last

    def attach(self, writer: GroupWriter) -> None:
        """The writer to stop when the tree turns out to be another one."""
        self._writer = writer

    def start(self) -> None:
        """Publish in the background from now on."""
        self._task = asyncio.create_task(self._run(), name="exchange-log-publisher")

    async def stop(self) -> None:
        """Publish once more if the tree grew, and end."""
        self._stopping.set()
        if self._task is not None:
            await self._task
            self._task = None

    async def _run(self) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._interval_seconds)
            if self._writer is None or self._writer.error is None:
                try:
                    await self.publish()
                except LogBroken as error:
                    self.error = error
                    _logger.critical("exchange log is not signed: %s", error.detail)
                    if self._writer is not None:
                        self._writer.block(error)
                except LogError as error:
                    self.error = error
                    _logger.exception("no checkpoint could be published")
                except Exception as error:  # the publisher lives as long as the process; the next round tries again
                    self.error = LogUnavailable(f"no checkpoint could be published: {type(error).__name__}")
                    _logger.exception("no checkpoint could be published")
            if self._stopping.is_set():
                return

    async def publish(self) -> Checkpoint:
        """Sign and keep the committed tree unless it is signed already. LogBroken when it is no extension of the last."""
        async with self._lock:
            head = await self._store.head()
            if self.last is None or (head.size, head.root) != (self.last.size, self.last.root):
                await self._check(head.size, head.root)
                signed = self._signer.checkpoint(head.size, head.root)
                kept = await self._store.save_checkpoint(signed, time.time_ns() // 1000)
                if kept.root != head.root:
                    raise LogBroken(f"another root is signed for size {head.size} already: the log has forked")
                try:
                    await asyncio.to_thread(replace_file, self._path, kept.note.encode())
                except OSError as error:
                    raise LogUnavailable(f"{CHECKPOINT_FILE} cannot be written: {error.strerror}") from error
                self.last = kept
            self.error = None
            return self.last

    async def covering(self, size: int) -> Checkpoint:
        """The last checkpoint if it holds `size` entries, else a new one."""
        if self.last is not None and self.last.size >= size:
            return self.last
        return await self.publish()

    async def recheck(self) -> None:
        """After the store was opened again: the tail fits its head, the tree extends what was signed and acknowledged."""
        head = await self._store.head()
        acknowledged = 0 if self._writer is None else self._writer.size
        if head.size < acknowledged:
            raise LogBroken(f"the store holds {head.size} entries, {acknowledged} were acknowledged")
        await self._check(head.size, head.root)

    async def _check(self, size: int, root: bytes) -> None:
        if await root_at(self._store, size) != root:
            raise LogBroken(f"the rows of the log do not give the root of its head at size {size}")
        if self.last is None:
            return
        if size < self.last.size:
            raise LogBroken(f"the log holds {size} entries, a checkpoint over {self.last.size} is signed")
        if await root_at(self._store, self.last.size) != self.last.root:
            raise LogBroken(f"the first {self.last.size} entries are not those of the signed checkpoint")
