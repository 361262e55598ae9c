"""What a connector is asked for: reads and aggregates in the source's raw names. Pure values.

Does not live here: reads in schema names (`records.py`).
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import Any, Literal

from app.filters import tree as filters
from app.filters.tree import Filter


@dataclass(frozen=True, slots=True)
class Order:
    """One sort key over a raw column. Text in binary UTF-8 order; nulls `last` in both directions.

    `absent`: rows that are null in this column are left out of the read (so that an index gives the order).
    """

    column: str
    descending: bool = False
    nulls: Literal["last", "absent"] = "last"


@dataclass(frozen=True, slots=True)
class After:
    """A position in the order: values of its first keys. Only rows behind it are wanted, or (inclusive) also those at it."""

    values: tuple[Any, ...]
    inclusive: bool = False


@dataclass(frozen=True, slots=True)
class ScanRequest:
    """One read of one source, in the source's raw names. Undeclared work raises `CapabilityUndeclared`."""

    columns: tuple[str, ...] | None = None
    filter: Filter | None = None
    order: tuple[Order, ...] = ()
    after: After | None = None
    limit: int | None = None
    blank_is_null: bool = False
    """Text that is empty or only white space counts as null in the order, in `after` and in IS NULL, as the mapping reads it."""
    deadline: float | None = None
    """Absolute `time.monotonic()` seconds; the scan raises `SourceTimeout` when it passes."""
    columnar: bool = False
    """Every row is wanted and taken by columns: a source that can gives Arrow batches of as many rows as pay (at most 65,536)."""


@dataclass(frozen=True, slots=True)
class Measure:
    """One number to compute: `count` of rows (no column) or of values that are not null, `sum`, `min`, `max` of a column."""

    function: Literal["count", "sum", "min", "max"]
    column: str | None = None


@dataclass(frozen=True, slots=True)
class AggregateRequest:
    """Groups and measures over the rows that a filter lets through. More groups than `limit` raise `SourceTooLarge`."""

    measures: tuple[Measure, ...]
    group_by: tuple[str, ...] = ()
    filter: Filter | None = None
    limit: int = 10_000
    deadline: float | None = None


def key_chunks(column: str, keys: Sequence[filters.Value], most: int) -> Iterator[Filter]:
    """A list of keys as conditions of at most `most` values each (`Capabilities.most_keys`), every key once."""
    once = list(dict.fromkeys(keys))
    for first in range(0, len(once), most):
        values = tuple(filters.Literal(key) for key in once[first : first + most])
        yield filters.In(filters.Property(column), values)
