"""What a semantic type demands of one value, said once and read by Pydantic, JSON Schema, Arrow and the bulk checks.

Lives here: the rule classes. The rule codes live in `rules.py`, the types made of these classes in `types.py`.
"""

from __future__ import annotations

import datetime as dt
import re
from abc import ABC, abstractmethod
from collections.abc import Callable
from dataclasses import dataclass
from decimal import Decimal
from typing import Any, Literal

from pydantic import GetCoreSchemaHandler
from pydantic_core import CoreSchema, core_schema

from app.schemas.rules import rule_error

Kind = Literal[
    "text", "integer", "decimal", "number", "boolean", "date", "datetime", "list", "object", "geometry"
]  # fmt: skip
ValueCheck = Callable[[Any], str | None]
"""A function of one value that answers None (fine) or a code of `rules.RULES`."""

EARLIEST_DATE = dt.date(1800, 1, 1)
LATEST_DATE = dt.date(2199, 12, 31)
EARLIEST_TIME = dt.datetime(1800, 1, 1, tzinfo=dt.UTC)
LATEST_TIME = dt.datetime(2199, 12, 31, 23, 59, 59, 999999, tzinfo=dt.UTC)
MOST_INTEGER = 2**53 - 1
"""Integers go over the wire as JSON numbers, so they stay where every JSON reader is exact (RFC 8259, section 6)."""


def _holding(check: ValueCheck) -> Callable[[Any], Any]:
    def hold(value: Any) -> Any:
        code = check(value)
        if code is not None:
            raise rule_error(code)
        return value

    return hold


