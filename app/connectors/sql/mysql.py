"""MySQL and MariaDB as a source: read-only sessions in threads of their own, unbuffered reads, killed at the server."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, date, datetime
from functools import partial
from typing import Any, TypeVar
from zoneinfo import ZoneInfo

import pyarrow as pa

from app.connectors.blocking import Threads
from app.connectors.cells import Unreadable
from app.connectors.contract import (
    Aggregation,
    CountEstimate,
    RawBatch,
    RowEstimate,
)
from app.connectors.environment import Environment
from app.connectors.requests import AggregateRequest, ScanRequest
from app.connectors.sql.address import ServerTarget
from app.connectors.sql.aggregates import AGGREGATES, finish_groups
from app.connectors.sql.blocking_database import BlockingDatabase
from app.connectors.sql.columns import Check, Column, Table, check_of, documents_of, finish_rows
from app.connectors.sql.drift import TableChanged, require_types
from app.connectors.sql.estimates import mysql_rows
from app.connectors.sql.mysql_faults import translated
from app.connectors.sql.mysql_render import MysqlRenderer
from app.connectors.sql.mysql_session import Session, Sessions, drop
from app.connectors.sql.mysql_types import (
    COLUMNS,
    DRIVER_TYPES,
    JSON_CHECKS,
    KEYS,
    TABLES,
    catalog_column,
    column_of,
    json_columns,
    quote,
    result_column,
    unique_keys,
)
from app.connectors.sql.query import check_query
from app.connectors.sql.source import SqlSource
from app.connectors.sql.statements import aggregate, tail, where
from app.errors import SimpulError, SourceMissing, SourceRejected
from app.filters.tree import Compare, Filter, Literal, Property, all_of

BATCH_ROWS = 5_000
Result = TypeVar("Result")


class MysqlConnector(BlockingDatabase[Session], Aggregation, CountEstimate):
    """One table, view or query of a MySQL or MariaDB database. Sessions open with the first read."""

    database = "MySQL"
    aggregates = AGGREGATES

    def __init__(self, source: SqlSource, environment: Environment) -> None:
        super().__init__(source, environment)
        self._killers = Threads(f"mysql-kill-{environment.connector}", 1)

    def _renderer(self, table: Table) -> MysqlRenderer:
        return MysqlRenderer(table.by_name)

    def _pool(self, target: ServerTarget, addresses: list[str]) -> Sessions:
        return Sessions(target, addresses, self._environment.limits.deadline_seconds, self._environment.ca_file)

    def _note(self) -> str:
        facts = self._sessions.facts if self._sessions is not None else None
        return facts.lacks if facts is not None else ""

    async def aggregate(self, request: AggregateRequest) -> RawBatch:
        """Groups and measures in one statement."""
        await self.learn()
        batches = [
            batch async for batch in self._run(lambda session: self._grouped(session, request), request.deadline)
        ]
        return batches[0]

    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        """What the optimiser expects; never more than of the whole table, of which alone it is sure."""
        await self.learn()
        return await self._once(lambda session: self._estimated(session, request), request.deadline)

    async def close(self) -> None:
        """Gives back sessions and threads."""
        sessions, self._sessions, self._table = self._sessions, None, None
        if sessions is not None:
            sessions.close()
        self._threads.close()
        self._killers.close()

    def _break_off(self, sessions: Sessions, session: Session) -> None:
        if (number := session.number) is not None:
            self._killers.executor.submit(sessions.kill, number)
        session.cut()

    def _begun(self, running: list[Session], session: Session) -> None:
        running.append(session)

    def _dropped(self, session: Session) -> None:
        drop(session)

    def _translated(self, error: Exception) -> SimpulError:
        return translated(error)

    def _tables_of(self, session: Session) -> tuple[str, ...]:
        return _tables(session)

    def _read(self, session: Session, request: ScanRequest) -> Iterator[RawBatch]:
        """The rows. A short page is first asked for up to its edge; when that is not whole any more, it is read plainly."""
        for last in (False, True):
            described = self._table or self._describe(session)
            begun = False
            try:
                for batch in self._paged(session, request, *described):
                    begun = True
                    yield batch
                return
            except TableChanged:
                self._table = None
                if begun or last:
                    raise

    def _paged(self, session: Session, request: ScanRequest, table: Table, origin: str) -> Iterator[RawBatch]:
        edge = self._edge(session, request, table, origin)
        if edge is not None:
            bounded = replace(request, filter=all_of(request.filter, edge))
            page = list(self._rows(session, bounded, table, origin))
            if sum(len(batch) + len(batch.rejects) for batch in page) == request.limit:
                yield from page
                return
        yield from self._rows(session, request, table, origin)

    def _edge(self, session: Session, request: ScanRequest, table: Table, origin: str) -> Filter | None:
        """The bound of the first sort key within which a page lies, found through its index.

        These servers sort everything that a condition lets through before they cut, unless one index gives the whole order.
        """
        first = request.order[0] if len(request.order) > 1 else None
        column = table.by_name.get(first.column) if first is not None else None
        if first is None or column is None or column.family == "text" or not 0 < (request.limit or 0) <= BATCH_ROWS:
            return None
        if not column.sortable or (first.nulls != "absent" and column.nullable):
            return None
        renderer = MysqlRenderer(table.by_name, blank_is_null=request.blank_is_null)
        wanted = where(renderer, request)
        key = renderer.order_key(column, first.descending, nulls=False)
        text = f"SELECT {column.select} FROM {origin}{wanted} ORDER BY {key} LIMIT 1 OFFSET {(request.limit or 1) - 1}"  # noqa: S608 - quoted
        found = _fetch(session, text, tuple(renderer.parameters))
        if not found:
            return None
        value = found[0][0]
        if column.family == "instant" and isinstance(value, datetime):
            value = value.replace(tzinfo=UTC)
        edge = Compare(">=" if first.descending else "<=", Property(first.column), Literal(value))
        return edge if self.takes(edge) else None

    def _rows(self, session: Session, request: ScanRequest, table: Table, origin: str) -> Iterator[RawBatch]:
        chosen = table.choose(request.columns)
        renderer = MysqlRenderer(table.by_name, blank_is_null=request.blank_is_null)
        end = tail(renderer, request)
        schema = pa.schema([column.field for column in chosen])
        checks = [(index, check) for index, column in enumerate(chosen) if (check := self._check(column)) is not None]
        names = ", ".join(column.select for column in chosen)
        cursor = session.cursor()
        cursor.execute(f"SELECT {names} FROM {origin}{end}", tuple(renderer.parameters))  # noqa: S608 - quoted names, bound values
        first = 1
        while True:
            block = cursor.fetchmany(BATCH_ROWS)
            try:
                require_types(block, chosen, DRIVER_TYPES)
            except TableChanged:
                cursor.close()
                raise
            rows, rejects = finish_rows(block, checks, chosen, first, table)
            yield RawBatch(schema, rows=rows, location=table.label, rejects=rejects)
            first += len(block)
            if len(block) < BATCH_ROWS:
                return

    def _grouped(self, session: Session, request: AggregateRequest) -> Iterator[RawBatch]:
        table, origin = self._table or self._describe(session)
        renderer = MysqlRenderer(table.by_name)
        text = aggregate(renderer, request, origin)
        rows = [
            [cell.decode() if isinstance(cell, bytes) else cell for cell in row]
            for row in _fetch(session, text, tuple(renderer.parameters))
        ]
        yield finish_groups(rows, request, table)

    def _estimated(self, session: Session, request: ScanRequest) -> RowEstimate | None:
        table, origin = self._table or self._describe(session)
        facts = self._sessions.facts if self._sessions is not None else None
        explain = "EXPLAIN EXTENDED" if facts is not None and facts.maria else "EXPLAIN"
        expected: list[RowEstimate] = []
        for condition in dict.fromkeys((None, request.filter)):
            renderer = MysqlRenderer(table.by_name, blank_is_null=request.blank_is_null)
            text = f"{explain} SELECT 1 FROM {origin}{where(renderer, ScanRequest(filter=condition))}"  # noqa: S608 - quoted
            with session.cursor() as cursor:
                cursor.execute(text, tuple(renderer.parameters))
                names = [str(part[0]) for part in cursor.description]
                rows, whole = mysql_rows(names, list(cursor.fetchall()))
            if rows is None:
                return None
            expected.append(RowEstimate(rows, sure=whole and condition is None))
        return RowEstimate(min(one.rows for one in expected), sure=len(expected) == 1 and expected[0].sure)

    def _check(self, column: Column) -> Check | None:
        if column.family not in ("date", "timestamp", "instant"):
            return check_of(column)
        zone = self._source.zone if column.source_type.startswith("datetime") else None
        return partial(_moment, ZoneInfo(zone) if zone else UTC if column.family == "instant" else None)

    def _describe(self, session: Session) -> tuple[Table, str]:
        source = self._source
        if source.query is not None:
            return _described_query(session, source)
        schema, name = source.table_parts
        rows = _fetch(session, COLUMNS, (schema, name))
        shown = f"{quote(schema)}.{quote(name)}" if schema else quote(name)
        if not rows:
            _fetch(session, f"SELECT 1 FROM {shown} LIMIT 0", ())  # noqa: S608 - quoted; tells missing from not allowed
            raise SourceMissing(f"the database has no table {name}", field="/source/table")
        facts = self._sessions.facts if self._sessions is not None else None
        checked = _fetch(session, JSON_CHECKS, (schema, name)) if facts is not None and facts.json_checks else []
        columns = [column_of(catalog_column(row, json_columns(checked)), zone=source.zone) for row in rows]
        keys = [source.key, *unique_keys(_fetch(session, KEYS, (schema, name)))]
        return Table(f"table {name}", documents_of(columns, source.json_columns), keys), shown


def _fetch(session: Session, text: str, parameters: tuple[Any, ...]) -> list[Any]:
    with session.cursor() as cursor:
        cursor.execute(text, parameters)
        return list(cursor.fetchall())


def _tables(session: Session) -> tuple[str, ...]:
    """Tables and views that the user sees: those of the session's database by their name, others as `database.name`."""
    return tuple(
        str(name) if own else f"{_part(database)}.{_part(name)}" for database, name, own in _fetch(session, TABLES, ())
    )


