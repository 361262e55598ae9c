"""Enrolment: the walidata gives an agency a code, and with it the agency registers a key of its own, once.

The code is 192 random bits, kept as its SHA-256, valid three days, gone when it was used or another one was made. It opens
nothing but the registration of one key, and whoever uses it must have signed with that key.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import tables
from app.access.client_keys import ClientKey
from app.access.clients import Client, get_client, put_keys
from app.database import upsert
from app.errors import AuthenticationError, NotFound

VALID: Final = timedelta(days=3)
CODE_CHARACTERS: Final = 64
_CODE_BYTES: Final = 24
_REFUSED: Final = (
    "The client is unknown or disabled, or the code is not (or no longer) its own: a code is for one use within three days. "
    "Ask the walidata for a new one."
)


class EnrolmentInvalid(AuthenticationError):
    """No open enrolment fits."""

    code = "enrolment_invalid"


@dataclass(frozen=True, slots=True)
class Code:
    """A code that was made; it is shown once."""

    text: str = field(repr=False)
    expires_at: datetime


async def open_enrolment(
    connection: AsyncConnection, client_id: str, now: datetime, *, expected: Callable[[Client], None] = lambda _: None
) -> Code:
    """A new code for this client; the one before is void. What it proves itself by stays until the code is used."""
    expected(await get_client(connection, client_id, lock=True))
    code = Code(secrets.token_urlsafe(_CODE_BYTES), now + VALID)
    row = {"client": client_id, "code_hash": _hash(code.text), "created_at": now, "expires_at": code.expires_at}
    await upsert(connection, tables.enrolment, [row])
    return code


async def find_enrolment(connection: AsyncConnection, client_id: str, code: str, now: datetime) -> Client:
    """The client whose code this is; raises `EnrolmentInvalid` in the same words whatever does not fit."""
    column = tables.enrolment.c
    row = (
        await connection.execute(sa.select(column.code_hash, column.expires_at).where(column.client == client_id))
    ).first()
    right = hmac.compare_digest(_hash(code), row.code_hash if row is not None else _hash(""))
    if row is None or not right or row.expires_at <= now:
        raise EnrolmentInvalid(_REFUSED)
    try:
        client = await get_client(connection, client_id)
    except NotFound:
        raise EnrolmentInvalid(_REFUSED) from None
    if client.disabled:
        raise EnrolmentInvalid(_REFUSED)
    return client


async def enrol(connection: AsyncConnection, client_id: str, code: str, key: ClientKey, now: datetime) -> Client:
    """This is the client's key from now on, and its only one; the code is used up. Raises `EnrolmentInvalid`."""
    await find_enrolment(connection, client_id, code, now)
    column = tables.enrolment.c
    mine = sa.delete(tables.enrolment).where(column.client == client_id, column.code_hash == _hash(code))
    if (await connection.execute(mine)).rowcount != 1:
        raise EnrolmentInvalid(_REFUSED)
    return await put_keys(connection, client_id, [key], now)


def _hash(code: str) -> str:
    return hashlib.sha256(b"simpul-enrolment/1\x00" + code.encode(errors="surrogatepass")).hexdigest()
