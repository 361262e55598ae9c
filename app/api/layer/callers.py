"""Who asks: the client of a token, or the person of a session's cookie."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from ipaddress import ip_address, ip_network
from typing import TYPE_CHECKING

from starlette.types import Scope

from app.access.people import accounts, sessions
from app.access.principals import PUBLIC
from app.api.layer.admittance import MODE, authenticate
from app.api.layer.cookies import IdentityAmbiguous, SessionInvalid, check_csrf, session_value
from app.gateway.people import lives_of

if TYPE_CHECKING:
    from app.access.people.accounts import Person
    from app.access.people.sessions import Session
    from app.access.principals import Principal
    from app.access.rates import Allowance
    from app.api.layer.resource import Rule
    from app.gateway.services import Services


async def admit(
    services: Services, scope: Scope, rule: Rule | None, headers: Mapping[bytes, bytes]
) -> tuple[Principal, str, Allowance]:
    """Who asks, by which name its requests are counted, and what is left of them.

    Without any sign of a token or a session it is the public, where the operator lets it read open data and the route has some; never in
    practice, never for a job. Raises an `AuthenticationError`, `RateLimited`, `QuotaExceeded`.
    """
    signs = headers.keys() & {b"authorization", b"dpop", MODE} or _value(services, scope, headers) is not None
    opened = services.settings.public_open_data and rule is not None and rule.public
    if opened and not signs and b"respond-async" not in headers.get(b"prefer", b"").lower():
        principal, name = PUBLIC, _network((scope.get("client") or ("",))[0])
        allowance = services.public_rates.check(name)
    else:
        principal = await caller_of(services, scope, headers)
        name, allowance = principal.client_id, services.access.check_rate(principal)
    services.details.check(name)
    return principal, name, allowance


def _network(address: str) -> str:
    """The address; of IPv6 the /64 that one subscriber has."""
    try:
        found = ip_address(address)
    except ValueError:
        return address
    return address if found.version == 4 else str(ip_network((found, 64), strict=False))


def _value(services: Services, scope: Scope, headers: Mapping[bytes, bytes]) -> str | None:
    return session_value(scope["headers"], services.settings) if b"cookie" in headers else None


async def caller_of(services: Services, scope: Scope, headers: Mapping[bytes, bytes]) -> Principal:
    """The principal of a governed request; a person's session stands in the state of the scope then.

    The Authorization header counts before a cookie. Both, the cookie of a live session, are two identities: `IdentityAmbiguous`.
    """
    authorization, proof = headers.get(b"authorization"), headers.get(b"dpop")
    value = _value(services, scope, headers)
    if authorization is None and value is not None:
        return await _person(services, scope, headers, value)
    principal = await authenticate(
        services,
        scope,
        None if authorization is None else authorization.decode("latin-1"),
        None if proof is None else proof.decode("latin-1"),
    )
    if value is not None and await session_of(services, value) is not None:
        raise IdentityAmbiguous("send the token or the session's cookie, not both", rule="two_identities")
    return principal


async def _person(services: Services, scope: Scope, headers: Mapping[bytes, bytes], value: str) -> Principal:
    address = (scope.get("client") or ("",))[0]
    found = await session_of(services, value)
    if found is None:
        services.metrics.refusals.labels(SessionInvalid.code).inc()
        services.attempts.check(address)
        services.attempts.failed(address)
        raise SessionInvalid("the session has ended; sign in again: POST /sign-in")
    session, person = found
    check_csrf(headers, services.settings, scope.get("simpul.method", scope["method"]), value)
    now = datetime.now(UTC)
    if now - session.last_seen >= min(sessions.TOUCH, lives_of(services).idle / 4):
        async with services.database.begin() as connection:
            await sessions.touch(connection, session, now, lives_of(services))
    scope["state"]["session"] = session
    scope["state"]["session_value"] = value
    return person.principal(session.fresh_until)


async def session_of(services: Services, value: str) -> tuple[Session, Person] | None:
    """The session of a cookie and its person, as the store has them now; None where it has ended, or its agency is disabled."""
    async with services.database.read() as connection:
        session = await sessions.find_session(connection, value, datetime.now(UTC))
        if session is None:
            return None
        person = await accounts.get_person(connection, session.person)
    return None if person.agency in services.current.snapshot.disabled else (session, person)
