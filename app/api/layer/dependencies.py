"""What a route function takes from the request: the services, the caller, the exchange under way."""

from __future__ import annotations

from typing import cast

from fastapi import Request

from app.access.principals import Principal
from app.errors import ParameterUnknown
from app.gateway.exchange import Exchange
from app.gateway.services import Services


def services(request: Request) -> Services:
    """The open services of this process."""
    return cast("Services", request.app.state.services)


def principal(request: Request) -> Principal:
    """Who asks; the layer has authenticated them."""
    return cast("Principal", request.state.principal)


def exchange(request: Request) -> Exchange:
    """The exchange under way; only on recorded routes."""
    return cast("Exchange", request.state.exchange)


def if_match(request: Request) -> str | None:
    """The `If-Match` header."""
    return request.headers.get("if-match")


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
