"""A filled skeleton manifest from what was discovered at a source: names matched by plain equality, the rest left to a person."""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

from app.connectors.contract import Discovery
from app.datasets.manifest import Manifest
from app.schemas.registry import SchemaDef


def suggest_skeleton(manifest: Manifest, schema: SchemaDef | None, found: Discovery) -> Mapping[str, Any]:
    """The manifest with a line for every field of the schema: the raw column of the same name, or null to be filled in."""
    columns = {_plain(column.name): column.name for column in found.columns}
    document = manifest.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    document["source"] = {"kind": manifest.source.kind, **document["source"]}
    if schema is None:
        document["schema"] = None
        document["fields"] = {column.name: column.name for column in found.columns}
        return document
    document["schema"] = schema.meta.ref
    document["fields"] = {name: columns.get(_plain(name)) for name in schema.fields}
    return document


def _plain(name: str) -> str:
    return re.sub(r"[^a-z0-9]", "", name.lower())
