"""Numbers from outside (addresses, filters, SQL, manifests, cells): digits and exponent are bounded before a number is made of them.

A short text may name a number of a billion digits (`1e1000000000`); turning such a one into an integer or a plain text holds the process.
"""

from __future__ import annotations

import re
from decimal import Decimal, InvalidOperation

MOST_CHARACTERS = 400
MOST_DIGITS = 60
"""Digits of a number in a question or a manifest; documents of sources may have as many as they have characters."""
MOST_EXPONENT = 400
_NUMBER = re.compile(
    r"[+-]?(?:(?P<whole>\d+)(?P<rest>(?:\.\d*)?(?:[eE][+-]?\d+)?)|(?P<fraction>\.\d+(?:[eE][+-]?\d+)?))", re.ASCII
)


class NumberBeyond(ValueError):
    """The text is no number, or one with more digits or a larger exponent than is read."""


def exact_number(text: str, digits: int = MOST_DIGITS) -> int | Decimal:
    """The number as written: an int where it has neither point nor exponent. Raises `NumberBeyond`."""
    if len(text) > MOST_CHARACTERS:
        raise NumberBeyond(f"a number has at most {MOST_CHARACTERS} characters")
    match = _NUMBER.fullmatch(text)
    if match is None:
        raise NumberBeyond("the text is no number")
    if match["rest"] or match["fraction"]:
        return bounded(_made(text), digits)
    if len(match["whole"]) > digits:
        raise NumberBeyond(f"a number has at most {digits} digits")
    return int(text)


def _made(text: str) -> Decimal:
    try:
        return Decimal(text)
    except InvalidOperation:  # an exponent that no Decimal has
        raise NumberBeyond(f"an exponent is at most {MOST_EXPONENT}") from None


def exact_decimal(text: str) -> Decimal:
    """The same as a Decimal."""
    return Decimal(exact_number(text))


def bounded(number: Decimal, digits: int = MOST_CHARACTERS) -> Decimal:
    """The number if it is finite and its digits and exponent are within bounds; raises `NumberBeyond`."""
    if not number.is_finite():
        raise NumberBeyond("NaN and infinity are no values")
    if number and abs(number.adjusted()) > MOST_EXPONENT:
        raise NumberBeyond(f"an exponent is at most {MOST_EXPONENT}")
    if len(number.as_tuple().digits) > digits:
        raise NumberBeyond(f"a number has at most {digits} digits")
    return number or Decimal(0)


def whole(number: Decimal) -> int | None:
    """The integer that a number is; None where it has a fraction. Raises `NumberBeyond`."""
    found = bounded(number)
    return int(found) if found == found.to_integral_value() else None
