"""SQLite files of an agency as a source: read only, in processes of their own, killed when the reader leaves."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar

from app.connectors.agency_files import agency_file
from app.connectors.capabilities import Capabilities
from app.connectors.contract import (
    Aggregation,
    CheckStep,
    Connector,
    CountEstimate,
    Discovery,
    Explains,
    Freshness,
    RawBatch,
    RowEstimate,
    milliseconds_since,
)
from app.connectors.environment import Environment
from app.connectors.isolation.calls import Isolated
from app.connectors.requests import AggregateRequest, ScanRequest
from app.connectors.sql.address import SqliteAddress
from app.connectors.sql.aggregates import AGGREGATES
from app.connectors.sql.columns import Table
from app.connectors.sql.diagnosing import DatabaseDiagnosis
from app.connectors.sql.render import declared, renders
from app.connectors.sql.source import SqlSource
from app.connectors.sql.sqlite_file import SqliteFile
from app.connectors.sql.sqlite_render import SqliteRenderer
from app.errors import SimpulError
from app.filters.tree import Filter, operators


class SqliteConnector(DatabaseDiagnosis, Connector, Freshness, Aggregation, Explains, CountEstimate):
    """One SQLite file under the agency's folder. Every scan opens its own read-only connection, in a worker process."""

    kind: ClassVar[str] = "sql"

    def __init__(self, source: SqlSource, environment: Environment) -> None:
        self._source, address, limits = source, source.address, environment.limits
        self._location = address.path if isinstance(address, SqliteAddress) else ""
        self._environment = environment
        self._learned: tuple[str | None, Table] | None = None
        self._file = Isolated(
            SqliteFile(source, environment.root, self._location, limits.deadline_seconds),
            name=f"sqlite-{environment.connector}",
            memory_bytes=limits.parse_memory_bytes,
            count=max(1, min(limits.concurrency, 4)),
        )
        self._file.warm()

    @property
    def capabilities(self) -> Capabilities:
        """Columns, order, position, limit; filters as a superset (cells may be of any type)."""
        table = self._learned[1] if self._learned is not None else None
        return declared(table, exact=False, aggregates=AGGREGATES, concurrent_scans=4)

    async def learn(self) -> None:
        """Reads the table's definition; again when the file changed."""
        mark = await self.version()
        if self._learned is None or self._learned[0] != mark:
            self._learned = mark, await self._file.call("table", deadline=self._ends())

    def takes(self, node: Filter) -> bool:
        """What can be rendered is done."""
        if self._learned is None or "not" in operators(node):
            return super().takes(node)
        return renders(SqliteRenderer(self._learned[1].by_name), node)

    async def aggregate(self, request: AggregateRequest) -> RawBatch:
        """Groups and measures in one statement; refused where cells are of other types than their columns."""
        found: RawBatch = await self._file.call("aggregate", request, deadline=request.deadline or self._ends())
        return found

    async def text(self, request: ScanRequest) -> str:
        """The statement of a scan."""
        return str(await self._file.call("statement", request, deadline=self._ends()))

    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        """Counted where that is done in a moment; else what `ANALYZE` left of the whole table."""
        found = await self._file.call("estimate", request, deadline=request.deadline or self._ends())
        return None if found is None else RowEstimate(*found)

    async def version(self) -> str | None:
        """Identity of the file's bytes, its journal's included."""
        try:
            path = agency_file(self._environment.root, self._location)
            marks = []
            for part in (path, Path(f"{path}-wal")):
                if part.exists():
                    stat = part.stat()
                    marks.append(f"{stat.st_ino}-{stat.st_mtime_ns}-{stat.st_size}")
        except (SimpulError, OSError):
            return None
        return "|".join(marks)

    async def check(self) -> Sequence[CheckStep]:
        """Stages: permission (the file), read (the table or query)."""
        started = time.perf_counter()
        try:
            agency_file(self._environment.root, self._location)
        except SimpulError as error:
            return [CheckStep("permission", milliseconds_since(started), error, "/source/url")]
        steps = [CheckStep("permission", milliseconds_since(started), None, "/source/url")]
        if not self._environment.whole_checks:
            return steps
        started = time.perf_counter()
        error_found: SimpulError | None = None
        try:
            await self.discover(sample_rows=1)
        except SimpulError as error:
            error_found = error
        pointer = str(error_found.facts.get("field", "/source/table")) if error_found else "/source/table"
        return [*steps, CheckStep("read", milliseconds_since(started), error_found, pointer)]

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """The tables and views; columns and sample of the chosen one."""
        found: Discovery = await self._file.call("discover", sample_rows, deadline=self._ends())
        return found

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The rows of the table or query."""
        batches: Any = self._file.stream("read", request, deadline=request.deadline)
        async with aclosing(batches):
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        """Gives back the workers."""
        self._file.close()

    def _ends(self) -> float:
        """When a call ends that nobody gave a deadline: a moment after its statement has."""
        return time.monotonic() + self._environment.limits.deadline_seconds + 1.0
