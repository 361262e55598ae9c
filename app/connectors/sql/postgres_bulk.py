"""Bulk reads of PostgreSQL by columns: a process of its own copies the rows by ADBC and gives Arrow batches (`postgres_copy.py`).

Read so is what wants every row by columns, binds no value (a COPY takes none) and is large by the planner's own estimate, which costs
one short statement and holds for tables, views and queries alike. What the process cannot even begin, the other path reads, with the
same values, or says why it cannot: so the errors of both are the same. Only what ends a read that has begun is told from here.
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import time
from collections.abc import AsyncGenerator
from dataclasses import dataclass
from typing import Any, Final

import asyncpg
import pyarrow as pa

from app.connectors.contract import RawBatch
from app.connectors.environment import Environment
from app.connectors.isolation.calls import Isolated
from app.connectors.requests import ScanRequest
from app.connectors.sql.address import ServerTarget, dial_addresses
from app.connectors.sql.postgres_copy import CopyRead, PostgresCopy
from app.connectors.sql.postgres_faults import seconds_left, translated
from app.errors import SimpulError, SourceTimeout
from app.tls import authorities

FEWEST_ROWS: Final = 20_000
"""Below, the other path is done before a process and a connection of its own pay."""
PIECE_ROWS: Final = 5_000
"""As many rows have the time of one answer, as on the other path."""
_PIECE_BYTES: Final = (64 << 10, 8 << 20)
_GRACE_SECONDS: Final = 2.0
_REST_SECONDS: Final = 60.0


@dataclass(frozen=True, slots=True)
class Dialled:
    """How the other path reached the server: bulk reads go no other way."""

    target: ServerTarget
    tls: bool


class BulkReads:
    """The bulk reads of one connector. `fewest_rows`: from how many estimated rows on a read is one."""

    def __init__(self, environment: Environment, fewest_rows: int = FEWEST_ROWS) -> None:
        self.fewest_rows = fewest_rows
        self._environment = environment
        limits = environment.limits
        self._isolated = Isolated(
            PostgresCopy(),
            name=f"copy-{environment.connector}",
            memory_bytes=limits.parse_memory_bytes,
            count=max(1, limits.concurrency),
        )
        self._rests_until = 0.0

    async def batches(
        self, session: Any, text: str, wanted: CopyRead, dialled: Dialled, request: ScanRequest
    ) -> AsyncGenerator[RawBatch]:
        """The batches of a read; none at all when the other path shall read. `session`: one of the pool, `text`: the read's text there.

        Raises `SourceTimeout`, and once a batch has been given any other `SourceError` leaf.
        """
        if time.monotonic() < self._rests_until:
            return
        width = await self._width(session, text, request)
        if width is None:
            return
        piece = min(max(width * PIECE_ROWS, _PIECE_BYTES[0]), _PIECE_BYTES[1])
        wanted = CopyRead(wanted.table, wanted.columns, wanted.origin, piece)
        settings = await self._settings(session, dialled, request)
        trusted = b""
        if settings["sslmode"] == "verify-full":
            trusted = await asyncio.to_thread(authorities, self._environment.ca_file)
        async with contextlib.aclosing(self._read(session, settings, trusted, wanted, request.deadline)) as found:
            async for batch in found:
                yield batch

    def close(self) -> None:
        """Lets the processes go."""
        self._isolated.close()

    async def _width(self, session: Any, text: str, request: ScanRequest) -> int | None:
        """Bytes of a row as the planner expects them; None when it expects few rows."""
        told = await session.fetchval(f"EXPLAIN (FORMAT JSON) {text}", timeout=seconds_left(request.deadline))
        plan = json.loads(told)[0]["Plan"]
        return int(plan["Plan Width"]) if plan["Plan Rows"] >= self.fewest_rows else None

    async def _settings(self, session: Any, dialled: Dialled, request: ScanRequest) -> dict[str, str]:
        """Every setting of the connection, those of the pool's sessions. What one answer may take is measured here, not at the server."""
        target = dialled.target
        left = seconds_left(request.deadline)
        mode = "disable" if not dialled.tls else "require" if target.sslmode == "prefer" else "verify-full"
        encoding = getattr(session.get_settings(), "server_encoding", "")
        options = {
            "default_transaction_read_only": "on",
            "statement_timeout": "0" if left is None else str(max(1, round((left + _GRACE_SECONDS) * 1000))),
            "search_path": '"$user",public',
            "TimeZone": "UTC",
        }
        return {
            "host": target.host,
            "hostaddr": (await dial_addresses(target, self._environment))[0],
            "port": str(target.port),
            "dbname": target.database,
            "user": target.user,
            "password": target.password,
            "sslmode": mode,
            "gssencmode": "disable",
            "target_session_attrs": "any",
            "connect_timeout": "5",
            "application_name": "simpul",
            "client_encoding": "SQL_ASCII" if encoding == "SQL_ASCII" else "UTF8",
            "options": " ".join(f"-c {name}={value}" for name, value in options.items()),
        }

    async def _read(
        self, session: Any, settings: dict[str, str], trusted: bytes, wanted: CopyRead, deadline: float | None
    ) -> AsyncGenerator[RawBatch]:
        number, begun, ended = 0, False, False
        schema = pa.schema([column.field for column in wanted.columns])
        found = self._isolated.stream("read", settings, trusted, wanted)
        try:
            while (item := await self._next(found, deadline)) is not None:
                if isinstance(item, int):
                    number = item
                else:
                    batch = _sound(item, schema)
                    begun = True
                    yield batch
            ended = True
        except SourceTimeout:
            raise
        except SimpulError as error:
            if begun:
                raise _fault(error) from None
            if not error.facts.get("sqlstate"):
                self._rests_until = time.monotonic() + _REST_SECONDS
        finally:
            await found.aclose()  # type: ignore[attr-defined]
            if number and not ended:
                await _end(session, number)

    async def _next(self, found: Any, deadline: float | None) -> Any:
        """The next item, None behind the last; one that does not come in the time of one answer is late."""
        seconds = self._environment.limits.deadline_seconds + _GRACE_SECONDS
        left = seconds_left(deadline)
        try:
            async with asyncio.timeout(seconds if left is None else min(seconds, left)):
                return await anext(found, None)
        except TimeoutError:
            raise SourceTimeout("the database did not answer before the deadline", step="read") from None


def _sound(item: Any, schema: pa.Schema) -> RawBatch:
    """What the process gave, believed only when it is a whole batch of the columns."""
    batch = item if isinstance(item, RawBatch) else RawBatch(schema)
    if batch.arrow is None or not batch.arrow.schema.equals(schema, check_metadata=True):
        raise _fault(None)
    try:
        batch.arrow.validate(full=True)
    except pa.ArrowInvalid:
        raise _fault(None) from None
    return batch


async def _end(session: Any, number: int) -> None:
    """Ends the process's session at the server: it would notice only when it next has something to send."""
    with contextlib.suppress(Exception):
        async with asyncio.timeout(_GRACE_SECONDS):
            await session.execute("SELECT pg_terminate_backend($1)", number)


def _fault(error: SimpulError | None) -> SimpulError:
    """What ended a read, as on the other path: by the server's code, or a connection that was lost."""
    code = str(error.facts.get("sqlstate") or "") if error is not None else ""
    if code:
        return translated(asyncpg.PostgresError.new({"C": code, "M": ""}))
    if error is not None and "sqlstate" not in error.facts:
        return error
    return translated(asyncpg.InterfaceError())
