"""The filter tree evaluated on one record: the residual that always re-runs, and the yardstick for every pushdown.

Text compares by code points (the same order as binary UTF-8), numbers exactly (int, Decimal and float mixed), null makes
a comparison unknown.
"""

from __future__ import annotations

import operator
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from app.connectors.filters import (
    And,
    CaseFold,
    Compare,
    Filter,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Operand,
    Or,
    Property,
)
from app.connectors.like import compile_like

Predicate = Callable[[Mapping[str, Any]], "bool | None"]
Getter = Callable[[Mapping[str, Any]], Any]

COMPARISONS: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "<>": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
}


def compile_predicate(node: Filter) -> Predicate:
    """A function record -> True, False or None (unknown). Only True keeps a record."""
    match node:
        case Compare(op, left, right):
            return _compare(op, left, right)
        case In(operand, values):
            return _in(operand, values)
        case Like(operand, pattern):
            return _like(operand, pattern)
        case IsNull(prop):
            name = prop.name
            return lambda record: record.get(name) is None
        case And(parts):
            return _and([compile_predicate(part) for part in parts])
        case Or(parts):
            return _or([compile_predicate(part) for part in parts])
        case Not(part):
            return _not(compile_predicate(part))


def fold_operand(value: Any) -> Any:
    """The value as CASEI sees it."""
    return value.casefold() if isinstance(value, str) else value


def exact(value: Any) -> Any:
    """A binary float stands for its shortest decimal text, which is what its source shows and a filter writes."""
    return Decimal(repr(value)) if type(value) is float else value


def literal_value(operand: Operand) -> Any:
    """The value of an operand that holds no property."""
    if isinstance(operand, Literal):
        return exact(operand.value)
    if isinstance(operand, CaseFold):
        return fold_operand(literal_value(operand.operand))
    raise TypeError(f"{operand!r} is not a literal")


def is_literal(operand: Operand) -> bool:
    """True when no property stands in the operand."""
    while isinstance(operand, CaseFold):
        operand = operand.operand
    return isinstance(operand, Literal)


def _getter(operand: Operand) -> Getter:
    if isinstance(operand, Property):
        name = operand.name
        return lambda record: exact(record.get(name))
    if isinstance(operand, Literal):
        value = exact(operand.value)
        return lambda _record: value
    inner = _getter(operand.operand)
    return lambda record: fold_operand(inner(record))


def _compare(op: str, left: Operand, right: Operand) -> Predicate:
    compare = COMPARISONS[op]
    if isinstance(left, Property) and is_literal(right):
        name, value = left.name, literal_value(right)

        def against_literal(record: Mapping[str, Any]) -> bool | None:
            found = record.get(name)
            return None if found is None else compare(exact(found), value)

        return against_literal
    get_left, get_right = _getter(left), _getter(right)

    def against(record: Mapping[str, Any]) -> bool | None:
        one, other = get_left(record), get_right(record)
        return None if one is None or other is None else compare(one, other)

    return against


def _in(operand: Operand, values: tuple[Literal | CaseFold, ...]) -> Predicate:
    get = _getter(operand)
    wanted = frozenset(literal_value(value) for value in values)

    def among(record: Mapping[str, Any]) -> bool | None:
        found = get(record)
        return None if found is None else found in wanted

    return among


def _like(operand: Operand, pattern: str) -> Predicate:
    get = _getter(operand)
    matches = compile_like(pattern)

    def like(record: Mapping[str, Any]) -> bool | None:
        found = get(record)
        return None if found is None else matches(found)

    return like


def _and(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]

    def every(record: Mapping[str, Any]) -> bool | None:
        answer: bool | None = True
        for part in parts:
            held = part(record)
            if held is False:
                return False
            if held is None:
                answer = None
        return answer

    return every


def _or(parts: list[Predicate]) -> Predicate:
    if len(parts) == 1:
        return parts[0]

    def some(record: Mapping[str, Any]) -> bool | None:
        answer: bool | None = False
        for part in parts:
            held = part(record)
            if held is True:
                return True
            if held is None:
                answer = None
        return answer

    return some


def _not(part: Predicate) -> Predicate:
    def negated(record: Mapping[str, Any]) -> bool | None:
        held = part(record)
        return None if held is None else not held

    return negated
