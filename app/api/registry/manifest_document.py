"""The manifest in the OpenAPI document: the very JSON Schema that a PUT is held against, its parts as components."""

from __future__ import annotations

import json
from functools import cache
from typing import Any, Final

from app.connectors.registry import kinds
from app.datasets.manifest_schema import manifest_schema

BODY: Final[dict[str, Any]] = {"$ref": "#/components/schemas/ManifestBody"}
_NAMES: Final = {"ReadBlock": "Read", "SnapshotBlock": "Snapshot", "HealthBlock": "Health"}
_REF: Final = "#/$defs/"

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
    del whole["$schema"], whole["title"]
    found = {"ManifestBody": whole, **{_name(name): part for name, part in parts.items()}}
    return {name: _moved(schema) for name, schema in found.items()}


def _name(part: str) -> str:
    return "Manifest" + "".join(word[:1].upper() + word[1:] for word in _NAMES.get(part, part).split("_"))


def _pointer(part: str) -> str:
    return f"#/components/schemas/{_name(part)}"


def _moved(schema: Any) -> Any:
    """The same with its references to where the document has the parts."""
    if isinstance(schema, list):
        return [_moved(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        name: _pointer(value.removeprefix(_REF))
        if name == "$ref" and isinstance(value, str) and value.startswith(_REF)
        else _moved(value)
        for name, value in schema.items()
    }
