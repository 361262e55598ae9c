"""Every dataset is read in the answer's own order, so that the union can be merged and cut."""

from __future__ import annotations

from dataclasses import replace

from app.federation.planning.plan import QueryStructure, Scan


def order_all(structure: QueryStructure, scan: Scan) -> Scan:
    """One record more than fits tells whether there is another page. A whole answer is read in the source's own order."""
    if structure.limit is None:
        return scan
    order = tuple((key.field, key.descending) for key in structure.sort)
    return replace(scan, order=order, limit=structure.limit + 1)
