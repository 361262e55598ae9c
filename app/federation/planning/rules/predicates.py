"""A filter or sort on a field that is withheld or masked leaves the dataset out: not even the choice of records tells of it."""

from __future__ import annotations

from dataclasses import replace

from app.errors import FieldForbidden
from app.federation.planning.plan import QueryStructure, Scan


def leave_out_hidden(structure: QueryStructure, scan: Scan) -> Scan:
    """Predicates would have to see the masked value, which no source can compare: they are refused."""
    grant = scan.ref.grant
    if grant is None or scan.left_out is not None:
        return scan
    hidden = sorted(structure.needed - grant.fields) or sorted(structure.needed & set(grant.masks))
    if not hidden:
        return scan
    problem = FieldForbidden(
        f"{scan.ref.agency} does not let you filter, sort or compare by {', '.join(hidden)}", rule="field_not_granted"
    )
    return replace(scan, left_out="skipped", problem=problem)
