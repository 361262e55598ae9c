"""People at the OIDC provider: who comes back is signed in where an account is tied to it. Nobody gets an account by signing in."""

from __future__ import annotations

import time
from collections.abc import Mapping
from datetime import UTC, datetime

from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.people import accounts, sessions
from app.access.people.accounts import Person
from app.access.people.oidc import FLOW_SECONDS, Flow, Identity, OidcRefused, Provider
from app.access.people.sessions import Opened
from app.access.tables import person
from app.errors import NotFound
from app.gateway.people import lives_of, open_session, recorded_sign_in, refused
from app.gateway.services import Services


def provider_of(state: Services) -> Provider:
    """The provider; `NotFound` where the operator named none."""
    if state.oidc is None:
        raise NotFound("this gateway has no OIDC provider; sign in with POST /sign-in")
    return state.oidc


async def begin(state: Services, return_to: str, session: str | None) -> tuple[str, str]:
    """Where the browser goes, and what it keeps until it comes back. `session`: of a step-up."""
    flow = Flow.begin(return_to, session)
    return await provider_of(state).address(flow), flow.sealed(state.seal)


async def come_back(state: Services, kept: str | None, given: Mapping[str, str], address: str) -> tuple[Opened, Flow]:
    """A session for who signed in there, or the same one made fresh; raises `OidcRefused` in the same words whatever does not fit."""
    started, provider = time.monotonic(), provider_of(state)
    state.attempts.check(address)
    found: Person | None = None
    try:
        if kept is None:
            raise OidcRefused("the browser keeps no sign-in that was begun")
        flow = Flow.opened(state.seal, kept)
        if given.get("state") != flow.state:
            raise OidcRefused("state is not that of the sign-in that this browser began")
        if not await state.once.use("oidc", flow.state, until=flow.begun + 2 * FLOW_SECONDS):
            raise OidcRefused("this answer was used before")
        identity = await provider.identity(flow, given)
        async with state.database.begin() as connection:
            found = await _person(connection, identity)
            opened = await _opened(state, connection, found, flow)
    except OidcRefused as refusal:
        state.attempts.failed(address)
        await recorded_sign_in(state, found, address, refusal.reason, allowed=False)
        await refused(state, started, refusal.code)
        raise
    await recorded_sign_in(state, found, address, "oidc", allowed=True, op=_op(flow))
    return opened, flow


def _op(flow: Flow) -> str:
    return "person.sign_in" if flow.session is None else "person.step_up"


async def _person(connection: AsyncConnection, identity: Identity) -> Person:
    """The person of this subject, or, the first time, the one of its verified address."""
    own = (person.c.oidc_issuer == identity.issuer, person.c.oidc_subject == identity.subject)
    found = await accounts.find_person(connection, *own)
    if found is None and identity.email is not None:
        met = await accounts.find_person(connection, person.c.email == identity.email, person.c.oidc_subject.is_(None))
        if (
            met is not None
            and not met.disabled
            and await accounts.link(connection, met, identity.issuer, identity.subject)
        ):
            found = await accounts.get_person(connection, met.id)
    if found is None:
        raise OidcRefused("no person is tied to this subject, nor to its verified address")
    return found


async def _opened(state: Services, connection: AsyncConnection, found: Person, flow: Flow) -> Opened:
    if found.disabled or found.agency in state.current.snapshot.disabled:
        raise OidcRefused("disabled")
    if flow.session is None:
        return await open_session(state, connection, found, "oidc", fresh=False)
    now = datetime.now(UTC)
    mine = [one for one in await sessions.sessions_of(connection, found.id, now) if one.id == flow.session]
    renewed = await sessions.renew(connection, mine[0], now, lives_of(state)) if mine else None
    if renewed is None:
        raise OidcRefused("the session that was to be fresh has ended, or is another person's")
    return renewed
