"""Accounts of people: one agency and one role each, made by the walidata, opened by the person with a code for one use.

A person stands in entries as `person:` and the account's id: a colon is in no client id, so no client is ever taken for a person.
Names, logins and addresses stand in the store alone.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import re
import secrets
import unicodedata
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.clients import NAME_CHARACTERS, SLUG, SLUG_RULE
from app.access.people import totp
from app.access.people.sessions import end_all
from app.access.principals import ROLES, Principal, Role
from app.access.tables import ACCESS_TOPIC, person, person_recovery
from app.database import UtcTime, bump_stamp
from app.errors import AuthenticationError, Conflict, FieldError, NotFound, ValidationFailed

PREFIX: Final = "person:"
CODE_VALID: Final = timedelta(days=3)
LOGIN: Final = re.compile(r"[a-z0-9][a-z0-9._@+-]{1,99}")
LOGIN_RULE: Final = (
    "2 to 100 characters: lower-case letters, digits and `.`, `_`, `@`, `+`, `-`, starting with a letter or digit"
)
EMAIL: Final = re.compile(r"[^@\s]{1,64}@[^@\s]{1,189}")
FREE_FAILURES: Final = 10
LOCKED: Final = timedelta(minutes=15)
PASSWORD_LEAST: Final = 12
PASSWORD_MOST: Final = 200
_DIFFERENT: Final = 5
_CODE_BYTES: Final = 24
_REFUSED_CODE: Final = (
    "The login is unknown or disabled, or the code is not (or no longer) its own: a code is for one use within three days. "
    "Ask the walidata for a new one."
)


class PersonCodeInvalid(AuthenticationError):
    """No account waits for this code."""

    code = "person_code_invalid"


@dataclass(frozen=True, slots=True)
class Person:
    """An account. What proves the person is in no repr."""

    id: str
    agency: str
    role: Role
    name: str = field(repr=False)
    login: str = field(repr=False)
    email: str | None = field(repr=False)
    credential: str
    disabled: bool
    password_hash: str | None = field(repr=False)
    totp: Mapping[str, Any] | None = field(repr=False)
    totp_counter: int = field(repr=False)
    failed: int
    locked_until: datetime | None
    code_hash: str | None = field(repr=False)
    code_until: datetime | None
    code_totp: Mapping[str, Any] | None = field(repr=False)
    oidc_issuer: str | None
    oidc_subject: str | None = field(repr=False)
    created_at: datetime
    changed_at: datetime

    def principal(self, fresh_until: datetime | None = None) -> Principal:
        """The person behind a session whose second factor counts as fresh until then."""
        fresh = None if fresh_until is None else fresh_until.timestamp()
        return Principal(PREFIX + self.id, self.agency, self.role, self.credential, "person", fresh)

    def locked(self, now: datetime) -> bool:
        """Whether too many proofs failed a moment ago."""
        return self.locked_until is not None and self.locked_until > now


@dataclass(frozen=True, slots=True)
class PersonDraft:
    """An account to be made."""

    agency: str
    role: Role
    name: str
    login: str
    email: str | None = None
    oidc_issuer: str | None = None
    oidc_subject: str | None = None


@dataclass(frozen=True, slots=True)
class Code:
    """A code of enrolment that was made; it is shown once."""

    text: str = field(repr=False)
    expires_at: datetime


async def create_person(connection: AsyncConnection, draft: PersonDraft, now: datetime) -> tuple[Person, Code]:
    """The new account and the code by which its person opens it; `Conflict` where login, address or subject is another's."""
    _check(draft)
    code = Code(secrets.token_urlsafe(_CODE_BYTES), now + CODE_VALID)
    made: dict[str, Any] = {
        "id": secrets.token_hex(8), "agency": draft.agency, "role": draft.role, "name": draft.name, "login": draft.login,
        "email": draft.email.lower() if draft.email else None, "credential": _new_credential(), "disabled": False,
        "password_hash": None, "totp": None, "totp_counter": 0, "failed": 0, "locked_until": None,
        "code_hash": _hash(code.text), "code_until": code.expires_at, "code_totp": None,
        "oidc_issuer": draft.oidc_issuer, "oidc_subject": draft.oidc_subject, "created_at": now, "changed_at": now,
    }  # fmt: skip
    try:
        async with connection.begin_nested():
            await connection.execute(sa.insert(person).values(made))
    except IntegrityError:
        raise Conflict(
            "Another person has this login, e-mail address or OIDC subject: one person has one account, one agency and one role."
        ) from None
    await bump_stamp(connection, ACCESS_TOPIC)
    return Person(**made), code


