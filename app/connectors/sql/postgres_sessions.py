"""A session of the pool for one piece of work, given back in bounded time."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager, suppress
from typing import Any, Final

import asyncpg

_LET_GO_SECONDS: Final = 0.25
"""How long a server may take to confirm that a statement was cancelled. The session that waits for it is one that others wait for."""


@asynccontextmanager
async def session_of(pool: asyncpg.Pool, seconds: float | None = None) -> AsyncIterator[Any]:
    """A session, waited for this long (None: for ever). Raises `TimeoutError`.

    A statement that was left in the middle is cancelled at the server. Where that is not confirmed, the session is dropped: the line
    may be dead, and a new one costs less than the wait.
    """
    session = await pool.acquire(timeout=seconds)
    try:
        yield session
    finally:
        with suppress(TimeoutError):
            await pool.release(session, timeout=_LET_GO_SECONDS)


@asynccontextmanager
async def reading(session: Any) -> AsyncIterator[None]:
    """One transaction that reads. What broke off in it goes on as it is, a cancellation above all: the rollback may fail, or hang."""
    transaction = session.transaction(readonly=True)
    await transaction.start()
    whole = False
    try:
        yield
        whole = True
    finally:
        if whole:
            await transaction.commit()
        else:
            await _rolled_back(session, transaction)


async def _rolled_back(session: Any, transaction: Any) -> None:
    try:
        async with asyncio.timeout(_LET_GO_SECONDS):
            await transaction.rollback()
    except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError):  # `TimeoutError` is one
        with suppress(asyncpg.InterfaceError):  # given back already
            session.terminate()
