"""Who may pass: the caller of a request, and the refusals of a path or a role that is not theirs."""

from __future__ import annotations

from typing import TYPE_CHECKING

from starlette.types import Scope

from app.api.layer.resource import Rule, RuleTable
from app.errors import AuthenticationError, MethodNotAllowed, NotFound, RoleForbidden, SimpulError, TokenMissing

if TYPE_CHECKING:
    from app.access.principals import Principal
    from app.gateway.services import Services


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
