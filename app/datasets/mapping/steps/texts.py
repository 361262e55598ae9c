"""Steps on text: `text`, `slice`, `split`, `join`, `as_text`, `boolean`."""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import date, time, timedelta
from decimal import Decimal
from typing import Any

from app.connectors.cells import LongNumber, cell_text
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps.contract import Builder, Row, Step, StepContext, is_count, need_text
from app.datasets.mapping.text import lower, squeeze, title, trim, upper
from app.schemas.numbers import NumberBeyond, whole

_TEXT: Mapping[str, Callable[[str], str]] = {
    "trim": trim,
    "squeeze": squeeze,
    "upper": upper,
    "lower": lower,
    "title": title,
}
_EXACT_FLOAT = 2**53
_SCIENTIFIC = re.compile(r"-?\d(?:[.,]\d+)?[Ee]\+?\d+", re.ASCII)
"""`3,32001E+15`: what a spreadsheet program writes for a long number; its digits are gone."""
_SLICE = 2


def text(given: Any, context: StepContext) -> Step:
    """`text: squeeze` or a list of trim, squeeze, upper, lower, title, done in order. What becomes empty is null."""
    names = given if isinstance(given, list) else [given]
    unknown = [name for name in names if name not in _TEXT]
    if unknown or not names:
        context.refuse(f"text is one of {', '.join(_TEXT)}, or a list of them")
    functions = [_TEXT[name] for name in names]

    def step(value: Any, _: Row) -> Any:
        found = need_text(value)
        for function in functions:
            found = function(found)
        return found or None

    return step


def slice_(given: Any, context: StepContext) -> Step:
    """`slice: [1, 8]`: characters 1 to 8, both included. A shorter text is rejected."""
    sound = isinstance(given, list) and len(given) == _SLICE and all(map(is_count, given))
    if not sound or not 1 <= given[0] <= given[1]:
        context.refuse("slice is [first, last], counted from 1, both included")
    first, last = given

    def step(value: Any, _: Row) -> Any:
        found = need_text(value)
        if len(found) < last:
            raise StepReject("slice_out_of_range")
        return found[first - 1 : last]

    return step


def split(given: Any, context: StepContext) -> Step:
    """`split: {by: ",", part: 2}` gives one part (counted from 1, trimmed); without `part` a list of the non-empty parts."""
    options = context.options(given, "by", "part")
    separator, part = options.get("by"), options.get("part")
    if not isinstance(separator, str) or not separator:
        context.refuse("split needs by: the text between the parts")
    if part is not None and (not is_count(part) or part == 0):
        context.refuse("part counts from 1, or from -1 at the end")

    def step(value: Any, _: Row) -> Any:
        parts = [trim(piece) for piece in need_text(value).split(separator)]
        if part is None:
            return [piece for piece in parts if piece]
        try:
            found = parts[part - 1 if part > 0 else part]
        except IndexError:
            raise StepReject("part_missing") from None
        return found or None

    return step


def join(given: Any, context: StepContext) -> Step:
    """`join: " "` joins the columns of `from: [a, b]` (or a list of texts), leaving nulls out."""
    if not isinstance(given, str):
        context.refuse("join is the text that stands between")

    def step(value: Any, _: Row) -> Any:
        if not isinstance(value, list):
            raise StepReject("not_a_list")
        return given.join(need_text(part) for part in value if part is not None and part != "") or None

    return step


def as_text(given: Any, context: StepContext) -> Step:
    """`as_text: {digits: 16}`: a number of the source as text, zero-padded; dates and times as ISO 8601. Text stays the text it is.

    A number that lost digits is rejected: with a fraction, a floating-point number from 2^53 on, a cell of a sheet from 10^15 on.
    """
    options = context.options(given, "digits")
    digits = options.get("digits")
    if digits is not None and (not is_count(digits) or not 1 <= digits <= 40):
        context.refuse("digits is how many the identifier has")

    def step(value: Any, _: Row) -> Any:
        found = trim(value) if isinstance(value, str) else _plain(value)
        if digits is None:
            return found or None
        if not (found.isascii() and found.isdigit()):
            raise StepReject("digits_lost" if _SCIENTIFIC.fullmatch(found) else "digits_missing")
        if len(found) > digits:
            raise StepReject("digits_missing")
        return found.zfill(digits)

    return step


def _plain(value: Any) -> str:
    """A number without a fraction as its digits, a date or time as ISO 8601."""
    if isinstance(value, date | time | timedelta):
        return cell_text(value)
    if isinstance(value, LongNumber):
        raise StepReject("digits_lost")
    if isinstance(value, float):
        if not value.is_integer() or abs(value) >= _EXACT_FLOAT:
            raise StepReject("digits_lost")
    elif isinstance(value, Decimal):
        try:
            found = whole(value)
        except NumberBeyond:
            raise StepReject("number_out_of_range") from None
        if found is None:
            raise StepReject("digits_lost")
    elif not isinstance(value, int) or isinstance(value, bool):
        raise StepReject("wrong_type")
    return str(int(value))


def boolean(given: Any, context: StepContext) -> Step:
    """`boolean: {true: [ya, Y], false: [tidak, T]}`, compared exactly after trimming; booleans pass."""
    named = {str(name).lower(): words for name, words in given.items()} if isinstance(given, Mapping) else given
    options = context.options(named, "true", "false")
    words: dict[str, bool] = {}
    for truth in (True, False):
        listed = options.get(str(truth).lower(), [])
        for word in listed if isinstance(listed, list) else [listed]:
            if words.setdefault(str(word), truth) is not truth:
                context.refuse(f"{word} stands under true and under false")
    if not words:
        context.refuse("boolean needs the words for true and false")

    def step(value: Any, _: Row) -> Any:
        if isinstance(value, bool):
            return value
        found = words.get(trim(value) if isinstance(value, str) else str(value))
        if found is None:
            raise StepReject("not_a_boolean")
        return found

    return step


STEPS: Mapping[str, Builder] = {
    "text": text,
    "slice": slice_,
    "split": split,
    "join": join,
    "as_text": as_text,
    "boolean": boolean,
}
