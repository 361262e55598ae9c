"""What a source can do itself. Every default is "cannot"; a capability never changes an answer, only who computes it."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Exactness = Literal["none", "superset", "exact"]


@dataclass(frozen=True, slots=True)
class Capabilities:
    """Work a connector accepts in a `ScanRequest`. What is not declared raises `CapabilityUndeclared` when asked.

    `exact` work needs no second look for correctness of limits; `superset` work may return too much, never too little.
    The residual filter runs in the gateway in both cases.
    """

    columns: bool = False
    """Returns only the raw columns asked for."""
    filter_operators: frozenset[str] = frozenset()
    """Of `= <> < <= > >= in like isnull and or not casefold`, over raw columns."""
    filter_columns: frozenset[str] | None = None
    """Raw columns that can be filtered; None = all of them (only meaningful with operators)."""
    filter_exactness: Exactness = "none"
    order: bool = False
    """Sorts by raw columns: text in binary UTF-8 order, nulls last in both directions."""
    order_columns: frozenset[str] | None = None
    limit: bool = False
    """Stops after `limit` rows (after filter and order)."""
    keyset: bool = False
    """Starts behind a position of the order (`ScanRequest.after`)."""
    aggregates: frozenset[str] = frozenset()
    """Of `count sum min max`, with groups, exactly what the raw rows would give (`Aggregation.aggregate`)."""
    keys: tuple[frozenset[str], ...] = ()
    """Sets of raw columns of which no two rows share the values, none of them null. Known after `learn`."""
    most_keys: int = 0
    """Most values in one `in`; longer lists go in chunks. 0: `in` is not declared."""
    concurrent_scans: int = 1
