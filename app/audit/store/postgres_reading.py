"""Reading the log on PostgreSQL: single statements, snapshots of several, and the driver's errors in the house's words."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import asyncpg

from app.audit.store.contract import LogReader
from app.errors import LogUnavailable

CONNECT_SECONDS = 5.0
COMMAND_SECONDS = 5.0
_READERS = 4


class PostgresReader:
    """A small pool of connections that only read."""

    def __init__(self, pool: asyncpg.Pool[asyncpg.Record]) -> None:
        self._pool = pool

    @classmethod
    async def open(cls, url: str) -> PostgresReader:
        """Connections are made when they are needed."""
        return cls(
            await asyncpg.create_pool(
                url,
                min_size=0,
                max_size=_READERS,
                timeout=CONNECT_SECONDS,
                command_timeout=COMMAND_SECONDS,
                server_settings={"application_name": "simpul-log-reader", "default_transaction_read_only": "on"},
            )
        )

    async def close(self) -> None:
        """Wait a moment for statements under way, then cut them off."""
        try:
            await asyncio.wait_for(self._pool.close(), COMMAND_SECONDS)
        except TimeoutError:
            self._pool.terminate()

    async def fetch(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `LogReader.fetch`."""
        async with translated():
            return [tuple(row) for row in await self._pool.fetch(statement, *values)]

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LogReader]:
        """See `LogReader.snapshot`: one transaction, since READ COMMITTED looks anew at every statement."""
        async with (
            translated(),
            self._pool.acquire(timeout=CONNECT_SECONDS + COMMAND_SECONDS) as connection,
            connection.transaction(isolation="repeatable_read", readonly=True),
        ):
            yield _Snapshot(connection)


class _Snapshot:
    """The reader inside of one transaction."""

    def __init__(self, connection: Any) -> None:
        self._connection = connection

    async def fetch(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `LogReader.fetch`."""
        async with translated():
            return [tuple(row) for row in await self._connection.fetch(statement, *values)]

    @asynccontextmanager
    async def snapshot(self) -> AsyncIterator[LogReader]:
        """The same snapshot."""
        yield self


@asynccontextmanager
async def translated() -> AsyncIterator[None]:
    """Asyncpg's and the network's errors as LogUnavailable, without values of the statement."""
    try:
        yield
    except asyncpg.LockNotAvailableError as error:
        raise LogUnavailable("another replica holds the log's head", retry_after_seconds=1) from error
    except (asyncpg.PostgresError, asyncpg.InterfaceError, asyncpg.InternalClientError) as error:
        state = getattr(error, "sqlstate", "") or ""
        raise LogUnavailable(f"the log's database: {type(error).__name__} {state}", retry_after_seconds=2) from error
    except (OSError, TimeoutError) as error:
        raise LogUnavailable(f"the log's database: {type(error).__name__}", retry_after_seconds=2) from error
