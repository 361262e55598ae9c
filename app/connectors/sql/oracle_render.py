"""Filters and order as text for Oracle 12.1 and later, in a session that compares texts by their bytes.

Only what cannot change an answer is said there: an empty text is null in Oracle, a text that the character set does not hold would be asked
for as another one, the order of bytes is that of Unicode in AL32UTF8 alone, and doubles are bound as decimal numbers.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from typing import Any, ClassVar

from app.connectors.sql.columns import Column
from app.connectors.sql.render import EQUALITY, WHITE_SPACE, Renderer, undeclared
from app.filters.tree import Literal, Operand

_MOST_DIGITS = 38
_ESCAPED = re.compile(r"\\(.)", re.DOTALL)
_NULL_TRUTH = {"=": False, "<>": True, "<": False, "<=": False, ">": True, ">=": True}
"""What every text is to the empty one, which Oracle takes for no value at all."""


class OracleRenderer(Renderer):
    """Text with `:p1`, `:p2`, … for texts; numbers and times stand in it as literals."""

    limit: ClassVar[str] = " FETCH FIRST {} ROWS ONLY"

    def bind(self, value: Any, kind: str) -> str:
        """A numbered placeholder."""
        del kind
        self.parameters.append(value)
        return f":p{len(self.parameters)}"

    def compare_literal(self, op: str, column: Column, value: Any) -> str:
        """The comparison in the column's own type."""
        if column.family != "text":
            return f"({column.equal} {op} {_literal(column, value)})"
        if not value:
            return self.constant(column, holds=_NULL_TRUTH[op])
        if op not in EQUALITY and not column.sortable:
            raise undeclared(f"the order of {column.name!r}, which is not that of Unicode at the server")
        return f"({column.equal} {op} {self._text(column, value)})"

    def among(self, column: Column, values: Sequence[Any]) -> str:
        """One list of at most 1,000, which is what Oracle takes."""
        if column.family != "text":
            return f"({column.equal} IN ({', '.join(_literal(column, value) for value in values)}))"
        some = [value for value in values if value]
        if not some:
            return self.constant(column, holds=False)
        return f"({column.equal} IN ({', '.join(self._text(column, value) for value in some)}))"

    def like(self, column: Column, pattern: str) -> str:
        """LIKE by characters. Oracle refuses an escape before any other sign, which stands for that sign."""
        if not column.sortable:
            raise undeclared(f"`like` on {column.name!r}, whose characters the server counts in another way")
        if not pattern:
            return self.constant(column, holds=False)
        trailing = len(pattern) - len(pattern.rstrip("\\"))
        whole = pattern + "\\" if trailing % 2 else pattern  # a lone backslash at the end stands for itself
        plain = _ESCAPED.sub(lambda found: found[0] if found[1] in "%_\\" else found[1], whole)
        return f"({column.select} LIKE {self._text(column, plain)} ESCAPE '\\')"

    def blank(self, column: Column) -> str:
        """Trimmed of all white space nothing is left, which is null."""
        left = f"LTRIM({column.select}, {self._text(column, WHITE_SPACE)})"
        return f"(CASE WHEN {column.select} IS NULL THEN NULL WHEN {left} IS NULL THEN 1 ELSE 0 END = 1)"

    def null(self, column: Column) -> str:
        """Asked of the column itself, not of the text that it is read as."""
        return f"({column.equal} IS NULL)" if column.family != "text" else super().null(column)

    def order_key(self, column: Column, descending: bool, nulls: bool) -> str:
        """Nulls last in both directions; in ascending order that is Oracle's own."""
        return f"{column.ordered} {'DESC' if descending else 'ASC'}{' NULLS LAST' if nulls and descending else ''}"

    def _compare(self, op: str, left: Operand, right: Operand) -> str:
        if not isinstance(left, Literal) and not isinstance(right, Literal):
            raise undeclared("comparing two columns")
        return super()._compare(op, left, right)

    def _text(self, column: Column, value: str) -> str:
        if "\x00" in value or (column.native != "unicode" and not value.isascii()):
            raise undeclared(f"comparing {column.name!r} with a text that the database may not be able to hold")
        return self.bind(value, "text")


def _literal(column: Column, value: Any) -> str:
    """Digits, or a literal of ANSI, which no setting of the session reads in another way."""
    if isinstance(value, datetime):
        zone = " +00:00" if value.tzinfo is not None else ""
        moment = value.astimezone(UTC).replace(tzinfo=None) if value.tzinfo is not None else value
        return f"TIMESTAMP '{moment.isoformat(sep=' ', timespec='microseconds')}{zone}'"
    number = Decimal(repr(value)) if isinstance(value, float) else Decimal(value)
    exponent = number.as_tuple().exponent
    if number.adjusted() > _MOST_DIGITS or (isinstance(exponent, int) and exponent < -_MOST_DIGITS):
        raise undeclared(f"comparing {column.name!r} with a number of so many digits")
    text = format(number, "f")
    if len(text.strip("-").replace(".", "").strip("0")) > _MOST_DIGITS:
        raise undeclared(f"comparing {column.name!r} with a number of so many digits")
    return text
