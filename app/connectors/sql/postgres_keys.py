"""Look-ups by key in a PostgreSQL table: those that wait at the same time go to the server in one question.

A group forms only while the sessions are busy, so a single look-up waits for nobody. Sessions are held between groups, but never
the last one of the pool: other reads need it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

import asyncpg
import pyarrow as pa

from app.connectors.contract import RawBatch
from app.connectors.sql.columns import Check, Column, Table, check_of, finish_rows
from app.connectors.sql.postgres_sessions import session_of

MOST_KEYS = 500
MOST_ROWS = 1_000
SESSIONS = 2

_CLOSED = "the connection to the source was closed"

Key = tuple[str, ...]
Rows = list[Sequence[Any]]


@dataclass(frozen=True, slots=True)
class KeyRead:
    """A statement with one array of texts a key column, and how its rows become a batch. The key's columns stand last."""

    text: str
    columns: tuple[Column, ...]
    checks: tuple[tuple[int, Check], ...]
    schema: pa.Schema

    def batch(self, rows: Rows, table: Table) -> RawBatch:
        """The rows of one key as the scan gives them."""
        good, rejects = finish_rows(rows, self.checks, self.columns, 1, table)
        return RawBatch(self.schema, rows=good, location=table.label, rejects=rejects)


def key_read(table: Table, origin: str, columns: Sequence[str] | None, names: Sequence[str]) -> KeyRead | None:
    """The read by these key columns; None unless all of them are plain text, whose text does not depend on the value."""
    keys = table.choose(names)
    if any(column.family != "text" or column.native or not column.filterable for column in keys):
        return None
    chosen = table.choose(columns)
    selected = ", ".join(column.select for column in (*chosen, *keys))
    if len(keys) == 1:
        wanted = f"{keys[0].equal} = ANY($1::text[])"
    else:
        arrays = ", ".join(f"${number}::text[]" for number in range(1, len(keys) + 1))
        wanted = f"({', '.join(column.equal for column in keys)}) IN (SELECT * FROM unnest({arrays}))"  # noqa: S608
    checks = tuple((index, check) for index, column in enumerate(chosen) if (check := check_of(column)) is not None)
    return KeyRead(
        f"SELECT {selected} FROM {origin} WHERE {wanted} LIMIT {MOST_ROWS + MOST_KEYS}",  # noqa: S608 - quoted
        chosen,
        checks,
        pa.schema([column.field for column in chosen]),
    )


@dataclass(slots=True, eq=False)
class _Waiting:
    key: Key
    answer: asyncio.Future[Rows | None]


@dataclass(slots=True, eq=False)
class _Runner:
    """A task with a session. `asked` is the group under way, `wake` set while it has nothing to do."""

    task: asyncio.Task[None] | None = None
    asked: list[_Waiting] = field(default_factory=list)
    wake: asyncio.Future[None] | None = None


class KeyGroups:
    """Asks one `KeyRead` for many callers."""

    def __init__(self, pool: asyncpg.Pool, read: KeyRead, deadline_seconds: float) -> None:
        self.read = read
        self._pool = pool
        self._deadline_seconds = deadline_seconds
        self._waiting: list[_Waiting] = []
        self._runners: list[_Runner] = []
        self._idle: list[_Runner] = []
        self._closed = False
        self._most_idle = min(SESSIONS, pool.get_max_size() - 1)

    async def rows(self, key: Key) -> Rows | None:
        """The rows of a key; None when there are too many to be read this way. Raises what the driver raises."""
        if self._closed:
            raise asyncpg.InterfaceError(_CLOSED)
        mine = _Waiting(key, asyncio.get_running_loop().create_future())
        self._waiting.append(mine)
        self._rouse()
        try:
            return await mine.answer
        except asyncio.CancelledError:
            self._forget(mine)
            raise

    async def close(self) -> None:
        """Stops the runners and gives their sessions back; who still waits gets an error that may be tried again."""
        self._closed = True
        tasks = [runner.task for runner in self._runners if runner.task is not None]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        self._fail(self._take_all())

    def _rouse(self) -> None:
        """Somebody is waiting: wake a runner, or start one while there may be more."""
        if self._idle:
            wake = self._idle.pop().wake
            if wake is not None and not wake.done():
                wake.set_result(None)
        elif len(self._runners) < SESSIONS:
            runner = _Runner()
            self._runners.append(runner)
            runner.task = asyncio.create_task(self._run(runner), name="key-look-ups")

    def _forget(self, gone: _Waiting) -> None:
        """A caller left. A group that nobody waits for any more is cancelled at the server, and so is dialling for nobody."""
        if gone in self._waiting:
            self._waiting.remove(gone)
        for runner in self._runners:
            dialling = not runner.asked and runner not in self._idle
            if dialling and not self._waiting and runner.task is not None:
                runner.task.cancel()
            if gone in runner.asked and all(asked.answer.done() for asked in runner.asked) and runner.task is not None:
                runner.task.cancel()

    async def _run(self, runner: _Runner) -> None:
        try:
            async with session_of(self._pool) as session:
                while True:
                    if not self._waiting:
                        if len(self._idle) >= self._most_idle:
                            return
                        runner.wake = asyncio.get_running_loop().create_future()
                        self._idle.append(runner)
                        await runner.wake
                    runner.asked, self._waiting = self._waiting[:MOST_KEYS], self._waiting[MOST_KEYS:]
                    await self._ask(session, runner.asked)
                    runner.asked = []
        except Exception as error:  # noqa: BLE001 - whatever the driver raises belongs to those who asked
            self._fail(runner.asked or self._take_all(), error)
        finally:
            self._fail(runner.asked)
            self._runners.remove(runner)
            if runner in self._idle:
                self._idle.remove(runner)
            if self._waiting and not self._closed:
                self._rouse()

    @staticmethod
    def _fail(asked: list[_Waiting], error: Exception | None = None) -> None:
        for one in asked:
            if not one.answer.done():
                one.answer.set_exception(error or asyncpg.InterfaceError(_CLOSED))

    def _take_all(self) -> list[_Waiting]:
        waiting, self._waiting = self._waiting, []
        return waiting

    async def _ask(self, session: Any, asked: list[_Waiting]) -> None:
        keys = list(dict.fromkeys(one.key for one in asked))
        if not keys:
            return
        found = await session.fetch(self.read.text, *map(list, zip(*keys, strict=True)), timeout=self._deadline_seconds)
        width = len(self.read.columns)
        by_key: dict[Key, Rows] = {key: [] for key in keys}
        for row in found:
            cells = tuple(row)
            by_key[cells[width:]].append(cells[:width])
        too_many = len(found) >= MOST_ROWS
        for one in asked:
            if not one.answer.done():
                one.answer.set_result(None if too_many else by_key[one.key])
