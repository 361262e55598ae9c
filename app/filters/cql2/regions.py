"""`induk(kode, 'kecamatan')` and `tingkat(kode)` in filters: written as patterns of region codes, which every source can be asked.

A code is `33.20.05.2001`: two digits a level, four for a village, whose first is 1 for a kelurahan. The level above a code is
null where the code stands above it; so that NOT of that stays unknown, a test knows its own opposite.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Final

from app.filters.cql2.lexer import invalid
from app.filters.tree import And, Compare, Filter, Like, Literal, Not, Or, Property, walk
from app.schemas.identifiers import level_of
from app.schemas.wilayah import LEVELS

FUNCTIONS: Final = frozenset({"induk", "tingkat"})
_CODE = re.compile(r"[0-9]{2}([.][0-9]{2}([.][0-9]{2}([.][0-9]{4})?)?)?")
_PATTERNS = {
    "provinsi": "__", "kabupaten": "__.__", "kecamatan": "__.__.__", "kelurahan": "__.__.__.1___", "desa": "__.__.__.____",
}  # fmt: skip
_CALLS = "write tingkat(kode) = 'desa' or induk(kode, 'kecamatan') = '33.20.05', with =, <> or IN"


@dataclass(frozen=True, slots=True)
class RegionTest(Or):
    """A test of a region's level or of the region above it; `opposite` are the parts of the test that NOT makes of it."""

    opposite: tuple[Filter, ...] = ()


def region_test(op: str, args: Sequence[Any], pointer: str) -> Filter | None:
    """The test where one side is a call of `induk` or `tingkat`, None where none is. Raises FilterMalformed."""
    if op not in {"=", "<>", "in"} or not any(_is_call(arg) for arg in args):
        return None
    if len(args) != 2:
        raise invalid(pointer, _CALLS)
    call, values = args if _is_call(args[0]) else (args[1], args[0])
    given = values if op == "in" and isinstance(values, list) else [values]
    if not given or not all(isinstance(value, str) for value in given):
        raise invalid(pointer, _CALLS)
    name, field, level = _call(call, pointer)
    known: tuple[str, ...] = LEVELS
    if name == "tingkat":
        matching = tuple(_of_level(field, _level(value, pointer)) for value in given)
    else:
        matching = tuple(part for value in given for part in _below(field, level, value, pointer))
        known = LEVELS[LEVELS.index(level) :] if level in LEVELS[:3] else (level,)
    others = (And((Or(tuple(_of_level(field, one) for one in known)), Not(Or(matching)))),)
    return RegionTest(others, matching) if op == "<>" else RegionTest(matching, others)


def negated(node: Filter) -> Filter:
    """NOT of a condition: it goes down to the tests of regions, whose opposite is not all the rest."""
    if not any(isinstance(part, RegionTest) for part in walk(node)):
        return Not(node)
    match node:
        case RegionTest():
            return RegionTest(node.opposite, node.parts)
        case Not(part):
            return part
        case And(parts):
            return Or(tuple(negated(part) for part in parts))
        case Or(parts):
            return And(tuple(negated(part) for part in parts))
        case _:
            return Not(node)


def _is_call(node: Any) -> bool:
    return isinstance(node, dict) and isinstance(node.get("op"), str) and node["op"].lower() in FUNCTIONS


def _call(node: dict[str, Any], pointer: str) -> tuple[str, Property, str]:
    name, args = node["op"].lower(), node.get("args")
    wanted = 2 if name == "induk" else 1
    if not isinstance(args, list) or len(args) != wanted:
        raise invalid(pointer, _CALLS)
    field = args[0].get("property") if isinstance(args[0], dict) else None
    if not isinstance(field, str):
        raise invalid(pointer, f"{name} takes a field; {_CALLS}")
    return name, Property(field), _level(args[1], pointer) if wanted == 2 else ""


def _level(value: Any, pointer: str) -> str:
    if not isinstance(value, str) or value not in LEVELS:
        raise invalid(pointer, f"a level is one of {', '.join(LEVELS)} (a kota stands on level kabupaten)")
    return value


def _of_level(field: Property, level: str) -> Filter:
    found = Like(field, _PATTERNS[level])
    return And((found, Not(Like(field, _PATTERNS["kelurahan"])))) if level == "desa" else found


def _below(field: Property, level: str, code: str, pointer: str) -> tuple[Filter, ...]:
    """The region itself and all within it."""
    if not _CODE.fullmatch(code) or level_of(code) != level:
        raise invalid(pointer, f"{code[:20]!r} is no code of level {level}")
    same = Compare("=", field, Literal(code))
    return (same,) if level in LEVELS[3:] else (same, Like(field, f"{code}.%"))
