"""A SQLite file of an agency, read where it is called: in a process of its own (`isolation.py`). Read only, with an end.

What the connector gives to it are requests, what it gives back are batches and descriptions.
"""

from __future__ import annotations

import math
import sqlite3
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pyarrow as pa

from app.connectors.agency_files import agency_file
from app.connectors.cells import NOT_UTF8, Unreadable
from app.connectors.contract import Discovery, RawBatch, RawColumn, RawReject
from app.connectors.requests import AggregateRequest, ScanRequest
from app.connectors.sql.aggregates import finish_groups
from app.connectors.sql.columns import Column, Table, documents_of, json_value
from app.connectors.sql.query import check_query
from app.connectors.sql.render import quote, undeclared
from app.connectors.sql.source import SqlSource
from app.connectors.sql.sqlite_render import SqliteRenderer, column_of, strange_cells
from app.connectors.sql.statements import aggregate, tail, where
from app.errors import (
    SimpulError,
    SourceFailed,
    SourceFormatError,
    SourceMissing,
    SourceRejected,
    SourceSchemaMismatch,
    SourceTimeout,
)

BATCH_ROWS = 5_000
COUNT_SECONDS = 0.25
"""How long rows are counted for an estimate."""
_STEPS_BETWEEN_LOOKS = 10_000
_UNREAD = (bytes, Unreadable)
_BLOB = Unreadable("binary", "the cell holds a blob; give it as text in a query, e.g. hex(column)")


