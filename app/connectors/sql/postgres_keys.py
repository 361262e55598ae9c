"""The statement that reads the rows of one key of a PostgreSQL table: made once for a table, used for every look-up."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa

from app.connectors.contract import RawBatch
from app.connectors.sql.columns import Check, Column, Table, check_of, finish_rows
from app.connectors.sql.postgres_render import PostgresRenderer

MOST_ROWS = 1_000


@dataclass(frozen=True, slots=True)
class KeyRead:
    """Text with one text parameter a key column, and how its rows become a batch."""

    text: str
    columns: tuple[Column, ...]
    checks: tuple[tuple[int, Check], ...]
    schema: pa.Schema

    def batch(self, rows: Sequence[Sequence[Any]], place: str) -> RawBatch:
        """The rows as the scan gives them."""
        good, rejects = finish_rows(rows, self.checks, self.columns, 1, place)
        return RawBatch(self.schema, rows=good, place=place, rejects=rejects)


def key_read(table: Table, origin: str, columns: Sequence[str] | None, names: Sequence[str]) -> KeyRead | None:
    """The read by these key columns; None unless all of them are plain text, whose text does not depend on the value."""
    keys = table.choose(names)
    if any(column.family != "text" or column.native or not column.filterable for column in keys):
        return None
    renderer = PostgresRenderer(table.by_name)
    wanted = " AND ".join(renderer.compare_literal("=", column, "") for column in keys)
    chosen = table.choose(columns)
    selected = ", ".join(column.select for column in chosen)
    checks = tuple((place, check) for place, column in enumerate(chosen) if (check := check_of(column)) is not None)
    return KeyRead(
        f"SELECT {selected} FROM {origin} WHERE {wanted} LIMIT {MOST_ROWS + 1}",  # noqa: S608 - quoted; values are bound
        chosen,
        checks,
        pa.schema([column.field for column in chosen]),
    )
