"""The log in one SQLite file, `DIR/log.db`, opened by this process alone through apsw.

Durability: WAL with synchronous=FULL, so COMMIT returns after the WAL was flushed to the disk. One writer connection in
one thread; readers have their own read-only connections. No other SQLite library of this process may open the file:
closing it there would drop the locks held here.
"""

from __future__ import annotations

import asyncio
import fcntl
import os
import threading
import time
from collections.abc import AsyncIterator, Awaitable, Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import asynccontextmanager, suppress
from pathlib import Path
from typing import Any, TypeVar

import apsw

from app.audit.store.contract import COLUMN_NAMES, Head, LogReader, OpenMark, Prepared
from app.audit.store.erasing import Eraser, erase_sqlite, seal_sqlite
from app.audit.store.sqlite_replicas import OneReplica
from app.audit.store.sqlite_schema import ADDED_LATER, SCHEMA_VERSION, TABLES
from app.audit.store.tree_growth import TileNode, grow
from app.audit.tlog.checkpoint import Checkpoint
from app.audit.tlog.cosignatures import Cosignature
from app.audit.tlog.merkle import EMPTY_ROOT, TILE_BITS
from app.errors import LogBroken, LogLocked, LogUnavailable, StoreOutdated

LOG_FILE = "log.db"
LOCK_FILE = "log.lock"
_READERS = 2
_KNOWN_FACETS = 100_000
_BUSY_MILLISECONDS = 5000
_WAL_PAGES = 4000
_LOCK_ATTEMPTS = 4
_LOCK_PAUSE_SECONDS = 0.05

_INSERT_ENTRY = (
    f"INSERT INTO log_entry (idx, leaf_hash, entry, {', '.join(COLUMN_NAMES)})"
    f" VALUES ({', '.join('?' * (3 + len(COLUMN_NAMES)))})"
)
_INSERT_DETAIL = "INSERT INTO exchange_detail (idx, salt, detail) VALUES (?, ?, ?)"
_INSERT_TAG = "INSERT INTO exchange_subject (idx, tag, role, epoch) VALUES (?, ?, ?, ?)"
_INSERT_FACET = "INSERT OR IGNORE INTO log_facet (term, facet) VALUES (?, ?)"
_INSERT_NODE = (
    "INSERT INTO log_node (level, n, hash, leaves, t_min_us, t_max_us)"
    " SELECT ?1, ?2, ?3, ?4, min(t_us), max(t_us) FROM log_entry WHERE ?1 = 8 AND idx >= ?5 AND idx < ?6"
)
_UPDATE_HEAD = "UPDATE log_head SET size = ?, root = ?, frontier = ?, tail = ?"
_UPDATE_REPLICA = "INSERT OR REPLACE INTO log_replica (replica, open_from) VALUES (?, ?)"
_KEEP_COSIGNATURE = "INSERT OR REPLACE INTO log_cosignature (size, name, line, time) VALUES (?, ?, ?, ?)"
_SELECT_HEAD = "SELECT size, root, frontier, tail FROM log_head"

T = TypeVar("T")
Identity = tuple[int, int]
Row = tuple[Any, ...]


