"""Masks of agreements: what of a value its reader may see. Applied to every value before anything is made of it.

hide: nothing · hash: a keyed tag, the same for the same value under one agreement · last4: the last four characters ·
year-only: the first day of the year · region-only: the code of the regency.
"""

from __future__ import annotations

import hmac
from collections.abc import Callable, Mapping
from datetime import UTC, date, datetime
from typing import Any

from app.connectors.records import MappedRecord
from app.schemas.base import FieldSpec

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


class Masker:
    """Masks the records of one dataset under one grant."""

    def __init__(self, masks: Mapping[str, str], *, key: bytes, agreement: str | None) -> None:
        scope = f"simpul-mask/1\0{agreement or ''}\0".encode()
        self._masks = [(name, _masking(name, mask, key, scope)) for name, mask in masks.items()]

    def masked(self, record: MappedRecord) -> MappedRecord:
        """A copy of the record with masked values; findings about masked fields go too. The record itself may be shared."""
        values = dict(record.values)
        for name, mask in self._masks:
            if values.get(name) is not None:
                values[name] = mask(values[name])
        hidden = {name for name, _ in self._masks}
        warnings = tuple(warning for warning in record.warnings if warning.field not in hidden)
        return MappedRecord(record.key, values, warnings)


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
