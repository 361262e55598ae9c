"""Records on the wire: their values as orjson takes them. Their JSON Schema lives in `json_schema.py`."""

from __future__ import annotations

import datetime as dt
from collections.abc import Callable
from decimal import Decimal
from functools import cache
from typing import Any, Final

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from app.schemas.arrow import decimal_text
from app.schemas.base import SharedPart, field_specs

_SPECIAL: Final = r'[\x00-\x1f"\\]'
"""What JSON escapes."""


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


def wire_texts(column: Any) -> Any:
    """The values of an Arrow column on the wire as JSON texts: those of `wire_value`, an Arrow column of strings without nulls."""
    kind = column.type
    if pa.types.is_string(kind):
        quoted: Any = pc.binary_join_element_wise('"', column, '"', "")
        special = pc.fill_null(pc.match_substring_regex(column, _SPECIAL), pa.scalar(False))  # noqa: FBT003 - Arrow has no other way
        if pc.any(special).as_py():
            quoted = pc.replace_with_mask(quoted, special, pa.array(_dumped(column.filter(special)), pa.string()))
        return quoted.fill_null("null")
    if pa.types.is_integer(kind) or pa.types.is_floating(kind) or pa.types.is_boolean(kind):
        plain = orjson.dumps(column.to_pylist())[1:-1].decode()
        return pa.array(plain.split(",") if plain else [], pa.string())
    return pa.array(_dumped(column), pa.string())


def _dumped(column: Any) -> list[str]:
    return [orjson.dumps(wire_value(value)).decode() for value in column.to_pylist()]
