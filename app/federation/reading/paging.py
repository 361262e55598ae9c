"""Where a page over the merged union ends, so that the next one gives no record twice and misses none.

The position is the last record given. A source that did not answer owes what lies between its own position and that one:
the cursor keeps its position, and what it owes is given first when it is back.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.datasets.selection import comparable
from app.federation.question.query import AnswerRecord, Query, SortKey
from app.federation.reading.merge import SortTuple, leg_after, position_of


@dataclass(frozen=True, slots=True)
class Part:
    """What one dataset gave for a page: its records (more than fit), None when it did not answer."""

    agency: str
    dataset: str
    records: Sequence[AnswerRecord] | None


@dataclass(frozen=True, slots=True)
class Position:
    """The position of the last record given, and the positions of the datasets that owe records before it."""

    after: SortTuple
    owed: Mapping[str, SortTuple | None] = field(default_factory=dict)


def start_of(query: Query, agency: str, dataset: str) -> SortTuple | None:
    """The position behind which this dataset goes on: (sort values, key)."""
    if dataset in query.owed:
        return query.owed[dataset]
    return leg_after(query.after, len(query.sort), agency, dataset)


def next_position(query: Query, given: Sequence[AnswerRecord], parts: Sequence[Part]) -> Position:
    """The position behind a page that holds at least one record."""
    last = position_of(given[-1], query.sort)
    owed = {part.dataset: start_of(query, part.agency, part.dataset) for part in parts if part.records is None}
    if query.after is None or not _order(last, query.sort) < _order(query.after, query.sort):
        return Position(last, owed)
    for part in parts:  # the page was filled by records that were owed: the others have not moved
        if part.records is not None and part.dataset in query.owed:
            mine = [found for found in given if found.dataset == part.dataset]
            owed[part.dataset] = _leg_position(mine[-1], query.sort) if mine else query.owed[part.dataset]
    return Position(query.after, owed)


def _leg_position(found: AnswerRecord, sort: Sequence[SortKey]) -> SortTuple:
    *values, _, _, key = position_of(found, sort)
    return (*values, key)


def _order(position: SortTuple, sort: Sequence[SortKey]) -> tuple[Any, ...]:
    values = zip(position, sort, strict=False)
    return (
        *[comparable(value, descending=key.descending) for value, key in values],
        *position[len(sort) : len(sort) + 2],
    )
