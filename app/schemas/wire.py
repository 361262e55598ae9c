"""Records on the wire: their values as orjson takes them. Their JSON Schema lives in `json_schema.py`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any

from app.schemas.arrow import decimal_text
from app.schemas.base import SharedPart, field_specs


def wire_values(record: SharedPart) -> dict[str, Any]:
    """The values of a record as they leave: decimals as text, nested objects as dicts; dates and times stay for orjson.

    A flat record without decimals costs one dict copy.
    """
    values = record.__dict__.copy()
    for name, convert in _conversions(type(record)):
        value = values[name]
        if value is not None:
            values[name] = convert(value)
    return values


@cache
def _conversions(model: type[SharedPart]) -> tuple[tuple[str, Callable[[Any], Any]], ...]:
    found: list[tuple[str, Callable[[Any], Any]]] = []
    for name, spec in field_specs(model).items():
        if spec.kind == "decimal":
            found.append((name, decimal_text))
        elif spec.kind == "object":
            found.append((name, wire_values))
        elif spec.item_kind == "object":
            found.append((name, _wire_parts))
    return tuple(found)


def _wire_parts(parts: list[SharedPart]) -> list[dict[str, Any]]:
    return [wire_values(part) for part in parts]


def wire_value(value: Any) -> Any:
    """A Python value as JSON has it: decimals and times as text, containers alike inside."""
    match value:
        case Decimal():
            return decimal_text(value)
        case dt.datetime():
            return value.astimezone(dt.UTC).isoformat().replace("+00:00", "Z")
        case dt.date():
            return value.isoformat()
        case list():
            return [wire_value(item) for item in value]
        case dict():
            return {name: wire_value(item) for name, item in value.items()}
        case _:
            return value
