"""From when to when a code is valid and what replaced it, as a code list tells: the columns `valid_from`, `valid_to`, `pengganti`. Pure."""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import date
from typing import Any, Final

COLUMNS: Final = ("valid_from", "valid_to", "pengganti")
"""First and last day (ISO 8601); the codes that replaced it, separated by blanks or semicolons. Empty: not known."""
_SEPARATORS: Final = re.compile(r"[\s;,]+")
_CODE: Final = re.compile(r"[A-Za-z0-9][A-Za-z0-9._-]{0,63}")
_DAY: Final = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}", re.ASCII)
_MOST_SUCCESSORS: Final = 50


def day_of(text: str) -> str:
    """The day as it is written, `2019-05-01`; raises ValueError where it is none of the calendar."""
    try:
        return date.fromisoformat(text).isoformat() if _DAY.fullmatch(text) else _no_day(text)
    except ValueError:
        return _no_day(text)


def _no_day(text: str) -> str:
    message = f"a day is written 2019-05-01, not {text[:20]!r}"
    raise ValueError(message)


def validity_of(code: str, cells: Mapping[str, Any]) -> dict[str, Any]:
    """The members of an entry; a missing or empty cell is None. Raises ValueError that names the column."""
    found: dict[str, str | None] = {}
    for name in COLUMNS:
        cell = cells.get(name)
        if cell is not None and not isinstance(cell, str):
            message = f"{name} is a text"
            raise ValueError(message)
        found[name] = (cell or "").strip() or None
    for name in ("valid_from", "valid_to"):
        text = found[name]
        if text is not None:
            try:
                found[name] = day_of(text)
            except ValueError as error:
                message = f"{name}: {error}"
                raise ValueError(message) from None
    if found["valid_from"] and found["valid_to"] and found["valid_to"] < found["valid_from"]:
        message = f"valid_to ({found['valid_to']}) lies before valid_from ({found['valid_from']})"
        raise ValueError(message)
    return {**found, "pengganti": _successors(code, found["pengganti"], ended=found["valid_to"] is not None)}


def _successors(code: str, text: str | None, *, ended: bool) -> str | None:
    if text is None:
        return None
    codes = list(dict.fromkeys(part for part in _SEPARATORS.split(text) if part))
    if not ended:
        message = "pengganti stands only where valid_to says that the code ended"
        raise ValueError(message)
    if code in codes or not all(_CODE.fullmatch(one) for one in codes) or len(codes) > _MOST_SUCCESSORS:
        message = f"pengganti holds up to {_MOST_SUCCESSORS} other codes of the same list, separated by blanks"
        raise ValueError(message)
    return " ".join(codes)