@dataclass(frozen=True, slots=True, kw_only=True)
class TypeRule(ABC):
    """What every rule has: the semantic name (`Nik`) and what the value is made of."""

    semantic: str
    kind: Kind = "text"

    @abstractmethod
    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of a value on the wire, bounded in every direction."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TextRule(TypeRule):
    """Text. With a `pattern` (ASCII by promise) the pattern alone says which characters; else `check` does."""

    max_length: int
    min_length: int = 1
    pattern: str | None = None
    enum: tuple[str, ...] | None = None
    check: ValueCheck | None = None

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        if self.enum is not None:
            return core_schema.literal_schema(list(self.enum))
        text = core_schema.str_schema(
            strict=True, min_length=self.min_length, max_length=self.max_length, pattern=self.pattern
        )
        if self.check is None:
            return text
        return core_schema.no_info_after_validator_function(_holding(self.check), text)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value on the wire."""
        if self.enum is not None:
            return {"type": "string", "enum": list(self.enum)}
        bounds: dict[str, Any] = {"type": "string", "minLength": self.min_length, "maxLength": self.max_length}
        return bounds | {"pattern": self.pattern or r"^[^\x00-\x08\x0b-\x1f\x7f-\x9f]*$"}


@dataclass(frozen=True, slots=True, kw_only=True)
class IntegerRule(TypeRule):
    """A whole number, inclusive bounds; floats and booleans are refused even when integral."""

    minimum: int
    maximum: int
    kind: Kind = "integer"

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.int_schema(strict=True, ge=self.minimum, le=self.maximum)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value on the wire."""
        width = "int32" if max(-self.minimum - 1, self.maximum) < 2**31 else "int64"
        return {"type": "integer", "format": width, "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True, kw_only=True)
class DecimalRule(TypeRule):
    """An exact number, text on the wire. Takes Decimal, int or plain text (`-12.50`), never a float.

    `whole_digits` digits before the point and `scale` behind it; trailing zeros do not count.
    """

    scale: int
    whole_digits: int = 18
    signed: bool = True
    kind: Kind = "decimal"

    @property
    def maximum(self) -> Decimal:
        """The largest value."""
        return Decimal(10**self.whole_digits) - Decimal(1).scaleb(-self.scale)

    @property
    def minimum(self) -> Decimal:
        """The smallest value."""
        return -self.maximum if self.signed else Decimal(0)

    @property
    def pattern(self) -> str:
        """The form of the value as text."""
        sign = "-?" if self.signed else ""
        return rf"^{sign}[0-9]{{1,{self.whole_digits}}}(\.[0-9]{{1,{self.scale}}})?$"

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        plain = re.compile(self.pattern, re.ASCII)

        def exact(value: Any) -> Any:
            if type(value) is int:
                return Decimal(value) if abs(value) < 10**self.whole_digits else Decimal(10**self.whole_digits)
            if type(value) is str and plain.fullmatch(value):
                return Decimal(value)
            return value

        number = core_schema.decimal_schema(
            strict=True, allow_inf_nan=False, ge=self.minimum, le=self.maximum, decimal_places=self.scale
        )
        return core_schema.no_info_before_validator_function(exact, number)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value on the wire."""
        longest = self.whole_digits + 1 + self.scale + int(self.signed)
        return {"type": "string", "format": "decimal", "maxLength": longest, "pattern": self.pattern}


@dataclass(frozen=True, slots=True, kw_only=True)
class NumberRule(TypeRule):
    """A measure or coordinate (IEEE 754 double), finite, inclusive bounds."""

    minimum: float
    maximum: float
    kind: Kind = "number"

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.float_schema(strict=True, allow_inf_nan=False, ge=self.minimum, le=self.maximum)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value on the wire."""
        return {"type": "number", "format": "double", "minimum": self.minimum, "maximum": self.maximum}


@dataclass(frozen=True, slots=True, kw_only=True)
class BooleanRule(TypeRule):
    """True or false; 0, 1 and words need a mapping step."""

    kind: Kind = "boolean"

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.bool_schema(strict=True)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value on the wire."""
        return {"type": "boolean"}


@dataclass(frozen=True, slots=True, kw_only=True)
class DateRule(TypeRule):
    """A calendar date, 1800 to 2199; ISO 8601 on the wire."""

    kind: Kind = "date"

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        return core_schema.date_schema(strict=True, ge=EARLIEST_DATE, le=LATEST_DATE)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value on the wire."""
        return {"type": "string", "format": "date", "maxLength": 10, "pattern": r"^[0-9]{4}-[0-9]{2}-[0-9]{2}$"}


def _utc(value: dt.datetime) -> dt.datetime:
    try:
        moment = value.astimezone(dt.UTC)
    except (OverflowError, ValueError):
        raise rule_error("out_of_range") from None
    if not EARLIEST_TIME <= moment <= LATEST_TIME:
        raise rule_error("out_of_range")
    return moment


@dataclass(frozen=True, slots=True, kw_only=True)
class DatetimeRule(TypeRule):
    """An instant with its zone, 1800 to 2199, kept in UTC with microseconds; RFC 3339 on the wire."""

    kind: Kind = "datetime"

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        aware = core_schema.datetime_schema(strict=True, tz_constraint="aware")
        return core_schema.no_info_after_validator_function(_utc, aware)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value on the wire."""
        pattern = r"^[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,6})?(Z|\+00:00)$"
        return {"type": "string", "format": "date-time", "maxLength": 32, "pattern": pattern}


@dataclass(frozen=True, slots=True, kw_only=True)
class ItemsRule(TypeRule):
    """A list of at most `max_items`; what an item must be is said by the item's own type."""

    max_items: int
    kind: Kind = "list"

    def __get_pydantic_core_schema__(self, source: Any, handler: GetCoreSchemaHandler) -> CoreSchema:
        inner = handler(source)
        if inner["type"] != "list":
            raise TypeError(f"{self.semantic}: ItemsRule stands on list[...] only")
        return core_schema.list_schema(inner.get("items_schema"), strict=True, max_length=self.max_items)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value on the wire."""
        return {"type": "array", "maxItems": self.max_items}


def _array(items: dict[str, Any], *, least: int, most: int) -> dict[str, Any]:
    return {"type": "array", "minItems": least, "maxItems": most, "items": items}


@dataclass(frozen=True, slots=True, kw_only=True)
class GeometryRule(TypeRule):
    """A GeoJSON Polygon or MultiPolygon as a dict (RFC 7946, CRS84: longitude, latitude)."""

    check: ValueCheck
    kind: Kind = "geometry"

    def __get_pydantic_core_schema__(self, _source: Any, _handler: GetCoreSchemaHandler) -> CoreSchema:
        document = core_schema.dict_schema(strict=True)
        return core_schema.no_info_after_validator_function(_holding(self.check), document)

    def json_schema(self) -> dict[str, Any]:
        """JSON Schema of the value on the wire."""
        position = _array({"type": "number", "format": "double", "minimum": -180, "maximum": 180}, least=2, most=2)
        ring = _array(position, least=4, most=100_000)
        coordinates = _array(_array({"anyOf": [position, ring]}, least=1, most=100_000), least=1, most=10_000)
        kinds = {"type": "string", "enum": ["Polygon", "MultiPolygon"]}
        return {
            "type": "object",
            "required": ["type", "coordinates"],
            "additionalProperties": False,
            "properties": {"type": kinds, "coordinates": coordinates},
        }
