"""The functions an expression may call, and how values convert. Null in, null out (but for coalesce and concat)."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from datetime import date, datetime
from decimal import ROUND_HALF_UP, Context, Decimal, InvalidOperation
from typing import Any

from app.connectors.cells import LongNumber
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.text import lower, trim, upper
from app.schemas.numbers import MOST_CHARACTERS, NumberBeyond, bounded, exact_number

MOST_TEXT = 100_000
_MOST_DIGITS = 100
_ROUNDING = Context(prec=600, rounding=ROUND_HALF_UP)


class Unfit(StepReject):
    """The expression has no value for this row: a text that is no number, a wrong type."""


def as_text(value: Any) -> str:
    """A value as text: numbers in plain notation, dates ISO 8601."""
    if isinstance(value, str):
        return value
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, date | datetime):
        return value.isoformat()
    if isinstance(value, int):
        return str(value)
    if not isinstance(value, Decimal | float):
        raise Unfit("wrong_type")
    if isinstance(value, LongNumber):
        raise Unfit("digits_lost")
    exact = Decimal(repr(value)) if isinstance(value, float) else value
    if not exact.is_finite():
        raise Unfit("not_finite")
    return format(exact, "f")


def as_number(value: Any) -> int | Decimal:
    """A value as exact number within bounds; text must be a plain decimal notation."""
    if isinstance(value, bool):
        raise Unfit("wrong_type")
    if isinstance(value, int):
        return value
    try:
        if isinstance(value, Decimal):
            return bounded(value)
        return exact_number(repr(value) if isinstance(value, float) else str(value).strip(), MOST_CHARACTERS)
    except NumberBeyond:
        raise Unfit("not_finite" if isinstance(value, float) else "not_a_number") from None


def as_decimal(value: Any) -> Decimal:
    """The same as a Decimal."""
    return Decimal(as_number(value))


_KINDS: Mapping[type, tuple[type, ...]] = {str: (str,), float: (int, float, Decimal)}


def compared(left: Any, right: Any) -> tuple[Any, Any]:
    """Two values as one kind, as `=` takes them: a text and a number compare only when the text is a number.

    Raises `Unfit` (`wrong_type`) for a date and a text, a truth value and a number: they would be unequal in silence.
    """
    first, second = _kind(left), _kind(right)
    if first is second and first is not float:
        return left, right
    if {first, second} <= {str, float}:
        return as_number(left), as_number(right)
    raise Unfit("wrong_type")


def _kind(value: Any) -> type:
    """What it is compared as: `float` stands for every number."""
    kind = type(value)
    if kind in (str, bool, datetime, date):
        return kind
    return next((family for family in (str, float) if isinstance(value, _KINDS[family])), kind)


def joined(*texts: str) -> str:
    """The texts one behind the other, at most `MOST_TEXT` characters."""
    if sum(map(len, texts)) > MOST_TEXT:
        raise Unfit("text_too_long")
    return "".join(texts)


def convert(value: Any, target: str) -> Any:
    """CAST: to text, integer (no fraction) or decimal."""
    if value is None:
        return None
    if target == "text":
        return as_text(value)
    number = as_number(value)
    if target == "integer":
        if number != int(number):
            raise Unfit("not_whole")
        return int(number)
    return Decimal(number)


def _whole(value: Any) -> int:
    number = as_number(value)
    whole = int(number)
    if number != whole or not -MOST_TEXT <= whole <= MOST_TEXT:
        raise Unfit("slice_out_of_range")
    return whole


def _strict(function: Callable[..., Any]) -> Callable[..., Any]:
    def call(*arguments: Any) -> Any:
        return None if any(argument is None for argument in arguments) else function(*arguments)

    return call


def _substring(text: Any, start: Any, length: Any = None) -> str:
    """As DuckDB: positions count from 1, a negative start from the end; a start before the first character uses up the length, and a
    negative length goes to the left.
    """
    value, begin = as_text(text), _whole(start)
    first = begin - 1 if begin >= 0 else len(value) + begin
    if length is None:
        return value[max(first, 0) :]
    last = first + _whole(length)
    first, last = min(first, last), max(first, last)
    return value[max(first, 0) : max(last, 0)]


def _left(text: Any, count: Any) -> str:
    """A negative count leaves so many out at the end."""
    return as_text(text)[: _whole(count)]


def _right(text: Any, count: Any) -> str:
    """A negative count leaves so many out at the start."""
    value, size = as_text(text), _whole(count)
    return value[max(len(value) - size, 0) :] if size >= 0 else value[-size:]


def _split_part(text: Any, separator: Any, position: Any) -> str:
    """A negative position counts from the end; an empty separator parts the text into its characters."""
    value, between = as_text(text), as_text(separator)
    parts = value.split(between) if between else list(value)
    index = _whole(position)
    return parts[index - (index > 0)] if index and -len(parts) <= index <= len(parts) else ""


def _pad(text: Any, width: Any, fill: Any) -> str:
    value, size, filler = as_text(text), max(_whole(width), 0), as_text(fill)
    if len(filler) != 1:
        raise Unfit("wrong_type")
    return value[:size].rjust(size, filler)


def _rounded(value: Any, digits: Any = 0) -> Decimal:
    scale = _whole(digits)
    if not -_MOST_DIGITS <= scale <= _MOST_DIGITS:
        raise Unfit("number_out_of_range")
    try:
        return as_decimal(value).quantize(Decimal(1).scaleb(-scale), context=_ROUNDING)
    except InvalidOperation:
        raise Unfit("number_out_of_range") from None


def _replaced(text: Any, old: Any, new: Any) -> str:
    """Every `old` by `new`; what would become too long is not made."""
    value, gone, put = as_text(text), as_text(old), as_text(new)
    if not gone:
        return value
    if len(value) + value.count(gone) * (len(put) - len(gone)) > MOST_TEXT:
        raise Unfit("text_too_long")
    return value.replace(gone, put)


def _nullif(left: Any, right: Any) -> Any:
    """Null where `left = right` is true."""
    if left is None or right is None:
        return left
    first, second = compared(left, right)
    return None if first == second else left


def _coalesce(*values: Any) -> Any:
    return next((value for value in values if value is not None), None)


def _concat(*values: Any) -> str:
    return joined(*(as_text(value) for value in values if value is not None))


_ANY = tuple(range(1, 21))
FUNCTIONS: Mapping[str, tuple[Callable[..., Any], tuple[int, ...]]] = {
    "length": (_strict(lambda text: len(as_text(text))), (1,)),
    "upper": (_strict(lambda text: upper(as_text(text))), (1,)),
    "lower": (_strict(lambda text: lower(as_text(text))), (1,)),
    "trim": (_strict(lambda text: trim(as_text(text))), (1,)),
    "substring": (_strict(_substring), (2, 3)),
    "substr": (_strict(_substring), (2, 3)),
    "left": (_strict(_left), (2,)),
    "right": (_strict(_right), (2,)),
    "replace": (_strict(_replaced), (3,)),
    "split_part": (_strict(_split_part), (3,)),
    "lpad": (_strict(_pad), (3,)),
    "starts_with": (_strict(lambda text, start: as_text(text).startswith(as_text(start))), (2,)),
    "abs": (_strict(lambda value: abs(as_number(value))), (1,)),
    "round": (_strict(_rounded), (1, 2)),
    "nullif": (_nullif, (2,)),
    "coalesce": (_coalesce, _ANY),
    "concat": (_concat, _ANY),
}
