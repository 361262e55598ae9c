"""Group commit: one task takes what waits and stores it in one transaction, and brings a failed store back.

Does not live here: preparing entries (`prepare.py`), the transaction itself (the stores).
"""

from __future__ import annotations

import asyncio
import time
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import structlog

from app.audit.entry.members import CLOSERS
from app.audit.store.contract import Committed, LogStore, OpenMark, Prepared
from app.errors import LogBroken, LogError, LogOverloaded, LogUnavailable
from app.telemetry import Metrics

_logger = structlog.get_logger("simpul.log")
_RETRY_FIRST_SECONDS = 0.1
_RETRY_MOST_SECONDS = 5.0
_LOOK_UP_INTENTS = 500
_CLOSED_KEPT = 100_000

Waiting = tuple[Sequence[Prepared], "asyncio.Future[list[Committed]]", float]
"""A group, who waits for it, and since when (performance counter)."""


class GroupWriter:
    """Collects entries of concurrent requests. An entry is acknowledged only after its transaction is durable."""

    def __init__(
        self,
        store: LogStore,
        *,
        replica: str,
        batch_entries: int,
        queue_entries: int,
        recheck: Callable[[], Awaitable[None]],
        metrics: Metrics | None = None,
    ) -> None:
        """`recheck` verifies the tail of a store that was opened again; it raises LogBroken when it does not fit."""
        self._store = store
        self.replica = replica
        self._batch_entries = batch_entries
        self._queue_entries = queue_entries
        self._recheck = recheck
        self._metrics = metrics or Metrics()
        self._metrics.log_queue.set_function(lambda: self._waiting_entries)
        self._waiting: deque[Waiting] = deque()
        self._waiting_entries = 0
        self._wake = asyncio.Event()
        self._closing = False
        self._task: asyncio.Task[None] | None = None
        self._open_intents: dict[str, int] = {}
        self._doubtful: list[str] = []
        self._closed_already: dict[str, None] = {}
        self.size = 0
        self.failed_batches = 0
        self.error: LogError | None = None

    @property
    def has_open_intents(self) -> bool:
        """True while an intent of this process waits for its outcome."""
        return bool(self._open_intents)

    def start(self, size: int) -> None:
        """Begin to serve a tree of `size` entries."""
        self.size = size
        self._task = asyncio.create_task(self._run(), name="exchange-log-writer")

    async def stop(self) -> None:
        """Take nothing new, write what waits, end."""
        self._closing = True
        self._wake.set()
        if self._task is not None:
            await self._task
        self._fail_waiting(LogUnavailable("the exchange log is closed"))

    def block(self, error: LogError) -> None:
        """Stop acknowledging until the store was opened again and its tail fits."""
        self.error = error
        self._wake.set()

    def submit(self, group: Sequence[Prepared]) -> asyncio.Future[list[Committed]]:
        """Queue a group, committed as a whole. LogUnavailable when poisoned or closed, LogOverloaded when full."""
        if self.error is not None:
            raise LogUnavailable(f"the exchange log cannot be written: {self.error.detail}", retry_after_seconds=2)
        if self._closing or self._task is None:
            raise LogUnavailable("the exchange log is closed")
        if self._waiting_entries + len(group) > self._queue_entries:
            raise LogOverloaded(
                f"{self._waiting_entries} entries wait for the exchange log; more are refused", retry_after_seconds=1
            )
        if self._closed_already and any(e.kind in CLOSERS and e.xid in self._closed_already for e in group):
            raise LogUnavailable("the exchange was closed already, while this replica could not reach the log")
        future: asyncio.Future[list[Committed]] = asyncio.get_running_loop().create_future()
        self._waiting.append((group, future, time.perf_counter()))
        self._waiting_entries += len(group)
        self._wake.set()
        return future

    def _take(self) -> list[Waiting]:
        """The next batch: whole groups, at most `batch_entries` entries unless the first group alone is larger."""
        taken: list[Waiting] = []
        count = 0
        while self._waiting and (not taken or count + len(self._waiting[0][0]) <= self._batch_entries):
            item = self._waiting.popleft()
            taken.append(item)
            count += len(item[0])
        self._waiting_entries -= count
        return taken

    async def _run(self) -> None:
        while True:
            if self.error is not None:
                await self._recover()
            elif self._waiting:
                await self._write(self._take())
            elif self._closing:
                return
            else:
                self._wake.clear()
                await self._wake.wait()
            if self._closing and self.error is not None:
                return

    async def _write(self, taken: list[Waiting]) -> None:
        batch = taken[0][0] if len(taken) == 1 else [entry for group, _, _ in taken for entry in group]
        try:
            first = await self._store.commit(batch, self._mark(batch))
        except Exception as error:  # noqa: BLE001 - any failure poisons the writer: nothing may be acknowledged
            self._poison(error, taken)
            return
        self.size = first + len(batch)
        self._note_intents(first, batch)
        index = first
        moment = time.perf_counter()
        self._metrics.log_appends.inc(len(batch))
        for group, future, since in taken:
            self._metrics.log_seconds.observe(moment - since)
            found = [Committed(index + i, entry.id, entry.leaf_hash) for i, entry in enumerate(group)]
            index += len(group)
            if not future.done():
                future.set_result(found)

    def _poison(self, error: Exception, taken: list[Waiting]) -> None:
        reason = error if isinstance(error, LogError) else LogUnavailable(f"{type(error).__name__}")
        self.error = reason
        self.failed_batches += 1
        self._doubtful += [entry.id for group, _, _ in taken for entry in group if entry.kind == "intent"]
        _logger.error("log_not_written", code=reason.code, reason=reason.detail, exc_info=error)
        self._waiting.extendleft(reversed(taken))
        self._fail_waiting(
            LogUnavailable(f"the exchange log cannot be written: {reason.detail}", retry_after_seconds=2)
        )

    def _fail_waiting(self, error: LogError) -> None:
        waiting, self._waiting, self._waiting_entries = self._waiting, deque(), 0
        self._metrics.log_failures.inc(sum(len(group) for group, _, _ in waiting))
        for _, future, _ in waiting:
            if not future.done():
                future.set_exception(error)

    async def _recover(self) -> None:
        """Open the store again and check its tail, with growing pauses, until it fits or the log is closed."""
        pause_seconds = 0.0
        while not self._closing and (error := await self._try_again()) is not None:
            self.error = error
            pause_seconds = min(max(_RETRY_FIRST_SECONDS, pause_seconds * 2), _RETRY_MOST_SECONDS)
            self._wake.clear()
            with suppress(TimeoutError):
                await asyncio.wait_for(self._wake.wait(), pause_seconds)

    async def _try_again(self) -> LogError | None:
        """Open the store and check its tail; the fault, or None (then entries are taken again)."""
        try:
            await self._store.recover()
            await self._recheck()
            self.size = (await self._store.head()).size
            await self._find_doubtful()
            await self._find_closed()
        except LogError as error:
            if isinstance(error, LogBroken):
                _logger.critical("log_broken", code=error.code, reason=error.detail)
            return error
        except Exception as error:  # a store that fails in an unknown way stays closed
            _logger.exception("log_not_opened_again", kind=type(error).__name__)
            return LogUnavailable(type(error).__name__)
        self.error = None
        _logger.warning("log_written_again", size=self.size)
        return None

    async def _find_doubtful(self) -> None:
        """Intents that were refused may be stored all the same, when the answer to their commit was lost: they are open."""
        if not self._doubtful:
            return
        marks = ", ".join(f"${number}" for number in range(1, len(self._doubtful) + 1))
        rows = await self._store.fetch(f"SELECT xid, idx FROM log_entry WHERE id IN ({marks})", *self._doubtful)
        found = {**self._open_intents, **{str(xid): int(idx) for xid, idx in rows}}
        self._open_intents = dict(sorted(found.items(), key=lambda item: item[1]))
        self._doubtful.clear()

    async def _find_closed(self) -> None:
        """Open intents may have been answered: by a commit whose answer was lost, or by another replica that took this
        one for stopped. They are not closed again.
        """
        listed = list(self._open_intents)
        kinds = ", ".join(f"'{kind}'" for kind in sorted(CLOSERS))
        for start in range(0, len(listed), _LOOK_UP_INTENTS):
            part = listed[start : start + _LOOK_UP_INTENTS]
            marks = ", ".join(f"${number}" for number in range(1, len(part) + 1))
            statement = f"SELECT xid FROM log_entry WHERE xid IN ({marks}) AND kind IN ({kinds})"
            for (xid,) in await self._store.fetch(statement, *part):
                self._open_intents.pop(str(xid), None)
                self._closed_already[str(xid)] = None
        while len(self._closed_already) > _CLOSED_KEPT:
            del self._closed_already[next(iter(self._closed_already))]

    def _mark(self, batch: Sequence[Prepared]) -> OpenMark:
        """The low-water mark of open intents, as it will be when this batch is committed."""
        closed = {entry.xid for entry in batch if entry.kind in CLOSERS}
        index = next((at for xid, at in self._open_intents.items() if xid not in closed), None)
        offset = None
        if index is None:
            left = (i for i, entry in enumerate(batch) if entry.kind == "intent" and entry.xid not in closed)
            offset = next(left, None)
        return OpenMark(self.replica, index, offset)

    def _note_intents(self, first: int, batch: Sequence[Prepared]) -> None:
        for position, entry in enumerate(batch):
            if entry.kind == "intent":
                self._open_intents.setdefault(entry.xid, first + position)
            elif entry.kind in CLOSERS:
                self._open_intents.pop(entry.xid, None)
