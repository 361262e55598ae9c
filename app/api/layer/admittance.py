"""Who may pass: the caller of a request, and the refusals of a path, a role, a name or a mode that is not theirs."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import unquote

from starlette.types import Scope

from app.access.dpop import DpopNonceNeeded, DpopProofInvalid, Request, read_proof
from app.access.step_up import step_up_needed
from app.api.layer.resource import Rule, RuleTable
from app.errors import (
    AccessDenied,
    AuthenticationError,
    MethodNotAllowed,
    NotFound,
    RequestError,
    RoleForbidden,
    SimpulError,
    TokenInvalid,
    TokenMissing,
)

if TYPE_CHECKING:
    from app.access.principals import Principal
    from app.gateway.exchange import Names
    from app.gateway.services import Services


MODE: Final = b"simpul-mode"
PRACTICE: Final = b"uji"


class ModeUnknown(RequestError):
    """`Simpul-Mode` names a mode that this gateway, or this route, does not have."""

    code = "mode_unknown"


class RoadClientMismatch(AccessDenied):
    """`X-Road-Client` names another member or client than the credential."""

    code = "road_client_mismatch"


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


def refusal(rule: Rule, caller: Principal, headers: Mapping[bytes, bytes], names: Names) -> SimpulError | None:
    """Why a known caller may not go on to a route: its role, the name that it gives itself, how long ago it showed who it is, the mode."""
    if caller.role not in rule.roles:
        return forbidden(rule, caller.role)
    stated = headers.get(b"x-road-client")
    if stated is not None and unquote(stated.decode("latin-1")) not in (own := _road_names(caller, names)):
        detail = f"X-Road-Client is not the client of this token: send {' or '.join(own)}, or leave the header out"
        return RoadClientMismatch(detail, rule="road_client_mismatch")
    stale = step_up_needed(caller, rule.fresh) if rule.fresh else None
    if stale is not None:
        return stale
    mode = headers.get(MODE)
    if mode is None or practised(rule, headers):
        return None
    if mode == PRACTICE:
        return ModeUnknown("this route has no practice: leave the header Simpul-Mode out")
    return ModeUnknown(
        "no mode has this name: `uji` is practice, without the header Simpul-Mode the data itself is answered"
    )


def practised(rule: Rule, headers: Mapping[bytes, bytes]) -> bool:
    """Whether synthetic records are meant, and the route has them."""
    return rule.practice and headers.get(MODE) == PRACTICE


def _road_names(caller: Principal, names: Names) -> tuple[str, str]:
    """How X-Road writes who asks: the member (instance, class, code), and the client as its subsystem."""
    member = names.member(caller.agency)
    return member, f"{member}/{caller.client_id}"
