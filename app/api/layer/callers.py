"""Who asks: the client of a token, or the person of a session's cookie."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import UTC, datetime
from typing import TYPE_CHECKING

from starlette.types import Scope

from app.access.people import accounts, sessions
from app.api.layer.admittance import authenticate
from app.api.layer.cookies import IdentityAmbiguous, SessionInvalid, check_csrf, session_value
from app.gateway.people import lives_of

if TYPE_CHECKING:
    from app.access.people.accounts import Person
    from app.access.people.sessions import Session
    from app.access.principals import Principal
    from app.gateway.services import Services


async def caller_of(services: Services, scope: Scope, headers: Mapping[bytes, bytes]) -> Principal:
    """The principal of a governed request; a person's session stands in the state of the scope then.

    The Authorization header counts before a cookie. Both, the cookie of a live session, are two identities: `IdentityAmbiguous`.
    """
    authorization, proof = headers.get(b"authorization"), headers.get(b"dpop")
    value = session_value(scope["headers"], services.settings) if b"cookie" in headers else None
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
