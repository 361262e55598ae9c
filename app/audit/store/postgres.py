"""The log in a PostgreSQL database, shared by all replicas.

Durability: synchronous_commit is on (asserted, and set for the session), so a commit is answered after the WAL was
flushed. The row of `log_head` is the lock between replicas: released by the same commit that publishes the entries.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AbstractAsyncContextManager, suppress
from typing import Any, TypeVar

import asyncpg

from app.audit.entry.spans import Span
from app.audit.store.contract import Head, LogReader, OpenMark, Prepared
from app.audit.store.erasing import Eraser, SealedDetail, erase_postgres, seal_postgres
from app.audit.store.postgres_append import APPEND, append_values
from app.audit.store.postgres_reading import COMMAND_SECONDS, CONNECT_SECONDS, PostgresReader, translated
from app.audit.store.postgres_replicas import STOPPED_AFTER_SECONDS, PostgresReplicas
from app.audit.store.tree_growth import grow
from app.audit.tlog.checkpoint import Checkpoint
from app.audit.tlog.cosignatures import Cosignature
from app.audit.tlog.merkle import EMPTY_ROOT
from app.errors import LogBroken, LogUnavailable, StoreOutdated

_KNOWN_FACETS = 100_000

_SESSION = "SET synchronous_commit = {}; SET lock_timeout = '2s'; SET idle_in_transaction_session_timeout = '3s'"
_LOCK_HEAD = "SELECT size, root, frontier, tail FROM log_head WHERE log_id = $1 FOR UPDATE"
_WANTED_SETTINGS = {"fsync": ("on",), "full_page_writes": ("on",), "synchronous_commit": ("on", "remote_apply")}

_KEEP_COSIGNATURE = (
    "INSERT INTO log_cosignature (size, name, line, time) VALUES ($1, $2, $3, $4)"
    " ON CONFLICT (size, name) DO UPDATE SET line = excluded.line, time = excluded.time"
)
_SESSION_SETTINGS = {
    "application_name": "simpul-log-writer",
    "tcp_keepalives_idle": "5",
    "tcp_keepalives_interval": "3",
    "tcp_keepalives_count": "3",
}
"""The server ends a session whose other end is gone without a word, and with it the lock of its replica, in 14 s."""

T = TypeVar("T")


class PostgresLogStore:
    """`LogStore` on PostgreSQL through asyncpg: one connection that writes, a small pool that only reads."""

    def __init__(
        self, url: str, origin: str, replica: str, *, stopped_after_seconds: float = STOPPED_AFTER_SECONDS
    ) -> None:
        """`url`: `postgresql://...` (a SQLAlchemy driver suffix such as `+asyncpg` is ignored); `replica`: our name, that
        no other process has; `stopped_after_seconds`: silence after which another replica without session is stopped.
        """
        scheme, _, rest = url.partition("://")
        self._url = f"{scheme.partition('+')[0]}://{rest}"
        self._origin = origin
        self._lock = asyncio.Lock()
        self._connection: asyncpg.Connection | None = None
        self._reader: PostgresReader | None = None
        self._replicas = PostgresReplicas(replica, origin, self._on_writer, stopped_after_seconds)
        self._facets: set[int] = set()
        self._durability: str | None = None
        self._known: Head | None = None
        self._commit_sent = False
        self._last: tuple[int, bytes] | None = None
        """Index and leaf hash of the last entry that this process committed."""

    async def open(self, *, create: bool) -> None:
        """See `LogStore.open`. The tables come from the migrations; `create` allows the first head row."""
        async with self._lock, translated():
            connection = await self._connect()
            await self._assert_durable(connection)
            await self._first_head(connection, create=create)
            await self._replicas.register(connection)
            self._reader = await PostgresReader.open(self._url)

    async def close(self) -> None:
        """See `LogStore.close`."""
        reader, self._reader = self._reader, None
        if reader is not None and self._connection is not None and not self._connection.is_closed():
            with suppress(LogUnavailable):
                await self._replicas.leave(nothing_open=False)
        async with self._lock:
            await self._drop()
        if reader is not None:
            await reader.close()

    async def head(self) -> Head:
        """See `LogStore.head`."""
        return await self._on_writer(self._read_head)

    async def commit(self, batch: Sequence[Prepared], mark: OpenMark) -> int:
        """See `LogStore.commit`. A lost connection is resolved by looking for the batch under the head's lock."""
        async with self._lock:
            try:
                async with translated():
                    first = await self._commit(await self._connect(), batch, mark)
            except LogUnavailable:
                await self._drop()
                found = await self._find(batch) if self._commit_sent else None
                if found is None:
                    raise
                first = found
            except BaseException:
                await self._drop()
                raise
            self._last = (first + len(batch) - 1, batch[-1].leaf_hash)
            return first

    async def recover(self) -> None:
        """See `LogStore.recover`."""
        async with self._lock:
            await self._drop()
            self._facets.clear()
            async with translated():
                connection = await self._connect()
                await self._assert_durable(connection)
                await self._replicas.rejoin(connection)

    async def save_checkpoint(
        self, checkpoint: Checkpoint, at_us: int, cosigned: Sequence[Cosignature] = ()
    ) -> Checkpoint:
        """See `LogStore.save_checkpoint`. Replicas race here; the primary key lets one note through."""

        async def save(connection: asyncpg.Connection) -> Checkpoint:
            await connection.execute(
                "INSERT INTO log_checkpoint (size, root, note, at_us) VALUES ($1, $2, $3, $4) ON CONFLICT DO NOTHING",
                checkpoint.size,
                checkpoint.root,
                checkpoint.note,
                at_us,
            )
            rows = [(checkpoint.size, found.name, found.line, found.time) for found in cosigned]
            if rows:
                await connection.executemany(_KEEP_COSIGNATURE, rows)
            row = await connection.fetchrow("SELECT root, note FROM log_checkpoint WHERE size = $1", checkpoint.size)
            if row is None:
                raise LogUnavailable("the checkpoint was not kept")
            return Checkpoint(checkpoint.origin, checkpoint.size, row["root"], row["note"])

        return await self._on_writer(save)

    @property
    def replicas(self) -> PostgresReplicas:
        """See `LogStore.replicas`."""
        return self._replicas

    @property
    def eraser(self) -> Eraser:
        """See `LogStore.eraser`."""

        async def run(spans: Sequence[Span], tags: Sequence[bytes]) -> tuple[int, int]:
            return await self._on_writer(lambda connection: erase_postgres(connection, spans, tags))

        async def seal(details: Sequence[SealedDetail]) -> None:
            await self._on_writer(lambda connection: seal_postgres(connection, details))

        return Eraser(run, seal)

    async def fetch(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `LogReader.fetch`."""
        return await self._readers().fetch(statement, *values)

    def snapshot(self) -> AbstractAsyncContextManager[LogReader]:
        """See `LogReader.snapshot`."""
        return self._readers().snapshot()

    def _readers(self) -> PostgresReader:
        if self._reader is None:
            raise LogUnavailable("the log's database is not open")
        return self._reader

    async def _on_writer(self, work: Callable[[asyncpg.Connection], Awaitable[T]]) -> T:
        async with self._lock:
            try:
                async with translated():
                    return await work(await self._connect())
            except BaseException:
                await self._drop()
                raise

    async def _connect(self) -> asyncpg.Connection:
        if self._connection is None or self._connection.is_closed():
            connection = await asyncpg.connect(
                self._url,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                server_settings=_SESSION_SETTINGS,
            )
            try:
                await self._replicas.join(connection)
                if self._durability is not None:  # a server that comes back may be another one, or run otherwise
                    await self._assert_durable(connection)
                    await self._assert_kept(connection)
            except BaseException:
                connection.terminate()
                raise
            self._connection = connection
        return self._connection

    async def _drop(self) -> None:
        """Close the writing connection without waiting for its server; an open transaction there is rolled back."""
        connection, self._connection, self._known = self._connection, None, None
        if connection is not None:
            connection.terminate()

    async def _assert_durable(self, connection: asyncpg.Connection) -> None:
        """Refuse a server that may acknowledge a commit which is not on its disk."""
        if await connection.fetchval("SELECT pg_is_in_recovery()"):
            raise LogUnavailable("the log's database is a standby; point the gateway at the primary")
        for name, allowed in _WANTED_SETTINGS.items():
            found = str(await connection.fetchval("SELECT current_setting($1)", name))
            if found not in allowed:
                raise LogUnavailable(
                    f"the log's database runs with {name} = {found}: acknowledged entries could be lost;"
                    f" set it to {' or '.join(allowed)}"
                )
            if name == "synchronous_commit":
                self._durability = found
                await connection.execute(_SESSION.format(found))

    async def _assert_kept(self, connection: asyncpg.Connection) -> None:
        """Refuse a server that comes back without the last entry of this process: a standby that took over too early."""
        if self._last is None:
            return
        index, leaf_hash = self._last
        if await connection.fetchval("SELECT leaf_hash FROM log_entry WHERE idx = $1", index) != leaf_hash:
            raise LogBroken(
                f"the log's database came back without entry {index}, which was acknowledged: it lost commits"
            )

    async def _first_head(self, connection: asyncpg.Connection, *, create: bool) -> None:
        if await connection.fetchval("SELECT to_regclass('log_head') IS NULL"):
            raise StoreOutdated("the database has no tables of the log; run `simpul db upgrade`")
        if await connection.fetchval("SELECT count(*) FROM log_head"):
            return
        if not create or await connection.fetchval("SELECT EXISTS (SELECT 1 FROM log_entry)"):
            raise LogBroken("the head of the log is gone, but entries or a signed checkpoint exist")
        await connection.execute(
            "INSERT INTO log_head (log_id, size, root, frontier, tail) VALUES ($1, 0, $2, '', '')"
            " ON CONFLICT DO NOTHING",
            self._origin,
            EMPTY_ROOT,
        )

    async def _read_head(self, connection: asyncpg.Connection) -> Head:
        row = await connection.fetchrow(
            "SELECT size, root, frontier, tail FROM log_head WHERE log_id = $1", self._origin
        )
        if row is None:
            raise LogBroken(f"the log has no head for origin {self._origin}")
        return Head(*row)

    async def _commit(self, connection: asyncpg.Connection, batch: Sequence[Prepared], mark: OpenMark) -> int:
        """From the head as this process left it in one statement; under the row lock when another replica moved it."""
        fresh = {e.facet: e.terms for e in batch if e.facet not in self._facets}
        terms = [(term, facet) for facet, found in fresh.items() for term in found]
        first = None
        if self._known is not None:
            first = await self._append(connection, self._known, batch, mark, terms)
        if first is None:
            first = await self._append_locked(connection, batch, mark, terms)
        if len(self._facets) > _KNOWN_FACETS:
            self._facets.clear()
        self._facets.update(fresh)
        return first

    async def _append(
        self,
        connection: asyncpg.Connection,
        head: Head,
        batch: Sequence[Prepared],
        mark: OpenMark,
        terms: Sequence[tuple[str, int]],
    ) -> int | None:
        """The index of the batch's first entry; None when the head is not `head` any more, and then nothing is written."""
        try:
            grown, nodes = grow(head, batch)
        except ValueError as error:
            raise LogBroken(f"the head of the log is damaged: {error}") from error
        replica = (mark.replica, mark.resolve(head.size, len(batch)))
        values = append_values(self._origin, head, grown, replica, batch, terms, nodes)
        self._commit_sent = True
        try:
            row = await connection.fetchrow(APPEND, *values)
        except asyncpg.LockNotAvailableError:
            self._commit_sent = False  # the server said that it did nothing: there is no batch to look for
            raise
        if not row["serving"]:
            self._commit_sent = False
            raise LogUnavailable(
                "this replica was declared stopped after a long silence, or the server runs without fsync or full_page_writes"
            )
        self._known = grown if row["moved"] else None
        return head.size if row["moved"] else None

    async def _append_locked(
        self,
        connection: asyncpg.Connection,
        batch: Sequence[Prepared],
        mark: OpenMark,
        terms: Sequence[tuple[str, int]],
    ) -> int:
        self._commit_sent = False
        await connection.execute("BEGIN")
        row = await connection.fetchrow(_LOCK_HEAD, self._origin)
        if row is None:
            raise LogBroken(f"the log has no head for origin {self._origin}")
        first = await self._append(connection, Head(*row), batch, mark, terms)
        if first is None:
            raise LogBroken("the head of the log moved under its lock")
        await connection.execute("COMMIT")
        return first

    async def _find(self, batch: Sequence[Prepared]) -> int | None:
        """Index of a batch whose COMMIT was not answered; None when it is not there (or cannot be known)."""
        try:
            async with translated():
                connection = await self._connect()
                await connection.execute("BEGIN")
                await connection.fetchrow(_LOCK_HEAD, self._origin)  # waits until the lost transaction has ended
                rows = await connection.fetch(
                    "SELECT idx, leaf_hash FROM log_entry WHERE id = ANY($1::text[]) ORDER BY idx",
                    [entry.id for entry in batch],
                )
                await connection.execute("ROLLBACK")
        except LogUnavailable:
            await self._drop()
            return None
        if [bytes(row["leaf_hash"]) for row in rows] != [entry.leaf_hash for entry in batch]:
            return None
        return int(rows[0]["idx"])
