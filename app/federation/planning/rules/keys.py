"""A look-up by key: at most one record of a dataset, in no order."""

from __future__ import annotations

from dataclasses import replace

from app.federation.planning.plan import Scan, Shape


def read_by_key(shape: Shape, scan: Scan) -> Scan:
    """The key decides alone."""
    return replace(scan, order=()) if shape.by_key else scan
