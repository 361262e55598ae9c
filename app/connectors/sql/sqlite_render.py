"""Filters and order as SQLite text, and SQLite's columns as raw columns.

SQLite types are affinities: a cell may hold anything. Only comparisons that mean the same for every storage class are pushed.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.connectors.sql.columns import ARROW_TYPES, Column, Family
from app.connectors.sql.render import INT64_MAX, INT64_MIN, Renderer, quote, undeclared

_AFFINITIES: tuple[tuple[tuple[str, ...], Family], ...] = (
    (("INT",), "integer"),
    (("CHAR", "CLOB", "TEXT"), "text"),
    (("REAL", "FLOA", "DOUB"), "float"),
)


def column_of(name: str, declared: str) -> Column:
    """The raw column of a declared type; a type without a known affinity is read as text."""
    upper = declared.upper()
    family: Family = next((found for words, found in _AFFINITIES if any(word in upper for word in words)), "text")
    plain = quote(name)
    pushable = family in ("integer", "text")
    return Column(
        name=name,
        source_type=declared or "(none)",
        family=family,
        arrow_type=ARROW_TYPES[family],
        select=plain,
        equal=plain,
        ordered=f"{plain} COLLATE BINARY" if family == "text" else plain,
        filterable=pushable,
        sortable=pushable,
    )


class SqliteRenderer(Renderer):
    """Text for SQLite 3."""

    def bind(self, value: Any, kind: str) -> str:
        """A placeholder; SQLite takes the value's own type."""
        del kind
        self.parameters.append(value)
        return "?"

    def compare_literal(self, op: str, column: Column, value: Any) -> str:
        """Text by bytes; integers within 64 bits."""
        if column.family == "text":
            return f"({column.ordered} {op} {self.bind(value, 'text')})"
        if column.family == "integer" and type(value) is int and INT64_MIN <= value <= INT64_MAX:
            return f"({column.equal} {op} {self.bind(value, 'integer')})"
        raise undeclared(f"comparing {column.name!r} with this value")

    def among(self, column: Column, values: Sequence[Any]) -> str:
        """IN as a chain of equalities, so that collation and type rules are those of `=`."""
        return "(" + " OR ".join(self.compare_literal("=", column, value) for value in values) + ")"

    def like(self, column: Column, pattern: str) -> str:
        """SQLite's LIKE ignores the case of ASCII letters: what it lets through too much, the residual takes out."""
        trailing = len(pattern) - len(pattern.rstrip("\\"))
        whole = pattern + "\\" if trailing % 2 else pattern
        return f"({column.select} LIKE {self.bind(whole, 'text')} ESCAPE '\\')"

    def order_key(self, column: Column, descending: bool) -> str:
        """Nulls last in both directions."""
        return f"{column.ordered} {'DESC' if descending else 'ASC'} NULLS LAST"
