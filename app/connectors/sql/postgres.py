"""PostgreSQL as a source: a small pool of read-only sessions, prepared statements kept, cancelled at the server."""

from __future__ import annotations

import asyncio
import contextlib
import ssl
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from pathlib import Path
from typing import Any, ClassVar

import asyncpg
import pyarrow as pa

from app.connectors.capabilities import Capabilities
from app.connectors.contract import (
    Aggregation,
    CheckStep,
    Connector,
    CountEstimate,
    Discovery,
    Explains,
    KeyRows,
    RawBatch,
    RawColumn,
    RowEstimate,
    milliseconds_since,
)
from app.connectors.environment import Environment
from app.connectors.requests import AggregateRequest, ScanRequest
from app.connectors.sql.address import ServerAddress, ServerTarget, dial_addresses, resolve_target
from app.connectors.sql.aggregates import AGGREGATES, finish_groups
from app.connectors.sql.columns import Column, Table, check_of, finish_rows
from app.connectors.sql.diagnosing import DatabaseDiagnosis
from app.connectors.sql.drift import TableChanged, require_types
from app.connectors.sql.estimates import POSTGRES_COUNTED, postgres_plan
from app.connectors.sql.postgres_bulk import FEWEST_ROWS, BulkReads, Dialled
from app.connectors.sql.postgres_catalog import load_table, load_tables
from app.connectors.sql.postgres_codecs import read_as_it_is
from app.connectors.sql.postgres_copy import CopyRead
from app.connectors.sql.postgres_faults import changed_under, seconds_left, translated
from app.connectors.sql.postgres_keys import KeyGroups, key_read
from app.connectors.sql.postgres_render import PostgresRenderer
from app.connectors.sql.postgres_sessions import reading, session_of
from app.connectors.sql.render import declared, renders
from app.connectors.sql.source import SqlSource
from app.connectors.sql.statements import aggregate, tail, where
from app.errors import SimpulError, SourceSchemaMismatch, SourceTimeout, SourceUnreachable
from app.filters.tree import Filter
from app.tls import made, unverified

BATCH_ROWS = 5_000
SMALL_ROWS = 1_000
CONNECT_SECONDS = 5.0


