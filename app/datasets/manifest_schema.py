"""The JSON Schema of a manifest: made of the models that read one, and of the options of the mapping steps.

A manifest that is accepted fits it. It says nothing of what only the gateway knows: fields of the schema, columns of the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any

from app.connectors.registry import kinds
from app.datasets.manifest import DOCUMENT_KIND, Manifest
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.structures import STRUCTURES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
_SOURCES = ("from", "const", "expr", "when")
_BESIDE: Mapping[str, Any] = {
    "else": {"enum": ["reject", "null", None], "description": "What becomes of a value that a step cannot convert"},
    "months": {"enum": ["id", "en"], "description": "The language of month names"},
}


@cache
def manifest_schema() -> Mapping[str, Any]:
    """The schema, in draft 2020-12."""
    found = Manifest.model_json_schema(by_alias=True, ref_template="#/$defs/{model}")
    definitions: dict[str, Any] = found.pop("$defs", {})
    definitions.pop("SourceBase", None)
    for name, kind in kinds().items():
        source = kind.source_model.model_json_schema(ref_template=f"#/$defs/{name}_{{model}}")
        definitions |= {f"{name}_{inner}": schema for inner, schema in source.pop("$defs", {}).items()}
        source["properties"]["kind"] = {"const": name}
        source["required"] = ["kind", *[one for one in source.get("required", ()) if one != "kind"]]
        definitions[f"source_{name}"] = source
    definitions |= {"field": _field(), "branch": _branch()}
    found["properties"] |= {
        "kind": {"const": DOCUMENT_KIND, "description": "As it stands among the documents of `simpul apply`"},
        "source": {"oneOf": [{"$ref": f"#/$defs/source_{name}"} for name in kinds()]},
        "fields": {
            "type": "object",
            "description": "Each field of the schema: the name of a raw column, or an object with steps in their order",
            "additionalProperties": {"$ref": "#/$defs/field"},
        },
    }
    return {"$schema": DIALECT, **found, "title": "Simpul manifest", "$defs": dict(sorted(definitions.items()))}


def _field() -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "string", "minLength": 1, "description": "A raw column, or a path such as $.a.b"},
            _mapping({}),
        ]
    }


def _branch() -> dict[str, Any]:
    return _mapping(
        {"if": {"type": "string", "description": "A condition in SQL; only the last branch may be without"}}
    )


def _mapping(more: Mapping[str, Any]) -> dict[str, Any]:
    """An object with one source and steps."""
    text = {"type": "string", "minLength": 1}
    steps = {name: STRUCTURES[name] for name in STEPS}
    each = {
        "type": "object",
        "properties": {**steps, "fields": {"type": "object", "additionalProperties": {"$ref": "#/$defs/field"}}},
    }
    return {
        "type": "object",
        "properties": {
            "from": {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]},
            "const": {"description": "The same value in every record"},
            "expr": {**text, "description": "One scalar expression in SQL"},
            "when": {"type": "array", "items": {"$ref": "#/$defs/branch"}, "minItems": 1},
            **more,
            **steps,
            "each": each,
            **_BESIDE,
        },
        "additionalProperties": False,
        "oneOf": [{"required": [name]} for name in _SOURCES],
    }
