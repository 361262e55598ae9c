"""The total order of a merged union, (sort keys, agency, dataset, key), and the merge of ordered pages.

Text is ordered by code point, which is binary UTF-8 order; nulls stand last in both directions.
"""

from __future__ import annotations

import heapq
from collections.abc import Callable, Sequence
from itertools import chain, islice
from typing import Any

from app.datasets.selection import LAST_KEY, comparable
from app.federation.question.query import AnswerRecord, SortKey

SortTuple = tuple[Any, ...]


def order_of(sort: Sequence[SortKey]) -> Callable[[AnswerRecord], SortTuple]:
    """The function that gives a record's position in the total order."""
    keys = [(key.field, key.descending) for key in sort]

    def position(found: AnswerRecord) -> SortTuple:
        values = found.record.values
        return (
            *[comparable(values.get(name), descending=descending) for name, descending in keys],
            found.agency,
            found.dataset,
            found.record.key,
        )

    return position


def merge(pages: Sequence[Sequence[AnswerRecord]], sort: Sequence[SortKey], limit: int) -> list[AnswerRecord]:
    """The first `limit` records of the union of ordered pages."""
    filled = [page for page in pages if page]
    if len(filled) == 1:
        return list(filled[0][:limit])
    if not sort:
        by_dataset = {(page[0].agency, page[0].dataset): page for page in filled}
        if len(by_dataset) == len(filled):  # one dataset stands wholly behind the other
            return list(islice(chain.from_iterable(by_dataset[one] for one in sorted(by_dataset)), limit))
    return list(islice(heapq.merge(*filled, key=order_of(sort)), limit))


def position_of(found: AnswerRecord, sort: Sequence[SortKey]) -> SortTuple:
    """What a cursor holds of the last record given."""
    values = found.record.values
    return (*[values.get(key.field) for key in sort], found.agency, found.dataset, found.record.key)


def leg_after(after: SortTuple | None, sorts: int, agency: str, dataset: str) -> SortTuple | None:
    """The position behind which one dataset goes on: (sort values, key). Ties go to agency, then dataset, then key."""
    if after is None:
        return None
    values, (last_agency, last_dataset, last_key) = after[:sorts], after[sorts:]
    here, last = (agency, dataset), (last_agency, last_dataset)
    if here == last:
        return (*values, last_key)
    return (*values, "" if here > last else LAST_KEY)
