"""What the routes of people take and answer."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from fastapi import Request
from pydantic import Field
from pydantic.json_schema import SkipJsonSchema

from app.access.people.accounts import EMAIL, LOGIN, PASSWORD_MOST, PREFIX, Person
from app.access.people.sessions import Opened, Session
from app.access.people.totp import RECOVERY_CHARACTERS, RECOVERY_CODES
from app.access.principals import Role
from app.api.layer.answers import Answer, Id, Moment, Name
from app.api.layer.wire import GIVEN, Slug, Text, Wire
from app.errors import AccessDenied

Login = Annotated[str, Field(min_length=2, max_length=100)]
Password = Annotated[str, Field(min_length=1, max_length=PASSWORD_MOST, json_schema_extra={"format": "password"})]
OneTime = Annotated[str, Field(min_length=6, max_length=6, pattern=r"^[0-9]{6}$")]
CodeText = Annotated[str, Field(min_length=1, max_length=64)]
Email = Annotated[str, Field(min_length=3, max_length=254, json_schema_extra={"pattern": f"^{EMAIL.pattern}$"})]
PersonRole = Literal["client", "steward", "auditor", "supervisor", "admin"]


class SignInBody(Wire):
    """Login, password, and a code of the authenticator or else a recovery code."""

    login: Login = Field(examples=["rini@dinkes.jepara.example"])
    password: Password
    totp: Annotated[OneTime | SkipJsonSchema[None], GIVEN] = Field(default=None, description="Of the authenticator")
    recovery_code: Annotated[
        Annotated[str, Field(min_length=1, max_length=RECOVERY_CHARACTERS + 5)] | SkipJsonSchema[None], GIVEN
    ] = Field(default=None, description="In the place of `totp`; each is for one use")


class AccountBody(Wire):
    """The code that the walidata gave a person."""

    login: Login
    code: CodeText


class AccountOpenBody(Wire):
    """What a person proves itself by from now on."""

    login: Login
    code: CodeText
    password: Password = Field(description="12 to 200 characters")
    totp: OneTime = Field(description="The first code of the authenticator that was set up")


class StepUpBody(Wire):
    """A new code of the authenticator."""

    totp: OneTime


class PersonBody(Wire):
    """A person of an agency."""

    agency: Slug = Field(examples=["dinkes"])
    role: PersonRole = Field(examples=["steward"])
    name: Text = Field(description="Who it is; never in entries or addresses", examples=["Rini Wulandari"])
    login: Login = Field(examples=["rini@dinkes.jepara.example"], json_schema_extra={"pattern": f"^{LOGIN.pattern}$"})
    email: Email | None = Field(
        default=None, description="By which the first sign-in at the OIDC provider is recognised, once verified there"
    )
    oidc_issuer: Annotated[str, Field(min_length=1, max_length=500)] | None = None
    oidc_subject: Annotated[str, Field(min_length=1, max_length=255)] | None = None


class PersonChange(Wire):
    """What may change of a person; absent members stay. Agency, role and `disabled` end its sessions at once."""

    agency: Annotated[Slug | SkipJsonSchema[None], GIVEN] = None
    role: Annotated[PersonRole | SkipJsonSchema[None], GIVEN] = None
    name: Annotated[Text | SkipJsonSchema[None], GIVEN] = None
    disabled: Annotated[bool | SkipJsonSchema[None], GIVEN] = None


class SessionAnswer(Answer):
    """Who is signed in, and what a page needs to act for the person."""

    person: Name = Field(description="As it stands in entries")
    name: Annotated[str, Field(max_length=200)]
    agency: Id
    role: Role
    means: Literal["totp", "recovery", "oidc"] = Field(description="How the session began")
    csrf_token: Annotated[str, Field(max_length=64)] = Field(
        description="In the header `Simpul-Csrf-Token` of every change by cookie"
    )
    created_at: Moment
    idle_until: Moment = Field(description="Without a request it ends then")
    expires_at: Moment = Field(description="It ends then in any case")
    fresh_until: Moment | None = Field(description="Until when the second factor counts as fresh")


class SessionItem(Answer):
    """One of the own sessions."""

    id: Id
    current: bool
    means: Literal["totp", "recovery", "oidc"]
    created_at: Moment
    last_seen: Moment
    expires_at: Moment


class SessionsAnswer(Answer):
    """The own sessions, the last seen first."""

    items: list[SessionItem] = Field(max_length=100)


class AccountAnswer(Answer):
    """The secret for an authenticator, which is shown this once."""

    otpauth_uri: Annotated[str, Field(max_length=1000)]
    secret: Annotated[str, Field(max_length=64)] = Field(
        description="Base32, for an authenticator that reads no address"
    )


class AccountOpened(Answer):
    """The account is open; the recovery codes are shown this once."""

    person: Name
    recovery_codes: list[Annotated[str, Field(max_length=RECOVERY_CHARACTERS)]] = Field(max_length=RECOVERY_CODES)


class PersonAnswer(Answer):
    """A person, without what proves it."""

    id: Id
    agency: Id
    role: Role
    name: Annotated[str, Field(max_length=200)]
    login: Annotated[str, Field(max_length=100)]
    email: Annotated[str, Field(max_length=254)] | None
    disabled: bool
    opened: bool = Field(description="Whether a password and a second factor are set")
    oidc: bool = Field(description="Whether it is tied to a subject of the OIDC provider")
    locked_until: Moment | None = Field(description="Ten failures in a row lock it for a quarter of an hour")
    created_at: Moment
    changed_at: Moment


class PeopleAnswer(Answer):
    """All people, by agency and login."""

    items: list[PersonAnswer] = Field(max_length=100_000)


class PersonMade(PersonAnswer):
    """A person with the code by which it opens its account, which is shown this once."""

    code: Annotated[str, Field(max_length=64)]
    code_expires_at: Moment


SESSION_EXAMPLE: dict[str, Any] = {
    "person": "person:3f9a1c0be2d47788",
    "name": "Rini Wulandari",
    "agency": "dinkes",
    "role": "steward",
    "means": "totp",
    "csrf_token": "f2Jx0q3v8m1aWcZ5uYt7rKpLhDnSgEoBiQxVyMwTjU4",
    "created_at": "2026-11-20T01:00:00Z",
    "idle_until": "2026-11-20T01:30:00Z",
    "expires_at": "2026-11-20T09:00:00Z",
    "fresh_until": "2026-11-20T01:05:00Z",
}
PERSON_EXAMPLE: dict[str, Any] = {
    "id": "3f9a1c0be2d47788",
    "agency": "dinkes",
    "role": "steward",
    "name": "Rini Wulandari",
    "login": "rini@dinkes.jepara.example",
    "email": None,
    "disabled": False,
    "opened": True,
    "oidc": False,
    "locked_until": None,
    "created_at": "2026-11-20T01:00:00Z",
    "changed_at": "2026-11-20T01:00:00Z",
}


def session_document(person: Person, opened: Opened) -> dict[str, Any]:
    """A session as its person sees it."""
    session = opened.session
    return {
        "person": PREFIX + person.id,
        "name": person.name,
        "agency": person.agency,
        "role": person.role,
        "means": session.means,
        "csrf_token": opened.csrf,
        "created_at": session.created_at,
        "idle_until": min(session.idle_until, session.expires_at),
        "expires_at": session.expires_at,
        "fresh_until": session.fresh_until,
    }


def person_document(person: Person) -> dict[str, Any]:
    """A person as the walidata sees it."""
    return {
        "id": person.id,
        "agency": person.agency,
        "role": person.role,
        "name": person.name,
        "login": person.login,
        "email": person.email,
        "disabled": person.disabled,
        "opened": person.password_hash is not None,
        "oidc": person.oidc_subject is not None,
        "locked_until": person.locked_until if person.locked_until and person.locked(datetime.now(UTC)) else None,
        "created_at": person.created_at,
        "changed_at": person.changed_at,
    }


def own_session(request: Request) -> tuple[Session, str]:
    """The session of the request and the value of its cookie; `AccessDenied` (`session_needed`) for a client, which has none."""
    session = getattr(request.state, "session", None)
    if session is None:
        raise AccessDenied("this is for people with a session; a client has none", rule="session_needed")
    return session, request.state.session_value
