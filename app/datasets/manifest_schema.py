"""The JSON Schema of a manifest: made of the models that read one, and of the options of the mapping steps.

A PUT holds each manifest against it (`manifest_structure.py`), and the OpenAPI document shows it as the body of that PUT. It says
nothing of what only the gateway knows: fields of the schema, columns of the source.
"""

from __future__ import annotations

from collections.abc import Mapping
from functools import cache
from typing import Any, Final

from app.connectors.registry import kinds
from app.datasets.manifest import DOCUMENT_KIND, Manifest
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.structures import STRUCTURES

DIALECT = "https://json-schema.org/draft/2020-12/schema"
MOST: Final = 1_048_576
"""Characters, items or members where nothing else bounds them: no manifest is larger."""
_INT32: Final = 2_147_483_647
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
    definitions |= {"field": _field(), "mapping": _mapping({}), "branch": _branch(), "each": _each()}
    definitions |= {f"step_{name}": STRUCTURES[name] for name in STEPS}
    definitions["source"] = {
        "description": "Where the records are",
        "oneOf": [{"$ref": f"#/$defs/source_{name}"} for name in kinds()],
    }
    found["properties"] |= {
        "kind": {"const": DOCUMENT_KIND, "description": "As it stands among the documents of `simpul apply`"},
        "source": {"$ref": "#/$defs/source"},
        "fields": {
            "type": "object",
            "description": "Each field of the schema: the name of a raw column, or an object with steps in their order",
            "additionalProperties": {"$ref": "#/$defs/field"},
        },
    }
    whole = _bounded({**found, "$defs": dict(sorted(definitions.items()))})
    return {"$schema": DIALECT, **whole, "title": "Simpul manifest"}


def _bounded(schema: Any) -> Any:
    """Every text, list, object and whole number with a bound; without titles, which repeat names, and defaults of several members."""
    if isinstance(schema, list):
        return [_bounded(item) for item in schema]
    if not isinstance(schema, Mapping):
        return schema
    made = {
        name: {member: _bounded(inner) for member, inner in value.items()}
        if name in {"properties", "$defs"}
        else value
        if name in {"const", "enum", "examples", "default"}
        else _bounded(value)
        for name, value in schema.items()
        if not (name == "title" and isinstance(value, str))
        and not (name == "default" and isinstance(value, dict | list))
    }
    kind, fixed = made.get("type"), made.keys() & {"const", "enum"}
    if kind == "string" and not fixed:
        made.setdefault("maxLength", MOST)
    elif kind == "array":
        if "prefixItems" in made:  # as many as these: what reads no prefixes is told the form of them all
            made.setdefault("items", made["prefixItems"][-1])
        made.setdefault("maxItems", MOST)
    elif kind == "object" and made.get("additionalProperties") is not False:
        made.setdefault("maxProperties", MOST)
    elif kind == "integer":
        if "exclusiveMinimum" not in made:
            made.setdefault("minimum", -_INT32)
        made = {"format": "int32", "maximum": _INT32, **made}
    elif kind == "number":
        made.setdefault("format", "double")
    return made


def _field() -> dict[str, Any]:
    return {
        "anyOf": [
            {"type": "string", "minLength": 1, "description": "A raw column, or a path such as $.a.b"},
            {"$ref": "#/$defs/mapping"},
        ]
    }


def _branch() -> dict[str, Any]:
    return _mapping(
        {"if": {"type": "string", "description": "A condition in SQL; only the last branch may be without"}}
    )


def _steps() -> dict[str, Any]:
    return {name: {"$ref": f"#/$defs/step_{name}"} for name in STEPS}


def _each() -> dict[str, Any]:
    """What is done to each item of a list: steps, or the fields of an object."""
    fields = {"type": "object", "additionalProperties": {"$ref": "#/$defs/field"}}
    return {"type": "object", "properties": {**_steps(), "fields": fields}, "additionalProperties": False}


def _mapping(more: Mapping[str, Any]) -> dict[str, Any]:
    """An object with one source and steps."""
    text = {"type": "string", "minLength": 1}
    return {
        "type": "object",
        "properties": {
            "from": {"anyOf": [text, {"type": "array", "items": text, "minItems": 1}]},
            "const": {"description": "The same value in every record"},
            "expr": {**text, "description": "One scalar expression in SQL"},
            "when": {"type": "array", "items": {"$ref": "#/$defs/branch"}, "minItems": 1},
            **more,
            **_steps(),
            "each": {"$ref": "#/$defs/each"},
            **_BESIDE,
        },
        "additionalProperties": False,
        "oneOf": [{"properties": {name: {}}, "required": [name]} for name in _SOURCES],
    }