async def get_person(connection: AsyncConnection, person_id: str, *, lock: bool = False) -> Person:
    """One account, or `NotFound`. `lock` keeps its row until the transaction ends."""
    statement = sa.select(person).where(person.c.id == person_id)
    row = (await connection.execute(statement.with_for_update() if lock else statement)).mappings().one_or_none()
    if row is None:
        raise NotFound("no person has this id; GET /v1/people lists them")
    return Person(**row)


async def find_person(connection: AsyncConnection, *conditions: sa.ColumnElement[bool]) -> Person | None:
    """The one account that fits, if there is one."""
    row = (await connection.execute(sa.select(person).where(*conditions))).mappings().one_or_none()
    return None if row is None else Person(**row)


async def of_login(connection: AsyncConnection, login: str) -> Person | None:
    """The account of a login, which is compared without case."""
    return await find_person(connection, person.c.login == login.lower())


async def list_people(connection: AsyncConnection) -> list[Person]:
    """All accounts, by agency and login."""
    rows = await connection.execute(sa.select(person).order_by(person.c.agency, person.c.login))
    return [Person(**row) for row in rows.mappings()]


async def change_person(
    connection: AsyncConnection,
    person_id: str,
    change: Mapping[str, Any],
    now: datetime,
    *,
    expected: Callable[[Person], None] = lambda _: None,
) -> Person:
    """Disables, enables, moves or renames. Sessions end at once where agency, role or `disabled` changed; a lock is lifted."""
    before = await get_person(connection, person_id, lock=True)
    expected(before)
    if change.get("role", before.role) not in ROLES:
        raise ValidationFailed("no such role", errors=[FieldError("/role", "choice", f"one of {', '.join(ROLES)}")])
    moved = any(name in change and change[name] != getattr(before, name) for name in ("agency", "role", "disabled"))
    values = {**change, "failed": 0, "locked_until": None, "changed_at": now}
    if moved:
        values["credential"] = _new_credential()
        await end_all(connection, person_id)
    return await _written(connection, person_id, values)


async def reset_person(
    connection: AsyncConnection, person_id: str, now: datetime, *, expected: Callable[[Person], None] = lambda _: None
) -> tuple[Person, Code]:
    """A new code. Password, second factor, recovery codes and sessions are gone at once; the link to an OIDC subject stays."""
    expected(await get_person(connection, person_id, lock=True))
    code = Code(secrets.token_urlsafe(_CODE_BYTES), now + CODE_VALID)
    await end_all(connection, person_id)
    await connection.execute(sa.delete(person_recovery).where(person_recovery.c.person == person_id))
    values = {
        "password_hash": None, "totp": None, "credential": _new_credential(), "failed": 0, "locked_until": None,
        "code_hash": _hash(code.text), "code_until": code.expires_at, "code_totp": None, "changed_at": now,
    }  # fmt: skip
    return await _written(connection, person_id, values), code


async def find_code(connection: AsyncConnection, login: str, code: str, now: datetime) -> Person:
    """The person whose code this is; raises `PersonCodeInvalid` in the same words whatever does not fit."""
    found = await of_login(connection, login)
    stored = found.code_hash if found is not None and found.code_hash is not None else _hash("")
    right = hmac.compare_digest(_hash(code), stored)
    if found is None or not right or found.disabled or found.code_until is None or found.code_until <= now:
        raise PersonCodeInvalid(_REFUSED_CODE)
    return found


async def keep_pending(connection: AsyncConnection, found: Person, sealed: Mapping[str, Any]) -> None:
    """The second factor that waits for its first code."""
    await connection.execute(sa.update(person).where(person.c.id == found.id).values(code_totp=dict(sealed)))


async def open_account(
    connection: AsyncConnection, found: Person, hashed: str, sealed: Mapping[str, Any], counter: int, now: datetime
) -> tuple[Person, list[str]]:
    """Password and second factor are set, and the code is used up; returns the recovery codes. Raises `PersonCodeInvalid`."""
    codes = totp.new_recovery_codes()
    values = {
        "password_hash": hashed, "totp": dict(sealed), "totp_counter": counter, "credential": _new_credential(),
        "failed": 0, "locked_until": None, "code_hash": None, "code_until": None, "code_totp": None, "changed_at": now,
    }  # fmt: skip
    mine = sa.update(person).where(person.c.id == found.id, person.c.code_hash == found.code_hash).values(values)
    if (await connection.execute(mine)).rowcount != 1:
        raise PersonCodeInvalid(_REFUSED_CODE)
    await connection.execute(sa.delete(person_recovery).where(person_recovery.c.person == found.id))
    rows = [{"person": found.id, "digest": totp.recovery_digest(code)} for code in codes]
    await connection.execute(sa.insert(person_recovery), rows)
    await end_all(connection, found.id)
    await bump_stamp(connection, ACCESS_TOPIC)
    return await get_person(connection, found.id), codes


