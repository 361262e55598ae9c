"""A schema with all that is derived from its model, and the keys of its records."""

from __future__ import annotations

import datetime as dt
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import quote, unquote

import pyarrow as pa

from app import errors
from app.schemas.base import FieldSpec, SchemaMeta, SharedSchema

_LONGEST_KEY = 2000


@dataclass(frozen=True, slots=True, eq=False)
class SchemaDef:
    """A schema with all that is derived from its model. There is one instance of each; compare by identity."""

    meta: SchemaMeta
    model: type[SharedSchema]
    fields: Mapping[str, FieldSpec]
    arrow: pa.Schema
    queryables: Mapping[str, Any]
    json_schema: Mapping[str, Any]
    coordinates: Mapping[str, tuple[str, ...]]
    """What S_INTERSECTS can be asked of: a geometry field, or `posisi` for longitude and latitude."""

    @property
    def name(self) -> str:
        """The snake_case name."""
        return self.meta.name

    @property
    def open_fields(self) -> tuple[str, ...]:
        """Names of the fields that everybody may read."""
        return tuple(name for name, spec in self.fields.items() if spec.akses == "terbuka")

    def key_of(self, values: Mapping[str, Any]) -> str:
        """The key of a record: its parts percent-encoded and joined by `~`; null is empty, a date ISO 8601."""
        key = self.meta.key
        if len(key) == 1:
            return encoded_part(values.get(key[0]))
        return "~".join([encoded_part(values.get(name)) for name in key])

    def split_key(self, key: str) -> dict[str, str]:
        """The parts of a key as text, decoded, by field name; a null part is the empty string.

        Raises KeyMalformed, which names the parts expected and never repeats the key.
        """
        parts = key.split("~")
        if len(parts) != len(self.meta.key) or len(key) > _LONGEST_KEY:
            raise self._malformed()
        try:
            return {name: unquote(part, errors="strict") for name, part in zip(self.meta.key, parts, strict=True)}
        except UnicodeDecodeError:
            raise self._malformed() from None

    def key_values(self, key: str) -> dict[str, Any]:
        """The parts of a key as values of the fields' own types (int, date, None for an empty part).

        Raises KeyMalformed. Whether a value obeys the field's rule is not looked at: no record has it, then.
        """
        return {name: self._part_value(self.fields[name], text) for name, text in self.split_key(key).items()}

    def _part_value(self, spec: FieldSpec, text: str) -> Any:
        if text == "" and not spec.required:
            return None
        try:
            if spec.kind == "integer" and text.isascii() and text.isdigit() and len(text) < 19:
                return int(text)
            if spec.kind == "date" and len(text) == 10:
                return dt.date.fromisoformat(text)
        except ValueError:
            raise self._malformed() from None
        if spec.kind == "text" and text:
            return text
        raise self._malformed()

    def _malformed(self) -> errors.KeyMalformed:
        expected = "~".join(f"{{{name}}}" for name in self.meta.key)
        detail = f"a key of {self.name} is {expected}; percent-encode each part, leave a null part empty"
        return errors.KeyMalformed(detail, schema=self.name, parts=self.meta.key)


def encoded_part(value: Any) -> str:
    """One part of a key: null is empty, a date ISO 8601, all but ASCII letters and digits percent-encoded."""
    if value is None:
        return ""
    text = value if type(value) is str else value.isoformat() if isinstance(value, dt.date) else str(value)
    return text if text.isalnum() and text.isascii() else quote(text, safe="").replace("~", "%7E")
