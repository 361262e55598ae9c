"""What a WHERE asks of one table, as a filter for its sources: only comparisons that they surely decide as the engine would.

The engine compares numbers written with an exponent, or with more digits than its decimals hold, as binary ones (2020.0000000000000001e0
is 2020 there); a source compares exactly. Such comparisons, and all others that are left out here, the engine makes alone.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from typing import Any, Final

import pyarrow as pa
from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from app.filters.tree import And, Compare, Filter, In, Like, Literal, Or, Property, all_of
from app.schemas.base import FieldSpec
from app.schemas.numbers import NumberBeyond, exact_number, whole
from app.schemas.registry import SchemaDef

_OPERATORS = {exp.EQ: "=", exp.NEQ: "<>", exp.GT: ">", exp.GTE: ">=", exp.LT: "<", exp.LTE: "<="}
_TURNED = {"=": "=", "<>": "<>", ">": "<", ">=": "<=", "<": ">", "<=": ">="}
_DAY = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}")
_NUMBER = re.compile(r"([0-9]*)(?:\.([0-9]*))?")
_WHOLE_DIGITS: Final = 19
"""Digits of a BIGINT before the point; as many behind it and the engine's decimals still hold both."""


def where_filter(scope: Scope, alias: str, schema: SchemaDef) -> Filter:
    """The conjuncts of WHERE over this table alone that reject nulls: rows that break them are in no answer of this scope."""
    return all_of(*_conditions(scope, alias, schema))


def decides_where(scope: Scope, alias: str, schema: SchemaDef) -> bool:
    """Whether that is all of WHERE: every row that it lets through is one of this scope."""
    return None not in _conditions(scope, alias, schema)


def _conditions(scope: Scope, alias: str, schema: SchemaDef) -> list[Filter | None]:
    where = scope.expression.args.get("where")
    if where is None:
        return []
    parts = where.this.flatten() if isinstance(where.this, exp.And) else [where.this]
    return [_condition(part, alias, schema) for part in parts]


def _condition(node: Any, alias: str, schema: SchemaDef) -> Filter | None:
    while isinstance(node, exp.Paren):
        node = node.this
    if isinstance(node, exp.And | exp.Or):
        made = _whole(_condition(part, alias, schema) for part in node.flatten())
        return None if made is None else And(made) if isinstance(node, exp.And) else Or(made)
    if type(node) in _OPERATORS:
        op = _OPERATORS[type(node)]
        column, other = node.left, node.right
        if not isinstance(column, exp.Column):
            column, other, op = other, column, _TURNED[op]
        return _comparison(op, column, other, alias, schema)
    if isinstance(node, exp.Between):
        low = _comparison(">=", node.this, node.args["low"], alias, schema)
        high = _comparison("<=", node.this, node.args["high"], alias, schema)
        return And((low, high)) if low is not None and high is not None else None
    if isinstance(node, exp.In) and node.expressions and not node.args.get("query"):
        spec = _spec(node.this, alias, schema)
        values = [None if spec is None else _value(item, spec, schema) for item in node.expressions]
        if spec is None or any(value is None for value in values):
            return None
        return In(Property(spec.name), tuple(Literal(value) for value in values if value is not None))
    if isinstance(node, exp.Like) and not node.args.get("negate") and isinstance(node.expression, exp.Literal):
        spec = _spec(node.this, alias, schema)
        pattern = str(node.expression.this)
        fits = spec is not None and spec.kind == "text" and node.expression.is_string and "\\" not in pattern
        return Like(Property(spec.name), pattern) if spec is not None and fits else None
    return None


def _whole(parts: Iterator[Filter | None]) -> tuple[Filter, ...] | None:
    found = tuple(parts)
    made = tuple(part for part in found if part is not None)
    return made if len(made) == len(found) else None


def _comparison(op: Any, column: Any, other: Any, alias: str, schema: SchemaDef) -> Filter | None:
    spec = _spec(column, alias, schema)
    value = None if spec is None else _value(other, spec, schema)
    return None if spec is None or value is None else Compare(op, Property(spec.name), Literal(value))


def _spec(node: Any, alias: str, schema: SchemaDef) -> FieldSpec | None:
    if isinstance(node, exp.Column) and node.table == alias:
        return schema.fields.get(node.name)
    return None


def _value(node: Any, spec: FieldSpec, schema: SchemaDef) -> Any:
    """The literal in the field's type; None where the engine's comparison is not surely the same."""
    if isinstance(node, exp.Cast) and isinstance(node.this, exp.Literal) and node.to.this == exp.DataType.Type.DATE:
        node = node.this if spec.kind == "date" else None
    if isinstance(node, exp.Neg) and isinstance(node.this, exp.Literal) and not node.this.is_string:
        value = _value(node.this, spec, schema)
        return None if value is None else -value
    if not isinstance(node, exp.Literal):
        return None
    text = str(node.this)
    if spec.kind == "text":
        return text if node.is_string and "\x00" not in text else None
    if spec.kind == "date":
        return _day(text) if node.is_string else None
    if spec.kind in {"integer", "decimal"} and not node.is_string:
        return _number(text, schema.arrow.field(spec.name).type)
    return None


def _day(text: str) -> date | None:
    try:
        return date.fromisoformat(text) if _DAY.fullmatch(text) else None
    except ValueError:
        return None


def _number(text: str, kind: Any) -> int | Decimal | None:
    """A number that the engine compares with this type exactly and without an error: its digits fit beside the column's own."""
    match = _NUMBER.fullmatch(text)
    if match is None:
        return None
    before, behind = (match[1] or "").lstrip("0"), match[2] or ""
    decimal = pa.types.is_decimal(kind)
    most_before = kind.precision - kind.scale if decimal else _WHOLE_DIGITS - 1
    most_behind = kind.scale if decimal else _WHOLE_DIGITS
    if len(before) > most_before or len(behind) > most_behind or not (before or behind or match[1]):
        return None
    try:
        number = exact_number(text)
    except NumberBeyond:
        return None
    integer = whole(number) if isinstance(number, Decimal) else number
    return number if integer is None else integer
