"""One raw record beside what the mapping makes of it, for the steward: personal values masked, the rest as the source holds it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.connectors.cells import ErrorCell, LongNumber, Percent, cell_text
from app.connectors.mapping import CompiledMapping
from app.connectors.mapping.masking import mask
from app.connectors.records import PreviewRow
from app.connectors.selection import map_record
from app.schemas.registry import SchemaDef

_LEAST, _MOST = -(2**63), 2**64 - 1


def preview_row(mapping: CompiledMapping, schema: SchemaDef, place: str, raw: Mapping[str, Any]) -> PreviewRow:
    """One raw row beside its record."""
    record, rejects = map_record(mapping, schema, raw, place)
    personal = {name for name, spec in schema.fields.items() if spec.pdp != "none"}
    hidden = {column for field, column in mapping.renames.items() if field in personal}
    hide_all = bool(personal) and not personal <= set(mapping.renames)
    shown = {name: mask(value) if hide_all or name in hidden else shown_raw(value) for name, value in raw.items()}
    mapped = None
    if record is not None:
        mapped = {name: mask(value) if name in personal else value for name, value in record.values.items()}
    return PreviewRow(place, shown, mapped, tuple(rejects), record.warnings if record is not None else ())


def shown_raw(value: Any) -> Any:
    """A raw value as JSON can show it: a whole number beyond 64 bits and the cells that JSON has no sign for are text."""
    if isinstance(value, dict):
        return {name: shown_raw(part) for name, part in value.items()}
    if isinstance(value, list):
        return [shown_raw(part) for part in value]
    if isinstance(value, ErrorCell | Percent | LongNumber):
        return cell_text(value)
    if isinstance(value, int) and not _LEAST <= value <= _MOST:
        return str(value)
    return value