class PostgresConnector(DatabaseDiagnosis, Connector, KeyRows, Aggregation, Explains, CountEstimate):
    """One table, view or query of a PostgreSQL database. The pool opens with the first read."""

    kind: ClassVar[str] = "sql"

    def __init__(self, source: SqlSource, environment: Environment, fewest_bulk_rows: int = FEWEST_ROWS) -> None:
        self._source = source
        self._environment = environment
        self._pool: asyncpg.Pool | None = None
        self._dialled: Dialled | None = None
        self._bulk = BulkReads(environment, fewest_bulk_rows)
        self._table: tuple[Table, str] | None = None
        self._opening = asyncio.Lock()
        self._describing = asyncio.Lock()
        self._texts: dict[Any, tuple[str, tuple[Column, ...], pa.Schema]] = {}
        self._keys: dict[Any, KeyGroups | None] = {}

    @property
    def capabilities(self) -> Capabilities:
        """Columns, exact filters, order, position, limit, aggregates; after `learn` also which columns and keys."""
        table = self._table[0] if self._table is not None else None
        return declared(
            table,
            exact=True,
            aggregates=AGGREGATES,
            concurrent_scans=self._environment.limits.concurrency,
            most_keys=PostgresRenderer.most_keys,
        )

    async def learn(self) -> None:
        """Reads the catalogue, once."""
        await self._described()

    def takes(self, node: Filter) -> bool:
        """What can be rendered is done."""
        if self._table is None:
            return super().takes(node)
        return renders(PostgresRenderer(self._table[0].by_name), node)

    async def aggregate(self, request: AggregateRequest) -> RawBatch:
        """Groups and measures in one statement."""
        table, origin = await self._described()
        renderer = PostgresRenderer(table.by_name)
        text = aggregate(renderer, request, origin)
        pool = await self._opened()
        try:
            async with asyncio.timeout(seconds_left(request.deadline)), session_of(pool) as session:
                rows = await session.fetch(text, *renderer.parameters)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes one of our errors
            raise self._fault(error) from None
        return finish_groups(rows, request, table)

    async def check(self) -> Sequence[CheckStep]:
        """Stages: dns, tcp (with tls and auth, as the protocol has them in one), permission, read."""
        steps: list[CheckStep] = []
        started = time.perf_counter()
        try:
            await dial_addresses(self._target(), self._environment)
        except SimpulError as error:
            return [CheckStep("dns", milliseconds_since(started), error, "/source/url")]
        steps.append(CheckStep("dns", milliseconds_since(started), None, "/source/url"))
        for name in ("auth", "read") if self._environment.whole_checks else ("auth",):
            started = time.perf_counter()
            try:
                if name == "auth":
                    await self._opened()
                elif self._source.table is not None or self._source.query is not None:
                    await self.discover(sample_rows=1)
            except SimpulError as error:
                field = str(error.facts.get("field", "/source/url"))
                return [*steps, CheckStep(_stage(error, name), milliseconds_since(started), error, field)]
            steps.append(
                CheckStep(name, milliseconds_since(started), None, "/source/url" if name == "auth" else "/source/table")
            )
        return steps

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """Tables and views; columns and sample of the chosen one."""
        pool = await self._opened()
        try:
            async with session_of(pool, CONNECT_SECONDS) as session:
                tables = await load_tables(session)
                if self._source.table is None and self._source.query is None:
                    return Discovery(tables, ())
                table, origin = await load_table(session, self._source)
                names = ", ".join(column.select for column in table.columns)
                rows = await session.fetch(f"SELECT {names} FROM {origin} LIMIT {int(sample_rows)}")  # noqa: S608 - quoted
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes one of our errors
            raise translated(error) from None
        await self._describe_as((table, origin))
        columns = tuple(
            RawColumn(column.name, column.source_type, column.arrow_type, column.nullable) for column in table.columns
        )
        sample = tuple(dict(zip([column.name for column in table.columns], tuple(row), strict=True)) for row in rows)
        return Discovery(tables, columns, sample)

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The rows. A table that changed since it was described is described anew and asked once more."""
        for last in (False, True):
            table, origin = await self._described()
            begun = False
            try:
                async with aclosing(self._rows(request, table, origin)) as batches:
                    async for batch in batches:
                        begun = True
                        yield batch
                return
            except (TableChanged, SourceSchemaMismatch) as changed:
                await self._changed(table)
                if begun or last:
                    raise translated(
                        changed.cause or changed if isinstance(changed, TableChanged) else changed
                    ) from None

    async def _rows(self, request: ScanRequest, table: Table, origin: str) -> AsyncGenerator[RawBatch]:
        """A small read is one prepared statement on a pooled session; a large one a cursor with bounded prefetch."""
        renderer = PostgresRenderer(table.by_name, blank_is_null=request.blank_is_null)
        end = tail(renderer, request)
        text, chosen, schema = self._text(request.columns, end, table, origin)
        checks = [(index, check) for index, column in enumerate(chosen) if (check := check_of(column)) is not None]
        pool = await self._opened()
        try:
            # Each wait has its own limit: one around all of them would cancel whoever reads these batches at a yield.
            async with session_of(pool, seconds_left(request.deadline)) as session:
                if _whole(request) and not renderer.parameters and self._dialled is not None:
                    wanted = CopyRead(table, chosen, origin + end)
                    async with aclosing(self._bulk.batches(session, text, wanted, self._dialled, request)) as found:
                        given = False
                        async for batch in found:
                            given = True
                            yield batch
                    if given:
                        return
                listed = any(isinstance(value, list) and len(value) > SMALL_ROWS for value in renderer.parameters)
                if (request.filter is not None and not listed) or (request.limit or BATCH_ROWS) <= SMALL_ROWS:
                    small = await session.fetch(
                        f"{text} LIMIT {SMALL_ROWS + 1}" if request.limit is None else text,
                        *renderer.parameters,
                        timeout=seconds_left(request.deadline),
                    )
                    if request.limit is not None or len(small) <= SMALL_ROWS:
                        require_types(small, chosen)
                        rows, rejects = finish_rows(small, checks, chosen, 1, table)
                        yield RawBatch(schema, rows=rows, location=table.label, rejects=rejects)
                        return
                async with reading(session):
                    cursor = await session.cursor(text, *renderer.parameters, timeout=seconds_left(request.deadline))
                    first = 1
                    async with aclosing(_blocks(cursor, request.deadline)) as blocks:
                        async for block in blocks:
                            require_types(block, chosen)
                            rows, rejects = finish_rows(block, checks, chosen, first, table)
                            yield RawBatch(schema, rows=rows, location=table.label, rejects=rejects)
                            first += len(block)
        except (SimpulError, TableChanged):
            raise
        except (asyncpg.PostgresError, asyncpg.InterfaceError, OSError) as error:
            if changed_under(error):
                raise TableChanged(error) from None
            raise self._fault(error) from None

    async def _changed(self, table: Table) -> None:
        """Forgets the table as it was described, and every statement prepared for it."""
        if self._table is not None and self._table[0] is table:
            self._table = None
            if self._pool is not None:
                await self._pool.expire_connections()

    async def text(self, request: ScanRequest) -> str:
        """The statement of a scan. Columns that are gone are looked for anew: they may be back."""
        table, origin = await self._described()
        try:
            return self._statement(request, table, origin)
        except SourceSchemaMismatch:
            await self._changed(table)
            return self._statement(request, *await self._described())

    def _statement(self, request: ScanRequest, table: Table, origin: str) -> str:
        end = tail(PostgresRenderer(table.by_name, blank_is_null=request.blank_is_null), request)
        return self._text(request.columns, end, table, origin)[0]

    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        """What the planner expects; sure of tables that are read whole and were counted once (`ANALYZE`, `VACUUM`)."""
        table, origin = await self._described()
        renderer = PostgresRenderer(table.by_name, blank_is_null=request.blank_is_null)
        text = f"SELECT 1 FROM {origin}{where(renderer, ScanRequest(filter=request.filter))}"  # noqa: S608 - quoted names, bound values
        pool = await self._opened()
        try:
            async with asyncio.timeout(seconds_left(request.deadline)), session_of(pool) as session:
                told = await session.fetchval(f"EXPLAIN (VERBOSE, FORMAT JSON) {text}", *renderer.parameters)
                plan = postgres_plan(told)
                if plan.tables is None:
                    return RowEstimate(plan.rows)
                sure = await session.fetchval(POSTGRES_COUNTED, *map(list, zip(*plan.tables, strict=True)))
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes one of our errors
            raise self._fault(error) from None
        return RowEstimate(plan.rows, sure=bool(sure))

    async def rows_of(
        self, columns: tuple[str, ...] | None, key: tuple[tuple[str, Any], ...], deadline: float | None
    ) -> RawBatch | None:
        """One prepared statement; only for keys over text columns, whose comparison needs no look at the value."""
        if any(type(value) is not str or "\x00" in value for _, value in key):
            return None
        table, origin = await self._described()
        names = tuple(name for name, _ in key)
        pool = self._pool or await self._opened()
        if (columns, names) not in self._keys:
            try:
                read = key_read(table, origin, columns, names)
            except SourceSchemaMismatch:  # the scan that follows looks for the columns anew
                await self._changed(table)
                return None
            seconds = self._environment.limits.deadline_seconds
            self._keys[columns, names] = None if read is None else KeyGroups(pool, read, seconds)
        groups = self._keys[columns, names]
        if groups is None:
            return None
        budget = None if deadline is None else deadline - time.monotonic()
        if budget is not None and budget <= 0:
            raise SourceTimeout("the database did not answer before the deadline", step="read")
        try:
            rows = await groups.rows(tuple(value for _, value in key))
            if rows is None:
                return None
            require_types(rows, groups.read.columns)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes one of our errors
            if changed_under(error):
                await self._changed(table)
                return None
            raise self._fault(error) from None
        return groups.read.batch(rows, table)

    async def close(self) -> None:
        """Closes the pool; queries under way are cancelled."""
        pool, self._pool, self._table = self._pool, None, None
        self._bulk.close()
        await self._forget_keys()
        if pool is not None:
            with contextlib.suppress(Exception):
                async with asyncio.timeout(CONNECT_SECONDS):
                    await pool.close()
            pool.terminate()

    def _text(
        self, columns: tuple[str, ...] | None, tail: str, table: Table, origin: str
    ) -> tuple[str, tuple[Column, ...], pa.Schema]:
        known = self._texts.get((columns, tail))
        if known is None:
            chosen = table.choose(columns)
            names = ", ".join(column.select for column in chosen)
            text = f"SELECT {names} FROM {origin}{tail}"  # noqa: S608 - names of the catalogue, quoted; values are bound
            known = (text, chosen, pa.schema([column.field for column in chosen]))
            if len(self._texts) >= SMALL_ROWS:
                self._texts.clear()
            self._texts[(columns, tail)] = known
        return known

    async def _forget_keys(self) -> None:
        kept, self._keys = self._keys, {}
        for groups in kept.values():
            if groups is not None:
                await groups.close()

    def _fault(self, error: Exception) -> SimpulError:
        """The driver's fault as ours; a table that changed is described anew at the next read."""
        if isinstance(error, SimpulError):
            return error
        if isinstance(error, TimeoutError):
            return SourceTimeout("the database did not answer before the deadline", step="read")
        if isinstance(error, asyncpg.UndefinedColumnError | asyncpg.UndefinedTableError):
            self._table = None
        return translated(error)

    def _target(self) -> ServerTarget:
        address = self._source.address
        if not isinstance(address, ServerAddress):
            raise SourceUnreachable("the address is none of PostgreSQL", field="/source/url")
        try:
            return resolve_target(address, self._environment)
        except ValueError:
            raise SourceUnreachable("the port that the address refers to is no number", field="/source/url") from None

    async def _described(self) -> tuple[Table, str]:
        if self._table is not None:
            return self._table
        pool = await self._opened()
        async with self._describing:
            found = self._table
            if found is None:
                try:
                    async with session_of(pool, CONNECT_SECONDS) as session:
                        found = await load_table(session, self._source)
                except SimpulError:
                    raise
                except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes one of our errors
                    raise translated(error) from None
                await self._describe_as(found)
            return found

    async def _describe_as(self, found: tuple[Table, str]) -> None:
        """Takes a description; what was made for another one is forgotten."""
        if self._table is None or self._table[0].columns != found[0].columns:
            self._texts.clear()
            await self._forget_keys()
        self._table = found

    async def _opened(self) -> asyncpg.Pool:
        if self._pool is not None:
            return self._pool
        async with self._opening:
            if self._pool is None:
                self._pool = await self._connect()
        return self._pool

    async def _connect(self) -> asyncpg.Pool:
        """A pool to a literal address that the policy allowed; the name is only used for TLS."""
        target = self._target()
        addresses = await dial_addresses(target, self._environment)
        milliseconds = round(self._environment.limits.deadline_seconds * 1000)
        attempts = [unverified(), False] if target.sslmode == "prefer" else [_ssl(target, self._environment.ca_file)]
        try:
            while True:
                tls = attempts.pop(0)
                try:
                    pool = await asyncpg.create_pool(
                        host=addresses[0],
                        port=target.port,
                        user=target.user,
                        password=target.password,  # an empty one is one: None would mean PGPASSWORD or ~/.pgpass
                        database=target.database,
                        ssl=tls,
                        direct_tls=False,
                        target_session_attrs="any",
                        service="none",
                        servicefile="/dev/null",
                        krbsrvname="postgres",
                        gsslib="gssapi",
                        timeout=CONNECT_SECONDS,
                        min_size=0,  # more, and the pool would dial for nobody: at a server that hangs, in everybody's slot
                        max_size=self._environment.limits.concurrency,
                        max_inactive_connection_lifetime=300,
                        statement_cache_size=200,
                        init=read_as_it_is,
                        reset=_nothing,
                        server_settings={
                            "application_name": "simpul",
                            "default_transaction_read_only": "on",
                            "statement_timeout": str(milliseconds),
                            "idle_in_transaction_session_timeout": str(2 * milliseconds),
                            "search_path": '"$user", public',
                            "TimeZone": "UTC",
                        },
                    )
                    async with session_of(pool):
                        self._dialled = Dialled(target, tls=tls is not False)
                    return pool
                except ConnectionError as error:
                    if (
                        type(error) is not ConnectionError or not attempts
                    ):  # the server has no TLS: `prefer` goes on without
                        raise
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes one of our errors
            raise translated(error) from None


