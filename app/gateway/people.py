"""People at the gateway's door: signing in, opening an account, showing a second factor again. Each leaves its entries.

What fails is told in the same words and after the same time, whatever failed: an unknown login, a wrong password, a used code, a
locked or disabled account. Why stands in the sealed detail of the entry alone. No login and no name stands in an entry.
"""

from __future__ import annotations

import asyncio
import time
import unicodedata
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final

from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.attempts import SECRET_COST
from app.access.credentials import hash_secret
from app.access.people import accounts, sessions, totp
from app.access.people.accounts import PREFIX, Person, PersonCodeInvalid
from app.access.people.sessions import Lives, Means, Opened, Session
from app.access.principals import Principal
from app.errors import AccessDenied, AuthenticationError, FieldError, SimpulError, ValidationFailed
from app.gateway.administration import act_by_proof
from app.gateway.exchange import Exchange
from app.gateway.services import Services

REFUSED_SECONDS: Final = 0.35
"""A refusal is not told before: the time of it says nothing about an account."""
_REFUSED: Final = (
    "Login, password or code is wrong, the code was used before, or the account is locked or disabled; after ten failures an account "
    "is locked for a quarter of an hour."
)
_UNKNOWN: Final = Principal(f"{PREFIX}unknown", "unknown", "client", "none", "person")


class SignInRefused(AuthenticationError):
    """Nobody is signed in; why is not told."""

    code = "sign_in_refused"


class SecondFactorRefused(AccessDenied):
    """The code is wrong, or was used before."""

    code = "second_factor_refused"


@dataclass(frozen=True, slots=True)
class Proof:
    """What a person sends to sign in: the password, and a code of the authenticator or a recovery code."""

    login: str = field(repr=False)
    password: str = field(repr=False)
    totp: str | None = field(default=None, repr=False)
    recovery: str | None = field(default=None, repr=False)


@dataclass(frozen=True, slots=True)
class _Tried:
    """How a try ended: the person where the login is one, and the session or why there is none."""

    person: Person | None
    opened: Opened | None = None
    reason: str = ""


def lives_of(state: Services) -> Lives:
    """How long sessions live here."""
    settings = state.settings
    return Lives(timedelta(seconds=settings.session_seconds), timedelta(seconds=settings.session_idle_seconds))


async def sign_in(state: Services, proof: Proof, address: str) -> tuple[Person, Opened]:
    """A new session; raises `SignInRefused`, or `RateLimited` where this address failed too often."""
    started, key = time.monotonic(), PREFIX + proof.login.lower()
    state.attempts.check(address, key)
    tried = await _tried(state, proof, address)
    await _noted(state, tried, address, "recovery" if proof.totp is None else "totp")
    if tried.opened is None or tried.person is None:
        state.attempts.failed(address, key, cost=SECRET_COST)
        await refused(state, started, SignInRefused.code)
        raise SignInRefused(_REFUSED)
    state.attempts.succeeded(address, key)
    return tried.person, tried.opened


async def end_value(state: Services, value: str | None) -> None:
    """Ends the session that a browser had before it signed in again."""
    if value is not None:
        async with state.database.begin() as connection:
            await sessions.end_value(connection, value)


async def refused(state: Services, started: float, code: str) -> None:
    """Counts a refusal and waits until it may be told."""
    state.metrics.refusals.labels(code).inc()
    await asyncio.sleep(max(0.0, started + REFUSED_SECONDS - time.monotonic()))


async def open_session(
    state: Services, connection: AsyncConnection, person: Person, means: Means, *, fresh: bool
) -> Opened:
    """A session of a person that has proved itself: its failures in a row end."""
    await accounts.forget_failures(connection, person.id)
    owner = (person.id, person.credential)
    return await sessions.open_session(connection, owner, means, datetime.now(UTC), lives_of(state), fresh=fresh)


async def recorded_sign_in(
    state: Services, person: Person | None, address: str, rule: str, *, allowed: bool, op: str = "person.sign_in"
) -> None:
    """The entries of a sign-in that ended; raises `LogUnavailable` where it cannot be recorded, and nobody is signed in then."""
    holder = _UNKNOWN if person is None else person.principal()
    exchange = Exchange(op=op, closing="admin", principal=holder, names=state.names, address=address)
    exchange.decide(allow=allowed, rule=rule if allowed else "sign_in_refused")
    if not allowed:
        exchange.failed(error=SignInRefused.code, reason=rule)
    try:
        await exchange.close(state.log, status=200 if allowed else 401, size=0, commitment=None)
    except SimpulError:
        state.unclosed.add(exchange)
        raise


async def _noted(state: Services, tried: _Tried, address: str, means: str) -> None:
    allowed = tried.opened is not None
    rule = f"password_{means}" if allowed else tried.reason
    await recorded_sign_in(state, tried.person, address, rule, allowed=allowed)


