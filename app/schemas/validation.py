"""One row against its model: the record, or what is wrong with each field. No value ever appears in what is said."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, cast

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from app.schemas.base import SharedSchema
from app.schemas.definition import SchemaDef
from app.schemas.rules import RULES

_NAME = re.compile(r"[a-z][a-z0-9_]{0,62}")
_RULE_OF = {
    "missing": "missing",
    "extra_forbidden": "unknown_field",
    "string_too_short": "too_short",
    "string_too_long": "too_long",
    "string_pattern_mismatch": "pattern",
    "string_unicode": "not_unicode",
    "literal_error": "not_in_list",
    "greater_than_equal": "out_of_range",
    "less_than_equal": "out_of_range",
    "decimal_max_places": "too_precise",
    "decimal_max_digits": "out_of_range",
    "finite_number": "not_finite",
    "timezone_aware": "zone_missing",
    "too_long": "too_many",
}
"""Pydantic's error types as rule codes. Our own errors carry their code; all the rest is `wrong_type`."""


@dataclass(frozen=True, slots=True)
class RowFailure:
    """One rule that one field of a row breaks. For lists, `detail` starts with the path inside (`0.rupiah: …`)."""

    field: str
    rule: str
    detail: str


def validate_row(schema: SchemaDef, values: Mapping[str, Any]) -> tuple[SharedSchema | None, list[RowFailure]]:
    """The record of the values, or None and every failure found (at least one). Never raises for bad values."""
    try:
        record = schema.model.__pydantic_validator__.validate_python(values)
    except ValidationError as fault:
        return None, list(failures_of(fault))
    return cast("SharedSchema", record), []


def valid_values(schema: SchemaDef, rows: Iterable[Mapping[str, Any] | None]) -> Iterator[dict[str, Any] | None]:
    """The values of each row as its record has them; None for a row that is no record, and for None."""
    validate = schema.model.__pydantic_validator__.validate_python
    for row in rows:
        try:
            yield None if row is None else validate(row).__dict__
        except ValidationError:
            yield None


def failures_of(fault: ValidationError, field: str = "") -> Iterator[RowFailure]:
    """The failures inside a Pydantic error; `field` names the column when the value alone was validated."""
    for error in fault.errors(include_url=False):
        rule = rule_of(error)
        path = (field, *error["loc"]) if field else error["loc"]
        if rule == "unknown_field" and (len(path) > 1 or not _NAME.fullmatch(str(path[0]))):
            path = path[:-1]  # the name of an unknown member is a value of the source
        own = error.get("ctx", {}).get("field")
        name = str(path[0]) if path else str(own or "")
        inside = ".".join(str(step) for step in path[1:])
        yield RowFailure(name, rule, f"{inside}: {_detail(rule, error)}" if inside else _detail(rule, error))


def rule_of(error: ErrorDetails) -> str:
    """The rule code of one Pydantic error; a null where a value is required is `missing`, whatever the type."""
    kind = error["type"]
    if kind in RULES and kind not in _RULE_OF:
        return kind
    if error["input"] is None:
        return "missing"
    return _RULE_OF.get(kind, "wrong_type")


def _detail(rule: str, error: ErrorDetails) -> str:
    """The text of the rule, with the bound that was crossed where there is one. Bounds come from the schema alone."""
    context = error.get("ctx", {})
    for name in ("max_length", "min_length", "pattern", "expected", "ge", "le", "decimal_places"):
        if name in context:
            return f"{RULES[rule]} ({name}: {context[name]})"
    return RULES[rule]
