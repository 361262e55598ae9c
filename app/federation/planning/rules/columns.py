"""Which fields of the answer this dataset gives, and which it withholds."""

from __future__ import annotations

from dataclasses import replace

from app.federation.planning.plan import QueryStructure, Scan


def choose_columns(structure: QueryStructure, scan: Scan) -> Scan:
    """The fields asked for in the schema's order; a hidden one counts as not granted."""
    grant = scan.ref.grant
    if grant is None:
        return scan
    asked = structure.fields if structure.fields is not None else tuple(structure.schema.fields)
    given = grant.fields.difference(name for name, mask in grant.masks.items() if mask == "hide")
    return replace(
        scan,
        fields=tuple(name for name in asked if name in given),
        withheld=tuple(name for name in asked if name not in given),
    )
