"""Steps on numbers: `number` (the notation is stated, never detected), `multiply`, `unit`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from decimal import Decimal
from typing import Any

from app.connectors.cells import Percent
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps.contract import Builder, Row, Step, StepContext
from app.datasets.mapping.text import BLANKS, is_blank, trim
from app.schemas.numbers import NumberBeyond, exact_decimal

_MOST_CHARACTERS = 60
_UNITS: Mapping[tuple[str, str], Decimal] = {
    ("m2", "km2"): Decimal("0.000001"),
    ("ha", "km2"): Decimal("0.01"),
    ("m", "km"): Decimal("0.001"),
    ("ribu", "satuan"): Decimal(1000),
    ("juta", "satuan"): Decimal(1_000_000),
    ("miliar", "satuan"): Decimal(1_000_000_000),
}


def number(given: Any, context: StepContext) -> Step:
    """`number: {decimal: ",", thousands: ".", prefix: "Rp", suffix: "km"}`: text to an exact decimal.

    Digits are ASCII; none need stand before the decimal mark (`,5`). A thousands mark must stand between groups of three; where it is a
    blank every blank counts, also one that does not break. Numbers of the source pass: the notation is one of text.
    A cell that the sheet shows as a percentage needs `suffix: "%"` and gives what is shown, 6.09 for 6.09 %.
    """
    options = context.options(given, "decimal", "thousands", "prefix", "suffix")
    written = _written(options.get("decimal", "."), options.get("thousands", ""), options, context)
    prefix, suffix = context.word(options, "prefix"), context.word(options, "suffix")

    def step(value: Any, _: Row) -> Any:
        if isinstance(value, bool):
            raise StepReject("wrong_type")
        if isinstance(value, int | Decimal):
            return _finite(Decimal(value))
        if isinstance(value, float):
            return _finite(Decimal(repr(value)))
        if isinstance(value, Percent):
            if suffix.strip() != "%":
                raise StepReject("percent_cell")
            return value.hundredths
        if not isinstance(value, str):
            raise StepReject("wrong_type")
        found = _bare(trim(value), prefix, suffix)
        return written(found)

    return step


def _written(point: Any, group: Any, options: Mapping[str, Any], context: StepContext) -> Callable[[str], Decimal]:
    """The reader of bare numbers in this notation; it raises `StepReject`."""
    if not isinstance(point, str) or len(point) != 1 or not isinstance(group, str) or len(group) > 1:
        context.refuse("decimal is one character; thousands is another one, or absent")
    if point == group:
        said = "decimal is too" if "decimal" in options else "so is decimal where it is left out"
        other = "," if group == "." else "."
        context.at("thousands").refuse(
            f'thousands is "{group}", and {said}; state the decimal sign: decimal: "{other}"'
        )
    if any(sign.isdigit() or sign in "+-" or sign.isspace() for sign in point + group.strip()):
        context.refuse("decimal and thousands are marks, neither digits nor signs")
    mark = f"[{BLANKS}]" if group and is_blank(group) else re.escape(group)
    whole = rf"\d{{1,3}}(?:{mark}\d{{3}})+|\d+" if group else r"\d+"
    pattern = re.compile(rf"([+-]?)\s*(?:({whole})(?:{re.escape(point)}(\d+))?|{re.escape(point)}(\d+))", re.ASCII)

    def read(text: str) -> Decimal:
        match = pattern.fullmatch(text) if len(text) <= _MOST_CHARACTERS else None
        if match is None:
            raise StepReject("not_a_number")
        sign, digits, fraction, alone = match.groups()
        if alone is not None:
            return Decimal(f"{sign}0.{alone}")
        plain = re.sub(mark, "", digits) if group else digits
        return Decimal(f"{sign}{plain}.{fraction}") if fraction else Decimal(f"{sign}{plain}")

    return read


def _bare(text: str, prefix: str, suffix: str) -> str:
    """Without the stated prefix and suffix; a sign may stand before the prefix (`-Rp200`)."""
    sign = text[:1] if text[:1] in {"-", "+"} else ""
    rest = text[len(sign) :]
    if prefix and rest.startswith(prefix):
        rest = trim(rest[len(prefix) :])
    if suffix and rest.endswith(suffix):
        rest = trim(rest[: -len(suffix)])
    return sign + rest


def _finite(value: Decimal) -> Decimal:
    if not value.is_finite():
        raise StepReject("not_finite")
    return value


def multiply(given: Any, context: StepContext) -> Step:
    """`multiply: 0.000001`: exact decimal multiplication."""
    if isinstance(given, bool) or not isinstance(given, int | float | str):
        context.refuse("multiply is a number")
    try:
        factor = exact_decimal(repr(given) if isinstance(given, float) else str(given))
    except NumberBeyond as beyond:
        context.refuse(f"multiply is a finite number: {beyond}")

    def step(value: Any, _: Row) -> Any:
        if isinstance(value, bool) or not isinstance(value, int | float | Decimal):
            raise StepReject("wrong_type")
        exact = _finite(Decimal(repr(value)) if isinstance(value, float) else Decimal(value))
        return exact * factor

    return step


def unit(given: Any, context: StepContext) -> Step:
    """`unit: {from: m2, to: km2}`."""
    options = context.options(given, "from", "to")
    factor = _UNITS.get((str(options.get("from")), str(options.get("to"))))
    if factor is None:
        context.refuse(f"known units: {', '.join(f'{old} to {new}' for old, new in _UNITS)}")
    return multiply(str(factor), context)


STEPS: Mapping[str, Builder] = {"number": number, "multiply": multiply, "unit": unit}
