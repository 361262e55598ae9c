"""People and clients made straight in the store: the first of an instance, and the way back in when no admin is left."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Annotated, TypeVar

import typer
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.clients import ClientDraft
from app.access.clients import create_client as insert_client
from app.access.people import accounts
from app.access.people.accounts import Code, Person, PersonDraft
from app.audit.acts import Act, noted
from app.catalog.agencies import list_agencies
from app.cli.output import faults, say
from app.database import Database
from app.errors import AgencyUnknown, NotFound
from app.settings import Settings, load_settings

Folder = Annotated[Path | None, typer.Option("--dir", help="Folder of the instance", show_default=".simpul")]
Made = TypeVar("Made")
WALIDATA = "diskominfo"


def create_user(
    login: Annotated[str, typer.Option(help="What the person signs in by; an e-mail address, for example")],
    name: Annotated[str, typer.Option(help="Who it is")],
    folder: Folder = None,
    agency: Annotated[str, typer.Option(help="Agency of the person")] = WALIDATA,
    role: Annotated[str, typer.Option(help="client, steward, auditor, supervisor or admin")] = "admin",
    email: Annotated[
        str | None, typer.Option(help="By which the first sign-in at the OIDC provider is recognised")
    ] = None,
) -> None:
    """Make a person straight in the store: the first admin, or the way back in. Prints a code for one use, no password."""
    with faults():
        settings = load_settings(dir=folder)
        draft = PersonDraft(agency, role, name, login, email)  # type: ignore[arg-type]
        made, code = asyncio.run(_in_store(settings, agency, lambda found: _person(found, draft)))
    _tell(settings, made, code)


def reset_user(
    login: Annotated[str, typer.Option(help="What the person signs in by")],
    folder: Folder = None,
) -> None:
    """Take password, second factor, recovery codes and sessions of a person, straight in the store. Prints a code for one use."""
    with faults():
        settings = load_settings(dir=folder)
        made, code = asyncio.run(_in_store(settings, None, lambda found: _reset(found, login)))
    _tell(settings, made, code)


def create_local_client(
    name: Annotated[str, typer.Option(help="What the application is")],
    folder: Folder = None,
    agency: Annotated[str, typer.Option(help="Agency of the application")] = WALIDATA,
    role: Annotated[str, typer.Option(help="client, steward, auditor, supervisor or admin")] = "admin",
) -> None:
    """Make a client straight in the store, for automation. Its secret is shown once."""
    with faults():
        client_id, secret = create_client(load_settings(dir=folder), ClientDraft(agency, role, name))  # type: ignore[arg-type]
    say(f"client_id     {client_id}")
    say(f"client_secret {secret}   (shown once)")


def create_client(settings: Settings, draft: ClientDraft) -> tuple[str, str]:
    """A client with its secret; raises `AgencyUnknown`, `ValidationFailed`, `Conflict`."""

    async def make(connection: AsyncConnection) -> tuple[str, str]:
        client, secret = await insert_client(connection, draft, datetime.now(UTC))
        facts = {"client": client.id, "agency": draft.agency, "role": draft.role, "name": draft.name}
        await connection.execute(noted(Act("client.create", "simpul client create", facts, draft.agency)))
        return client.id, secret

    return asyncio.run(_in_store(settings, draft.agency, make))


def _tell(settings: Settings, made: Person, code: Code) -> None:
    say(f"person {made.id} of {made.agency}, role {made.role}")
    say(f"code   {code.text}   (shown once, for one use until {code.expires_at:%Y-%m-%dT%H:%M:%SZ})")
    say(f"next: with login and code, set password and authenticator at {settings.base_url.rstrip('/')}/sign-in/account")


async def _person(connection: AsyncConnection, draft: PersonDraft) -> tuple[Person, Code]:
    made, code = await accounts.create_person(connection, draft, datetime.now(UTC))
    facts = {"person": made.id, "agency": made.agency, "role": made.role}
    await connection.execute(noted(Act("person.create", "simpul user create", facts, made.agency)))
    return made, code


async def _reset(connection: AsyncConnection, login: str) -> tuple[Person, Code]:
    found = await accounts.of_login(connection, login)
    if found is None:
        raise NotFound("no person has this login; GET /v1/people lists them")
    made, code = await accounts.reset_person(connection, found.id, datetime.now(UTC))
    await connection.execute(noted(Act("person.reset", "simpul user reset", {"person": made.id}, made.agency)))
    return made, code


async def _in_store(
    settings: Settings, agency: str | None, change: Callable[[AsyncConnection], Awaitable[Made]]
) -> Made:
    database = Database.open(settings)
    try:
        async with database.begin() as connection:
            if agency is not None and agency not in {found.id for found in await list_agencies(connection)}:
                raise AgencyUnknown(f"no agency has the id {agency[:63]}; register it first", agency=agency)
            return await change(connection)
    finally:
        await database.close()
