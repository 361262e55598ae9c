"""Synthetic values: one for a field and a number, made of the field's type, bounds and example. The same each time."""

from __future__ import annotations

import datetime as dt
import re
from collections.abc import Callable, Mapping
from decimal import Decimal, InvalidOperation
from typing import Any, Final

from app.schemas.base import FieldSpec
from app.schemas.constraints import DecimalRule, IntegerRule, NumberRule, TextRule

REGION: Final = "33.20.99"
"""A kecamatan that does not exist: all that is invented lies there."""
_VILLAGES: Final = 20
_DIGITS: Final = re.compile(r"[0-9]+")
_WEST, _SOUTH = 110.60, -6.60
_STEP = 0.001


def village(number: int) -> str:
    """A desa of the invented kecamatan."""
    return f"{REGION}.{2001 + number}"


def nik(number: int) -> str:
    """The number of an invented person, born on 1 January 1990."""
    return f"{REGION.replace('.', '')}010190{number + 1:04d}"


def candidates(spec: FieldSpec, number: int, *, distinct: bool = False) -> list[Any]:
    """Values that the field may have in the record of this number, the likeliest first. `distinct`: another one for each number."""
    semantic = _BY_SEMANTIC.get(spec.semantic)
    if semantic is not None:
        return semantic(number, distinct)
    if spec.example is None and not spec.required and not distinct:
        return [None]
    return _BY_KIND[spec.kind](spec, number, distinct)


def _regions(number: int, distinct: bool) -> list[Any]:
    return [village(number)] if distinct else [village(number % _VILLAGES), REGION]


def _names(number: int, _distinct: bool) -> list[Any]:
    return ["Siti Contoh Aminah" if number == 0 else f"Contoh Nama {number + 1}"]


_BY_SEMANTIC: Final[Mapping[str, Callable[[int, bool], list[Any]]]] = {
    "KodeWilayah": _regions,
    "KodeWilayahAtauAsal": _regions,
    "Nik": lambda number, _distinct: [nik(number)],
}


def _text(spec: FieldSpec, number: int, distinct: bool) -> list[Any]:
    rule, example = spec.rule, str(spec.example or "contoh")
    if isinstance(rule, TextRule) and rule.enum is not None:
        at = rule.enum.index(example) if example in rule.enum else 0
        return [rule.enum[(at + number) % len(rule.enum)], rule.enum[at], *rule.enum]
    counted = [_counted(example, number, first=first) for first in (False, True)]
    if spec.semantic == "Nama":
        return _names(number, distinct) if example.startswith("Contoh") else [f"{example} (contoh {number + 1})"]
    plain = [example] if not distinct else []
    if isinstance(rule, TextRule) and rule.pattern is not None:
        return [*counted, f"{example}_{number + 1}", *plain]
    return [*plain, f"{example}-{number + 1}", *counted]


def _counted(example: str, number: int, *, first: bool) -> str:
    """The example with its last (or first) number counted on, in as many digits; an example that has none has none."""
    runs = list(_DIGITS.finditer(example))
    if not runs:
        return example
    run = runs[0 if first else -1]
    width = len(run[0])
    shown = str((int(run[0]) + number) % 10**width).zfill(width)
    return example[: run.start()] + shown + example[run.end() :]


def _integer(spec: FieldSpec, number: int, distinct: bool) -> list[Any]:
    rule, example = spec.rule, spec.example if isinstance(spec.example, int) else 0
    least, most = (rule.minimum, rule.maximum) if isinstance(rule, IntegerRule) else (0, 100)
    counted = [value for value in (example + number, example - number) if least <= value <= most]
    return counted if distinct else [*counted, least + number % (most - least + 1), example]


def _decimal(spec: FieldSpec, number: int, _distinct: bool) -> list[Any]:
    try:
        example = Decimal(str(spec.example))
    except InvalidOperation:
        example = Decimal(0)
    rule = spec.rule
    most = rule.maximum if isinstance(rule, DecimalRule) else example
    return [min(example + number, most), example]


def _number(spec: FieldSpec, number: int, _distinct: bool) -> list[Any]:
    rule, example = spec.rule, float(spec.example or 0.0)
    step = _STEP if spec.semantic in {"Lintang", "Bujur"} else 0.25
    moved = round(example + step * number, 6)
    within = not isinstance(rule, NumberRule) or rule.minimum <= moved <= rule.maximum
    return [moved, example] if within else [example]


def _date(spec: FieldSpec, number: int, distinct: bool) -> list[Any]:
    example = dt.date.fromisoformat(str(spec.example)) if spec.example else dt.date(2025, 1, 1)
    if example == dt.date(1990, 1, 1):  # the birth date in every invented NIK
        return [example]
    return [example + dt.timedelta(days=number)] if distinct else [example, example.replace(month=1, day=1)]


def _moment(spec: FieldSpec, number: int, _distinct: bool) -> list[Any]:
    example = dt.datetime.fromisoformat(str(spec.example)) if spec.example else dt.datetime(2025, 1, 1, tzinfo=dt.UTC)
    return [example + dt.timedelta(days=number)]


def _list(spec: FieldSpec, number: int, _distinct: bool) -> list[Any]:
    if spec.item is None:
        return [spec.example]
    return [[candidates(spec.item, number)[0]], spec.example, []]


def _object(spec: FieldSpec, number: int, _distinct: bool) -> list[Any]:
    return [{name: candidates(part, number)[0] for name, part in spec.parts.items()}, spec.example]


def _square(_spec: FieldSpec, number: int, _distinct: bool) -> list[Any]:
    west, south = round(_WEST + _STEP * number, 6), round(_SOUTH + _STEP * number, 6)
    east, north = round(west + _STEP, 6), round(south + _STEP, 6)
    ring = [[west, south], [east, south], [east, north], [west, north], [west, south]]
    return [{"type": "Polygon", "coordinates": [ring]}]


_BY_KIND: Final[Mapping[str, Callable[[FieldSpec, int, bool], list[Any]]]] = {
    "text": _text,
    "integer": _integer,
    "decimal": _decimal,
    "number": _number,
    "boolean": lambda _spec, number, _distinct: [number % 2 == 0, number % 2 == 1],
    "date": _date,
    "datetime": _moment,
    "list": _list,
    "object": _object,
    "geometry": _square,
}
