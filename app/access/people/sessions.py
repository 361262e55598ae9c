"""Sessions of people, in the store: whoever shows the cookie's value is the person, until the session ends.

The value is 256 random bits, kept as its SHA-256. Each request asks the store, so what ends a session ends it on every replica at
once. The CSRF token is derived from the value, which no script can read: it needs no row and changes with the session.
"""

from __future__ import annotations

import base64
import hashlib
import hmac
import secrets
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final, Literal

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.step_up import FRESH_SECONDS
from app.access.tables import person, person_session

Means = Literal["totp", "recovery", "oidc"]

FRESH: Final = timedelta(seconds=FRESH_SECONDS)
"""How long a second factor counts as fresh."""
VALUE_CHARACTERS: Final = 43
MOST_OF_ONE: Final = 20
"""Sessions of one person; the one seen longest ago goes first."""
TOUCH: Final = timedelta(seconds=20)
"""How much later a request must come for its time to be written."""


@dataclass(frozen=True, slots=True)
class Lives:
    """How long sessions live: from their start, and without a request."""

    whole: timedelta
    idle: timedelta


@dataclass(frozen=True, slots=True)
class Session:
    """One session, as it stands in the store."""

    id: str
    person: str
    credential: str
    means: Means
    created_at: datetime
    last_seen: datetime
    idle_until: datetime
    expires_at: datetime
    fresh_until: datetime | None


@dataclass(frozen=True, slots=True)
class Opened:
    """A session with the value of its cookie, which is in no repr and in no store."""

    value: str = field(repr=False)
    session: Session

    @property
    def csrf(self) -> str:
        """The token that changes by this cookie must carry."""
        return csrf_of(self.value)


async def open_session(
    connection: AsyncConnection, owner: tuple[str, str], means: Means, now: datetime, lives: Lives, *, fresh: bool
) -> Opened:
    """A new session of a person (`owner`: id and credential). Sessions beyond the most that one may have are gone."""
    value = secrets.token_urlsafe(32)
    session = Session(
        id_of(value), *owner, means, now, now, now + lives.idle, now + lives.whole, now + FRESH if fresh else None
    )
    await connection.execute(sa.insert(person_session).values(_row(session)))
    await connection.execute(sa.delete(person_session).where(person_session.c.expires_at <= now))
    kept = sa.select(person_session.c.id).where(person_session.c.person == owner[0])
    latest = kept.order_by(person_session.c.last_seen.desc(), person_session.c.id == session.id).limit(MOST_OF_ONE)
    ids = list((await connection.execute(latest)).scalars())
    if len(ids) == MOST_OF_ONE:
        beyond = sa.delete(person_session).where(person_session.c.person == owner[0], person_session.c.id.not_in(ids))
        await connection.execute(beyond)
    return Opened(value, session)


async def find_session(connection: AsyncConnection, value: str, now: datetime) -> Session | None:
    """The live session of a cookie whose person is enabled and still proves itself by what it did then."""
    joined = sa.join(person_session, person, person_session.c.person == person.c.id)
    query = sa.select(person_session).select_from(joined)
    alive = (
        person_session.c.id == id_of(value),
        person_session.c.expires_at > now,
        person_session.c.idle_until > now,
        person.c.disabled.is_(False),
        person.c.credential == person_session.c.credential,
    )
    row = (await connection.execute(query.where(*alive))).mappings().one_or_none()
    return None if row is None else Session(**row)


async def touch(connection: AsyncConnection, session: Session, now: datetime, lives: Lives) -> None:
    """The session was used now."""
    values = {"last_seen": now, "idle_until": now + lives.idle}
    await connection.execute(sa.update(person_session).where(person_session.c.id == session.id).values(values))


async def renew(connection: AsyncConnection, session: Session, now: datetime, lives: Lives) -> Opened | None:
    """The same session under another value, its second factor fresh; None where it has ended meanwhile. The old value is dead."""
    value = secrets.token_urlsafe(32)
    values = {"id": id_of(value), "last_seen": now, "idle_until": now + lives.idle, "fresh_until": now + FRESH}
    statement = sa.update(person_session).where(person_session.c.id == session.id).values(values)
    if (await connection.execute(statement)).rowcount != 1:
        return None
    row = (await connection.execute(sa.select(person_session).where(person_session.c.id == id_of(value)))).mappings()
    return Opened(value, Session(**row.one()))


async def end_session(connection: AsyncConnection, person_id: str, session_id: str) -> bool:
    """Ends one session of this person; False where it has none of this id."""
    column = person_session.c
    statement = sa.delete(person_session).where(column.person == person_id, column.id == session_id)
    return (await connection.execute(statement)).rowcount == 1


async def end_value(connection: AsyncConnection, value: str) -> None:
    """Ends the session of a cookie's value, if there is one."""
    await connection.execute(sa.delete(person_session).where(person_session.c.id == id_of(value)))


async def end_all(connection: AsyncConnection, person_id: str) -> None:
    """Ends all sessions of this person."""
    await connection.execute(sa.delete(person_session).where(person_session.c.person == person_id))


async def sessions_of(connection: AsyncConnection, person_id: str, now: datetime) -> list[Session]:
    """The live sessions of this person, the last seen first."""
    column = person_session.c
    query = sa.select(person_session).where(
        column.person == person_id, column.expires_at > now, column.idle_until > now
    )
    return [Session(**row) for row in (await connection.execute(query.order_by(column.last_seen.desc()))).mappings()]


def id_of(value: str) -> str:
    """What of a cookie's value is stored."""
    return hashlib.sha256(b"simpul-session/1\x00" + value.encode(errors="surrogatepass")).hexdigest()


def csrf_of(value: str) -> str:
    """The CSRF token of a cookie's value: whoever knows the token does not learn the value."""
    digest = hmac.new(value.encode(errors="surrogatepass"), b"simpul-csrf/1", hashlib.sha256).digest()
    return base64.urlsafe_b64encode(digest).rstrip(b"=").decode()


def _row(session: Session) -> dict[str, object]:
    return {name: getattr(session, name) for name in Session.__slots__}