class SqliteFile:
    """One file under an agency's folder. Every call opens its own connection, whose statements end at the deadline."""

    def __init__(
        self, source: SqlSource, root: Path, location: str, seconds: float, count_seconds: float = COUNT_SECONDS
    ) -> None:
        """`seconds`: the longest time of one call that is given no deadline (monotonic seconds; the clock is one for all processes)."""
        self._source = source
        self._root = root
        self._location = location
        self._seconds = seconds
        self._count_seconds = count_seconds

    def table(self) -> Table:
        """The columns and keys of the table or query."""
        with closing(self._connect()) as connection:
            try:
                return self._table(connection)[0]
            except sqlite3.Error as error:
                raise _fault(error) from None

    def aggregate(self, request: AggregateRequest) -> RawBatch:
        """Groups and measures in one statement; refused where cells are of other types than their columns."""
        with closing(self._connect(request.deadline)) as connection:
            try:
                table, origin = self._table(connection)
                renderer = SqliteRenderer(table.by_name)
                text = aggregate(renderer, request, origin, strange_cells(table.by_name, request))
                rows = connection.execute(text, renderer.parameters).fetchall()
            except sqlite3.Error as error:
                raise _fault(error) from None
        if any(row[-1] for row in rows):
            raise undeclared("aggregates over cells of other types than their column's")
        return finish_groups([row[:-1] for row in rows], request, table)

    def estimate(self, request: ScanRequest) -> tuple[int, bool] | None:
        """The rows that the filter lets through, and whether they were counted; None where nothing tells in a moment."""
        ends = min(time.monotonic() + self._count_seconds, request.deadline or math.inf)
        with closing(self._connect(ends)) as connection:
            try:
                table, origin = self._table(connection)
                renderer = SqliteRenderer(table.by_name, blank_is_null=request.blank_is_null)
                wanted = where(renderer, ScanRequest(filter=request.filter))
                # A bare COUNT(*) of a table is one step, in which SQLite looks at no clock.
                text = f"SELECT COUNT(*) FROM (SELECT 1 FROM {origin}{wanted} LIMIT -1)"  # noqa: S608 - quoted names, bound values
                return int(connection.execute(text, renderer.parameters).fetchone()[0]), True
            except sqlite3.Error as error:
                if "interrupted" not in str(error) or ends == request.deadline:
                    raise _fault(error) from None
        if request.filter is not None or self._source.query is not None:
            return None
        with closing(self._connect(request.deadline)) as connection:
            return _counted_once(connection, self._source.table_parts[1])

    def discover(self, sample_rows: int) -> Discovery:
        """The tables and views; columns and sample of the chosen one."""
        connection = self._connect()
        connection.text_factory = lambda stored: stored.decode(errors="replace")
        try:
            found = connection.execute("SELECT name FROM sqlite_master WHERE type IN ('table', 'view') ORDER BY name")
            tables = tuple(str(row[0]) for row in found if not str(row[0]).startswith("sqlite_"))
            if self._source.table is None and self._source.query is None:
                return Discovery(tables, ())
            table, origin = self._table(connection)
            names = ", ".join(column.select for column in table.columns)
            rows = connection.execute(f"SELECT {names} FROM {origin} LIMIT ?", (sample_rows,)).fetchall()  # noqa: S608 - quoted names
        except sqlite3.Error as error:
            raise _fault(error) from None
        finally:
            connection.close()
        columns = tuple(RawColumn(column.name, column.source_type, column.arrow_type) for column in table.columns)
        sample = tuple(dict(zip([column.name for column in table.columns], row, strict=True)) for row in rows)
        return Discovery(tables, columns, sample)

    def statement(self, request: ScanRequest) -> str:
        """The statement of a scan."""
        with closing(self._connect()) as connection:
            try:
                table, origin = self._table(connection)
            except sqlite3.Error as error:
                raise _fault(error) from None
        names = ", ".join(column.select for column in table.choose(request.columns))
        end = tail(SqliteRenderer(table.by_name, blank_is_null=request.blank_is_null), request)
        return f"SELECT {names} FROM {origin}{end}"  # noqa: S608 - names of the catalogue, quoted; values are bound

    def read(self, request: ScanRequest) -> Iterator[RawBatch]:
        """The rows of the table or query."""
        connection = self._connect(request.deadline)
        try:
            table, origin = self._table(connection)
            chosen = table.choose(request.columns)
            renderer = SqliteRenderer(table.by_name, blank_is_null=request.blank_is_null)
            text = tail(renderer, request)
            names = ", ".join(column.select for column in chosen)
            documents = [index for index, column in enumerate(chosen) if column.family == "json"]
            schema = pa.schema([column.field for column in chosen])
            numbers = count(1)
            for block in _blocks(connection, f"SELECT {names} FROM {origin}{text}", renderer.parameters):  # noqa: S608 - bound
                if documents:
                    block = [_parsed(row, documents) for row in block]  # noqa: PLW2901 - the same rows, their documents parsed
                yield _batch(block, chosen, schema, [next(numbers) for _ in block], table)
        except sqlite3.Error as error:
            raise _fault(error) from None
        finally:
            connection.close()

    def _connect(self, deadline: float | None = None) -> sqlite3.Connection:
        """A connection whose statements stop at the deadline (monotonic seconds; None: the limit of one read from now)."""
        ends = time.monotonic() + self._seconds if deadline is None else deadline
        path = agency_file(self._root, self._location)
        try:
            connection = sqlite3.connect(f"{path.as_uri()}?mode=ro", uri=True, isolation_level=None)
            connection.set_progress_handler(lambda: int(time.monotonic() > ends), _STEPS_BETWEEN_LOOKS)
            connection.execute("PRAGMA query_only = ON")
            connection.execute("PRAGMA trusted_schema = OFF")
        except sqlite3.Error as error:
            raise _fault(error) from None
        return connection

    def _table(self, connection: sqlite3.Connection) -> tuple[Table, str]:
        """The readable columns and the text that stands behind FROM."""
        if self._source.query is not None:
            try:
                query = check_query(self._source.query, "sqlite")
            except ValueError as error:
                raise SourceRejected(str(error), field="/source/query") from None
            cursor = connection.execute(f"SELECT * FROM ({query}) LIMIT 0")  # noqa: S608 - one checked SELECT
            columns = [column_of(str(part[0]), "TEXT") for part in cursor.description]
            return Table(
                "the query", documents_of(columns, self._source.json_columns), [self._source.key]
            ), f"({query})"
        name = self._source.table_parts[1]
        described = connection.execute(f"PRAGMA table_xinfo({quote(name)})").fetchall()
        if not described:
            raise SourceMissing(f"the database has no table {name!r}", field="/source/table")
        columns = [column_of(str(row[1]), str(row[2] or ""), not_null=_never_null(row, described)) for row in described]
        keys = [self._source.key, *_keys(connection, name, described)]
        primary = [str(row[1]) for row in described if row[5]]
        return Table(f"table {name}", documents_of(columns, self._source.json_columns), keys, primary), quote(name)


def _counted_once(connection: sqlite3.Connection, name: str) -> tuple[int, bool] | None:
    """What `ANALYZE` once found in a table; its file may have grown since."""
    try:
        found = connection.execute("SELECT MAX(CAST(stat AS INTEGER)) FROM sqlite_stat1 WHERE tbl = ?", (name,))
        rows = found.fetchone()[0]
    except sqlite3.OperationalError:  # no table of the database was ever counted
        return None
    return None if rows is None else (max(int(rows), 0), False)


