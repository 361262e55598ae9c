"""A dataset without a grant is not asked; the reason stands in its leg."""

from __future__ import annotations

from dataclasses import replace

from app.federation.planning.plan import QueryStructure, Scan


def leave_out_denied(_: QueryStructure, scan: Scan) -> Scan:
    """Deny by default."""
    if scan.ref.grant is not None:
        return scan
    return replace(scan, left_out="denied", problem=scan.ref.denied)
