"""Filters and order as text for MySQL and MariaDB, of any version from 5.5.3 on."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

from app.connectors.sql.columns import Column
from app.connectors.sql.render import WHITE_SPACE, Renderer, float_bound, undeclared

_MOST_DIGITS = 38
_EPOCH_YEARS = range(1971, 2037)
"""Years that every version's TIMESTAMP holds whole."""


class MysqlRenderer(Renderer):
    """Text with `%s` for texts, times and doubles; whole and decimal numbers stand in it as digits."""

    def bind(self, value: Any, kind: str) -> str:
        """A placeholder."""
        del kind
        self.parameters.append(value)
        return "%s"

    def compare_literal(self, op: str, column: Column, value: Any) -> str:
        """The comparison in the column's own type, text by its bytes."""
        match column.family:
            case "text":
                return self._text(op, column, value)
            case "float":
                bound = float_bound(op, value)
                if isinstance(bound, bool):
                    return self.constant(column, holds=bound)
                return f"({column.equal} {bound[0]} {self.bind(bound[1], 'double')})"
            case "instant":
                left = column.equal if value.year in _EPOCH_YEARS else f"CAST({column.equal} AS DATETIME(6))"
                return f"({left} {op} {self._value(column, value)})"
            case _:
                return f"({column.equal} {op} {self._value(column, value)})"

    def among(self, column: Column, values: Sequence[Any]) -> str:
        """IN where every value is compared alike, else a chain."""
        if column.family == "text":
            native = self._native(column, values)
            exact = f"{column.equal} IN ({', '.join(self._bytes(column, value) for value in values)})"
            return f"({native}{exact})"
        if column.family in ("integer", "decimal", "date", "timestamp"):
            return f"({column.equal} IN ({', '.join(self._value(column, value) for value in values)}))"
        return "(" + " OR ".join(self.compare_literal("=", column, value) for value in values) + ")"

    def like(self, column: Column, pattern: str) -> str:
        """LIKE by characters under a binary collation."""
        trailing = len(pattern) - len(pattern.rstrip("\\"))
        whole = pattern + "\\" if trailing % 2 else pattern  # a lone backslash at the end stands for itself
        return f"(CONVERT({column.select} USING utf8mb4) COLLATE utf8mb4_bin LIKE {self.bind(whole, 'text')})"

    def blank(self, column: Column) -> str:
        """With every kind of white space taken out it is empty."""
        text = f"CAST(CONVERT({column.select} USING utf8mb4) AS BINARY)"
        for char in WHITE_SPACE:
            text = f"REPLACE({text}, x'{char.encode().hex()}', x'')"
        return f"({text} = x'')"

    def order_key(self, column: Column, descending: bool, nulls: bool) -> str:
        """Nulls last in both directions; where none occur an index serves both."""
        first = f"({column.select} IS NULL), " if nulls else ""
        return f"{first}{column.ordered} {'DESC' if descending else 'ASC'}"

    def _text(self, op: str, column: Column, value: str) -> str:
        if op == "=":
            native = self._native(column, [value])
            return f"({native}{column.equal} = {self._bytes(column, value)})"
        return f"({column.ordered} {op} {self._bytes(column, value)})"

    def _native(self, column: Column, values: Sequence[str]) -> str:
        """What an index of the column can serve: equal bytes are equal under every collation."""
        if not column.native or (column.native == "other" and not all(map(str.isascii, values))):
            return ""
        if column.equal == column.select:
            return ""
        return f"{column.select} IN ({', '.join(self.bind(value, 'text') for value in values)}) AND "

    def _bytes(self, column: Column, value: str) -> str:
        return self.bind(value if column.equal == column.select else value.encode(), "binary")

    def _value(self, column: Column, value: Any) -> str:
        if isinstance(value, datetime):
            return self.bind(value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo else value, "datetime")
        if isinstance(value, date):
            return self.bind(value, "date")
        number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
        exponent = number.as_tuple().exponent
        if number.adjusted() > _MOST_DIGITS or (isinstance(exponent, int) and exponent < -_MOST_DIGITS // 2):
            raise undeclared(f"comparing {column.name!r} with a number of so many digits")
        return format(number, "f")
