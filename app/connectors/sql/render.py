"""The filter tree as SQL text with bound parameters: the parts that all dialects share.

Only `= <> < <= > >= in like isnull and or not` over catalogue columns; anything else raises `CapabilityUndeclared`.
Three-valued logic is the database's own, which is the residual's.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from math import isfinite
from typing import Any, ClassVar

from app.connectors.capabilities import Capabilities
from app.connectors.sql.columns import Column, Table
from app.errors import CapabilityUndeclared, SourceSchemaMismatch
from app.filters.tree import (
    And,
    Compare,
    Filter,
    In,
    Intersects,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
    Property,
)

FLIPPED = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}
EQUALITY = ("=", "<>")
WHITE_SPACE = "".join(char for char in map(chr, range(0x3001)) if char.isspace())
"""Every character that `str.isspace` knows: what the mapping reads as blank."""
MOST_KEYS = 1_000
_OPERATORS = frozenset({"=", "<>", "<", "<=", ">", ">=", "in", "like", "isnull", "and", "or", "not"})
"""Where each value of a list is a parameter of its own."""
INT64_MAX = 2**63 - 1
INT64_MIN = -(2**63)


def quote(name: str) -> str:
    """An identifier in double quotes, as both dialects write it."""
    return '"' + name.replace('"', '""') + '"'


def undeclared(what: str) -> CapabilityUndeclared:
    """The error for work this kind did not declare."""
    return CapabilityUndeclared(f"The source did not declare {what}", kind="sql")


class Renderer(ABC):
    """Builds one statement; `parameters` fills in the order of the placeholders."""

    most_keys: ClassVar[int] = MOST_KEYS
    """Most values in one list."""
    limit: ClassVar[str] = " LIMIT {}"
    """The end of a statement that gives so many rows at most."""

    def __init__(self, columns: Mapping[str, Column], *, blank_is_null: bool = False) -> None:
        self.columns = columns
        self.parameters: list[Any] = []
        self.blank_is_null = blank_is_null

    @abstractmethod
    def bind(self, value: Any, kind: str) -> str:
        """A placeholder for a value of one of the dialect's types."""

    @abstractmethod
    def compare_literal(self, op: str, column: Column, value: Any) -> str:
        """`column op value`; the value already fits the column's family."""

    @abstractmethod
    def among(self, column: Column, values: Sequence[Any]) -> str:
        """`column IN (values)`; the values fit the column's family."""

    @abstractmethod
    def like(self, column: Column, pattern: str) -> str:
        """`column LIKE pattern` on a text column."""

    @abstractmethod
    def blank(self, column: Column) -> str:
        """True where a text column holds nothing but white space; unknown where it is null."""

    @abstractmethod
    def order_key(self, column: Column, descending: bool, nulls: bool) -> str:
        """One key of ORDER BY; where `nulls` may occur they stand last."""

    def placeholder(self, column: Column, value: Any) -> str | None:
        """A placeholder that `ordered` compares with in a row of columns; None where a plain comparison is needed."""
        del column, value
        return None

    def constant(self, column: Column, *, holds: bool) -> str:
        """The same truth for every value; unknown where the column is null."""
        return f"({column.equal} {'=' if holds else '<>'} {column.equal})"

    def null(self, column: Column) -> str:
        """True where the column has no value: null, or blank where that means the same."""
        plain = f"({column.select} IS NULL)"
        if not self.blank_is_null or column.family != "text":
            return plain
        return f"({plain} OR {self.blank(column)})" if column.nullable else self.blank(column)

    def condition(self, node: Filter) -> str:
        """The node as a boolean expression."""
        match node:
            case Compare(op, left, right):
                return self._compare(op, left, right)
            case In(operand, values):
                if len(values) > self.most_keys:
                    raise undeclared(f"a list of more than {self.most_keys} values")
                column = self._column(operand)
                return self.among(column, _all_bound(column, node.plain))
            case Like(operand, pattern):
                column = self._column(operand)
                if column.family != "text":
                    raise undeclared(f"`like` on {column.name!r}, which is no text")
                return self.like(column, _encodable(pattern))
            case IsNull(prop):
                return self.null(self._column(prop))
            case Intersects():
                raise undeclared("geometry")
            case And(parts):
                return "(" + " AND ".join(map(self.condition, parts)) + ")" if parts else "(1 = 1)"
            case Or(parts):
                return "(" + " OR ".join(map(self.condition, parts)) + ")" if parts else "(1 = 0)"
            case Not(part):
                return f"(NOT {self.condition(part)})"

    def _compare(self, op: str, left: Operand, right: Operand) -> str:
        if isinstance(left, Literal) and not isinstance(right, Literal):
            return self._compare(FLIPPED[op], right, left)
        column = self._column(left)
        if isinstance(right, Property):
            other = self._column(right)
            if other.family != column.family:
                raise undeclared(f"comparing {column.name!r} with {other.name!r}, which are of different types")
            return f"({column.ordered} {op} {other.ordered})"
        return self.compare_literal(op, column, fit(column, right))

    def _column(self, operand: Operand) -> Column:
        if not isinstance(operand, Property):
            raise undeclared("this form of comparison")
        column = named(self.columns, operand.name)
        if not column.filterable:
            raise undeclared(f"filtering by {column.name!r}")
        return column


