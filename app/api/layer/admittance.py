"""Who may pass: the caller of a request, and the refusals of a path or a role that is not theirs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from starlette.types import Scope

from app.access.dpop import DpopNonceNeeded, DpopProofInvalid, Request, read_proof
from app.api.layer.resource import Rule, RuleTable
from app.errors import (
    AuthenticationError,
    MethodNotAllowed,
    NotFound,
    RoleForbidden,
    SimpulError,
    TokenInvalid,
    TokenMissing,
)

if TYPE_CHECKING:
    from app.access.principals import Principal
    from app.gateway.services import Services


async def authenticate(services: Services, scope: Scope, authorization: str | None, proof: str | None) -> Principal:
    """The principal of an Authorization header and a DPoP header; raises an `AuthenticationError`.

    An address that causes too many of these gets `RateLimited` instead; a token that is right passes all the same.
    """
    try:
        scheme, token = _token(authorization)
        principal, bound_to = services.access.issuer.holder(token)
        if bound_to is not None or proof is not None or scheme == "dpop":
            await _prove(services, scope, Sent(scheme, token, bound_to, proof))
    except AuthenticationError as refusal:
        services.metrics.refusals.labels(refusal.code).inc()
        if not isinstance(refusal, DpopNonceNeeded):  # a step that every client of proofs goes
            address = (scope.get("client") or ("",))[0]
            services.attempts.check(address)
            services.attempts.failed(address)
        raise
    return principal


def _token(authorization: str | None) -> tuple[str, str]:
    if authorization is None:
        raise TokenMissing("send Authorization: Bearer with a token from /oauth/token")
    scheme, _, token = authorization.partition(" ")
    if scheme.lower() not in {"bearer", "dpop"} or not token:
        raise TokenMissing("the Authorization header must be: Bearer <token>")
    return scheme.lower(), token.strip()


@dataclass(frozen=True, slots=True)
class Sent:
    """How a token came: its scheme, the key that it is bound to, the proof beside it."""

    scheme: str
    token: str
    bound_to: str | None
    proof: str | None


async def _prove(services: Services, scope: Scope, sent: Sent) -> None:
    """A bound token needs its scheme and a proof (RFC 9449, section 7); a proof beside another token is not overlooked."""
    if sent.bound_to is None:
        raise TokenInvalid(
            "The token is bound to no key: ask for one with a DPoP proof, or send it as Bearer without one."
        )
    if sent.scheme != "dpop":
        raise TokenInvalid(
            "The token is bound to a key: send it as Authorization: DPoP, with a proof in the DPoP header."
        )
    if sent.proof is None:
        raise DpopProofInvalid("The token is bound to a key: send a proof in the DPoP header.")
    url = services.access.issuer.issuer + scope.get("raw_path", scope["path"].encode()).decode("latin-1")
    request = Request(scope.get("simpul.method", scope["method"]), url, sent.token)
    found = read_proof(sent.proof, request, services.nonces)
    if found.thumbprint != sent.bound_to:
        raise DpopProofInvalid("The DPoP proof is signed by another key than the one that the token is bound to.")
    await found.used(services.once)


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
