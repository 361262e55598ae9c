"""A statement as the gateway runs it, without HTTP: guard, names, what sources are asked for, the worker's engine, settled columns.

The rows that enter the engine are those that the filters for the sources leave, and their columns those that are read.
"""

from __future__ import annotations

import io
import json
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path
from typing import Any

import duckdb
import pyarrow as pa

from app.federation.question.query import Enough
from app.federation.reading.whole import _Left
from app.federation.sql import worker
from app.federation.sql.guard import guarded
from app.federation.sql.regenerate import Bound, bound, schemas_of
from app.federation.sql.results import Settled, settled
from app.filters.evaluation import compile_predicate
from app.filters.tree import TRUE
from app.schemas import registry
from tests.integration.federation.sql.tables import ROWS, arrow, sourced

SCHEMAS = frozenset(schema.name for schema in registry.all_schemas())
MOST = 10_000


def made(sql: str, granted: Mapping[str, frozenset[str]] | None = None) -> Bound:
    tree = guarded(sql, SCHEMAS)
    schemas = {name: registry.get(name) for name in schemas_of(tree)}
    return bound(tree, schemas, granted or {name: frozenset(schema.fields) for name, schema in schemas.items()})


class Engine:
    """One engine of the worker for many statements."""

    def __init__(self, folder: Path) -> None:
        self._engine = worker._engine({"memory_bytes": 1 << 29, "temp_bytes": 1 << 20, "folder": str(folder)})
        self._rows = {name: sourced(name, rows) for name, rows in ROWS.items()}

    def answer(self, sql: str, *, stopping: bool = False) -> Settled:
        """Raises as the gateway refuses. `stopping`: with only those rows of each agency that are enough."""
        statement = made(sql)
        for table in statement.tables:
            name = table.schema.name
            passes = compile_predicate(table.filter) if table.filter is not TRUE else lambda _: True
            rows = [row for row in self._rows[name] if passes(row) is True]
            if stopping and table.enough is not None:
                enough = replace(table.enough, rows=MOST + 1 if table.enough.rows is None else table.enough.rows)
                rows = _those_enough(name, rows, enough)
            fields = [*table.fields, *table.also] or [table.schema.meta.key[0]]
            self._engine.register("arriving", arrow(name, rows, fields))
            self._engine.execute(f'CREATE OR REPLACE TABLE "{name}" AS FROM arriving')
        sink = io.BytesIO()
        worker._answer(
            self._engine, {"sql": statement.text, "parameters": list(statement.parameters), "rows": MOST}, sink
        )
        return _read(sink.getvalue(), statement)


def _those_enough(name: str, rows: list[dict[str, Any]], enough: Enough) -> list[dict[str, Any]]:
    """Of each agency, read three at a time."""
    found = []
    for agency in sorted({str(row["_agency"]) for row in rows}):
        own, left = [row for row in rows if row["_agency"] == agency], _Left(enough)
        for first in range(0, len(own), 3):
            part = arrow(name, own[first : first + 3], list(registry.get(name).fields))
            found += own[first : first + left.take(part.to_batches()[0]).num_rows]
            if not left.rows:
                break
    return found


def _read(sent: bytes, statement: Bound) -> Settled:
    source, kinds, batches = io.BytesIO(sent), [], list[Any]()
    while head := source.read(worker.FRAME.size):
        kind, size = worker.FRAME.unpack(head)
        body = source.read(size)
        match kind:
            case b"T":
                kinds = json.loads(body)
            case b"R":
                batches += pa.ipc.open_stream(body)
            case b"E":
                raise AssertionError(f"{body.decode()} of {statement.text}")
    return settled(batches, statement.names, kinds)


def plain(*, sources: bool) -> duckdb.DuckDBPyConnection:
    """DuckDB with the same rows, and with the columns of sources only where a statement names them: `*` is the granted fields."""
    engine = duckdb.connect(":memory:", config={"threads": 2})
    engine.execute("SET TimeZone = 'UTC'")
    for name, rows in ROWS.items():
        table = arrow(name, sourced(name, rows), list(registry.get(name).fields))
        engine.register("arriving", table if sources else table.drop_columns(["_agency", "_dataset"]))
        engine.execute(f'CREATE TABLE "{name}" AS FROM arriving')
    return engine
