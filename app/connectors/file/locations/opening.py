"""Which location is opened by what. Opening does no I/O; what a location needs of extras is loaded by its first request."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from app.connectors.environment import Environment
from app.connectors.file.located import INBOX, scheme_of
from app.connectors.file.locations.inbox import Inbox
from app.connectors.file.locations.object_store import ObjectStore
from app.connectors.file.locations.origin import Origin
from app.connectors.file.locations.sftp import SftpFiles
from app.connectors.file.locations.web import WebFile
from app.connectors.file.source import FileSource

_ORIGINS: Mapping[str, Callable[[FileSource, Environment], Origin]] = {
    INBOX: Inbox,
    "http": WebFile,
    "https": WebFile,
    "s3": ObjectStore,
    "sftp": SftpFiles,
}


def opened_origin(source: FileSource, environment: Environment) -> Origin:
    """Where the files of a source come from."""
    return _ORIGINS[scheme_of(source.location)](source, environment)
