"""Who may pass: the caller of a request, and the refusals of a path, a role, a name or a mode that is not theirs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING
from urllib.parse import unquote

from starlette.types import Scope

from app.api.layer.resource import Rule, RuleTable
from app.errors import (
    AccessDenied,
    AuthenticationError,
    MethodNotAllowed,
    NotFound,
    RequestError,
    RoleForbidden,
    SimpulError,
    TokenMissing,
)

if TYPE_CHECKING:
    from app.access.principals import Principal
    from app.gateway.exchange import Names
    from app.gateway.services import Services


class ModeUnknown(RequestError):
    """`Simpul-Mode` names a mode that this gateway, or this route, does not have."""

    code = "mode_unknown"


class RoadClientMismatch(AccessDenied):
    """`X-Road-Client` names another member or client than the credential."""

    code = "road_client_mismatch"


def authenticate(services: Services, authorization: str | None, address: str) -> Principal:
    """The principal of an Authorization header; raises `TokenMissing` or `TokenInvalid`.

    An address that causes too many of these gets `RateLimited` instead; a token that is right passes all the same.
    """
    try:
        return _authenticated(services, authorization)
    except AuthenticationError as refusal:
        services.metrics.refusals.labels(refusal.code).inc()
        services.attempts.check(address)
        services.attempts.failed(address)
        raise


def _authenticated(services: Services, authorization: str | None) -> Principal:
    if authorization is None:
        raise TokenMissing("send Authorization: Bearer with a token from /oauth/token")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() != "bearer" or not token:
        raise TokenMissing("the Authorization header must be: Bearer <token>")
    return services.access.authenticate(token.strip())


def no_route(scope: Scope, rules: RuleTable) -> SimpulError:
    """404, or 405 naming the methods that the path takes."""
    methods = rules.methods_of(scope["path"])
    if methods:
        allow = ", ".join(sorted(methods))
        return MethodNotAllowed(f"this path takes {allow}", allow=allow)
    return NotFound("no route has this path; /docs lists them")


def forbidden(rule: Rule, role: str) -> RoleForbidden:
    """403 naming the roles that the operation needs."""
    needed = ", ".join(sorted(rule.roles))
    return RoleForbidden(f"{rule.op} needs the role {needed}; this credential has {role}", rule="role")


def refusal(rule: Rule, caller: Principal, headers: Mapping[bytes, bytes], names: Names) -> SimpulError | None:
    """Why a known caller may not go on to a route: its role, then the name that it gives itself, then the mode."""
    if caller.role not in rule.roles:
        return forbidden(rule, caller.role)
    stated = headers.get(b"x-road-client")
    if stated is not None and unquote(stated.decode("latin-1")) not in (own := _road_names(caller, names)):
        detail = f"X-Road-Client is not the client of this token: send {' or '.join(own)}, or leave the header out"
        return RoadClientMismatch(detail, rule="road_client_mismatch")
    if b"simpul-mode" in headers:
        return ModeUnknown("no mode has this name: without the header Simpul-Mode the data itself is answered")
    return None


def _road_names(caller: Principal, names: Names) -> tuple[str, str]:
    """How X-Road writes who asks: the member (instance, class, code), and the client as its subsystem."""
    member = names.member(caller.agency)
    return member, f"{member}/{caller.client_id}"
