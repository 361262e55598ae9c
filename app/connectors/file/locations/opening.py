"""Which location is opened by what. Opening does no I/O; what a location needs of extras is loaded by its first request."""

from __future__ import annotations

from app.connectors.environment import Environment
from app.connectors.file.locations.origin import Origin
from app.connectors.file.locations.web import WebFile
from app.connectors.file.source import FileSource


def opened_origin(source: FileSource, environment: Environment) -> Origin:
    """Where the files of a source elsewhere come from."""
    return WebFile(source, environment)
