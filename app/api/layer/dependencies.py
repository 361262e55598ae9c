"""What a route function takes from the request: the services, the caller, the exchange under way."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from app.access.principals import Principal
from app.conditions import Precondition
from app.errors import ParameterUnknown
from app.gateway.exchange import Exchange
from app.gateway.services import Services


def services(request: Request) -> Services:
    """The open services of this process; in practice those whose datasets are synthetic."""
    found = cast("Services", request.app.state.services)
    return found.practising() if practising(request) else found


def practising(request: Request) -> bool:
    """Whether the request is one of `Simpul-Mode: uji`, as the layer has settled."""
    return bool(request.scope.get("state", {}).get("practice"))


def principal(request: Request) -> Principal:
    """Who asks; the layer has authenticated them."""
    return cast("Principal", request.state.principal)


def exchange(request: Request) -> Exchange:
    """The exchange under way; only on recorded routes."""
    return cast("Exchange", request.state.exchange)


def condition(request: Request, *, required: bool = False) -> Precondition:
    """`If-Match` and `If-None-Match` of a change; with `required` a change of what exists must say which state it means."""
    return Precondition(list_header(request, "if-match"), list_header(request, "if-none-match"), required)


def list_header(request: Request, name: str) -> str | None:
    """A list header whole: its lines are one list (RFC 9110, section 5.3)."""
    found = request.headers.getlist(name)
    return ",".join(found) if found else None


def listed(text: str | None) -> tuple[str, ...] | None:
    """The parts of a parameter that is a list with commas."""
    return None if text is None else tuple(part.strip() for part in text.split(","))


def only_parameters(request: Request, *known: str) -> dict[str, str]:
    """The query parameters, each given once and each a known one; raises `ParameterUnknown`."""
    found: dict[str, str] = {}
    for name, value in request.query_params.multi_items():
        if name not in known:
            raise ParameterUnknown(
                f"no parameter {name[:64]} here; known: {', '.join(known) or 'none'}", parameter=name[:64]
            )
        if name in found:
            raise ParameterUnknown(f"the parameter {name} stands twice", parameter=name)
        found[name] = value
    return found
