"""Replicas on PostgreSQL: names, session locks and heartbeats; who was declared stopped, and by whom.

A replica lives while its session holds its lock, or was heard of a moment ago (a cut session connects again). Who closes
the intents of a stopped one first writes `stopped_by` into its row. Each append locks and looks at the row of its own
replica (`postgres_append.py`), so from then on the stopped one commits nothing, whatever it believes; when it comes back it
waits until its intents are closed and registers anew.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import Awaitable, Callable, Sequence
from hashlib import sha256
from typing import Any

import asyncpg

from app.errors import LogLocked, LogUnavailable

STOPPED_AFTER_SECONDS = 20.0
"""Silence after which a replica whose lock nobody holds is stopped. Longer than connecting again may take: the longest
pause between two attempts (5 s), a connection and a command."""

_LOCK_SECONDS = 2.0
_LOCK_PAUSE_SECONDS = 0.02
_CLASS = 0x53494D50
_PUBLISHER, _CLAIMING = 0, 1
"""Numbers of the two locks that are no replica's; those of replicas are of the other kind, with one 64-bit key."""

_NOW = "(extract(epoch FROM clock_timestamp()) * 1000000)::bigint"
_LEAD = "SELECT pg_try_advisory_lock($1::integer, $2::integer)"
_LOCK = "SELECT pg_try_advisory_lock($1::bigint)"
_HOLDERS = """SELECT l.pid FROM pg_locks l WHERE l.locktype = 'advisory' AND l.objsubid = 1 AND l.granted
 AND l.classid::bigint = ({key} >> 32) & 4294967295 AND l.objid::bigint = {key} & 4294967295
 AND l.database = (SELECT oid FROM pg_database WHERE datname = current_database())"""
_END_FORMER = f"SELECT pg_terminate_backend(h.pid) FROM ({_HOLDERS.format(key='$1::bigint')}) h WHERE h.pid = $2"
_OWN = "SELECT stopped_by FROM log_replica WHERE replica = $1"
_SERVING = _OWN + " AND stopped_by IS NULL FOR UPDATE"
_REGISTER = f"""INSERT INTO log_replica (replica, open_from, lock_key, seen_us)
 SELECT $1, size, $2, {_NOW} FROM log_head WHERE log_id = $3
 ON CONFLICT (replica) DO UPDATE SET lock_key = excluded.lock_key, seen_us = excluded.seen_us
 WHERE log_replica.stopped_by IS NULL AND log_replica.seen_us < {_NOW} - $4 RETURNING replica"""
_BEAT = f"UPDATE log_replica SET seen_us = {_NOW} WHERE replica = $1 AND stopped_by IS NULL"
_ANY_SILENT = f"""SELECT EXISTS (SELECT 1 FROM log_replica
 WHERE replica <> $1 AND (stopped_by IS NOT NULL OR seen_us < {_NOW} - $2))"""
_SERIAL = "SELECT pg_advisory_xact_lock($1::integer, $2::integer)"
_STOP = f"""UPDATE log_replica r SET stopped_by = $1 WHERE r.replica <> $1 AND r.stopped_by IS NULL
 AND r.seen_us < {_NOW} - $2 AND NOT EXISTS ({_HOLDERS.format(key="r.lock_key")})"""
_TAKE_OVER = """UPDATE log_replica r SET stopped_by = $1
 WHERE r.replica <> $1 AND r.stopped_by IS NOT NULL AND r.stopped_by <> $1
 AND NOT EXISTS (SELECT 1 FROM log_replica c WHERE c.replica = r.stopped_by AND c.stopped_by IS NULL)"""
_CLAIMED = "SELECT replica, open_from FROM log_replica WHERE stopped_by = $1 OR ($2 AND replica = $1)"

OnWriter = Callable[[Callable[[asyncpg.Connection], Awaitable[Any]]], Awaitable[Any]]


def lock_key(replica: str) -> int:
    """Key of a replica's lock: 64 bits, since a 32-bit hash gives two names one lock far too soon."""
    return int.from_bytes(sha256(replica.encode()).digest()[:8], "big", signed=True)