class SqliteLogStore:
    """`LogStore` on SQLite. All work runs in its own threads; the event loop never waits for the disk."""

    def __init__(self, folder: Path, origin: str, *, vfs: str | None = None) -> None:
        """`folder` holds `log.db`; `vfs` names an apsw VFS (fault tests)."""
        self._folder = folder
        self._path = folder / LOG_FILE
        self._origin = origin
        self._vfs = vfs
        self._lock_descriptor: int | None = None
        self._connection: apsw.Connection | None = None
        self._identity: Identity | None = None
        self._facets: set[int] = set()
        self._writer = ThreadPoolExecutor(1, thread_name_prefix="log-writer")
        self._readers = ThreadPoolExecutor(_READERS, thread_name_prefix="log-reader")
        self._reader_state = threading.local()
        self._generation = 0
        self._read_connections: list[apsw.Connection] = []
        self._spare: list[tuple[apsw.Connection, int]] = []
        self._replicas = OneReplica(self, lambda names: self._write(lambda: self._retire(names)))

    async def open(self, *, create: bool) -> None:
        """See `LogStore.open`. The lock on `log.lock` is held until `close`."""
        await self._write(lambda: self._open(create=create))

    async def close(self) -> None:
        """See `LogStore.close`."""
        if self._lock_descriptor is None:
            return
        self._readers.shutdown(wait=True)
        await self._write(self._release)
        self._writer.shutdown(wait=True)

    async def head(self) -> Head:
        """See `LogStore.head`."""
        return await self._write(self._head)

    async def commit(self, batch: Sequence[Prepared], mark: OpenMark) -> int:
        """See `LogStore.commit`."""
        return await self._write(lambda: self._commit(batch, mark))

    async def recover(self) -> None:
        """See `LogStore.recover`."""
        await self._write(self._recover)

    async def save_checkpoint(
        self, checkpoint: Checkpoint, at_us: int, cosigned: Sequence[Cosignature] = ()
    ) -> Checkpoint:
        """See `LogStore.save_checkpoint`."""
        return await self._write(lambda: self._save_checkpoint(checkpoint, at_us, cosigned))

    async def fetch(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `LogReader.fetch`."""
        return await self._read(lambda: _rows(self._reader(), statement, values))

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LogReader]:
        """See `LogReader.snapshot`: a read transaction on a connection that nobody else uses meanwhile."""
        connection, generation = await self._read(self._begin)
        reader = _Snapshot(connection, self._read)
        try:
            yield reader
        finally:
            await asyncio.shield(self._read(lambda: self._end(reader, generation)))

    @property
    def replicas(self) -> OneReplica:
        """See `LogStore.replicas`."""
        return self._replicas

    @property
    def eraser(self) -> Eraser:
        """See `LogStore.eraser`."""
        return Eraser(
            lambda spans, tags: self._write(lambda: self._change(lambda writer: erase_sqlite(writer, spans, tags))),
            lambda details: self._write(lambda: self._change(lambda writer: seal_sqlite(writer, details))),
        )

    async def _read(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, work)

    async def _write(self, work: Callable[[], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._writer, work)

    # --- everything below runs in the writer thread; _reader, _begin and _end in those of readers ---

    def _open(self, *, create: bool) -> None:
        if self._lock_descriptor is None:
            self._lock_descriptor = _take_lock(self._folder / LOCK_FILE)
        try:
            self._open_file(create=create)
        except apsw.Error as error:
            self._release()
            raise _unavailable(error) from error
        except BaseException:
            self._release()
            raise

    def _open_file(self, *, create: bool) -> None:
        exists = self._path.exists()
        if not exists and not create:
            raise LogBroken(f"{self._path} is gone, but a checkpoint over its entries is signed")
        self._connect(apsw.SQLITE_OPEN_READWRITE | (0 if exists else apsw.SQLITE_OPEN_CREATE))
        if create and self._version() == 0:
            self._create()
        if self._version() != SCHEMA_VERSION:
            raise StoreOutdated(f"{self._path} has schema version {self._version()}, not {SCHEMA_VERSION}")
        self._db().execute(ADDED_LATER)

    def _connect(self, flags: int) -> None:
        connection = apsw.Connection(str(self._path), flags=flags, vfs=self._vfs, statementcachesize=100)
        self._connection = connection
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        if connection.pragma("journal_mode", "WAL") != "wal":
            raise LogUnavailable(f"{self._path}: this file system does not allow write-ahead logging")
        for name, value in (("synchronous", "FULL"), ("fullfsync", 1), ("checkpoint_fullfsync", 1), ("mmap_size", 0)):
            connection.pragma(name, value)
        connection.pragma("wal_autocheckpoint", _WAL_PAGES)
        connection.pragma("cache_size", -65536)
        self._identity = _identity(self._path)

    def _create(self) -> None:
        with self._db() as connection:
            connection.execute(TABLES)
            connection.execute(
                "INSERT INTO log_head (log_id, size, root, frontier, tail) VALUES (?, 0, ?, x'', x'')",
                (self._origin, EMPTY_ROOT),
            )
            connection.pragma("user_version", SCHEMA_VERSION)

    def _version(self) -> int:
        return int(self._db().pragma("user_version"))

    def _db(self) -> apsw.Connection:
        if self._connection is None:
            raise LogUnavailable("the log's file is not open")
        return self._connection

    def _head(self) -> Head:
        try:
            for size, root, frontier, tail in self._db().execute(_SELECT_HEAD):
                return Head(size, root, frontier, tail)
        except apsw.Error as error:
            raise _unavailable(error) from error
        raise LogBroken("the log has no head")

    def _commit(self, batch: Sequence[Prepared], mark: OpenMark) -> int:
        connection = self._db()
        self._check_file()
        try:
            connection.execute("BEGIN IMMEDIATE")
            first, new_facets = self._insert(connection, batch, mark)
            connection.execute("COMMIT")
        except BaseException as error:
            self._roll_back(connection)
            if isinstance(error, apsw.Error):
                raise _unavailable(error) from error
            raise
        self._check_file()  # a file that was unlinked meanwhile holds nothing durable
        if len(self._facets) > _KNOWN_FACETS:
            self._facets.clear()
        self._facets |= new_facets
        return first

    def _insert(self, connection: apsw.Connection, batch: Sequence[Prepared], mark: OpenMark) -> tuple[int, set[int]]:
        head = self._head()
        first = head.size
        try:
            grown, nodes = grow(head, batch)
        except ValueError as error:
            raise LogBroken(f"the head of the log is damaged: {error}") from error
        numbered = list(enumerate(batch, first))
        connection.executemany(_INSERT_ENTRY, [(idx, e.leaf_hash, e.entry, *e.columns) for idx, e in numbered])
        connection.executemany(_INSERT_DETAIL, [(idx, e.salt, e.detail) for idx, e in numbered if e.salt is not None])
        tags = [(idx, tag, role, epoch) for idx, e in numbered for tag, role, epoch in e.tags]
        if tags:
            connection.executemany(_INSERT_TAG, tags)
        fresh = {e.facet: e.terms for e in batch if e.facet not in self._facets}
        for facet, terms in fresh.items():
            connection.executemany(_INSERT_FACET, [(term, facet) for term in terms])
        for node in nodes:
            connection.execute(_INSERT_NODE, _node_values(node))
        connection.execute(_UPDATE_HEAD, (grown.size, grown.root, grown.frontier, grown.tail))
        connection.execute(_UPDATE_REPLICA, (mark.replica, mark.resolve(first, len(batch))))
        return first, set(fresh)

    def _roll_back(self, connection: apsw.Connection) -> None:
        if connection.in_transaction:
            try:
                connection.execute("ROLLBACK")
            except apsw.Error:
                connection.close(force=True)  # the connection is done for; recover() opens a new one
                self._connection = None

    def _check_file(self) -> None:
        """The path still names the file that is open: else what is written goes to a file nobody will find."""
        try:
            same = _identity(self._path) == self._identity
        except OSError:
            same = False
        if not same:
            raise LogUnavailable(f"{self._path} was removed or replaced while the gateway runs")

    def _recover(self) -> None:
        """Pages whose flush failed may be in memory only: a full WAL checkpoint writes and flushes them all again."""
        self._disconnect()
        if not self._path.exists():
            raise LogUnavailable(f"{self._path} was removed while the gateway runs")
        try:
            self._connect(apsw.SQLITE_OPEN_READWRITE)
            self._db().wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
        except apsw.Error as error:
            self._disconnect()
            raise _unavailable(error) from error

    def _save_checkpoint(self, checkpoint: Checkpoint, at_us: int, cosigned: Sequence[Cosignature]) -> Checkpoint:
        connection = self._db()
        self._check_file()
        try:
            with connection:
                connection.execute(
                    "INSERT INTO log_checkpoint (size, root, note, at_us) VALUES (?, ?, ?, ?) ON CONFLICT DO NOTHING",
                    (checkpoint.size, checkpoint.root, checkpoint.note, at_us),
                )
                connection.executemany(_KEEP_COSIGNATURE, [(checkpoint.size, c.name, c.line, c.time) for c in cosigned])
            query = "SELECT root, note FROM log_checkpoint WHERE size = ?"
            root, note = connection.execute(query, (checkpoint.size,)).get
        except apsw.Error as error:
            raise _unavailable(error) from error
        return Checkpoint(checkpoint.origin, checkpoint.size, root, note)

    def _retire(self, replicas: Sequence[str]) -> None:
        try:
            with self._db() as connection:
                connection.executemany("DELETE FROM log_replica WHERE replica = ?", [(name,) for name in replicas])
        except apsw.Error as error:
            raise _unavailable(error) from error

    def _change(self, work: Callable[[apsw.Connection], T]) -> T:
        self._check_file()
        try:
            return work(self._db())
        except apsw.Error as error:
            raise _unavailable(error) from error

    def _reader(self) -> apsw.Connection:
        """This thread's read-only connection, opened anew after the writer was."""
        state = self._reader_state
        if getattr(state, "generation", None) != self._generation:
            connection = self._read_only()
            state.connection, state.generation = connection, self._generation
        reader: apsw.Connection = state.connection
        return reader

    def _read_only(self) -> apsw.Connection:
        connection = apsw.Connection(
            str(self._path), flags=apsw.SQLITE_OPEN_READONLY, vfs=self._vfs, statementcachesize=100
        )
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
        connection.pragma("query_only", 1)
        connection.pragma("mmap_size", 0)
        self._read_connections.append(connection)
        return connection

    def _begin(self) -> tuple[apsw.Connection, int]:
        """A connection in a read transaction, and the generation of the file that it reads."""
        generation = self._generation
        try:
            spare = self._spare.pop() if self._spare else None
            connection = spare[0] if spare is not None and spare[1] == generation else self._read_only()
            connection.execute("BEGIN")
        except apsw.Error as error:
            raise _unavailable(error) from error
        return connection, generation

    def _end(self, reader: _Snapshot, generation: int) -> None:
        connection = reader.connection
        with reader.busy, suppress(apsw.Error):  # a failed read may have ended the transaction
            connection.execute("ROLLBACK")
        if not connection.in_transaction:
            self._spare.append((connection, generation))

    def _disconnect(self) -> None:
        """Close the writer; readers notice by the generation. Old readers keep their locks until they are closed."""
        self._generation += 1
        self._facets.clear()
        if self._connection is not None:
            with suppress(apsw.Error):  # closing after an I/O error may fail again; a new one reads what is on disk
                self._connection.close(force=True)
            self._connection = None

    def _release(self) -> None:
        for connection in self._read_connections:
            connection.close(force=True)
        self._read_connections.clear()
        self._disconnect()
        if self._lock_descriptor is not None:
            os.close(self._lock_descriptor)
            self._lock_descriptor = None


class _Snapshot:
    """The reader inside of one read transaction. `busy`: a thread uses the connection, for nobody perhaps any more."""

    def __init__(
        self, connection: apsw.Connection, run: Callable[[Callable[[], list[Row]]], Awaitable[list[Row]]]
    ) -> None:
        self.connection = connection
        self.busy = threading.Lock()
        self._run = run

    async def fetch(self, statement: str, *values: Any) -> list[Row]:
        """See `LogReader.fetch`."""

        def rows() -> list[Row]:
            with self.busy:
                return _rows(self.connection, statement, values)

        return await self._run(rows)

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LogReader]:
        """The same snapshot."""
        yield self


