"""What Pydantic finds wrong with a document, in the words of the API: `errors[].code` of every body and manifest."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final, get_args

from pydantic import BaseModel

_CODES: Final = {
    "missing": "missing",
    "extra_forbidden": "unknown",
    "literal_error": "choice",
    "enum": "choice",
    "string_pattern_mismatch": "pattern",
    "string_too_short": "length",
    "string_too_long": "length",
    "too_short": "count",
    "too_long": "count",
    "greater_than": "range",
    "greater_than_equal": "range",
    "less_than": "range",
    "less_than_equal": "range",
    "finite_number": "range",
    "value_error": "value",
}

CODES: Final = {
    "missing": "a member that is needed is not there",
    "unknown": "no member has this name; `detail` lists those there are",
    "type": "a value of another type (nothing is converted), a text that is no day, or a null where none may stand",
    "choice": "none of the words that may stand here",
    "pattern": "a text that is not formed as it must be",
    "length": "a text that is too short or too long",
    "count": "a list with too few or too many items",
    "range": "a number that is too small or too large",
    "value": "a value that does not go with the others, as `detail` says",
}
"""What each code tells. Members with rules of their own (`filter_malformed`, `field_unknown`) have further ones."""


def fault_code(kind: str) -> str:
    """The code of one of Pydantic's error types. All that is not in the table is a value of another type."""
    return _CODES.get(kind, "type")


def model_at(model: type[BaseModel], path: Iterable[str]) -> type[BaseModel]:
    """The model that stands at a path, for the names that it knows. Numbers of a list lead nowhere else."""
    for step in path:
        info = model.model_fields.get(step)
        if info is None:
            if step.isdigit():
                continue
            return model
        inside = [info.annotation, *get_args(info.annotation)]
        model = next((part for part in inside if isinstance(part, type) and issubclass(part, BaseModel)), model)
    return model


def members_of(model: type[BaseModel]) -> list[str]:
    """The names of a model's members as they are written."""
    return [info.alias or name for name, info in model.model_fields.items()]
