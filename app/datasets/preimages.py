"""Conditions on mapped fields as conditions on the raw column behind them: a superset, where that is provable.

Proven for equality and lists over `codes` and over `text` with trim and squeeze: whatever the step turns into the wanted
value holds its words in their order. Case conversions are left out: databases and Python differ on them.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from app.datasets.mapping.paths import is_path
from app.filters.tree import Compare, Filter, In, Like, Literal, Or, Property

_PLAIN_TEXT = frozenset({"trim", "squeeze"})


def preimages(node: Filter, fields: Mapping[str, Any]) -> Iterator[Filter]:
    """Forms of a condition over raw columns, each a superset of it; the source takes the one that fits its column."""
    wanted = _wanted(node)
    if wanted is None:
        return
    name, values = wanted
    given = fields.get(name)
    if not isinstance(given, Mapping) or not isinstance(given.get("from"), str) or is_path(given["from"]):
        return
    raws = _raw_values(given, values)
    if not raws:
        return
    column = Property(given["from"])
    if "codes" in given and all(raw.removeprefix("-").isascii() and raw.removeprefix("-").isdigit() for raw in raws):
        yield In(column, tuple(Literal(int(raw)) for raw in raws))
    patterns = [_pattern(raw) for raw in raws]
    if all(patterns):
        likes = tuple(Like(column, pattern) for pattern in patterns)
        yield likes[0] if len(likes) == 1 else Or(likes)


def _wanted(node: Filter) -> tuple[str, Sequence[Any]] | None:
    match node:
        case Compare("=", Property(name), Literal(value)):
            return name, [value]
        case In(Property(name)):
            return name, node.plain
    return None


def _raw_values(given: Mapping[str, Any], values: Sequence[Any]) -> list[str]:
    """Squeezed raw texts that become one of the values; none where the steps are not among the proven ones."""
    steps = set(given) - {"from", "else"}
    if steps == {"codes"} and isinstance(given["codes"], Mapping):
        return [str(key) for key, value in given["codes"].items() if value is not None and value in values]
    if steps == {"text"}:
        text = given["text"]
        chosen = {text} if isinstance(text, str) else set(text)
        if chosen <= _PLAIN_TEXT:
            return [value for value in values if isinstance(value, str)]
    return []


def _pattern(text: str) -> str:
    """`RUMAH SAKIT` as `%RUMAH%SAKIT%`: between the words may stand any blanks. Empty when there is no word."""
    words = [word.replace("\\", "\\\\").replace("%", "\\%").replace("_", "\\_") for word in text.split()]
    return f"%{'%'.join(words)}%" if words else ""
