"""From a question's structure and the caller's grants to scans: the rules one after the other, kept by structure.

A kept plan is found again only for the very same structure, connector revisions and grants.
"""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Sequence
from dataclasses import replace

from app.federation.planning.plan import QueryStructure, Scan
from app.federation.planning.rules import RULES
from app.federation.question.query import DatasetRef, Query
from app.filters.tree import TRUE, properties

PLANS_KEPT = 1024


class Planner:
    """Plans, and keeps plans. Bounded; the oldest goes first."""

    def __init__(self) -> None:
        self._kept: OrderedDict[tuple[object, ...], tuple[Scan, ...]] = OrderedDict()

    def plan(self, query: Query, datasets: Sequence[DatasetRef], *, whole: bool = False) -> tuple[Scan, ...]:
        """One scan a dataset, in the order of the datasets. `whole`: every record, not a page."""
        needed = properties(query.filter) if query.filter is not TRUE else frozenset[str]()
        if query.also_needed:
            needed |= query.also_needed
        if query.sort:
            needed |= {key.field for key in query.sort}
        structure = QueryStructure.of(query, needed, whole=whole)
        mark = (structure, *[_mark(ref) for ref in datasets])
        kept = self._kept.get(mark)
        if kept is None:
            kept = tuple(scan_of(structure, ref) for ref in datasets)
            self._kept[mark] = kept
            if len(self._kept) > PLANS_KEPT:
                self._kept.popitem(last=False)
        # The connector's source may have been opened anew, and a denial is an error of this request.
        return tuple(
            scan
            if scan.ref is ref
            else replace(scan, ref=ref, problem=ref.denied if ref.grant is None else scan.problem)
            for scan, ref in zip(kept, datasets, strict=True)
        )


def scan_of(structure: QueryStructure, ref: DatasetRef) -> Scan:
    """The scan that the rules make."""
    scan = Scan(ref)
    for rule in RULES:
        scan = rule(structure, scan)
    return scan


def _mark(ref: DatasetRef) -> tuple[object, ...]:
    grant = ref.grant
    if grant is None:
        return (ref.dataset, ref.revision, None)
    masks = tuple(sorted(grant.masks.items())) if grant.masks else ()
    return (ref.dataset, ref.revision, grant.fields, grant.row_filter, masks, grant.agreement)
