"""Deleting details and tags, and sealing details, on each store, in one durable transaction.

Which and why: `erasure/carrying_out.py`, `write/standing_details.py`.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Sequence
from contextlib import suppress

import apsw
import asyncpg

from app.audit.entry.spans import Span

Erase = Callable[[Sequence[Span], Sequence[bytes]], Awaitable[tuple[int, int]]]
SealedDetail = tuple[int, bytes, bytes]
"""Index, the plain detail, the sealed one."""

_SEAL_SQLITE = "UPDATE exchange_detail SET detail = ?3 WHERE idx = ?1 AND detail = ?2"
_SEAL_POSTGRES = "UPDATE exchange_detail SET detail = $3 WHERE idx = $1 AND detail = $2"


class Eraser:
    """`DetailEraser` of a store."""

    def __init__(self, run: Erase, seal: Callable[[Sequence[SealedDetail]], Awaitable[None]]) -> None:
        """`run`, `seal`: do it where the store writes."""
        self._run = run
        self._seal = seal

    async def erase(self, spans: Sequence[Span], tags: Sequence[bytes]) -> tuple[int, int]:
        """See `DetailEraser.erase`."""
        return await self._run(spans, tags)

    async def seal(self, details: Sequence[SealedDetail]) -> None:
        """See `DetailEraser.seal`."""
        await self._seal(details)


def erase_sqlite(connection: apsw.Connection, spans: Sequence[Span], tags: Sequence[bytes]) -> tuple[int, int]:
    """What is deleted is overwritten in the file too, and the journal that held it is emptied."""
    details = gone = 0
    connection.pragma("secure_delete", 1)
    with connection:
        for first, last in spans:
            connection.execute("DELETE FROM exchange_detail WHERE idx >= ? AND idx <= ?", (first, last))
            details += connection.changes()
            for tag in tags:
                values = (tag, first, last)
                connection.execute("DELETE FROM exchange_subject WHERE tag = ? AND idx >= ? AND idx <= ?", values)
                gone += connection.changes()
    with suppress(apsw.BusyError):  # a reader is at work: the next checkpoint empties the journal
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)
    return details, gone


async def erase_postgres(
    connection: asyncpg.Connection[asyncpg.Record], spans: Sequence[Span], tags: Sequence[bytes]
) -> tuple[int, int]:
    """Deleted rows stay unreachable in the files until the server's vacuum."""
    firsts, lasts = [first for first, _ in spans], [last for _, last in spans]
    async with connection.transaction():
        details = await connection.execute(
            "DELETE FROM exchange_detail d USING unnest($1::bigint[], $2::bigint[]) AS s(first, last)"
            " WHERE d.idx BETWEEN s.first AND s.last",
            firsts,
            lasts,
        )
        gone = await connection.execute(
            "DELETE FROM exchange_subject t USING unnest($1::bigint[], $2::bigint[]) AS s(first, last)"
            " WHERE t.tag = ANY($3::bytea[]) AND t.idx BETWEEN s.first AND s.last",
            firsts,
            lasts,
            list(tags),
        )
    return int(details.split()[-1]), int(gone.split()[-1])


def seal_sqlite(connection: apsw.Connection, details: Sequence[SealedDetail]) -> None:
    """What stood plain is overwritten in the file too."""
    connection.pragma("secure_delete", 1)
    with connection:
        connection.executemany(_SEAL_SQLITE, details)
    with suppress(apsw.BusyError):
        connection.wal_checkpoint(mode=apsw.SQLITE_CHECKPOINT_TRUNCATE)


async def seal_postgres(connection: asyncpg.Connection[asyncpg.Record], details: Sequence[SealedDetail]) -> None:
    """What stood plain stays in the files until the server's vacuum."""
    async with connection.transaction():
        await connection.executemany(_SEAL_POSTGRES, details)
