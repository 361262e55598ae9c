"""No dataset gives more rows than its grant allows in one answer."""

from __future__ import annotations

from dataclasses import replace

from app.federation.planning.plan import QueryStructure, Scan


def bound_rows(_: QueryStructure, scan: Scan) -> Scan:
    """The grant's own bound, where it has one and it is the smaller."""
    grant = scan.ref.grant
    if grant is None or grant.limit_rows is None or scan.limit is None or grant.limit_rows >= scan.limit:
        return scan
    return replace(scan, limit=grant.limit_rows, why=(*scan.why, f"at most {grant.limit_rows} rows by its grant"))
