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
    rereadable: bool = True
    """A second scan gives the same rows unless the source changed."""
    concurrent_scans: int = 1