async def _tried(state: Services, proof: Proof, address: str) -> _Tried:
    now = datetime.now(UTC)
    async with state.database.read() as connection:
        person = await accounts.of_login(connection, proof.login)
    reason = _unfit(state, person, now)
    hashed = person.password_hash if person is not None and not reason else None
    plain = unicodedata.normalize("NFKC", proof.password)
    right = await state.verifier.matches(hashed, plain, address)
    if person is None or reason:
        return _Tried(person, reason=reason or "unknown_login")
    async with state.database.begin() as connection:
        reason = "" if right else "wrong_password"
        if right and not await _second_factor(state, connection, person, proof, now):
            reason = "wrong_second_factor"
        if not reason:
            means: Means = "recovery" if proof.totp is None else "totp"
            opened = await open_session(state, connection, person, means, fresh=means == "totp")
            return _Tried(person, opened)
        await accounts.count_failure(connection, person.id, now)
    return _Tried(person, reason=reason)


def _unfit(state: Services, person: Person | None, now: datetime) -> str:
    """Why an account opens to nobody now; empty: it may."""
    if person is None:
        return "unknown_login"
    if person.disabled or person.agency in state.current.snapshot.disabled:
        return "disabled"
    if person.locked(now):
        return "locked"
    return "" if person.password_hash and person.totp else "not_opened"


async def _second_factor(
    state: Services, connection: AsyncConnection, person: Person, proof: Proof, now: datetime
) -> bool:
    """Whether the code is right and was not used before; it is used now."""
    if proof.totp is None:
        return proof.recovery is not None and await accounts.use_recovery(connection, person, proof.recovery)
    secret = totp.opened_secret(state.seal, person.totp or {}, person.id, "totp")
    counter = totp.counter_of(secret, proof.totp, now.timestamp())
    return counter is not None and await accounts.use_counter(connection, person, counter)


async def step_up(state: Services, exchange: Exchange, session: Session, code: str, address: str) -> Opened:
    """The session under another value, its second factor fresh. Raises `SecondFactorRefused`, or `SignInRefused` once it has ended."""
    now, key = datetime.now(UTC), PREFIX + session.person
    state.attempts.check(address, key)
    exchange.decide(allow=True, rule="totp")
    await exchange.intend(state.log)
    opened = None
    async with state.database.begin() as connection:
        person = await accounts.get_person(connection, session.person)
        reason = _unfit(state, person, now)
        if not reason and await _second_factor(state, connection, person, Proof("", "", totp=code), now):
            await accounts.forget_failures(connection, person.id)
            opened = await sessions.renew(connection, session, now, lives_of(state))
        elif not reason:
            await accounts.count_failure(connection, person.id, now)
    if opened is None:
        state.attempts.failed(address, key, cost=SECRET_COST)
        told = "The code is wrong or was used before, or the account is locked; wait for the next code of your authenticator."
        raise SecondFactorRefused(told, rule="second_factor_refused")
    state.attempts.succeeded(address, key)
    return opened


async def begin_opening(state: Services, login: str, code: str, address: str) -> tuple[Person, str]:
    """A new secret for the person's authenticator; it counts once the account is opened with its first code."""
    person = await _of_code(state, login, code, address)
    secret = totp.new_secret()
    sealed = totp.sealed_secret(state.seal, secret, person.id, "pending")
    async with state.database.begin() as connection:
        await accounts.keep_pending(connection, person, sealed)
    return person, secret


async def finish_opening(
    state: Services, login: str, code: str, password: str, first: str, address: str
) -> tuple[Person, list[str]]:
    """Sets password and second factor and uses the code up; returns the recovery codes. Recorded under the person."""
    person, now = await _of_code(state, login, code, address), datetime.now(UTC)
    plain = accounts.plain_password(password, person.login)
    if person.code_totp is None:
        fault = FieldError("/totp", "value", "ask for the secret first: POST /sign-in/account")
        raise ValidationFailed("No authenticator was set up.", errors=[fault])
    secret = totp.opened_secret(state.seal, person.code_totp, person.id, "pending")
    counter = totp.counter_of(secret, first, now.timestamp())
    if counter is None:
        fault = FieldError("/totp", "value", "the present code of the authenticator; look at the clock of its device")
        raise ValidationFailed("The code is not that of the new secret.", errors=[fault])
    hashed = await hash_secret(plain)
    sealed = totp.sealed_secret(state.seal, secret, person.id, "totp")
    exchange = Exchange(
        op="person.open", closing="admin", principal=person.principal(), names=state.names, address=address
    )
    exchange.decide(allow=True, rule="person_code")
    return await act_by_proof(
        state,
        exchange,
        lambda found: accounts.open_account(found, person, hashed, sealed, counter, now),
        status=201,
    )


async def _of_code(state: Services, login: str, code: str, address: str) -> Person:
    started, key = time.monotonic(), PREFIX + login.lower()
    state.attempts.check(address, key)
    try:
        async with state.database.read() as connection:
            return await accounts.find_code(connection, login, code, datetime.now(UTC))
    except PersonCodeInvalid as refusal:
        state.attempts.failed(address, key)
        await refused(state, started, refusal.code)
        raise
