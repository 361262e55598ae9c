"""Masks of the grant: `hide` takes the field away, the others stay with the scan and change its values."""

from __future__ import annotations

from dataclasses import replace

from app.errors import FieldForbidden
from app.federation.planning.plan import QueryStructure, Scan


def take_masks(structure: QueryStructure, scan: Scan) -> Scan:
    """A mask on the key would show the key all the same (`_source.id`): such a grant gives nothing."""
    grant = scan.ref.grant
    if grant is None or not grant.masks:
        return scan
    masked_key = sorted(set(grant.masks) & set(structure.schema.meta.key))
    if masked_key:
        names = ", ".join(masked_key)
        problem = FieldForbidden(f"{scan.ref.agency} masks the key ({names})", rule="key_masked")
        return replace(scan, left_out="denied", problem=problem)
    shown = {name: mask for name, mask in grant.masks.items() if mask != "hide" and name in grant.fields}
    return replace(scan, masks=shown)
