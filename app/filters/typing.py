"""A parsed filter against a schema: every literal gets its field's type, every field its kind, every misfit its name.

Nothing is rounded or turned into text: a number for a text field is refused.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from dataclasses import replace
from datetime import UTC, date, datetime, time
from decimal import Decimal
from typing import Any, NoReturn

from app.errors import FieldError, OperatorUnsupported, TypeMismatch
from app.filters.tree import (
    AccentFold,
    And,
    Arithmetic,
    CaseFold,
    Compare,
    DayLiteral,
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
    inside,
)
from app.schemas.base import FieldSpec
from app.schemas.registry import SchemaDef

_NOT_COMPARABLE = frozenset({"list", "object", "geometry"})
_NUMBERS = frozenset({"integer", "decimal", "number"})


def typed(schema: SchemaDef, node: Filter) -> Filter:
    """The same tree with every literal in its field's type."""
    match node:
        case Compare(op, left, right):
            spec = _type_of(schema, (left, right))
            listed = op in ("=", "<>") and isinstance(left, Property)
            return Compare(op, _operand(spec, left), _operand(spec, right, listed=listed))
        case In(operand, values):
            spec = _type_of(schema, (operand,))
            listed = isinstance(operand, Property)
            return In(_operand(spec, operand), tuple(_literal(spec, value, listed=listed) for value in values))
        case Like(operand, pattern):
            spec = _type_of(schema, (operand,))
            if spec is not None and spec.kind != "text":
                mismatch(spec, "LIKE compares text")
            return Like(operand, pattern)
        case Intersects(coordinates, geometry):
            return Intersects(_coordinates(schema, coordinates[0].name), geometry)
        case IsNull(prop):
            if prop.name not in schema.fields:
                _refuse_field(schema, prop.name)
            return node
        case And(parts):
            return And(tuple(typed(schema, part) for part in parts))
        case Or(parts):
            return Or(tuple(typed(schema, part) for part in parts))
        case Not(part):
            return Not(typed(schema, part))


def typed_value(spec: FieldSpec, value: Any, *, listed: bool = True) -> Any:
    """The literal in the field's type. A number for a text field is refused, never turned into text."""
    kind = spec.kind
    if kind == "text":
        if not isinstance(value, str):
            mismatch(spec, "it is text: write the value in quotes")
        return _listed(spec, value) if listed else value
    if kind == "boolean":
        if not isinstance(value, bool):
            mismatch(spec, "it is true or false")
        return value
    if kind in _NUMBERS:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            mismatch(spec, "it is a number: write the value without quotes")
        return value
    return _date(spec, value) if kind == "date" else _moment(spec, value)


def mismatch(spec: FieldSpec, rule: str, pointer: str = "filter") -> NoReturn:
    """Refuses a value or operator that does not fit the field."""
    detail = f"{spec.name}: {rule}"
    raise TypeMismatch(detail, errors=[FieldError(pointer, "type_mismatch", detail)], field=spec.name)


def _type_of(schema: SchemaDef, operands: Iterable[Operand]) -> FieldSpec | None:
    """The field that gives a comparison its type; all fields in it must be of one family."""
    specs: list[FieldSpec] = []
    for operand in operands:
        for part in inside(operand):
            if isinstance(part, Property):
                spec = schema.fields.get(part.name)
                if spec is None:
                    _refuse_field(schema, part.name)
                if spec.kind in _NOT_COMPARABLE:
                    detail = f"{part.name} is a {spec.kind}: only IS NULL can be asked of it"
                    raise OperatorUnsupported(detail, field=part.name)
                specs.append(spec)
        if specs:
            _check_inside(specs[-1], operand)
    if not specs and any(
        isinstance(part, Arithmetic | CaseFold | AccentFold) for one in operands for part in inside(one)
    ):
        _no_field()
    for spec in specs[1:]:
        if _family(spec) != _family(specs[0]):
            mismatch(specs[0], f"it cannot be compared with {spec.name}")
    return specs[0] if specs else None


