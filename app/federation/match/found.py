"""The records that were found, until their keys are answered: by window of the question, beyond a bound outside of memory."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any, Protocol

import pyarrow as pa
import pyarrow.compute as pc

from app.federation.match.question import WINDOW, Question
from app.federation.reading.batches import Batch
from app.schemas.wire import wire_value

HELD_BYTES = 33_554_432
"""How much of the records waits in memory."""


class Store(Protocol):
    """Bytes that wait outside of memory, read again from their start."""

    def write(self, part: bytes) -> int:
        """Appends."""

    def chunks(self) -> Iterator[bytes]:
        """All of it."""

    def close(self) -> None:
        """Forgets it."""


class Found:
    """Takes batches that tell their key (`_key`), gives them by window with the number of their source (`_from`)."""

    def __init__(
        self,
        question: Question,
        names: Sequence[str],
        new_store: Callable[[], Store],
        *,
        held_bytes: int = HELD_BYTES,
        gathered_rows: int = WINDOW,
    ) -> None:
        """`gathered_rows`: so many rows are parted at once."""
        members = question.members()
        bounds: list[Any] = [pc.min_max(window).as_py() for window in members]
        self._members = members
        self._bounds = [(bound["min"], bound["max"]) for bound in bounds]
        self._repeated = sum(len(window) - window.null_count for window in members) > question.distinct
        self._names = tuple(dict.fromkeys(names))
        self._new_store = new_store
        self._room, self._gathered_rows = held_bytes, gathered_rows
        self._sources: list[dict[str, Any]] = []
        self._waiting: list[pa.RecordBatch] = []
        self._held: dict[int, list[pa.RecordBatch]] = {}
        self._stored: dict[int, tuple[Store, list[int]]] = {}

    def take(self, batch: Batch) -> None:
        """Keeps the granted ones of the named fields."""
        names = [name for name in self._names if name in batch.fields]
        number = pa.repeat(pa.scalar(len(self._sources), pa.int32()), batch.columns.num_rows)
        self._sources.append({"agency": batch.agency, "dataset": batch.dataset, "as_of": wire_value(batch.as_of)})
        piece = batch.columns.select([*names, "_id", "_key"]).append_column("_from", number)
        if self._waiting and self._waiting[0].schema != piece.schema:
            self._part()
        self._waiting.append(piece)
        if sum(waiting.num_rows for waiting in self._waiting) >= self._gathered_rows:
            self._part()

    def of(self, window: int) -> Iterator[pa.RecordBatch]:
        """The pieces of a window, in the order in which they were read. They are let go of."""
        self._part()
        yield from self._held.pop(window, ())
        store, sizes = self._stored.pop(window, (None, []))
        if store is None:
            return
        content: Any = pa.py_buffer(b"".join(store.chunks()))
        store.close()
        for size in sizes:
            yield from pa.ipc.open_stream(content.slice(0, size))
            content = content.slice(size)

    def source(self, number: int) -> dict[str, Any]:
        """Agency, dataset and moment of a piece's rows."""
        return self._sources[number]

    def close(self) -> None:
        """Forgets what nobody asked for."""
        for store, _ in self._stored.values():
            store.close()
        for kept in (self._stored, self._held, self._waiting):
            kept.clear()

    def _part(self) -> None:
        """What waits goes to the windows of its keys."""
        if not self._waiting:
            return
        rows = pa.Table.from_batches(self._waiting).combine_chunks()
        self._waiting = []
        key: Any = rows.column("_key")
        span: Any = pc.min_max(key).as_py()
        for window, (first, last) in enumerate(self._bounds):
            if first is None or last < span["min"] or first > span["max"]:
                continue
            if self._repeated:
                mask: Any = pc.is_in(key, value_set=self._members[window])
            else:  # the distinct keys of a window are a run of them
                mask = pc.and_(pc.greater_equal(key, first), pc.less_equal(key, last))
            for piece in rows.filter(mask).combine_chunks().to_batches():
                if piece.num_rows:
                    self._keep(window, piece)

    def _keep(self, window: int, piece: pa.RecordBatch) -> None:
        self._room -= piece.nbytes
        if self._room >= 0 and window not in self._stored:
            self._held.setdefault(window, []).append(piece)
            return
        sink = pa.BufferOutputStream()
        with pa.ipc.new_stream(sink, piece.schema) as writer:
            writer.write_batch(piece)
        content = sink.getvalue().to_pybytes()
        if window not in self._stored:
            self._stored[window] = (self._new_store(), [])
        store, sizes = self._stored[window]
        store.write(content)
        sizes.append(len(content))
