"""The filter tree evaluated on one record: the residual that always re-runs, and the yardstick for every pushdown.

Text compares by code points (the same order as binary UTF-8), numbers exactly (int, Decimal and float mixed), null makes
a comparison unknown.
"""

from __future__ import annotations

import operator
import unicodedata
from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal, localcontext
from typing import Any

from app.filters.like import compile_like
from app.filters.tree import (
    AccentFold,
    And,
    Arithmetic,
    CaseFold,
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
        case In(operand):
            return _in(operand, node.plain)
        case Like(operand, pattern):
            return _like(operand, pattern)
        case IsNull(prop):
            name = prop.name
            return lambda record: record.get(name) is None
        case Intersects(coordinates, geometry):
            return _intersects(coordinates, geometry)
        case And(parts):
            return _and([compile_predicate(part) for part in parts])
        case Or(parts):
            return _or([compile_predicate(part) for part in parts])
        case Not(part):
            return _not(compile_predicate(part))


def fold_case(value: Any) -> Any:
    """The value as CASEI sees it."""
    return value.casefold() if isinstance(value, str) else value


def fold_accents(value: Any) -> Any:
    """The value as ACCENTI sees it: decomposed, combining marks taken off, composed again."""
    if not isinstance(value, str) or value.isascii():
        return value
    bare = "".join(char for char in unicodedata.normalize("NFD", value) if unicodedata.category(char) != "Mn")
    return unicodedata.normalize("NFC", bare)


def exact(value: Any) -> Any:
    """A binary float stands for its shortest decimal text, which is what its source shows and a filter writes."""
    return Decimal(repr(value)) if type(value) is float else value


def calculate(op: str, left: Any, right: Any) -> Decimal | None:
    """Arithmetic of 60 digits; null where an operand is null, a divisor zero or the result beyond every number."""
    if left is None or right is None:
        return None
    with localcontext(_CALCULATION):
        one, other = Decimal(left), Decimal(right)
        result = +_OPERATIONS[op](one, other)
    return result if result.is_finite() else None


def _divided(one: Decimal, other: Decimal) -> Decimal:
    return one // other


_CALCULATION = Context(prec=60, Emax=9999, Emin=-9999, traps=[])
_OPERATIONS: dict[str, Callable[[Decimal, Decimal], Decimal]] = {
    "+": operator.add,
    "-": operator.sub,
    "*": operator.mul,
    "/": operator.truediv,
    "%": operator.mod,
    "div": _divided,
    "^": operator.pow,
}


def _getter(operand: Operand) -> Getter:
    match operand:
        case Property(name):
            return lambda record: exact(record.get(name))
        case Literal():
            value = exact(operand.value)
            return lambda _record: value
        case CaseFold(part):
            folded = _getter(part)
            return lambda record: fold_case(folded(record))
        case AccentFold(part):
            bare = _getter(part)
            return lambda record: fold_accents(bare(record))
        case Arithmetic(op, left, right):
            one, other = _getter(left), _getter(right)
            return lambda record: calculate(op, one(record), other(record))


def _compare(op: str, left: Operand, right: Operand) -> Predicate:
    compare = COMPARISONS[op]
    if isinstance(left, Property) and isinstance(right, Literal):
        name, value = left.name, exact(right.value)

        def against_literal(record: Mapping[str, Any]) -> bool | None:
            found = record.get(name)
            return None if found is None else compare(exact(found), value)

        return against_literal
    get_left, get_right = _getter(left), _getter(right)

    def against(record: Mapping[str, Any]) -> bool | None:
        one, other = get_left(record), get_right(record)
        return None if one is None or other is None else compare(one, other)

    return against


def _in(operand: Operand, values: Sequence[Any]) -> Predicate:
    get = _getter(operand)
    wanted = frozenset(map(exact, values))

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


def _intersects(coordinates: tuple[Property, ...], geometry: str) -> Predicate:
    from app.filters import geometry as geometries  # noqa: PLC0415 - GEOS and numpy are loaded by the first question about coordinates

    if len(coordinates) == 1:
        name = coordinates[0].name
        meets = geometries.meets_geometry(geometry)

        def area(record: Mapping[str, Any]) -> bool | None:
            found = record.get(name)
            return None if found is None else meets(found)

        return area
    lng_name, lat_name = (prop.name for prop in coordinates)
    holds = geometries.meets_point(geometry)

    def point(record: Mapping[str, Any]) -> bool | None:
        lng, lat = record.get(lng_name), record.get(lat_name)
        return None if lng is None or lat is None else holds(float(lng), float(lat))

    return point


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
