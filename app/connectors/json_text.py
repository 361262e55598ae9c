"""Strict JSON for sources: numbers as int or Decimal, no NaN, no duplicate names, bounded depth and number length.

`parse_json` gives what Python rows hold, `json_cell` the text that stands in an Arrow column marked `JSON_COLUMN`.
Errors are `JsonFlaw` with the line, never the value; kinds turn them into `SourceFormatError` or a `RawReject`.

jiter reads. What it refuses, and what is deeper or longer than it bounds, goes through the standard library's reader once more:
that one says which rule was broken, and where.
"""

from __future__ import annotations

import json
import re
from collections.abc import Iterable
from decimal import Decimal
from itertools import accumulate
from typing import Any

import jiter

from app.schemas.numbers import MOST_CHARACTERS, MOST_EXPONENT, NumberBeyond, exact_number

MAX_DEPTH = 64
_STRINGS = re.compile(r'"(?:[^"\\]|\\.)*"', re.DOTALL)
_NOT_BRACKETS = re.compile(r"[^\[\]{}]+")
_STEPS = {"[": 1, "{": 1, "]": -1, "}": -1}
_MOST_INTEGER = 10**MOST_CHARACTERS
_ZERO = Decimal(0)
_DUPLICATE = re.compile(r"\ADetected duplicate key .* at line (\d+) column (\d+)\Z", re.DOTALL)
_SURROGATE_ESCAPE = re.compile(r"\\u[dD][89a-fA-F]")


class JsonFlaw(ValueError):
    """Text that is no acceptable JSON. `rule` is a stable word, `line` counts from 1 (0: unknown)."""

    def __init__(self, rule: str, detail: str, line: int = 0) -> None:
        super().__init__(detail)
        self.rule = rule
        self.detail = detail
        self.line = line


def decode_json_bytes(raw: bytes) -> str:
    """The text of UTF-8 bytes, a BOM removed. Raises `JsonFlaw` with the line of the first wrong byte."""
    try:
        return raw.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        line = raw.count(b"\n", 0, error.start) + 1
        raise JsonFlaw("encoding", f"line {line} is not UTF-8", line) from None


def parse_json(text: str) -> Any:
    """The value of one JSON text (RFC 8259) as dict, list, str, int, Decimal, bool or None."""
    held = _parse_quickly(text)
    return _parse_slowly(text) if held is None else held[0]


def _parse_quickly(text: str) -> list[Any] | None:
    """The value, in a list of its own; None for what the other reader has to look at."""
    try:
        held = [jiter.from_json(text.encode(), allow_inf_nan=False, float_mode="decimal", catch_duplicate_keys=True)]
    except ValueError:  # a text that is no UTF-8 too
        return None
    return held if _bounded(held) else None


def _parse_slowly(text: str) -> Any:
    check_depth(text)
    try:
        value = _DECODER.decode(text)
    except json.JSONDecodeError as error:
        raise JsonFlaw("json", f"line {error.lineno}, column {error.colno}: {error.msg}", error.lineno) from None
    except RecursionError:
        raise JsonFlaw("json_depth", f"nested deeper than {MAX_DEPTH} levels") from None
    if _SURROGATE_ESCAPE.search(text):
        check_text(value)
    return value


def duplicate_name(raw: bytes) -> str | None:
    """Where a name stands twice in one object of this valid JSON ("line 1, column 9"), never the name; None where none does."""
    try:
        jiter.from_json(raw, catch_duplicate_keys=True, cache_mode="none")
    except ValueError as error:
        found = _DUPLICATE.search(str(error))
        return None if found is None else f"line {found[1]}, column {found[2]}"
    return None


def check_depth(text: str) -> None:
    """Raises `JsonFlaw` when brackets nest deeper than `MAX_DEPTH`. Brackets inside strings count only when they must."""
    if _depth(text) > MAX_DEPTH and _depth(_STRINGS.sub("", text)) > MAX_DEPTH:
        raise JsonFlaw("json_depth", f"nested deeper than {MAX_DEPTH} levels")


def check_text(value: Any) -> None:
    """Raises `JsonFlaw` when a string holds a lone surrogate: no UTF-8 text can carry it."""
    try:
        json.dumps(value, ensure_ascii=False, default=str).encode()
    except UnicodeEncodeError:
        raise JsonFlaw("lone_surrogate", "a text holds half of a surrogate pair") from None


def json_cell(value: Any) -> str | None:
    """The JSON text of a parsed value for an Arrow cell; None (JSON null) is a null cell."""
    if value is None:
        return None
    if isinstance(value, str):
        return json.dumps(value, ensure_ascii=False)
    return "".join(_render(value))


def _bounded(held: list[Any]) -> bool:
    """Whether depth and numbers within `held` are bounded as this module says; every zero becomes the plain one."""
    holders: list[Any] = [held]
    for _ in range(MAX_DEPTH + 1):
        inner = []
        for holder in holders:
            for key, member in holder.items() if type(holder) is dict else enumerate(holder):
                kind = type(member)
                if kind is dict or kind is list:
                    inner.append(member)
                elif kind is int:
                    if not -_MOST_INTEGER < member < _MOST_INTEGER:
                        return False
                elif kind is Decimal:
                    if not _is_bounded(member):
                        return False
                    if not member:
                        holder[key] = _ZERO
        if not inner:
            return True
        holders = inner
    return False


def _is_bounded(number: Decimal) -> bool:
    return abs(number.adjusted()) <= MOST_EXPONENT and len(str(number)) <= MOST_CHARACTERS


def _depth(text: str) -> int:
    brackets = _NOT_BRACKETS.sub("", text)
    return max(accumulate(_STEPS[bracket] for bracket in brackets), default=0)


def _render(value: Any) -> Iterable[str]:
    """JSON with Decimals written as they were, which the standard encoder cannot do without a float."""
    if isinstance(value, dict):
        yield "{"
        for position, (name, member) in enumerate(value.items()):
            yield ("," if position else "") + json.dumps(str(name), ensure_ascii=False) + ":"
            yield from _render(member)
        yield "}"
    elif isinstance(value, list):
        yield "["
        for position, member in enumerate(value):
            yield "," if position else ""
            yield from _render(member)
        yield "]"
    elif isinstance(value, Decimal):
        yield str(value)
    else:
        yield json.dumps(value, ensure_ascii=False)


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    members = dict(pairs)
    if len(members) != len(pairs):
        raise JsonFlaw("json_duplicate_name", "an object holds the same member name twice")
    return members


def _number(text: str) -> int | Decimal:
    try:
        return exact_number(text, MOST_CHARACTERS)
    except NumberBeyond as beyond:
        raise JsonFlaw("json_number", str(beyond)) from None


def _decimal(text: str) -> Decimal:
    return Decimal(_number(text))


def _constant(name: str) -> Any:
    raise JsonFlaw("json_not_a_number", f"{name} is no JSON number")


_DECODER = json.JSONDecoder(
    object_pairs_hook=_object, parse_int=_number, parse_float=_decimal, parse_constant=_constant, strict=True
)
