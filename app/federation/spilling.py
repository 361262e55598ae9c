"""Sorts more rows than memory holds: sorted runs stand encrypted in files without a name, and are merged block by block.

The engine's own files would stand unencrypted, or not at all: its encryption of what it writes is in no build of its own.
"""

from __future__ import annotations

import asyncio
import secrets
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, Literal, ParamSpec, Protocol, TypeVar

import pyarrow as pa
import pyarrow.compute as pc
from cryptography.hazmat.primitives.ciphers import Cipher
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from app.datasets.selection import comparable
from app.errors import AnswerTooLarge, SimpulError

Given = ParamSpec("Given")
Result = TypeVar("Result")

_COUNTER = bytes(16)
_PACKED = pa.ipc.IpcWriteOptions(compression="lz4")

Position = tuple[Any, ...]
Sort = Sequence[tuple[str, bool]]
"""Columns, and whether each is descending. Nulls stand last in both directions."""


@dataclass(frozen=True, slots=True)
class Bounds:
    """Bytes that are sorted in memory at once, rows of a block, most bytes of one computation on disk."""

    run_bytes: int = 16 << 20
    block_rows: int = 4096
    spill_bytes: int = 4 << 30


class Room(Protocol):
    """The room that one file takes on the disk, counted for the caller who needs it."""

    def take(self, size: int) -> None:
        """Before so many bytes are written; raises where there is no room for them."""

    def give_back(self) -> None:
        """The file is gone; may be called twice."""

    def refused(self, error: OSError) -> SimpulError:
        """The error of a disk that took no more."""


@dataclass(frozen=True, slots=True)
class Space:
    """A folder for files, and whose room they take: `room` gives one for each file."""

    root: Path
    room: Callable[[], Room]


class OwnThread:
    """A thread for one computation: one piece of work after the other, beside the loop and the bulk thread."""

    def __init__(self) -> None:
        self._thread = ThreadPoolExecutor(1, thread_name_prefix="spilling")

    async def run(self, work: Callable[Given, Result], *given: Given.args, **named: Given.kwargs) -> Result:
        """The result of `work`, which waits its turn."""
        return await asyncio.get_running_loop().run_in_executor(self._thread, lambda: work(*given, **named))

    def end(self, last: Callable[[], object]) -> None:
        """`last` is done when what is under way is done, also where nobody waits for that any more."""
        self._thread.submit(last)
        self._thread.shutdown(wait=False)


