"""A look-up by key: at most one record of a dataset, in no order."""

from __future__ import annotations

from dataclasses import replace

from app.federation.planning.plan import QueryStructure, Scan


def read_by_key(structure: QueryStructure, scan: Scan) -> Scan:
    """The key decides alone."""
    return replace(scan, order=()) if structure.by_key else scan
