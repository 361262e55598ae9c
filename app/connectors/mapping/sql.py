"""Small builders of sqlglot trees in DuckDB's dialect. No text is ever put together by hand: literals are nodes."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlglot import exp

from app.connectors.mapping.text import BLANKS

SqlKind = Literal["text", "number", "int", "decimal", "float", "bool", "date", "timestamp", "json", "other"]
"""Static kind of a column in the SQL form. `number` is decimal text `-?[0-9]+(.[0-9]+)?`, as the step `number` gives it."""


@dataclass(frozen=True, slots=True)
class SqlStep:
    """The SQL form of one step: the value, its kind, and the conditions under which it rejects (first that holds)."""

    value: exp.Expression
    kind: SqlKind
    checks: tuple[tuple[exp.Expression, str], ...] = ()


def column(name: str) -> exp.Expression:
    """A quoted column."""
    return exp.column(exp.to_identifier(name, quoted=True))


def text(value: str) -> exp.Expression:
    """A text literal."""
    return exp.Literal.string(value)


def whole(value: int) -> exp.Expression:
    """A whole-number literal."""
    return exp.Literal.number(value) if value >= 0 else exp.Neg(this=exp.Literal.number(-value))


def null() -> exp.Expression:
    """NULL."""
    return exp.Null()


def call(name: str, *arguments: exp.Expression) -> exp.Expression:
    """A function call."""
    return exp.Anonymous(this=name, expressions=[argument.copy() for argument in arguments])


def equal(left: exp.Expression, right: exp.Expression) -> exp.Expression:
    """`left = right`."""
    return exp.EQ(this=left.copy(), expression=right.copy())


def negate(condition: exp.Expression) -> exp.Expression:
    """`NOT (condition)`."""
    return exp.Not(this=exp.Paren(this=condition.copy()))


def is_null(value: exp.Expression) -> exp.Expression:
    """`value IS NULL`."""
    return exp.Is(this=exp.Paren(this=value.copy()), expression=exp.Null())


def any_of(conditions: Sequence[exp.Expression]) -> exp.Expression:
    """The disjunction."""
    return exp.or_(*[exp.Paren(this=condition.copy()) for condition in conditions])


def cast(value: exp.Expression, sql_type: str, *, attempt: bool = False) -> exp.Expression:
    """CAST, or TRY_CAST (NULL where the text does not fit)."""
    kind = exp.DataType.build(sql_type, dialect="duckdb")
    return (exp.TryCast if attempt else exp.Cast)(this=value.copy(), to=kind)


def case(branches: Sequence[tuple[exp.Expression, exp.Expression]], otherwise: exp.Expression | None = None) -> exp.Expression:
    """CASE WHEN … THEN … ELSE … END."""
    ifs = [exp.If(this=condition.copy(), true=value.copy()) for condition, value in branches]
    return exp.Case(ifs=ifs, default=otherwise.copy() if otherwise is not None else None)


def trimmed(value: exp.Expression) -> exp.Expression:
    """Without blanks at both ends (the definition of `text.py`)."""
    return call("trim", value, text(BLANKS))


def or_null(value: exp.Expression) -> exp.Expression:
    """NULL for the empty text."""
    return call("nullif", value, text(""))


def full_match(value: exp.Expression, pattern: str) -> exp.Expression:
    """True when the whole text matches an RE2 pattern."""
    return call("regexp_full_match", value, text(pattern))