class Spool:
    """Rows in an encrypted file, as they came. Each has a key of its own, so that the counter may begin at nothing. Blocking."""

    def __init__(self, space: Space, bounds: Bounds = Bounds()) -> None:
        self._cipher = Cipher(AES(secrets.token_bytes(32)), CTR(_COUNTER))
        self._plain = self._cipher.encryptor()
        self._room = space.room()
        with self._kept():
            self._file: IO[bytes] = tempfile.TemporaryFile(dir=space.root)  # noqa: SIM115 - closed by `close`
        self._writer: pa.RecordBatchStreamWriter | None = None
        self._bounds = bounds
        self._any = False
        self.closed = False
        self.size = 0

    def add(self, rows: pa.RecordBatch | pa.Table) -> None:
        """Appends some rows, all of one schema.

        Raises `AnswerTooLarge` above the bound of one computation, and what the room raises where the disk has no more.
        """
        if self._writer is None:
            sink: Any = self
            self._writer = pa.ipc.new_stream(sink, rows.schema, options=_PACKED)
            self._any = True
        if isinstance(rows, pa.RecordBatch):
            rows = pa.Table.from_batches([rows])
        self._writer.write_table(rows, max_chunksize=self._bounds.block_rows)
        _check_room(self.size, self._bounds)

    def end(self) -> None:
        """Nothing is added any more."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None
            with self._kept():
                self._file.flush()

    def write(self, part: bytes) -> int:
        """Encrypts and appends (the writer's side)."""
        found = bytes(part)
        self._room.take(len(found))
        self.size += len(found)
        with self._kept():
            self._file.write(self._plain.update(found))
        return len(found)

    @contextmanager
    def _kept(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise self._room.refused(error) from None

    def read(self, count: int = -1) -> bytes:
        """The next plain bytes (the reader's side)."""
        return self._plain.update(self._file.read(count))

    def flush(self) -> None:
        """The file is flushed at the end."""

    def close(self) -> None:
        """The bytes are gone with the file."""
        if not self.closed:
            self.closed = True
            with suppress(OSError):  # a full disk: what was not written is of no use any more
                self._file.close()
            self._room.give_back()

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The rows in order, from the first; one reader at a time. Nothing is added behind it."""
        self.end()
        if self._any:
            self._file.seek(0)
            self._plain = self._cipher.decryptor()
            source: Any = self
            yield from pa.ipc.open_stream(pa.PythonFile(source, mode="r"))


def _check_room(size: int, bounds: Bounds) -> None:
    """Raises `AnswerTooLarge` where one computation would hold more bytes on disk than it may."""
    most = bounds.spill_bytes
    if size > most:
        detail = f"more than {most} bytes would have to stand on disk; narrow the filter or name agencies"
        raise AnswerTooLarge(detail, limit_bytes=most)


class ExternalSort:
    """Takes rows, then gives them in order. `distinct`: each once (the sort names every column). Blocking; for a thread."""

    def __init__(self, space: Space, sort: Sort, *, distinct: bool = False, bounds: Bounds = Bounds()) -> None:
        self._space, self._sort, self._distinct, self._bounds = space, sort, distinct, bounds
        self._waiting: list[pa.RecordBatch] = []
        self._bytes = self._spilled = 0
        self._runs: list[Spool] = []

    def add(self, rows: pa.RecordBatch) -> None:
        """Takes some rows; errors as for `Spool.add`."""
        self._waiting.append(rows)
        self._bytes += rows.nbytes
        if self._bytes >= self._bounds.run_bytes:
            self._shrink()
            if self._bytes >= self._bounds.run_bytes // 2:
                self._spill()

    def blocks(self) -> Iterator[pa.RecordBatch]:
        """The rows in order. They may be asked for again, by one reader at a time."""
        if not self._runs:
            if self._waiting:
                yield from self._sorted().to_batches(self._bounds.block_rows)
            return
        if self._waiting:
            self._spill()
        yield from self._merged()

    def settle(self) -> None:
        """Holds nothing in memory any more."""
        if self._waiting:
            self._spill()

    def close(self) -> None:
        """Forgets everything."""
        self._waiting.clear()
        for run in self._runs:
            run.close()

    def _shrink(self) -> None:
        if self._distinct:
            self._waiting = self._once(pa.Table.from_batches(self._waiting)).combine_chunks().to_batches()
            self._bytes = sum(part.nbytes for part in self._waiting)

    def _spill(self) -> None:
        run = Spool(self._space, self._bounds)
        self._runs.append(run)
        run.add(self._sorted())
        run.end()
        self._waiting, self._bytes = [], 0
        self._spilled += run.size
        _check_room(self._spilled, self._bounds)

    def _sorted(self) -> pa.Table:
        return self._ordered(pa.Table.from_batches(self._waiting))

    def _ordered(self, rows: pa.Table) -> pa.Table:
        if self._distinct:
            rows = self._once(rows)
        keys: list[tuple[str, Literal["ascending", "descending"]]] = [
            (name, "descending" if down else "ascending") for name, down in self._sort
        ]
        found: pa.Table = rows.take(pc.sort_indices(rows, sort_keys=keys))
        return found.combine_chunks()

    def _once(self, rows: pa.Table) -> pa.Table:
        names = [name for name, _ in self._sort]
        found: pa.Table = rows.group_by(names, use_threads=False).aggregate([])
        return found

    def _merged(self) -> Iterator[pa.RecordBatch]:
        """Of every run what stands at or before the first end of a block: nothing that comes later belongs before it."""
        heads = [_Head(run.blocks(), self._sort) for run in self._runs]
        heads = [head for head in heads if head.next()]
        while heads:
            edge = min(head.last for head in heads)
            parts = [part for head in heads if (part := head.take(edge)).num_rows]
            yield from self._ordered(pa.Table.from_batches(parts)).to_batches(self._bounds.block_rows)
            heads = [head for head in heads if head.rows.num_rows or head.next()]


class _Head:
    """The next block of a run. `last`: where its last row stands."""

    def __init__(self, blocks: Iterator[pa.RecordBatch], sort: Sort) -> None:
        self._blocks, self._sort = blocks, sort
        self.rows: pa.RecordBatch
        self.last: Position = ()

    def next(self) -> bool:
        """Takes the next block; False at the end of the run."""
        found = next(self._blocks, None)
        if found is None:
            return False
        self.rows = found
        self.last = self._position(found.num_rows - 1)
        return True

    def take(self, edge: Position) -> pa.RecordBatch:
        """The rows at or before a position; the others stay."""
        low, high = 0, self.rows.num_rows
        if not edge < self.last:  # values in descending order know `<` alone
            low = high
        while low < high:
            middle = (low + high) // 2
            if not edge < self._position(middle):
                low = middle + 1
            else:
                high = middle
        taken, self.rows = self.rows.slice(0, low), self.rows.slice(low)
        return taken

    def _position(self, index: int) -> Position:
        rows = self.rows
        return tuple([comparable(rows.column(name)[index].as_py(), descending=down) for name, down in self._sort])