def _part(name: Any) -> str:
    """A name as a manifest writes it in front of or behind a dot."""
    return f'"{name}"' if "." in str(name) else str(name)


def _described_query(session: Session, source: SqlSource) -> tuple[Table, str]:
    try:
        query = check_query(source.query or "", "mysql")
    except ValueError as error:
        raise SourceRejected(str(error), field="/source/query") from None
    origin = f"({query.replace('%', '%%')}) AS steward_query"
    with session.cursor() as cursor:
        cursor.execute(f"SELECT * FROM {origin} LIMIT 0", ())  # noqa: S608 - one checked SELECT
        fields = cursor._result.fields  # type: ignore[attr-defined]  # noqa: SLF001 - `description` leaves out the flags
        columns = [column_of(result_column(field), zone=source.zone) for field in fields]
    return Table("the query", documents_of(columns, source.json_columns), [source.key]), origin


def _moment(zone: Any, value: Any) -> Any:
    """A date or time; what the server holds and no calendar has (`0000-00-00`) is unreadable."""
    if not isinstance(value, date):
        return Unreadable("not_a_date", "the date does not exist (such as 0000-00-00); make it NULL at the source")
    return value.replace(tzinfo=zone).astimezone(UTC) if zone is not None and isinstance(value, datetime) else value