def named(columns: Mapping[str, Column], name: str) -> Column:
    """The column; `SourceSchemaMismatch` when it is gone."""
    column = columns.get(name)
    if column is None:
        raise SourceSchemaMismatch(f"The source has no column {name!r}", field="/source/table", step="columns")
    return column


def sortable(columns: Mapping[str, Column], name: str) -> Column:
    """The column, when it sorts as the contract says."""
    column = named(columns, name)
    if not column.sortable:
        raise undeclared(f"sorting by {column.name!r}")
    return column


def fit(column: Column, operand: Operand) -> Any:
    """The literal, when its type is one the column compares with exactly."""
    if not isinstance(operand, Literal):
        raise undeclared("this form of comparison")
    return _bound(column, operand.value)


def _all_bound(column: Column, values: Sequence[Any]) -> Sequence[Any]:
    """Values of a list, as `fit` takes each."""
    if column.family == "text" and set(map(type, values)) == {str}:
        _encodable("".join(values))
        return values
    return [_bound(column, value) for value in values]


def _bound(column: Column, value: Any) -> Any:
    if column.family == "text" and isinstance(value, str):
        return _encodable(value)
    if not _fits(column, value):
        raise undeclared(f"comparing {column.name!r} ({column.source_type}) with a {type(value).__name__}")
    return value


def declared(
    table: Table | None,
    *,
    exact: bool,
    aggregates: frozenset[str],
    concurrent_scans: int,
    most_keys: int = MOST_KEYS,
) -> Capabilities:
    """What a SQL source can do: columns, filters, order, position, limit; of a table that is known also which columns and keys.

    `exact`: filters give what the residual would; else more, and negation is not pushed.
    """
    return Capabilities(
        columns=True,
        filter_operators=_OPERATORS if exact else _OPERATORS - {"not"},
        filter_columns=table.filterable if table is not None else None,
        filter_exactness="exact" if exact else "superset",
        order=True,
        order_columns=table.sortable if table is not None else None,
        limit=True,
        keyset=True,
        aggregates=aggregates,
        keys=table.keys if table is not None else (),
        most_keys=most_keys,
        concurrent_scans=concurrent_scans,
    )


def renders(renderer: Renderer, node: Filter) -> bool:
    """Whether this filter can be said in the dialect, with these literals."""
    try:
        renderer.condition(node)
    except (CapabilityUndeclared, SourceSchemaMismatch):
        return False
    return True


def float_bound(op: str, value: float | Decimal) -> tuple[str, float] | bool:
    """`x op value` over doubles x, where a double stands for its shortest decimal text: the comparison to make instead.

    True or False when the answer is the same for every x.
    """
    try:
        nearest = float(value)
    except OverflowError:
        nearest = float("inf")
    if not isfinite(nearest):
        larger = value > 0
        return op in (("<", "<=", "<>") if larger else (">", ">=", "<>"))
    exact = Decimal(repr(nearest))
    wanted = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    if exact == wanted:
        return op, nearest
    if op in EQUALITY:
        return op == "<>"
    above = exact > wanted
    return {">": ">=" if above else ">", ">=": ">=" if above else ">"}.get(op) or ("<" if above else "<="), nearest


def _fits(column: Column, value: Any) -> bool:
    match column.family:
        case "boolean":
            return isinstance(value, bool)
        case "integer" | "float" | "decimal":
            number = isinstance(value, int | float | Decimal) and not isinstance(value, bool)
            return number and (isinstance(value, int) or Decimal(value).is_finite())
        case "date":
            return isinstance(value, date) and not isinstance(value, datetime)
        case "timestamp":
            return isinstance(value, datetime) and value.tzinfo is None
        case "instant":
            return isinstance(value, datetime) and value.tzinfo is not None
        case _:
            return False


def _encodable(text: str) -> str:
    try:
        text.encode()
    except UnicodeEncodeError:
        raise undeclared("comparing with a text that is no Unicode text (half of a surrogate pair)") from None
    return text
