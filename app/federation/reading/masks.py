"""What of a dataset's records its reader may see: cut to the grant, then masked, before anything is made of them.

hide: nothing · hash: a keyed tag, the same for the same value under one agreement · last4: the last four characters ·
year-only: the first day of the year · region-only: the code of the regency.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Sequence
from datetime import UTC, date, datetime
from typing import Any

import pyarrow as pa

from app.datasets.records import MappedRecord, RecordColumns, RecordWarning
from app.federation.question.query import Grant
from app.schemas.base import FieldSpec
from app.schemas.registry import SchemaDef
from app.schemas.warnings import fields_judged

REGENCY_PARTS = 2
TAG_BYTES = 16
_REGION_CODES = frozenset({"KodeWilayah", "KodeWilayahAtauAsal"})


def mask_fault(spec: FieldSpec, mask: str, key: tuple[str, ...]) -> str | None:
    """Why a mask cannot be put on this field, None when it can."""
    if spec.name in key:
        return "the key identifies the record and is shown with it; it cannot be masked"
    if mask in {"hash", "last4"} and (spec.kind != "text" or spec.enum is not None):
        return f"{mask} is for free text; {spec.name} is {'a list of choices' if spec.enum else spec.kind}"
    if mask == "year-only" and spec.kind not in {"date", "datetime"}:
        return f"year-only is for dates and times; {spec.name} is {spec.kind}"
    if mask == "region-only" and spec.semantic not in _REGION_CODES:
        return f"region-only is for region codes; {spec.name} is {spec.semantic}"
    return None


def visible(grant: Grant | None) -> frozenset[str]:
    """The fields of which something may be seen: all that is granted but what the mask `hide` takes away."""
    if grant is None:
        return frozenset()
    return grant.fields - {name for name, mask in grant.masks.items() if mask == "hide"}


class Cut:
    """Cuts the records of one dataset to one grant: what is not granted is not there when they are compared, merged or written.

    A finding stays only where every field that it was judged by is seen as it is.
    """

    def __init__(self, schema: SchemaDef, grant: Grant, mask_key: bytes) -> None:
        shown = visible(grant)
        scope = f"simpul-mask/1\0{grant.agreement or ''}\0".encode()
        self._masks = [
            (name, _masking(name, how, mask_key, scope)) for name, how in grant.masks.items() if name in shown
        ]
        self._whole = not self._masks and shown >= schema.fields.keys()
        self._names = tuple(name for name in schema.fields if name in shown)
        self._hidden = tuple(name for name in schema.fields if name not in shown)
        self._plain = shown - grant.masks.keys()
        self._judged = fields_judged(schema)

    def records(self, records: Sequence[MappedRecord]) -> Sequence[MappedRecord]:
        """The cut records, copies of the given ones (which may be shared); the same ones where the grant takes nothing away."""
        return records if self._whole else [self._cut(record) for record in records]

    def columns(self, columns: RecordColumns) -> RecordColumns:
        """The same of records that come as columns: a mask is asked once per distinct value."""
        if self._whole:
            return columns
        rows, masks = columns.rows, dict(self._masks)
        arrays = []
        for index, column in enumerate(rows.schema):
            values = rows.column(index)
            if column.name not in self._names:
                values = pa.nulls(rows.num_rows, column.type)
            elif column.name in masks:
                distinct = values.dictionary_encode()
                shown = [masks[column.name](value) for value in distinct.dictionary.to_pylist()]
                values = pa.array([*shown, None], column.type).take(distinct.indices.fill_null(len(shown)))
            arrays.append(values)
        seen = {
            id(noted): self._seen(noted) for noted in {id(noted): noted for noted in columns.warnings.values()}.values()
        }
        warnings = {row: left for row, noted in columns.warnings.items() if (left := seen[id(noted)])}
        return RecordColumns(pa.RecordBatch.from_arrays(arrays, schema=rows.schema), columns.keys, warnings)

    def _seen(self, warnings: tuple[RecordWarning, ...]) -> tuple[RecordWarning, ...]:
        plain, judged = self._plain, self._judged
        seen = [one for one in warnings if judged.get((one.field, one.code), {one.field}) <= plain]
        return warnings if len(seen) == len(warnings) else tuple(seen)

    def _cut(self, record: MappedRecord) -> MappedRecord:
        found = record.values
        values = found.copy()
        for name in self._hidden:
            values.pop(name, None)
        if len(values) != len(self._names):  # no whole record of the schema: only what is known to be granted
            values = {name: found[name] for name in self._names if name in found}
        for name, mask in self._masks:
            if values.get(name) is not None:
                values[name] = mask(values[name])
        warnings = self._seen(record.warnings) if record.warnings else ()
        return MappedRecord(record.key, values, warnings, record.origin)


def _masking(name: str, mask: str, key: bytes, scope: bytes) -> Callable[[Any], Any]:
    if mask == "hash":
        return lambda value: hmac.digest(key, scope + f"{name}\0{value}".encode(), "sha256")[:TAG_BYTES].hex()
    return {"last4": _last4, "year-only": _year, "region-only": _region}.get(mask, _nothing)


def _last4(value: Any) -> Any:
    """As many stars as characters are hidden; a short value shows nothing of itself."""
    text = str(value)
    return "*" * len(text) if len(text) <= 8 else "*" * (len(text) - 4) + text[-4:]


def _year(value: Any) -> Any:
    if isinstance(value, datetime):
        return datetime(value.year, 1, 1, tzinfo=UTC)
    return date(value.year, 1, 1) if isinstance(value, date) else None


def _region(value: Any) -> Any:
    return ".".join(str(value).split(".")[:REGENCY_PARTS])


def _nothing(_: Any) -> None:
    """What is not known is hidden."""
