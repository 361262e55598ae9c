"""The connector kinds of this gateway, by name: its own, and those that installed packages bring (`simpul.connectors`)."""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from functools import cache

from app.connectors.ckan import KIND as CKAN
from app.connectors.contract import Connector
from app.connectors.environment import Environment
from app.connectors.file import KIND as FILE
from app.connectors.foreign import guarded
from app.connectors.gateway import KIND as GATEWAY
from app.connectors.ogc import KIND as OGC
from app.connectors.rest import KIND as REST
from app.connectors.source import Kind, SourceBase, kind_of_package
from app.connectors.sql import KIND as SQL
from app.errors import ManifestInvalid
from app.extensions import CONNECTORS, Extension, Found, find

KINDS: dict[str, Kind] = {kind.name: kind for kind in (SQL, REST, CKAN, FILE, GATEWAY, OGC)}
"""The gateway's own."""


def kinds() -> Mapping[str, Kind]:
    """Every kind that a manifest may name."""
    return {**KINDS, **_brought().things}


def brought_kinds() -> tuple[Extension, ...]:
    """The entry points of installed packages, taken or refused."""
    return _brought().extensions


def source_model(kind: str) -> type[SourceBase]:
    """The model of a kind's `source:` block; raises `ManifestInvalid` naming the known kinds."""
    return _kind(kind).source_model


def paces_requests(name: str) -> bool:
    """Whether a kind asks by requests over HTTP and paces each of them itself; raises as `source_model`."""
    return _kind(name).requests


def open_connector(source: SourceBase, environment: Environment) -> Connector:
    """The opened source. No I/O happens here."""
    kind = _kind(source.kind)
    return kind.open(source, environment) if source.kind in KINDS else guarded(kind, source, environment)


@cache
def _brought() -> Found[Kind]:
    return find(CONNECTORS, kind_of_package, KINDS)


def _kind(name: str) -> Kind:
    known = kinds()
    found = known.get(name)
    if found is None:
        refusal = _brought().refusal(name)
        near = difflib.get_close_matches(name, known, n=1)
        hint = refusal or (f"did you mean {near[0]}?" if near else f"kinds: {', '.join(known)}")
        raise ManifestInvalid(f"unknown kind {name[:40]!r}; {hint}")
    return found