def _never_null(row: tuple[Any, ...], described: list[tuple[Any, ...]]) -> bool:
    """NOT NULL, or the one INTEGER PRIMARY KEY (SQLite lets other primary keys be null)."""
    alone = sum(1 for other in described if other[5]) == 1
    return bool(row[3]) or (bool(row[5]) and alone and str(row[2]).upper() == "INTEGER")


def _keys(connection: sqlite3.Connection, name: str, described: list[tuple[Any, ...]]) -> Iterator[list[str]]:
    """Unique sets of columns that are never null."""
    sure = {str(row[1]) for row in described if _never_null(row, described)}
    primary = [str(row[1]) for row in described if row[5]]
    if primary and sure.issuperset(primary):
        yield primary
    for index in connection.execute(f"PRAGMA index_list({quote(name)})").fetchall():
        if index[2] and not index[4]:
            found = [row[2] for row in connection.execute(f"PRAGMA index_info({quote(str(index[1]))})")]
            if found and sure.issuperset(found):
                yield found


def _blocks(connection: sqlite3.Connection, text: str, parameters: Sequence[Any]) -> Iterator[list[tuple[Any, ...]]]:
    """Blocks of rows, the last one shorter than the others.

    A text that is no UTF-8 ends the driver's own reading: from there on texts are decoded here, one by one.
    """
    connection.execute("BEGIN")
    cursor = connection.execute(text, parameters)
    done = 0
    try:
        while True:
            block = cursor.fetchmany(BATCH_ROWS)
            yield block
            done += len(block)
            if len(block) < BATCH_ROWS:
                return
    except sqlite3.OperationalError as error:
        if "decode to UTF-8" not in str(error):
            raise
    connection.text_factory = _text
    cursor = connection.execute(text, parameters)
    for _ in range(done):
        cursor.fetchone()
    while True:
        block = cursor.fetchmany(BATCH_ROWS)
        yield block
        if len(block) < BATCH_ROWS:
            return


def _parsed(row: tuple[Any, ...], documents: Sequence[int]) -> tuple[Any, ...]:
    """The row with its JSON texts as documents."""
    cells = list(row)
    for index in documents:
        if isinstance(cells[index], str):
            cells[index] = json_value(cells[index])
    return tuple(cells)


def _text(stored: bytes) -> str | Unreadable:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return NOT_UTF8


def _batch(
    block: list[tuple[Any, ...]], columns: Sequence[Column], schema: pa.Schema, numbers: list[int], table: Table
) -> RawBatch:
    """The rows as they are; no raw type holds a blob or a text that is no UTF-8."""
    rejects: list[RawReject] = []
    unread = [index for index, row in enumerate(block) if any(isinstance(cell, _UNREAD) for cell in row)]
    for index in unread:
        row = block[index]
        name, cell = next(
            (column.name, cell) for column, cell in zip(columns, row, strict=True) if isinstance(cell, _UNREAD)
        )
        flaw = cell if isinstance(cell, Unreadable) else _BLOB
        where = table.location(columns, row, numbers[index])
        rejects.append(RawReject(where, flaw.rule, f"column {name!r}: {flaw.detail}"))
    gone = set(unread)
    rows = [row for index, row in enumerate(block) if index not in gone] if gone else block
    return RawBatch(schema, rows=rows, location=table.label, rejects=rejects)


def _fault(error: sqlite3.Error) -> SimpulError:
    """A driver's error as ours; SQLite's texts hold names of tables and columns, never values."""
    text = str(error)
    if "integer overflow" in text:
        return undeclared("a sum beyond 64 bits")
    if "interrupted" in text:
        return SourceTimeout("the database did not answer before the deadline", field="/source/url")
    if "no such table" in text:
        return SourceMissing(text, field="/source/table")
    if "no such column" in text:
        return SourceSchemaMismatch(text, field="/source/query")
    if "not a database" in text or "malformed" in text:
        return SourceFormatError("the file is no SQLite database, or it is damaged", field="/source/url")
    if isinstance(error, sqlite3.OperationalError):
        return SourceFailed("the database could not be read", field="/source/url")
    return SourceRejected("the database refused the query", field="/source/query")