def _rows(connection: apsw.Connection, statement: str, values: tuple[Any, ...]) -> list[Row]:
    try:
        return list(connection.execute(statement.replace("$", "?"), values))
    except apsw.Error as error:
        raise _unavailable(error) from error


def _node_values(node: TileNode) -> tuple[Any, ...]:
    return (node.level, node.n, node.hash, node.leaves, node.first_leaf, node.first_leaf + (1 << TILE_BITS))


def _identity(path: Path) -> Identity:
    found = path.stat()
    return found.st_dev, found.st_ino


def _take_lock(path: Path) -> int:
    """Exclusive lock of the folder's log, held as long as the descriptor is open."""
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    except OSError as error:
        raise LogUnavailable(f"{path} cannot be opened: {error.strerror}") from error
    for attempt in range(_LOCK_ATTEMPTS):
        try:
            fcntl.flock(descriptor, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except OSError:
            if attempt + 1 < _LOCK_ATTEMPTS:
                time.sleep(_LOCK_PAUSE_SECONDS)  # `log verify` looks at the lock for a moment
        else:
            return descriptor
    os.close(descriptor)
    raise LogLocked(f"{path}: another process serves this folder; stop it first")


def _unavailable(error: apsw.Error) -> LogUnavailable:
    """The fault without values of the statement."""
    if isinstance(error, apsw.FullError):
        return LogUnavailable("the disk of the log is full", retry_after_seconds=5)
    return LogUnavailable(f"the log's file: {type(error).__name__} {apsw_message(error)}", retry_after_seconds=2)


def apsw_message(error: apsw.Error) -> str:
    """SQLite's name of an error, such as SQLITE_IOERR_FSYNC."""
    code = getattr(error, "extendedresult", 0)
    return str(apsw.mapping_extended_result_codes.get(code) or apsw.mapping_result_codes.get(code & 0xFF, ""))