def _check_inside(spec: FieldSpec, operand: Operand) -> None:
    """What stands around a field fits it: CASEI and ACCENTI around text, arithmetic around numbers."""
    for part in inside(operand):
        if isinstance(part, CaseFold | AccentFold) and spec.kind != "text":
            mismatch(spec, "CASEI and ACCENTI take text")
        if isinstance(part, Arithmetic) and spec.kind not in _NUMBERS:
            mismatch(spec, "arithmetic takes numbers")


def _no_field() -> NoReturn:
    detail = "a calculation or CASEI needs a field of the schema on one side of the comparison"
    raise TypeMismatch(detail, errors=[FieldError("filter", "type_mismatch", detail)])


def _refuse_field(schema: SchemaDef, name: str) -> NoReturn:
    detail = f"{name} is a place: ask S_INTERSECTS({name}, BBOX(west, south, east, north))"
    if name not in schema.coordinates:
        detail = f"{schema.name} has no field {name[:100]!r}"
    raise OperatorUnsupported(detail, field=name[:100])


def _coordinates(schema: SchemaDef, name: str) -> tuple[Property, ...]:
    """The fields that hold the coordinates, longitude first."""
    fields = schema.coordinates.get(name)
    if fields is None:
        known = ", ".join(schema.coordinates) or "none in this schema"
        detail = f"{name[:100]} is no place; places that S_INTERSECTS can be asked of: {known}"
        raise OperatorUnsupported(
            detail, errors=[FieldError("filter", "operator_unsupported", detail)], field=name[:100]
        )
    return tuple(Property(field) for field in fields)


def _family(spec: FieldSpec) -> str:
    return "number" if spec.kind in _NUMBERS else spec.kind


def _operand(spec: FieldSpec | None, operand: Operand, *, listed: bool = False) -> Operand:
    match operand:
        case CaseFold(part):
            return CaseFold(_operand(spec, part))
        case AccentFold(part):
            return AccentFold(_operand(spec, part))
        case Arithmetic(op, left, right):
            return Arithmetic(op, _operand(spec, left), _operand(spec, right))
        case Literal():
            return _literal(spec, operand, listed=listed)
        case Property():
            return operand


def _literal(spec: FieldSpec | None, literal: Literal, *, listed: bool) -> Literal:
    if isinstance(literal, DayLiteral):
        if spec is not None and spec.kind == "datetime" and not isinstance(literal.value, datetime):
            return Literal(_edge(literal))
        literal = Literal(literal.value)
    return literal if spec is None else replace(literal, value=typed_value(spec, literal.value, listed=listed))


def _edge(literal: DayLiteral) -> datetime:
    """The first or the last moment of a day in UTC."""
    day = literal.value
    if not isinstance(day, date):
        raise TypeError("a day is a date")
    return datetime.combine(day, time.max if literal.last else time.min, UTC)


def _date(spec: FieldSpec, value: Any) -> date:
    if isinstance(value, datetime):
        mismatch(spec, "it is a date without a time: DATE('2026-11-20')")
    if isinstance(value, date):
        return value
    try:
        return date.fromisoformat(value)
    except (TypeError, ValueError):
        mismatch(spec, "it is a date: DATE('2026-11-20')")


def _moment(spec: FieldSpec, value: Any) -> datetime:
    if isinstance(value, str):
        try:
            value = datetime.fromisoformat(value.replace(" ", "+"))
        except ValueError:
            value = None
    if not isinstance(value, datetime) or value.tzinfo is None:
        mismatch(spec, "it is a time with zone: TIMESTAMP('2026-11-20T08:00:00Z')")
    return value.astimezone(UTC)


def _listed(spec: FieldSpec, value: str) -> str:
    """A value outside the field's list would never match anything: that is told, not answered with nothing."""
    if spec.enum is not None and value not in spec.enum:
        near = difflib.get_close_matches(value[:100], spec.enum, n=1)
        hint = f"; did you mean {near[0]}?" if near else ""
        mismatch(spec, f"one of {', '.join(spec.enum)}{hint}")
    return value
