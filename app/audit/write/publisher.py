"""Signs the tree: one checkpoint a second while it grows, into the store and the local file, never two for one size."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress
from pathlib import Path

import structlog

from app.audit.keys.durable_files import replace_file
from app.audit.keys.files import CHECKPOINT_FILE
from app.audit.store.contract import LogReader, LogStore
from app.audit.store.stored_hashes import root_at, stored_head
from app.audit.tlog.checkpoint import Checkpoint, NoteError, Signer
from app.audit.write.witnessing import Witnessing, WitnessState
from app.audit.write.writer import GroupWriter
from app.errors import LogBroken, LogError, LogUnavailable

_NEWEST = "SELECT note FROM log_checkpoint ORDER BY size DESC LIMIT 1"
_PATIENCE_ROUNDS = 4
_logger = structlog.get_logger("simpul.log")


class Publisher:
    """Holds the last signed checkpoint and refuses to sign a tree that does not extend it."""

    def __init__(
        self,
        store: LogStore,
        signer: Signer,
        folder: Path,
        *,
        interval_seconds: float,
        witnessing: Witnessing | None = None,
    ) -> None:
        """`folder` gets `log.checkpoint`; `witnessing` has checkpoints cosigned where a policy asks for it."""
        self._store = store
        self._signer = signer
        self._path = folder / CHECKPOINT_FILE
        self._interval_seconds = interval_seconds
        self._writer: GroupWriter | None = None
        self._witnessing = witnessing
        self._tasks: list[asyncio.Task[None]] = []
        self._active = True
        self._behind_since: float | None = None
        self._lock = asyncio.Lock()
        self._stopping = asyncio.Event()
        self.last: Checkpoint | None = None
        self.error: LogError | None = None

    @property
    def witnesses(self) -> Sequence[WitnessState]:
        """State of each witness; none without a policy."""
        return () if self._witnessing is None else self._witnessing.states

    def resume(self, last: Checkpoint | None) -> None:
        """Go on from the last checkpoint known at start."""
        self.last = last

    def attach(self, writer: GroupWriter) -> None:
        """The writer to stop when the tree turns out to be another one."""
        self._writer = writer

    def start(self) -> None:
        """Publish in the background from now on."""
        self._tasks.append(asyncio.create_task(self._run(self._round), name="exchange-log-publisher"))
        if self._witnessing is not None:
            self._tasks.append(asyncio.create_task(self._run(self._cosign), name="exchange-log-witnessing"))

    async def stop(self) -> None:
        """Publish once more if the tree grew, and end."""
        self._stopping.set()
        for task in self._tasks:
            await task
        self._tasks.clear()
        if self._witnessing is not None:
            await self._witnessing.stop()

    async def _run(self, work: Callable[[], Awaitable[None]]) -> None:
        while True:
            with suppress(TimeoutError):
                await asyncio.wait_for(self._stopping.wait(), self._interval_seconds)
            try:
                await work()
            except LogBroken as error:
                self.error = error
                _logger.critical("log_not_signed", code=error.code, reason=error.detail)
                if self._writer is not None:
                    self._writer.block(error)
            except LogError as error:
                self.error = error
                _logger.exception("checkpoint_not_published", code=error.code, reason=error.detail)
            except Exception as error:  # the publisher lives as long as the process; the next round tries again
                self.error = LogUnavailable(f"no checkpoint could be published: {type(error).__name__}")
                _logger.exception("checkpoint_not_published", kind=type(error).__name__)
            if self._stopping.is_set():
                return

    async def _round(self) -> None:
        """Of several replicas one publishes; the others adopt what it signed, and step in when it falls behind."""
        if self._writer is not None and self._writer.error is not None:
            return
        self._active = await self._store.replicas.leads() or self._stopping.is_set() or await self._is_behind()
        if self._active:
            await self.publish()
        elif not isinstance(self.error, LogBroken):
            self.error = None  # another replica publishes, and what it signed was read just now

    async def _is_behind(self) -> bool:
        """Adopt the newest published checkpoint; True when the tree has been larger for several rounds."""
        async with self._lock, self._store.snapshot() as reader:
            size, _ = await stored_head(reader, self._signer.verifier.name)
            for (note,) in await reader.fetch(_NEWEST):
                try:
                    known = self._signer.verifier.open(str(note))
                except NoteError as error:
                    raise LogBroken(f"the last stored checkpoint does not verify: {error}") from None
                if self.last is None or known.size > self.last.size:
                    await self._check(reader, known.size, known.root)
                    await self._keep(known)
                    self._behind_since = None
        if self.last is not None and self.last.size >= size:
            self._behind_since = None
            return False
        now = time.monotonic()
        self._behind_since = self._behind_since or now
        return now - self._behind_since > _PATIENCE_ROUNDS * self._interval_seconds

    async def _cosign(self) -> None:
        """Have the last checkpoint cosigned, and stop the writer when the witnesses' answers say so."""
        if self._witnessing is None:
            return
        if self._active and self.last is not None and self.last.size and not self._stopping.is_set():
            await self._witnessing.cosign(self.last)
        else:
            await self._witnessing.judge()
        error = self._witnessing.error
        if error is not None and self._writer is not None and self._writer.error is None:
            _logger.critical("log_stopped", code=error.code, reason=error.detail)
            self._writer.block(error)

    async def publish(self) -> Checkpoint:
        """Sign and keep the committed tree unless it is signed already. LogBroken when it is no extension of the last."""
        async with self._lock:
            async with self._store.snapshot() as reader:
                size, root = await stored_head(reader, self._signer.verifier.name)
                if self.last is not None and (size, root) == (self.last.size, self.last.root):
                    self.error = None
                    return self.last
                await self._check(reader, size, root)
            signed = self._signer.checkpoint(size, root)
            kept = await self._store.save_checkpoint(signed, time.time_ns() // 1000)
            if kept.root != root:
                raise LogBroken(f"another root is signed for size {size} already: the log has forked")
            last = await self._keep(kept)
            self.error = None
            return last

    async def _keep(self, checkpoint: Checkpoint) -> Checkpoint:
        """The last checkpoint from now on, in the local file too."""
        try:
            await asyncio.to_thread(replace_file, self._path, checkpoint.note.encode())
        except OSError as error:
            raise LogUnavailable(f"{CHECKPOINT_FILE} cannot be written: {error.strerror}") from error
        self.last = checkpoint
        return checkpoint

    async def covering(self, size: int) -> Checkpoint:
        """The last checkpoint if it holds `size` entries, else a new one."""
        if self.last is not None and self.last.size >= size:
            return self.last
        return await self.publish()

    async def recheck(self) -> None:
        """After the store was opened again: the tail fits its head, the tree extends what was signed and acknowledged."""
        if self._witnessing is not None:
            self._witnessing.require()
        acknowledged = 0 if self._writer is None else self._writer.size
        async with self._store.snapshot() as reader:
            size, root = await stored_head(reader, self._signer.verifier.name)
            if size < acknowledged:
                raise LogBroken(f"the store holds {size} entries, {acknowledged} were acknowledged")
            await self._check(reader, size, root)

    async def _check(self, reader: LogReader, size: int, root: bytes) -> None:
        if await root_at(reader, size) != root:
            raise LogBroken(f"the rows of the log do not give the root of its head at size {size}")
        if self.last is None:
            return
        if size < self.last.size:
            raise LogBroken(f"the log holds {size} entries, a checkpoint over {self.last.size} is signed")
        if await root_at(reader, self.last.size) != self.last.root:
            raise LogBroken(f"the first {self.last.size} entries are not those of the signed checkpoint")
