"""JSON Schema 2020-12 of records on the wire, and the queryables document (OGC API Features part 3).

Bounds everywhere: the lint of the OpenAPI document demands them, and clients generate better types from them.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.schemas.base import FieldSpec, SchemaMeta
from app.schemas.definition import SchemaDef
from app.schemas.wire import wire_value

_DIALECT = "https://json-schema.org/draft/2020-12/schema"
_NOT_QUERYABLE = frozenset({"list", "object", "geometry"})


def wire_json_schema(schema: SchemaDef) -> dict[str, Any]:
    """The schema of a record in an answer: every field optional, since a grant or `fields=` may leave some out."""
    return {key: value for key, value in record_schema(schema.meta, schema.fields).items() if key != "required"}


def record_schema(meta: SchemaMeta, fields: Mapping[str, FieldSpec]) -> dict[str, Any]:
    """The schema of a whole record, with Indonesian titles, classification and units as `x-` members."""
    return {
        "type": "object",
        "title": meta.title_en,
        "description": meta.definition_en,
        "x-judul": meta.judul,
        "x-deskripsi": meta.definisi,
        "x-kunci": list(meta.key),
        "additionalProperties": False,
        "properties": {name: field_schema(spec) for name, spec in fields.items()},
        "required": [name for name, spec in fields.items() if spec.required],
        "examples": [{name: wire_value(spec.example) for name, spec in fields.items()}],
    }


def field_schema(spec: FieldSpec) -> dict[str, Any]:
    """The schema of one field with title, description, example and notes."""
    notes: dict[str, Any] = {
        "title": spec.title_en,
        "description": spec.description_en,
        "x-judul": spec.title_id,
        "x-deskripsi": spec.description_id,
        "x-semantik": spec.semantic,
        "x-akses": spec.akses,
        "x-pdp": spec.pdp,
    }
    if spec.unit is not None:
        notes["x-satuan"] = spec.unit
    if spec.example is not None:
        notes["examples"] = [wire_value(spec.example)]
    return _value_schema(spec) | notes


def _value_schema(spec: FieldSpec) -> dict[str, Any]:
    value = spec.rule.json_schema()
    if spec.item is not None:
        value["items"] = _value_schema(spec.item)
    if spec.parts:
        value["properties"] = {name: field_schema(part) for name, part in spec.parts.items()}
        value["required"] = [name for name, part in spec.parts.items() if part.required]
    if not spec.required:
        value["type"] = [value["type"], "null"]
        if "enum" in value:
            value["enum"] = [*value["enum"], None]
    return value


def coordinates_of(fields: Mapping[str, FieldSpec]) -> dict[str, tuple[str, ...]]:
    """What lies on a map, by the name in a filter: geometry fields, and `posisi` where there are longitude and latitude."""
    coordinates = {name: (name,) for name, spec in fields.items() if spec.kind == "geometry"}
    return coordinates | ({"posisi": ("lng", "lat")} if {"lng", "lat"} <= fields.keys() else {})


def queryables_of(meta: SchemaMeta, fields: Mapping[str, FieldSpec]) -> dict[str, Any]:
    """What a filter may name: scalar fields and coordinates; nothing at all for a schema that is only looked up."""
    names = [] if meta.lookup_only else [name for name, spec in fields.items() if spec.kind not in _NOT_QUERYABLE]
    coordinates = {} if meta.lookup_only else coordinates_of(fields)
    return {
        "$schema": _DIALECT,
        "type": "object",
        "title": meta.title_en,
        "description": meta.definition_en,
        "additionalProperties": False,
        "properties": {name: field_schema(fields[name]) for name in names}
        | {name: _coordinates_schema(parts) for name, parts in coordinates.items()},
    }


def _coordinates_schema(parts: tuple[str, ...]) -> dict[str, Any]:
    """Coordinates, in the words of OGC API Features part 3 (`format: geometry-…`)."""
    if len(parts) == 1:
        return {"title": "Geometry", "x-judul": "Geometri", "format": "geometry-any"}
    return {"title": "Position", "x-judul": "Posisi", "format": "geometry-point"}