def _whole(request: ScanRequest) -> bool:
    """Whether every row is wanted by columns, in whatever order."""
    return request.columnar and not request.order and request.limit is None and request.after is None


async def _blocks(cursor: Any, deadline: float | None) -> AsyncGenerator[list[Any]]:
    """The rows of a cursor; while a block is mapped the server works on the next one. The last block is not full."""

    def fetch() -> asyncio.Future[list[Any]]:
        block: asyncio.Future[list[Any]] = asyncio.ensure_future(
            cursor.fetch(BATCH_ROWS, timeout=seconds_left(deadline))
        )
        return block

    ahead = fetch()
    try:
        while len(block := await ahead) == BATCH_ROWS:
            ahead = fetch()
            yield block
        yield block
    finally:
        ahead.cancel()
        await asyncio.wait((ahead,))


async def _nothing(_: Any) -> None:
    """Read-only sessions carry nothing from one read to the next: there is nothing to reset."""


class _NamedContext(ssl.SSLContext):
    """Verifies the name that the manifest gives, though a literal address is dialled."""

    name = ""

    def wrap_bio(self, incoming: ssl.MemoryBIO, outgoing: ssl.MemoryBIO, *options: Any, **named: Any) -> ssl.SSLObject:
        """The TLS connection to the host of that name."""
        return super().wrap_bio(incoming, outgoing, *options, **{**named, "server_hostname": self.name})


def _ssl(target: ServerTarget, ca_file: Path | None) -> ssl.SSLContext | bool:
    """`verify-full` and `require` verify certificate and name; `disable` uses no TLS.

    Always a context or False: of a mode's name asyncpg makes a context with the certificates and settings that it finds in the
    environment and in the home folder.
    """
    if target.sslmode == "disable":
        return False
    context = made(_NamedContext, ca_file)
    context.name = target.host  # type: ignore[attr-defined]
    return context


def _stage(error: SimpulError, name: str) -> str:
    return {
        "source_unreachable": "tcp",
        "source_tls_failed": "tls",
        "source_auth_failed": "auth",
        "source_permission_denied": "permission",
    }.get(error.code, name)
