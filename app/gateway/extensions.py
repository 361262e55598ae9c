"""What installed packages bring to this gateway, kinds and schemas, and what of it was refused."""

from __future__ import annotations

import structlog

from app.connectors.registry import brought_kinds
from app.extensions import Extension
from app.schemas.registry import brought_schemas

log = structlog.get_logger("simpul.extensions")


def met() -> tuple[Extension, ...]:
    """Every entry point of `simpul.connectors` and `simpul.schemas`."""
    return (*brought_kinds(), *brought_schemas())


def report() -> None:
    """One line a package: what it brings, or why that is refused. Nothing here stops the gateway."""
    for one in met():
        facts = {"group": one.group, "extension": one.name, "package": one.package, "package_version": one.version}
        if one.code is None:
            log.info("extension_taken", **facts)
        else:
            log.warning("extension_refused", **facts, code=one.code, detail=one.detail)
