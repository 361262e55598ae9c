"""The relations of time in CQL2 (T_AFTER … T_STARTS) as comparisons of starts and ends, so that every source can be asked.

An instant is an interval that ends when it starts; a DATE against a time is the whole day in UTC. `..` is an open end.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from app.filters.evaluation import COMPARISONS
from app.filters.tree import (
    FALSE,
    TRUE,
    And,
    Compare,
    Comparison,
    Filter,
    Literal,
    Not,
    Operand,
    Or,
    Property,
    all_of,
)


@dataclass(frozen=True, slots=True)
class Open:
    """The open start (-1) or end (1) of an interval."""

    side: int


End = Operand | Open
Span = tuple[End, End]
_FLIPPED: dict[Comparison, Comparison] = {"=": "=", "<>": "<>", "<": ">", "<=": ">=", ">": "<", ">=": "<="}


def compare(op: Comparison, left: Operand, right: Operand) -> Filter:
    """The comparison with its field first."""
    if isinstance(left, Literal) and not isinstance(right, Literal):
        return Compare(_FLIPPED[op], right, left)
    return Compare(op, left, right)


def relation(name: str, left: Span, right: Span) -> Filter | None:
    """The condition of one relation; None when there is none of this name."""
    rule = RELATIONS.get(name)
    return rule(*left, *right) if rule is not None else None


def _holds(op: Comparison, left: End, right: End) -> Filter:
    if not isinstance(left, Open) and not isinstance(right, Open):
        return compare(op, left, right)
    sides = [end.side if isinstance(end, Open) else 0 for end in (left, right)]
    truth = COMPARISONS[op](sides[0], sides[1])
    # Against an open end every value compares alike, yet a null is still unknown.
    known = [Compare("=", end, end) for end in (left, right) if isinstance(end, Property)]
    if truth:
        return all_of(*known) if known else TRUE
    return all_of(*(Not(part) for part in known)) if known else FALSE


def _both(*parts: Filter) -> Filter:
    return And(parts)


def _disjoint(start: End, end: End, other_start: End, other_end: End) -> Filter:
    return Or((_holds("<", end, other_start), _holds(">", start, other_end)))


def _intersects(start: End, end: End, other_start: End, other_end: End) -> Filter:
    return _both(_holds(">=", end, other_start), _holds("<=", start, other_end))


RELATIONS: dict[str, Callable[[End, End, End, End], Filter]] = {
    "t_after": lambda a, _b, _c, d: _holds(">", a, d),
    "t_before": lambda _a, b, c, _d: _holds("<", b, c),
    "t_contains": lambda a, b, c, d: _both(_holds("<", a, c), _holds(">", b, d)),
    "t_disjoint": _disjoint,
    "t_during": lambda a, b, c, d: _both(_holds(">", a, c), _holds("<", b, d)),
    "t_equals": lambda a, b, c, d: _both(_holds("=", a, c), _holds("=", b, d)),
    "t_finishedby": lambda a, b, c, d: _both(_holds("<", a, c), _holds("=", b, d)),
    "t_finishes": lambda a, b, c, d: _both(_holds(">", a, c), _holds("=", b, d)),
    "t_intersects": _intersects,
    "t_meets": lambda _a, b, c, _d: _holds("=", b, c),
    "t_metby": lambda a, _b, _c, d: _holds("=", a, d),
    "t_overlappedby": lambda a, b, c, d: _both(_holds(">", a, c), _holds("<", a, d), _holds(">", b, d)),
    "t_overlaps": lambda a, b, c, d: _both(_holds("<", a, c), _holds(">", b, c), _holds("<", b, d)),
    "t_startedby": lambda a, b, c, d: _both(_holds("=", a, c), _holds(">", b, d)),
    "t_starts": lambda a, b, c, d: _both(_holds("=", a, c), _holds("<", b, d)),
}
