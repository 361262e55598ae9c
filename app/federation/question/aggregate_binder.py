"""From an aggregate as it was written to an `Aggregation`: names, functions, types, each fault with its pointer."""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from typing import Any, get_args

from app.errors import FieldError, ValidationFailed
from app.federation.question.aggregation import Aggregation, Function, Measure
from app.federation.question.binder import unknown_field
from app.filters.cql2.parse import parse_json, parse_text
from app.filters.tree import Filter, properties
from app.schemas.registry import SchemaDef

MOST_MEASURES = 50
MOST_GROUP_FIELDS = 10
FUNCTIONS: tuple[str, ...] = get_args(Function)
_NUMBERS = frozenset({"integer", "decimal", "number"})
_NO_VALUES = frozenset({"list", "object", "geometry"})
_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")


def bind_aggregation(schema: SchemaDef, group_by: Any, measures: Any, having: Any) -> Aggregation:
    """The bound aggregation; raises `ValidationFailed` or `FieldUnknown`."""
    groups = _groups(schema, group_by)
    if not isinstance(measures, list) or not 0 < len(measures) <= MOST_MEASURES:
        raise _fault("/aggregates", "count", f"a list of 1 to {MOST_MEASURES} aggregates")
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


def _groups(schema: SchemaDef, given: Any) -> tuple[str, ...]:
    if given is None:
        return ()
    if not isinstance(given, list) or len(given) > MOST_GROUP_FIELDS or not all(isinstance(one, str) for one in given):
        raise _fault("/group_by", "type", f"a list of at most {MOST_GROUP_FIELDS} fields")
    for index, name in enumerate(given):
        spec = schema.fields.get(name)
        if spec is None:
            raise unknown_field(schema, name, f"/group_by/{index}")
        if spec.kind in _NO_VALUES:
            raise _fault(f"/group_by/{index}", "kind", f"{name} is a {spec.kind}: records cannot be grouped by it")
    return tuple(dict.fromkeys(given))


def _measure(schema: SchemaDef, given: Any, pointer: str) -> Measure:
    if not isinstance(given, Mapping) or set(given) - {"function", "field", "as"}:
        raise _fault(pointer, "type", "an object of function, field and as")
    function, field, name = given.get("function"), given.get("field"), given.get("as")
    if function not in FUNCTIONS:
        raise _fault(f"{pointer}/function", "choice", f"one of {', '.join(FUNCTIONS)}")
    if field is None and function != "count":
        raise _fault(f"{pointer}/field", "missing", f"{function} needs a field; only count goes without")
    if field is not None:
        spec = schema.fields.get(field) if isinstance(field, str) else None
        if spec is None:
            raise unknown_field(schema, str(field), f"{pointer}/field")
        if spec.kind in _NO_VALUES and function != "count":
            raise _fault(f"{pointer}/field", "kind", f"{field} is a {spec.kind}: only count takes it")
        if function in {"sum", "avg"} and spec.kind not in _NUMBERS:
            raise _fault(f"{pointer}/field", "kind", f"{field} is {spec.kind}: {function} takes numbers")
    if name is None:
        name = function if field is None else f"{function}_{field}"
    if not isinstance(name, str) or not _NAME.fullmatch(name):
        raise _fault(f"{pointer}/as", "pattern", "a lower-case letter, then at most 62 of a-z, 0-9 and _")
    return Measure(function, field, name)


def _having(given: Any, names: Sequence[str]) -> Filter | None:
    if given is None:
        return None
    if not isinstance(given, str | dict):
        raise _fault("/having", "type", "CQL2 as text or as a JSON object")
    tree = parse_json(given) if isinstance(given, dict) else parse_text(given)
    unknown = sorted(properties(tree) - set(names))
    if unknown:
        raise _fault("/having", "field_unknown", f"{unknown[0][:100]} is no member of the answer: {', '.join(names)}")
    return tree


def _fault(pointer: str, code: str, detail: str) -> ValidationFailed:
    return ValidationFailed(detail, errors=[FieldError(pointer, code, detail)])
