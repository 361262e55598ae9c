"""What a store of the log must do, the same on SQLite and PostgreSQL, and the rows that pass between log and store.

Does not live here: SQL (`sqlite.py`, `postgres.py`), when to commit (`writer.py`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol

from app.audit.entry.facets import Terms
from app.audit.tlog.checkpoint import Checkpoint
from app.audit.tlog.cosignatures import Cosignature

COLUMN_NAMES = (
    "id", "xid", "kind", "t_us", "agency", "client", "op", "effect", "status", "row_count", "facet",
)  # fmt: skip
"""Extracted columns of `log_entry`, in the order of `Prepared.columns`; `entry.columns` derives them."""

Tag = tuple[bytes, str, int]


@dataclass(frozen=True, slots=True)
class Prepared:
    """One entry ready to be stored; nothing in it depends on its index."""

    entry: bytes
    leaf_hash: bytes
    columns: tuple[Any, ...]
    terms: Terms
    salt: bytes | None
    detail: bytes | None
    tags: Sequence[Tag]

    @property
    def id(self) -> str:
        """Id of the entry."""
        return str(self.columns[0])

    @property
    def facet(self) -> int:
        """Facet of the entry."""
        return int(self.columns[-1])

    @property
    def xid(self) -> str:
        """Exchange of the entry."""
        return str(self.columns[1])

    @property
    def kind(self) -> str:
        """Kind of the entry."""
        return str(self.columns[2])

    @property
    def t_us(self) -> int:
        """Time of the entry, microseconds since 1970."""
        return int(self.columns[3])


@dataclass(frozen=True, slots=True)
class Head:
    """State of the tree: `frontier` packed, `tail` the leaf hashes of the unfinished tile (32 bytes each)."""

    size: int
    root: bytes
    frontier: bytes
    tail: bytes


@dataclass(frozen=True, slots=True)
class OpenMark:
    """Below which index every intent of a replica is answered: `index`, else `offset` into the batch, else its end.

    Stored with each batch, so that a restart finds orphaned intents without reading the whole log.
    """

    replica: str
    index: int | None
    offset: int | None

    def resolve(self, first: int, count: int) -> int:
        """The mark as an index, for a batch of `count` entries that starts at `first`."""
        if self.index is not None:
            return self.index
        return first + (count if self.offset is None else self.offset)


class LogReader(Protocol):
    """Read-only SQL on the log's tables. Placeholders are `$1`, `$2`, ... on both stores."""

    async def fetch(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """All rows of one SELECT over one snapshot. LogUnavailable when the store cannot be read."""
        ...

    def snapshot(self) -> AbstractAsyncContextManager[LogReader]:
        """A reader whose statements all see one committed state: what must fit together while others write.

        Short: it keeps the store from tidying up. Inside of it only the reader it gives is used.
        """
        ...


class DetailEraser(Protocol):
    """Takes away details and tags; entries, hashes and checkpoints are out of its reach."""

    async def erase(self, spans: Sequence[tuple[int, int]], tags: Sequence[bytes]) -> tuple[int, int]:
        """Delete, in one durable transaction, all details in the spans (first and last index included) and of the tags
        in the spans those given; returns how many details and tags there were.
        """
        ...

    async def seal(self, details: Sequence[tuple[int, bytes, bytes]]) -> None:
        """Put (index, plain, sealed) in the place of what stands plain, in one transaction; what is gone meanwhile stays gone."""
        ...


class Replicas(Protocol):
    """The processes that write this log: who lives, who publishes, and whose open intents nobody will answer.

    A replica is registered while its store is open. Another may declare it stopped when nobody holds its lock and it has
    not been heard of for a while; from that moment on nothing that it appends is committed, until it registers anew.
    """

    @property
    def registrations(self) -> int:
        """How often this process had to register: once at opening, again after it was declared stopped."""
        ...

    async def leads(self) -> bool:
        """True for the one replica that publishes checkpoints; another one takes over when its session ends."""
        ...

    async def beat(self) -> bool:
        """Say that this process lives; False when another one declared it stopped. LogUnavailable when nobody hears it."""
        ...

    async def claim(self) -> dict[str, int]:
        """Declare stopped what cannot be serving; these are ours alone to close, each with the index below which it left
        nothing open.
        """
        ...

    async def retire(self, replicas: Sequence[str]) -> None:
        """Forget claimed replicas that have nothing open any more."""
        ...

    async def leave(self, *, nothing_open: bool) -> None:
        """The last word of this process: forget it, or let the next one close at once what it left open."""
        ...


class LogStore(LogReader, Protocol):
    """A durable store of the log with one writer at a time."""

    @property
    def eraser(self) -> DetailEraser:
        """Takes away details and tags."""
        ...

    @property
    def replicas(self) -> Replicas:
        """The processes that write this log."""
        ...

    async def open(self, *, create: bool) -> None:
        """Open for writing, make the tables where the store does that itself and `create` allows it.

        LogLocked when another process has the store; LogUnavailable when it cannot be opened or its server could
        acknowledge a commit that is not on disk (fsync or synchronous_commit off, a standby).
        """
        ...

    async def close(self) -> None:
        """Release everything. Safe to call twice."""
        ...

    async def head(self) -> Head:
        """The committed head."""
        ...

    async def commit(self, batch: Sequence[Prepared], mark: OpenMark) -> int:
        """Append a batch in one transaction; returns the index of its first entry.

        When this returns, every row of the batch is on stable storage (fsync by the store) and visible. When it raises
        LogUnavailable, the batch is absent, or (after a lost answer to COMMIT) present but not acknowledged; never
        partly present and never under two indexes.
        """
        ...

    async def recover(self) -> None:
        """After a failed commit: drop the connection, open again, create nothing, make what is read durable."""
        ...

    async def save_checkpoint(
        self, checkpoint: Checkpoint, at_us: int, cosigned: Sequence[Cosignature] = ()
    ) -> Checkpoint:
        """Keep a signed checkpoint, durably; returns the one kept for this size (one per size, the first wins).

        `cosigned`: cosignatures of witnesses over it; a witness's newest one is kept.
        """
        ...


@dataclass(frozen=True, slots=True)
class Committed:
    """Where an appended entry stands. It is durable."""

    idx: int
    id: str
    leaf_hash: bytes


@dataclass(frozen=True, slots=True)
class StoredEntry:
    """An entry read back: hashed again and compared with its columns. `detail` only where the reader may see it."""

    idx: int
    leaf_hash: bytes
    entry_bytes: bytes
    members: Mapping[str, Any]
    detail: Mapping[str, Any] | None = None
