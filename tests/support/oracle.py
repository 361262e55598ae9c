"""An object that speaks as python-oracledb does (connections and cursors of asyncio), with answers that a test writes down.

It shows what the gateway says to a driver and what it makes of its answers; it is no Oracle, and knows no SQL.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from types import SimpleNamespace
from typing import Any

Answer = Sequence[tuple[Any, ...]] | Exception | Callable[[], Sequence[tuple[Any, ...]]]


class DriverError(Exception):
    """As the driver's: the code stands in an object that is its first argument."""

    def __init__(self, code: str) -> None:
        super().__init__(SimpleNamespace(full_code=code, message=f"{code}: RAHASIA 3320011505900001"))


class FakeCursor:
    """A cursor: what it is asked goes to the connection's list, what it answers comes from the test."""

    arraysize = 100
    prefetchrows = 2
    description: Sequence[Any] | None = None

    def __init__(self, connection: FakeConnection) -> None:
        self._connection = connection
        self._rows: list[tuple[Any, ...]] = []

    async def execute(self, statement: str, parameters: list[Any], *, fetch_lobs: bool, fetch_decimals: bool) -> None:
        assert (fetch_lobs, fetch_decimals) == (False, True)
        said = " ".join(statement.split())
        self._connection.driver.said.append((said, parameters))
        if self._connection.broken.is_set():
            raise DriverError("DPY-1001")
        for start, answer in self._connection.driver.answers.items():
            if start in said:
                if answer == "hang":
                    await self._connection.broken.wait()
                    raise DriverError("ORA-01013")
                if isinstance(answer, Exception):
                    raise answer
                self._rows = list(answer() if callable(answer) else answer)
                break
        self.description = self._connection.driver.description

    async def fetchmany(self, size: int) -> list[tuple[Any, ...]]:
        found, self._rows = self._rows[:size], self._rows[size:]
        return found

    async def fetchall(self) -> list[tuple[Any, ...]]:
        found, self._rows = self._rows, []
        return found

    def close(self) -> None:
        self._rows = []


class FakeConnection:
    """A connection."""

    version = "19.3.0.0.0"
    call_timeout = 0

    def __init__(self, driver: FakeDriver) -> None:
        self.driver = driver
        self.broken = asyncio.Event()

    def cursor(self) -> FakeCursor:
        return FakeCursor(self)

    async def rollback(self) -> None:
        self.driver.said.append(("ROLLBACK", []))

    def cancel(self) -> None:
        self.driver.cancelled += 1
        self.broken.set()


class FakeDriver:
    """The module. `answers`: rows, or a fault, by a part of the statement; `description`: of results."""

    def __init__(self, answers: dict[str, Any], description: Sequence[Any] | None = None) -> None:
        self.answers = answers
        self.description = description
        self.said: list[tuple[str, list[Any]]] = []
        self.connected: list[dict[str, Any]] = []
        self.connections: list[FakeConnection] = []
        self.cancelled = 0

    async def connect_async(self, **options: Any) -> FakeConnection:
        self.connected.append(options)
        if isinstance(fault := self.answers.get("connect"), Exception):
            raise fault
        self.connections.append(FakeConnection(self))
        return self.connections[-1]
