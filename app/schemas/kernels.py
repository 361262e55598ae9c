"""The rules of scalar values as Arrow kernels: which rows of one column break which rule.

A row breaks at most one rule here, the first in the order in which Pydantic tries them. Nulls break none: whether a
value is required is asked elsewhere.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.schemas.constraints import (
    EARLIEST_DATE,
    EARLIEST_TIME,
    LATEST_DATE,
    LATEST_TIME,
    DateRule,
    DatetimeRule,
    DecimalRule,
    IntegerRule,
    NumberRule,
    TextRule,
    TypeRule,
    ValueCheck,
)
from app.schemas.rules import name_fault, text_fault
from app.schemas.text_bytes import all_match, all_printable, none_begins_blank

NO: Any = pa.scalar(False)  # noqa: FBT003 - Arrow has no other way to write it


@dataclass(slots=True)
class Sieve:
    """Masks (one boolean a row, no nulls) of the rows that fell through, by rule, each row once."""

    faults: list[tuple[str, Any]] = field(default_factory=list)
    fallen: Any = None

    def keep(self, rule: str, good: Any) -> None:
        """Let rows fall for `rule` where `good` is false; null keeps the row."""
        if pc.all(good, min_count=0).as_py():
            return
        self.drop(rule, pc.fill_null(pc.invert(good), NO))

    def drop(self, rule: str, bad: Any) -> None:
        """Let the rows of the mask fall for `rule`, unless they fell before."""
        if self.fallen is not None:
            bad = pc.and_not(bad, self.fallen)
        if pc.any(bad).as_py():
            self.faults.append((rule, bad))
            self.fallen = bad if self.fallen is None else pc.or_(self.fallen, bad)


def scalar_faults(rule: TypeRule, column: Any) -> list[tuple[str, Any]]:
    """The rules that rows of a scalar column break, with their masks. An empty list means: all rows are fine."""
    sieve = Sieve()
    match rule:
        case TextRule():
            _sift_text(sieve, rule, column)
        case NumberRule():
            sieve.keep("not_finite", pc.is_finite(column))
            _sift_range(sieve, column, rule.minimum, rule.maximum)
        case IntegerRule() | DecimalRule():
            _sift_range(sieve, column, rule.minimum, rule.maximum)
        case DateRule():
            _sift_range(sieve, column, EARLIEST_DATE, LATEST_DATE)
        case DatetimeRule():
            _sift_range(sieve, column, EARLIEST_TIME, LATEST_TIME)
    return sieve.faults


def _sift_range(sieve: Sieve, column: Any, minimum: Any, maximum: Any) -> None:
    low, high = pa.scalar(minimum, column.type), pa.scalar(maximum, column.type)
    sieve.keep("out_of_range", pc.and_(pc.greater_equal(column, low), pc.less_equal(column, high)))


def _sift_text(sieve: Sieve, rule: TextRule, column: Any) -> None:
    if rule.enum is not None:
        listed = pc.is_in(column, value_set=pa.array(rule.enum))
        sieve.keep("not_in_list", pc.or_(listed, column.is_null()))
        return
    _sift_length(sieve, rule, column)
    if rule.pattern is not None and not all_match(rule.pattern, column):
        sieve.keep("pattern", pc.match_substring_regex(column, rule.pattern))
    if rule.check is not None:
        _sift_by_function(sieve, rule.check, column)


def _sift_length(sieve: Sieve, rule: TextRule, column: Any) -> None:
    """Characters, counted only where the byte counts leave a doubt (a character has one to four bytes)."""
    bytes_each = pc.binary_length(column)
    shortest, longest = pc.min(bytes_each).as_py(), pc.max(bytes_each).as_py()
    if longest is None:
        return
    surely_long_enough = shortest >= (rule.min_length if rule.min_length < 2 else 4 * rule.min_length)
    if surely_long_enough and longest <= rule.max_length:
        return
    length: Any = pc.utf8_length(column)
    sieve.keep("too_short", pc.greater_equal(length, pa.scalar(rule.min_length, length.type)))
    sieve.keep("too_long", pc.less_equal(length, pa.scalar(rule.max_length, length.type)))


def _sift_by_function(sieve: Sieve, check: ValueCheck, column: Any) -> None:
    """Ask the function about each distinct value, except where a kernel already knows that it passes."""
    doubtful = column.is_valid()
    if check in (text_fault, name_fault):
        if all_printable(column) and (check is text_fault or none_begins_blank(column)):
            return
        plain = pc.ascii_is_printable(column)
        if check is name_fault:
            plain = pc.and_not(plain, pc.ascii_is_space(column))
        if pc.all(plain, min_count=0).as_py():
            return
        doubtful = pc.fill_null(pc.invert(plain), NO)
    if sieve.fallen is not None:
        doubtful = pc.and_not(doubtful, sieve.fallen)
    refused = defaultdict(list)
    for value in column.filter(doubtful).unique().to_pylist():
        if (code := check(value)) is not None:
            refused[code].append(value)
    for code, values in refused.items():
        sieve.drop(code, pc.is_in(column, value_set=pa.array(values, pa.string())))
