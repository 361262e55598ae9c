"""Raw records beside what the mapping makes of them, for the steward: personal values masked, the rest as the source holds it."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from app.connectors.cells import ErrorCell, LongNumber, Percent, cell_text
from app.connectors.contract import RawBatch
from app.connectors.masking import mask
from app.connectors.personal import masked_where_personal
from app.datasets.mapping import CompiledMapping
from app.datasets.records import PreviewRow, Reject
from app.datasets.selection import LeftOut, duplicate_key, map_record, prepared_rows
from app.schemas.registry import SchemaDef

_LEAST, _MOST = -(2**63), 2**64 - 1


class Previewer:
    """Shows the records of one source in their order, rejected ones among them.

    Masked: columns that a personal field is made of, and what looks personal in the others, mapped or not.
    """

    def __init__(self, schema: SchemaDef, mapping: CompiledMapping) -> None:
        self._schema = schema
        self._mapping = mapping
        self._personal = {name for name, spec in schema.fields.items() if spec.pdp != "none"}
        self._hidden = {column for field in mapping.fields if field.name in self._personal for column in field.columns}
        self._keys: set[str] = set()

    def rows(self, batch: RawBatch) -> Iterator[PreviewRow]:
        """The records of a batch; those that could not even be read stand where their line is."""
        waiting = [(_number(raw.location), Reject(raw.location, "", raw.rule, raw.detail)) for raw in batch.rejects]
        keyed = batch.numbers is None
        for prepared in prepared_rows(self._mapping, batch, LeftOut()):
            if isinstance(prepared, Reject):
                yield PreviewRow(prepared.location, {}, None, (prepared,), ())
                continue
            here = _number(prepared[0])
            while waiting and here is not None and (before := waiting[0][0]) is not None and before < here:
                yield _unread(waiting.pop(0)[1])
            yield self._row(*prepared, keyed=keyed)
        for _, reject in waiting:
            yield _unread(reject)

    def _row(self, location: str, raw: Mapping[str, Any], *, keyed: bool) -> PreviewRow:
        location = self._mapping.location_of(raw, location, keyed=keyed)
        record, rejects = map_record(self._mapping, self._schema, raw, location)
        shown = {
            name: _hidden(value) if name in self._hidden else shown_raw(masked_where_personal(value, name))
            for name, value in raw.items()
        }
        if record is None:
            return PreviewRow(location, shown, None, tuple(rejects), ())
        if record.key in self._keys:
            return PreviewRow(location, shown, None, (duplicate_key(self._schema, record, location),), ())
        self._keys.add(record.key)
        mapped = {name: _hidden(value) if name in self._personal else value for name, value in record.values.items()}
        return PreviewRow(location, shown, mapped, (), record.warnings)


def _hidden(value: Any) -> str | None:
    """A personal value masked; none stays none."""
    return None if value is None else mask(value)


def _unread(reject: Reject) -> PreviewRow:
    return PreviewRow(reject.location, {}, None, (reject,), ())


def _number(location: str) -> int | None:
    """The line, row or record that a location ends with."""
    tail = location.rpartition(" ")[2]
    return int(tail) if tail.isdecimal() else None


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
