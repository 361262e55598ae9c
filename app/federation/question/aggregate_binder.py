"""From an aggregate as it was written to an `Aggregation`: names, functions, types, each fault with its pointer."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import FieldError, ValidationFailed
from app.federation.question.aggregation import Aggregation, Function, Measure
from app.federation.question.binder import unknown_field
from app.filters.cql2.parse import parse_json, parse_text
from app.filters.tree import Filter, properties
from app.schemas.registry import SchemaDef

MOST_MEASURES = 50
MOST_GROUP_FIELDS = 10
_NUMBERS = frozenset({"integer", "decimal", "number"})
_NO_VALUES = frozenset({"list", "object", "geometry"})
MEASURES_RULE = f"a list of 1 to {MOST_MEASURES} aggregates"


@dataclass(frozen=True, slots=True)
class RawMeasure:
    """A measure as it was written; `name` None: made of function and field."""

    function: Function
    field: str | None = None
    name: str | None = None


def bind_aggregation(
    schema: SchemaDef, group_by: Sequence[str], measures: Sequence[RawMeasure], having: str | dict[str, Any] | None
) -> Aggregation:
    """The bound aggregation; raises `ValidationFailed` or `FieldUnknown`."""
    groups = _groups(schema, group_by)
    if not measures:
        raise _fault("/aggregates", "count", MEASURES_RULE)
    bound = tuple(_measure(schema, given, f"/aggregates/{index}") for index, given in enumerate(measures))
    names = [*groups, *(found.name for found in bound)]
    for name in names:
        if names.count(name) > 1:
            raise _fault("/aggregates", "name_taken", f"two members of the answer would be called {name}; use `as`")
    return Aggregation(bound, groups, _having(having, names))


def aggregation_structure(asked: Aggregation) -> str:
    """The aggregation for the log; it holds names only."""
    measures = ",".join(f"{found.function}({found.field or '*'})" for found in asked.measures)
    parts = [f"aggregate={measures}"]
    if asked.group_by:
        parts.append(f"group_by={','.join(asked.group_by)}")
    return " ".join([*parts, "having=?"] if asked.having is not None else parts)


def _groups(schema: SchemaDef, given: Sequence[str]) -> tuple[str, ...]:
    for index, name in enumerate(given):
        spec = schema.fields.get(name)
        if spec is None:
            raise unknown_field(schema, name, f"/group_by/{index}")
        if spec.kind in _NO_VALUES:
            raise _fault(f"/group_by/{index}", "kind", f"{name} is a {spec.kind}: records cannot be grouped by it")
    return tuple(dict.fromkeys(given))


def _measure(schema: SchemaDef, given: RawMeasure, pointer: str) -> Measure:
    function, field, name = given.function, given.field, given.name
    if field is None and function != "count":
        raise _fault(f"{pointer}/field", "missing", f"{function} needs a field; only count goes without")
    if field is not None:
        spec = schema.fields.get(field)
        if spec is None:
            raise unknown_field(schema, field, f"{pointer}/field")
        if spec.kind in _NO_VALUES and function != "count":
            raise _fault(f"{pointer}/field", "kind", f"{field} is a {spec.kind}: only count takes it")
        if function in {"sum", "avg"} and spec.kind not in _NUMBERS:
            raise _fault(f"{pointer}/field", "kind", f"{field} is {spec.kind}: {function} takes numbers")
    if name is None:
        name = function if field is None else f"{function}_{field}"
    return Measure(function, field, name)


def _having(given: str | dict[str, Any] | None, names: Sequence[str]) -> Filter | None:
    if given is None:
        return None
    tree = parse_json(given) if isinstance(given, dict) else parse_text(given)
    unknown = sorted(properties(tree) - set(names))
    if unknown:
        raise _fault("/having", "field_unknown", f"{unknown[0][:100]} is no member of the answer: {', '.join(names)}")
    return tree


def _fault(pointer: str, code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(detail, errors=[FieldError(pointer, code, detail)])
