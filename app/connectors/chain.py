"""Which gateways a question has come through (`Simpul-Via`), so that none asks itself and no chain grows without end."""

from __future__ import annotations

from contextvars import ContextVar

from app.errors import GatewayLoop

HEADER = "simpul-via"
MOST_GATEWAYS = 4
"""Gateways that a question may have come through before this one."""
_MOST_CHARACTERS = 1_000
_CAME_THROUGH: ContextVar[tuple[str, ...]] = ContextVar("came_through", default=())


def arrived(header: str | None, own: str) -> None:
    """Notes for the request at hand through which gateways it came. `own`: this gateway's own name, that of its log.

    Raises `GatewayLoop` where this one is among them, or where they are too many.
    """
    names = () if header is None else tuple(name for name in map(str.strip, header.split(",")) if name)
    if header is not None and len(header) > _MOST_CHARACTERS:
        raise GatewayLoop(f"Simpul-Via has at most {_MOST_CHARACTERS} characters", limit_characters=_MOST_CHARACTERS)
    if own in names:
        detail = f"the question has been at {own} before: two gateways are each other's source; take one of the two connectors back"
        raise GatewayLoop(detail)
    if len(names) > MOST_GATEWAYS:
        detail = f"the question came through {len(names)} gateways, {MOST_GATEWAYS} may stand before one; ask the first source itself"
        raise GatewayLoop(detail, limit_gateways=MOST_GATEWAYS)
    _CAME_THROUGH.set(names)


def going_out(own: str) -> str:
    """The header for a question to another gateway."""
    return ", ".join((*_CAME_THROUGH.get(), own))
