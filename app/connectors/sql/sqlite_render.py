"""Filters and order as SQLite text, and SQLite's columns as raw columns.

SQLite types are affinities: a cell may hold anything. Only comparisons that mean the same for every storage class are pushed.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from app.connectors.requests import AggregateRequest
from app.connectors.sql.columns import ARROW_TYPES, Column, Family
from app.connectors.sql.render import INT64_MAX, INT64_MIN, WHITE_SPACE, Renderer, quote, undeclared

_AFFINITIES: tuple[tuple[tuple[str, ...], Family], ...] = (
    (("INT",), "integer"),
    (("CHAR", "CLOB", "TEXT", "BLOB"), "text"),
    (("REAL", "FLOA", "DOUB"), "float"),
)
"""In the order of SQLite's own rules. What none of them knows (DATE, DECIMAL) has the affinity NUMERIC and is read as text."""


def column_of(name: str, declared: str, *, not_null: bool = False) -> Column:
    """The raw column of a declared type; a type without a known affinity is read as text."""
    upper = declared.upper()
    family: Family = (
        "json"
        if upper == "JSON"
        else next((found for words, found in _AFFINITIES if any(word in upper for word in words)), "text")
    )
    plain = quote(name)
    pushable = family in ("integer", "text")
    numeric = bool(upper) and family == "text" and not any(word in upper for word in _AFFINITIES[1][0])
    compared = f"+{plain}" if numeric else plain  # a unary plus takes the affinity off, so that text compares as text
    return Column(
        name=name,
        source_type=declared or "(none)",
        family=family,
        arrow_type=ARROW_TYPES[family],
        select=plain,
        equal=compared,
        ordered=f"{compared} COLLATE BINARY" if family == "text" else plain,
        nullable=not not_null,
        filterable=pushable,
        sortable=pushable,
    )


_STORED: dict[Family, str] = {"integer": "integer", "text": "text", "float": "real"}


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
        if column.family == "integer" and _is_int64(value):
            return f"({column.equal} {op} {self.bind(value, 'integer')})"
        raise undeclared(f"comparing {column.name!r} with this value")

    def among(self, column: Column, values: Sequence[Any]) -> str:
        """IN takes collation from its left side, as `=` does; values that no such column holds are left out."""
        fit = [value for value in values if column.family == "text" or _is_int64(value)]
        if not fit:
            return self.constant(column, holds=False)
        return f"({column.ordered} IN ({', '.join(self.bind(value, column.family) for value in fit)}))"

    def like(self, column: Column, pattern: str) -> str:
        """SQLite's LIKE ignores the case of ASCII letters: what it lets through too much, the residual takes out."""
        trailing = len(pattern) - len(pattern.rstrip("\\"))
        whole = pattern + "\\" if trailing % 2 else pattern
        return f"({column.select} LIKE {self.bind(whole, 'text')} ESCAPE '\\')"

    def blank(self, column: Column) -> str:
        """Trimmed of all white space it is empty."""
        return f"(trim({column.select}, {self.bind(WHITE_SPACE, 'text')}) = '')"

    def order_key(self, column: Column, descending: bool, nulls: bool) -> str:
        """Nulls last in both directions; where none occur an index serves both."""
        return f"{column.ordered} {'DESC' if descending else 'ASC'}{' NULLS LAST' if nulls else ''}"


def _is_int64(value: Any) -> bool:
    return type(value) is int and INT64_MIN <= value <= INT64_MAX


def strange_cells(columns: Mapping[str, Column], request: AggregateRequest) -> str:
    """How many of the cells that an aggregate looks at are of another type than their column."""
    used = {*request.group_by, *(measure.column for measure in request.measures if measure.function != "count")}
    strange = [
        f"(typeof({column.select}) NOT IN ('{_STORED[column.family]}', 'null'))"
        for name, column in columns.items()
        if name in used
    ]
    return f"COALESCE(SUM({' OR '.join(strange) or '0'}), 0)"