class PostgresReplicas:
    """`Replicas` on PostgreSQL, through the writer's connection: its session holds the locks."""

    def __init__(self, replica: str, origin: str, on_writer: OnWriter, stopped_after_seconds: float) -> None:
        self._replica = replica
        self._origin = origin
        self._on_writer = on_writer
        self._stopped_after_us = int(stopped_after_seconds * 1_000_000)
        self._key = lock_key(replica)
        self._former_session: int | None = None
        self._inherited = False
        self._leads = False
        self.registrations = 0

    async def join(self, connection: asyncpg.Connection) -> None:
        """Take this replica's lock for a new session; nothing is written through it before.

        LogLocked at opening when another process holds it; LogUnavailable when our own former session still stands.
        """
        ends = time.monotonic() + _LOCK_SECONDS
        while not await connection.fetchval(_LOCK, self._key):
            if self._former_session is not None:
                await connection.fetch(_END_FORMER, self._key, self._former_session)
            if time.monotonic() > ends:
                if self.registrations:
                    raise LogUnavailable("the former session of this replica still stands in the log's database")
                raise LogLocked(f"another process serves as replica {self._replica}; names are of one process each")
            await asyncio.sleep(_LOCK_PAUSE_SECONDS)
        self._former_session = connection.get_server_pid()
        self._leads = False

    async def register(self, connection: asyncpg.Connection) -> None:
        """Say that this process is there. LogLocked when its name, or the key of its lock, is another's."""
        known = await connection.fetchrow(_OWN, self._replica)
        try:
            found = await connection.fetchval(_REGISTER, self._replica, self._key, self._origin, self._stopped_after_us)
        except asyncpg.UniqueViolationError:
            raise LogLocked(f"the lock of replica {self._replica} is that of another name; start again") from None
        if found is None:
            raise LogLocked(f"replica {self._replica} was heard of a moment ago; names are of one process each")
        self._inherited = known is not None
        self.registrations += 1

    async def rejoin(self, connection: asyncpg.Connection) -> None:
        """Go on after a fault. When this replica was declared stopped meanwhile: wait for who closes its intents."""
        async with connection.transaction():
            await connection.execute(_SERIAL, _CLASS, _CLAIMING)
            row = await connection.fetchrow(_OWN, self._replica)
            if row is None:
                await self.register(connection)
                return
            if row["stopped_by"] is None:
                return
            await connection.execute(_STOP, self._replica, self._stopped_after_us)
            if await connection.fetch(_SERVING, row["stopped_by"]):
                raise LogUnavailable("this replica was silent for too long; another one closes what it left open")
            await connection.execute("UPDATE log_replica SET stopped_by = NULL WHERE replica = $1", self._replica)
            self.registrations += 1

    async def leads(self) -> bool:
        """See `Replicas.leads`: who holds a session lock that ends with its connection."""

        async def take(connection: asyncpg.Connection) -> bool:
            if not self._leads:
                self._leads = bool(await connection.fetchval(_LEAD, _CLASS, _PUBLISHER))
            return self._leads

        return bool(await self._on_writer(take))

    async def beat(self) -> bool:
        """See `Replicas.beat`."""

        async def say(connection: asyncpg.Connection) -> bool:
            return bool(await connection.execute(_BEAT, self._replica) == "UPDATE 1")

        return bool(await self._on_writer(say))

    async def claim(self) -> dict[str, int]:
        """See `Replicas.claim`. One replica at a time, so that no two declare each other stopped."""

        async def look(connection: asyncpg.Connection) -> list[asyncpg.Record]:
            if not self._inherited and not await connection.fetchval(
                _ANY_SILENT, self._replica, self._stopped_after_us
            ):
                return []
            async with connection.transaction():
                await connection.execute(_SERIAL, _CLASS, _CLAIMING)
                if not await connection.fetch(_SERVING, self._replica):
                    return []
                await connection.execute(_STOP, self._replica, self._stopped_after_us)
                await connection.execute(_TAKE_OVER, self._replica)
                return list(await connection.fetch(_CLAIMED, self._replica, self._inherited))

        return {str(name): int(mark) for name, mark in await self._on_writer(look)}

    async def retire(self, replicas: Sequence[str]) -> None:
        """See `Replicas.retire`. Our own name, left by an earlier process, stays: it is in use again."""

        async def remove(connection: asyncpg.Connection) -> None:
            await connection.execute(
                "DELETE FROM log_replica WHERE replica = ANY($1::text[]) AND stopped_by = $2",
                list(replicas),
                self._replica,
            )

        if replicas:
            await self._on_writer(remove)
            self._inherited = False

    async def leave(self, *, nothing_open: bool) -> None:
        """See `Replicas.leave`."""

        async def go(connection: asyncpg.Connection) -> None:
            if nothing_open:
                await connection.execute(
                    "DELETE FROM log_replica WHERE replica = $1 AND stopped_by IS NULL", self._replica
                )
            await connection.execute("UPDATE log_replica SET seen_us = 0 WHERE replica = $1", self._replica)
            await connection.execute("SELECT pg_advisory_unlock_all()")

        await self._on_writer(go)
