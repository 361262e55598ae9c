"""Filters and order as PostgreSQL text. Placeholders carry their type, so one prepared statement serves every value."""

from __future__ import annotations

import re
from collections.abc import Sequence
from decimal import Decimal
from typing import Any, ClassVar

from app.connectors.sql.columns import Column
from app.connectors.sql.render import (
    EQUALITY,
    INT64_MAX,
    INT64_MIN,
    MOST_KEYS,
    WHITE_SPACE,
    Renderer,
    float_bound,
    undeclared,
)

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_NEL = "\x85"
"""White space is below `!` in ASCII, and from here on beyond it."""
_TYPES = {"boolean": "bool", "date": "date", "timestamp": "timestamp", "instant": "timestamptz", "decimal": "numeric"}


class PostgresRenderer(Renderer):
    """Text for PostgreSQL 12 and later."""

    most_keys: ClassVar[int] = 50_000
    """A list is one array."""

    def bind(self, value: Any, kind: str) -> str:
        """A typed placeholder."""
        self.parameters.append(value)
        return f"${len(self.parameters)}::{kind}"

    def compare_literal(self, op: str, column: Column, value: Any) -> str:
        """The comparison in the column's own type."""
        match column.family:
            case "text":
                return self._text(op, column, value)
            case "integer":
                return self._integer(op, column, value)
            case "float":
                bound = float_bound(op, value)
                if isinstance(bound, bool):
                    return self.constant(column, holds=bound)
                return f"({column.equal} {bound[0]} {self.bind(bound[1], 'float8')})"
            case "decimal":
                return f"({column.equal} {op} {self.bind(_decimal(value), 'numeric')})"
            case family:
                return f"({column.equal} {op} {self.bind(value, _TYPES[family])})"

    def among(self, column: Column, values: Sequence[Any]) -> str:
        """One array parameter, so that one text serves every length."""
        if column.family == "text":
            if "\x00" in "".join(values):  # no text of the server holds one
                values = [value for value in values if "\x00" not in value]
            return self._text_among(column, values)
        if column.family == "integer" and all(isinstance(value, int) and _is_int64(value) for value in values):
            return f"({column.equal} = ANY({self.bind(list(values), 'int8[]')}))"
        if column.family in _TYPES:
            bound = [_decimal(value) if column.family == "decimal" else value for value in values]
            return f"({column.equal} = ANY({self.bind(bound, _TYPES[column.family] + '[]')}))"
        if len(values) > MOST_KEYS:
            raise undeclared(f"a list of more than {MOST_KEYS} values on {column.name!r}")
        return "(" + " OR ".join(self.compare_literal("=", column, value) for value in values) + ")"

    def like(self, column: Column, pattern: str) -> str:
        """LIKE under the binary collation."""
        if "\x00" in pattern:
            return self.constant(column, holds=False)
        trailing = len(pattern) - len(pattern.rstrip("\\"))
        whole = pattern + "\\" if trailing % 2 else pattern  # a lone backslash at the end stands for itself
        return f'({column.select} COLLATE "C" LIKE {self.bind(whole, "text")})'

    def blank(self, column: Column) -> str:
        """Trimmed of all white space it is empty. Trimming is slow: most text is seen by its first character to be none."""
        first = f'({column.select} COLLATE "C" < \'!\' OR {column.select} COLLATE "C" >= {self.bind(_NEL, "text")})'
        return f"({first} AND btrim({column.select}, {self.bind(WHITE_SPACE, 'text')}) = '')"

    def order_key(self, column: Column, descending: bool, nulls: bool) -> str:
        """Nulls last in both directions; where none occur an index serves both."""
        if not descending:
            return f"{column.ordered} ASC"  # nulls last is the default of ASC, and so an index serves it
        return f"{column.ordered} DESC NULLS LAST" if nulls else f"{column.ordered} DESC"

    def placeholder(self, column: Column, value: Any) -> str | None:
        """A typed placeholder for the families that compare in their own type."""
        if column.family == "text":
            return None if "\x00" in value else self.bind(value, "text")
        if column.family == "integer":
            return self.bind(value, "int8") if type(value) is int and _is_int64(value) else None
        if column.family == "decimal":
            return self.bind(_decimal(value), "numeric")
        return self.bind(value, _TYPES[column.family]) if column.family in _TYPES else None

    def _text(self, op: str, column: Column, value: str) -> str:
        if "\x00" in value:
            return self._beyond_nul(op, column, value)
        if op in EQUALITY:
            if column.native == "uuid" and _UUID.fullmatch(value):
                return f"({column.select.removesuffix('::text')} {op} {self.bind(value, 'uuid')})"
            if column.native == "bpchar" and not value.endswith(" "):
                return f"({column.select.removesuffix('::text')} {op} {self.bind(value, 'bpchar')})"
            return f"({column.equal} {op} {self.bind(value, 'text')})"
        return f"({column.ordered} {op} {self.bind(value, 'text')})"

    def _text_among(self, column: Column, values: Sequence[str]) -> str:
        if not values:
            return self.constant(column, holds=False)
        if column.native == "uuid" and all(map(_UUID.fullmatch, values)):
            return f"({column.select.removesuffix('::text')} = ANY({self.bind(list(values), 'uuid[]')}))"
        return f"({column.equal} = ANY({self.bind(list(values), 'text[]')}))"

    def _beyond_nul(self, op: str, column: Column, value: str) -> str:
        """No text of PostgreSQL holds NUL, so nothing stands between the part before it and the whole value."""
        if op in EQUALITY:
            return self.constant(column, holds=op == "<>")
        return (
            f"({column.ordered} {'<=' if op in ('<', '<=') else '>'} {self.bind(value.partition(chr(0))[0], 'text')})"
        )

    def _integer(self, op: str, column: Column, value: Any) -> str:
        exact = _decimal(value)
        if exact == exact.to_integral_value() and _is_int64(int(exact)):
            return f"({column.equal} {op} {self.bind(int(exact), 'int8')})"
        return f"(({column.equal})::numeric {op} {self.bind(exact, 'numeric')})"


def _is_int64(value: int) -> bool:
    return INT64_MIN <= value <= INT64_MAX


def _decimal(value: Any) -> Decimal:
    return Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