async def use_counter(connection: AsyncConnection, found: Person, counter: int) -> bool:
    """Takes a step of the second factor: True for the first who comes, on whatever replica, and for none before the last used."""
    later = sa.update(person).where(
        person.c.id == found.id, person.c.totp_counter < counter, person.c.credential == found.credential
    )
    return (await connection.execute(later.values(totp_counter=counter))).rowcount == 1


async def use_recovery(connection: AsyncConnection, found: Person, code: str) -> bool:
    """Takes a recovery code: True once."""
    column = person_recovery.c
    mine = sa.delete(person_recovery).where(column.person == found.id, column.digest == totp.recovery_digest(code))
    return (await connection.execute(mine)).rowcount == 1


async def count_failure(connection: AsyncConnection, person_id: str, now: datetime) -> None:
    """One more failed proof in a row; the tenth locks the account for a quarter of an hour, on every replica."""
    over = person.c.failed + 1 >= FREE_FAILURES
    until = sa.case((over, sa.literal(now + LOCKED, UtcTime())), else_=person.c.locked_until)
    count = sa.case((over, 0), else_=person.c.failed + 1)
    statement = sa.update(person).where(person.c.id == person_id)
    await connection.execute(statement.values(failed=count, locked_until=until))


async def forget_failures(connection: AsyncConnection, person_id: str) -> None:
    """The person is itself: its failures in a row end."""
    await connection.execute(sa.update(person).where(person.c.id == person_id).values(failed=0, locked_until=None))


async def link(connection: AsyncConnection, found: Person, issuer: str, subject: str) -> bool:
    """Ties the account to a subject of an OIDC provider; False where another sign-in was first."""
    statement = sa.update(person).where(person.c.id == found.id, person.c.oidc_subject.is_(None))
    try:
        async with connection.begin_nested():
            done = await connection.execute(statement.values(oidc_issuer=issuer, oidc_subject=subject))
    except IntegrityError:
        return False
    return done.rowcount == 1


def plain_password(password: str, login: str) -> str:
    """The password as it is hashed (NFKC, NIST SP 800-63B); raises `ValidationFailed` for one that is no good."""
    plain = unicodedata.normalize("NFKC", password)
    if not PASSWORD_LEAST <= len(plain) <= PASSWORD_MOST:
        fault = f"{PASSWORD_LEAST} to {PASSWORD_MOST} characters; a sentence of a few words is good"
    elif len(set(plain)) < _DIFFERENT or login.lower().partition("@")[0] in plain.lower():
        fault = f"at least {_DIFFERENT} different characters, and not the login within it"
    else:
        return plain
    raise ValidationFailed("The password will not do.", errors=[FieldError("/password", "password", fault)])


async def _written(connection: AsyncConnection, person_id: str, values: Mapping[str, Any]) -> Person:
    try:
        async with connection.begin_nested():
            await connection.execute(sa.update(person).where(person.c.id == person_id).values(values))
    except IntegrityError:
        raise Conflict("Another person has this e-mail address or OIDC subject.") from None
    await bump_stamp(connection, ACCESS_TOPIC)
    return await get_person(connection, person_id)


def _check(draft: PersonDraft) -> None:
    problems = []
    if not SLUG.fullmatch(draft.agency):
        problems.append(FieldError("/agency", "pattern", SLUG_RULE))
    if draft.role not in ROLES:
        problems.append(FieldError("/role", "choice", f"one of {', '.join(ROLES)}"))
    if not 0 < len(draft.name) <= NAME_CHARACTERS or not draft.name.isprintable():
        problems.append(FieldError("/name", "text", f"1 to {NAME_CHARACTERS} printable characters"))
    if not LOGIN.fullmatch(draft.login):
        problems.append(FieldError("/login", "pattern", LOGIN_RULE))
    if draft.email is not None and not EMAIL.fullmatch(draft.email):
        problems.append(FieldError("/email", "pattern", "an e-mail address"))
    if (draft.oidc_issuer is None) != (draft.oidc_subject is None):
        problems.append(FieldError("/oidc_subject", "value", "issuer and subject stand together, or neither does"))
    if problems:
        raise ValidationFailed("The person is not well formed.", errors=problems)


def _new_credential() -> str:
    """A public name of what the person proves itself by; another one whenever that changes."""
    return base64.urlsafe_b64encode(secrets.token_bytes(16)).rstrip(b"=").decode()


def _hash(code: str) -> str:
    return hashlib.sha256(b"simpul-person-code/1\x00" + code.encode(errors="surrogatepass")).hexdigest()
