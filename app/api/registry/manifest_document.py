"""The manifest in the OpenAPI document: the JSON Schema that a PUT is held against, its parts as components.

What generators of clients cannot read is said otherwise: that a mapping has exactly one source stands in words, for a choice beside
members (`oneOf` beside `properties`) becomes a model without the members; `true` as the only value is a boolean in words; texts that
are listed have their type beside them; no member has a default, which clients would send (`GET /v1/manifest-schema` tells them).
"""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

from app.connectors.registry import kinds
from app.datasets.manifest_schema import manifest_schema

BODY: Final[dict[str, Any]] = {"$ref": "#/components/schemas/ManifestBody"}
_NAMES: Final = {"ReadBlock": "Read", "SnapshotBlock": "Snapshot", "HealthBlock": "Health"}
_REF: Final = "#/$defs/"
_ONLY_TRUE: Final = "`true`, or absent"
_ONE_SOURCE: Final = "Exactly one of `from`, `const`, `expr` and `when`, and steps."

MANIFEST: dict[str, Any] = {
    "connector": "dinkes-faskes",
    "agency": "dinkes",
    "schema": "fasilitas_kesehatan@1",
    "title": "Daftar fasilitas kesehatan",
    "source": {"kind": "file", "location": "inbox/faskes.csv"},
    "fields": {"kode_faskes": "kode", "nama": {"from": "nama", "text": "squeeze"}, "jenis": "jenis"},
}


@cache
def components() -> dict[str, Any]:
    """`ManifestBody` and its parts, as `components/schemas` has them."""
    whole = json.loads(json.dumps(manifest_schema()))
    parts = whole.pop("$defs")
    source = parts["source"]
    mapping = {name: _pointer(f"source_{name}") for name in kinds()}
    source["discriminator"] = {"propertyName": "kind", "mapping": mapping}
    for name in ("mapping", "branch"):
        parts[name] = {"description": _ONE_SOURCE, **parts[name]}
        del parts[name]["oneOf"]
    del whole["$schema"], whole["title"]
    found = {"ManifestBody": whole, **{_name(name): part for name, part in parts.items()}}
    return {name: _moved(schema) for name, schema in found.items()}


def _name(part: str) -> str:
    return "Manifest" + "".join(word[:1].upper() + word[1:] for word in _NAMES.get(part, part).split("_"))


def _pointer(part: str) -> str:
    return f"#/components/schemas/{_name(part)}"


def _moved(schema: Any) -> Any:
    """The same with its references to where the document has the parts, and with the type of what is listed."""
    if isinstance(schema, list):
        return [_moved(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    moved = {
        name: {member: _moved(part) for member, part in value.items()}
        if name == "properties"
        else _pointer(value.removeprefix(_REF))
        if name == "$ref" and value.startswith(_REF)
        else _moved(value)
        for name, value in schema.items()
        if name != "default"
    }
    if moved.get("const") is True:
        return {"type": "boolean", "description": moved.get("description", _ONLY_TRUE)}
    values = moved.get("enum", [moved["const"]] if "const" in moved else [])
    texts = bool(values) and all(isinstance(value, str) for value in values)
    return {"type": "string", **moved} if texts else moved
