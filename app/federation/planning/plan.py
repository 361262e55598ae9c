"""What will run: one `Scan` a dataset, made by the rules (`rules/`) from the question's structure and the caller's grant.

A scan holds no literal of the question, so that it can be kept for every question of the same structure.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from app.errors import SimpulError
from app.federation.question.query import DatasetRef, Query, SortKey, Status
from app.filters.tree import Filter
from app.schemas.registry import SchemaDef


@dataclass(frozen=True, slots=True)
class QueryStructure:
    """A question without its literals: what the rules may look at."""

    schema: SchemaDef
    fields: tuple[str, ...] | None
    needed: frozenset[str]
    sort: tuple[SortKey, ...]
    by_key: bool
    limit: int | None
    """None: every record is wanted."""

    @classmethod
    def of(cls, query: Query, needed: frozenset[str], *, whole: bool = False) -> QueryStructure:
        """The structure of a question whose filter and sort need these fields."""
        limit = None if whole else query.limit
        return cls(query.schema, query.fields, needed, query.sort, query.key is not None, limit)


@dataclass(frozen=True, slots=True)
class Scan:
    """One read of one dataset. `left_out`: it is not asked, and `problem` says why.

    `row_filter` always goes in front of the question's own filter. `masks` change values before anybody sees them.
    """

    ref: DatasetRef
    fields: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    masks: Mapping[str, str] = field(default_factory=dict)
    row_filter: Filter | None = None
    order: tuple[tuple[str, bool], ...] = ()
    limit: int | None = None
    left_out: Status | None = None
    problem: SimpulError | None = None
    why: tuple[str, ...] = ()
