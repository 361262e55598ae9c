"""Oracle as a source: sessions in read-only transactions in threads of their own, broken off at the server.

Not tried on a live server: statements are held against their grammar, the session against an object that speaks as the driver does.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, TypeVar

import pyarrow as pa

from app.connectors.contract import (
    CountEstimate,
    RawBatch,
    RowEstimate,
)
from app.connectors.environment import Environment
from app.connectors.requests import ScanRequest
from app.connectors.sql.address import ServerTarget
from app.connectors.sql.blocking_database import BlockingDatabase
from app.connectors.sql.columns import Table, documents_of, finish_rows, json_value
from app.connectors.sql.drift import TableChanged, require_types
from app.connectors.sql.oracle_faults import translated
from app.connectors.sql.oracle_render import OracleRenderer
from app.connectors.sql.oracle_session import Session, Sessions, driver
from app.connectors.sql.oracle_types import (
    COUNTED,
    DRIVER_TYPES,
    KEYS,
    TABLES,
    catalog_column,
    cell_check,
    column_of,
    columns_query,
    result_column,
    unique_keys,
)
from app.connectors.sql.query import check_query
from app.connectors.sql.render import quote
from app.connectors.sql.source import SqlSource
from app.connectors.sql.statements import tail
from app.errors import SimpulError, SourceMissing, SourceRejected

BATCH_ROWS = 1_000
Result = TypeVar("Result")


class OracleConnector(BlockingDatabase[Session], CountEstimate):
    """One table, view or query of an Oracle database. Sessions open with the first read."""

    database = "Oracle"

    def __init__(self, source: SqlSource, environment: Environment, library: Any = None) -> None:
        """`library`: what speaks as python-oracledb does; None: that driver itself."""
        super().__init__(source, environment)
        self._library = library

    def _renderer(self, table: Table) -> OracleRenderer:
        return OracleRenderer(table.by_name)

    def _pool(self, target: ServerTarget, addresses: list[str]) -> Sessions:
        limits, ca_file = self._environment.limits, self._environment.ca_file
        return Sessions(target, addresses, limits.deadline_seconds, ca_file, self._library or driver())

    def _note(self) -> str:
        facts = self._sessions.facts if self._sessions is not None else None
        return facts.note if facts is not None else ""

    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        """What the server counted when it last gathered statistics of the table; nothing of views, queries and conditions."""
        if request.filter is not None or self._source.table is None:
            return None
        await self.learn()
        rows = await self._once(lambda session: session.fetch(COUNTED, self._named(session)), request.deadline)
        return RowEstimate(int(rows[0][0])) if rows and rows[0][0] is not None else None

    async def close(self) -> None:
        """Gives back sessions and threads."""
        sessions, self._sessions, self._table = self._sessions, None, None
        if sessions is not None:
            await self._threads.call(sessions.close)
        self._threads.close()

    def _break_off(self, sessions: Sessions, session: Session) -> None:
        session.cut()

    def _dropped(self, session: Session) -> None:
        session.drop()

    def _translated(self, error: Exception) -> SimpulError:
        return translated(error)

    def _tables_of(self, session: Session) -> tuple[str, ...]:
        return _tables(session)

    def _read(self, session: Session, request: ScanRequest) -> Iterator[RawBatch]:
        """The rows; described anew once when the table is not as it was."""
        for last in (False, True):
            described = self._table or self._describe(session)
            begun = False
            try:
                for batch in self._rows(session, request, *described):
                    begun = True
                    yield batch
                return
            except TableChanged:
                self._table = None
                if begun or last:
                    raise

    def _rows(self, session: Session, request: ScanRequest, table: Table, origin: str) -> Iterator[RawBatch]:
        chosen = table.choose(request.columns)
        renderer = OracleRenderer(table.by_name, blank_is_null=request.blank_is_null)
        end = tail(renderer, request)
        schema = pa.schema([column.field for column in chosen])
        checks = [
            (index, check)
            for index, column in enumerate(chosen)
            if (check := json_value if column.family == "json" else cell_check(column, self._source.zone)) is not None
        ]
        names = ", ".join(column.select for column in chosen) or "1"
        cursor = session.execute(f"SELECT {names} FROM {origin}{end}", renderer.parameters)  # noqa: S608 - quoted names, bound values
        first = 1
        while True:
            block = [row[: len(chosen)] for row in session.run(cursor.fetchmany(BATCH_ROWS))]
            require_types(block, chosen, DRIVER_TYPES)
            rows, rejects = finish_rows(block, checks, chosen, first, table)
            yield RawBatch(schema, rows=rows, location=table.label, rejects=rejects)
            first += len(block)
            if len(block) < BATCH_ROWS:
                cursor.close()
                return

    def _named(self, session: Session) -> tuple[str | None, str]:
        """Owner and name as the catalogue has them: as written, else in capitals, as Oracle takes names without quotes."""
        schema, name = self._source.table_parts
        facts = self._sessions.facts if self._sessions is not None else None
        text = columns_query(facts.version if facts is not None else (12, 1))
        for one in ((schema, name), (schema and schema.upper(), name.upper())):
            if session.fetch(text, one):
                return one
        detail = f"the database shows this user no table {name}; a synonym is named by what it stands for: OWNER.NAME"
        raise SourceMissing(detail, field="/source/table")

    def _describe(self, session: Session) -> tuple[Table, str]:
        source = self._source
        facts = self._sessions.facts if self._sessions is not None else None
        charset, version = (facts.charset, facts.version) if facts is not None else ("", (12, 1))
        if source.query is not None:
            return self._described_query(session, charset)
        schema, name = self._named(session)
        rows = session.fetch(columns_query(version), (schema, name))
        shown = f"{quote(schema)}.{quote(name)}" if schema else quote(name)
        columns = [column_of(catalog_column(row), charset=charset, zone=source.zone) for row in rows]
        keys = [source.key, *unique_keys(session.fetch(KEYS, (schema, name)))]
        return Table(f"table {name}", documents_of(columns, source.json_columns), keys), shown

    def _described_query(self, session: Session, charset: str) -> tuple[Table, str]:
        source = self._source
        try:
            query = check_query(source.query or "", "oracle")
        except ValueError as error:
            raise SourceRejected(str(error), field="/source/query") from None
        origin = f"({query}) steward_query"
        cursor = session.execute(f"SELECT * FROM {origin} WHERE 1 = 0")  # noqa: S608 - one checked SELECT
        told = [result_column(part) for part in cursor.description]
        cursor.close()
        columns = [column_of(entry, charset=charset, zone=source.zone) for entry in told]
        return Table("the query", documents_of(columns, source.json_columns), [source.key]), origin


def _tables(session: Session) -> tuple[str, ...]:
    """Tables and views that the user sees: those of the session's schema by their name, others as `owner.name`."""
    return tuple(
        _part(name) if int(own) else f"{_part(owner)}.{_part(name)}" for owner, name, own in session.fetch(TABLES)
    )


def _part(name: Any) -> str:
    """A name as a manifest writes it in front of or behind a dot."""
    return f'"{name}"' if "." in str(name) else str(name)
