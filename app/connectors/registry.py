"""The connector kinds of this gateway, by name. A kind is added here and nowhere else."""

from __future__ import annotations

import difflib

from app.connectors.ckan import KIND as CKAN
from app.connectors.contract import Connector
from app.connectors.environment import Environment
from app.connectors.file import KIND as FILE
from app.connectors.gateway import KIND as GATEWAY
from app.connectors.ogc import KIND as OGC
from app.connectors.rest import KIND as REST
from app.connectors.source import Kind, SourceBase
from app.connectors.sql import KIND as SQL
from app.errors import ManifestInvalid

KINDS: dict[str, Kind] = {kind.name: kind for kind in (SQL, REST, CKAN, FILE, GATEWAY, OGC)}


def source_model(kind: str) -> type[SourceBase]:
    """The model of a kind's `source:` block; raises `ManifestInvalid` naming the known kinds."""
    return _kind(kind).source_model


def open_connector(source: SourceBase, environment: Environment) -> Connector:
    """The opened source. No I/O happens here."""
    return _kind(source.kind).open(source, environment)


def _kind(name: str) -> Kind:
    found = KINDS.get(name)
    if found is None:
        near = difflib.get_close_matches(name, KINDS, n=1)
        hint = f"did you mean {near[0]}?" if near else f"kinds: {', '.join(KINDS)}"
        raise ManifestInvalid(f"unknown kind {name[:40]!r}; {hint}")
    return found
