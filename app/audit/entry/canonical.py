"""Canonical JSON (RFC 8785) by orjson with sorted keys, on the values where the two agree; all others are refused.

Pure. orjson equals RFC 8785 for ASCII keys, strings, integers below 2^53, booleans, null, lists and objects.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import orjson

from app.errors import EntryInvalid

INTEGER_LIMIT = 2**53
_FLOAT_SMALLEST, _FLOAT_LIMIT = 1e-4, 1e15


def canonical(value: object) -> bytes:
    """RFC 8785 bytes of `value`. EntryInvalid for floats, non-ASCII keys, integers >= 2^53 and lone surrogates."""
    _refuse(value, "")
    return dumps(value)


def dumps(value: object) -> bytes:
    """RFC 8785 bytes of a value whose members were checked before. EntryInvalid when it is not JSON at all."""
    try:
        return orjson.dumps(value, option=orjson.OPT_SORT_KEYS)
    except (TypeError, orjson.JSONEncodeError) as error:
        raise EntryInvalid(f"not canonical JSON: {error}") from None


def _refuse(value: object, pointer: str) -> None:
    if value is None or isinstance(value, (str, bool)):
        return  # lone surrogates are refused by orjson itself
    if isinstance(value, int):
        if not -INTEGER_LIMIT < value < INTEGER_LIMIT:
            raise EntryInvalid(f"{pointer or '/'}: integers of an entry are below 2^53; write it as a string")
    elif isinstance(value, dict):
        for key, member in value.items():
            if not isinstance(key, str) or not key.isascii():
                raise EntryInvalid(f"{pointer}/{key!r}: member names of an entry are ASCII")
            _refuse(member, f"{pointer}/{key}")
    elif isinstance(value, (list, tuple)):
        for position, member in enumerate(value):
            _refuse(member, f"{pointer}/{position}")
    else:
        raise EntryInvalid(f"{pointer or '/'}: {type(value).__name__} has no place in an entry; no floats, no objects")


def tame(value: Any) -> Any:
    """What a caller sent, as a value that `canonical` accepts. Total: no input keeps an exchange from being recorded.

    Values that RFC 8785 and orjson would write differently (very large or small floats, integers >= 2^53) become their
    decimal text, lone surrogates and non-ASCII member names become escapes. Everything else stays as it is.
    """
    if isinstance(value, str):
        return value if value.isascii() else value.encode("utf-8", "backslashreplace").decode("utf-8")
    if value is None or isinstance(value, bool):
        return value
    if isinstance(value, int):
        return value if -INTEGER_LIMIT < value < INTEGER_LIMIT else str(value)
    if isinstance(value, float):
        return _tame_float(value)
    if isinstance(value, Mapping):
        return {_tame_key(key): tame(member) for key, member in value.items()}
    if isinstance(value, (list, tuple, set, frozenset)):
        return [tame(member) for member in value]
    return str(value).encode("utf-8", "backslashreplace").decode("utf-8")


def _tame_key(key: object) -> str:
    if isinstance(key, str) and key.isascii():
        return key
    return str(key).encode("ascii", "backslashreplace").decode("ascii")


def _tame_float(value: float) -> float | int | str:
    if value.is_integer() and abs(value) < _FLOAT_LIMIT:
        return int(value)
    if _FLOAT_SMALLEST <= abs(value) < _FLOAT_LIMIT:
        return value
    return repr(value)
