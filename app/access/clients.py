"""Clients: the credentials of agencies' applications, public keys or a secret.

Secrets are made here, shown once; `credentials.py` checks them. Keys are read by `client_keys.py`, `assertions.py` checks what
they signed. A client has the one or the other: while it has keys its secret is none.
"""

from __future__ import annotations

import base64
import hashlib
import re
import secrets
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime
from typing import Any, Final

import sqlalchemy as sa
from sqlalchemy.exc import IntegrityError
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import tables
from app.access.client_keys import ClientKey, load_key
from app.access.credentials import hash_secret
from app.access.principals import ROLES, Principal, Role
from app.access.tables import ACCESS_TOPIC
from app.database import bump_stamp
from app.errors import Conflict, FieldError, NotFound, ValidationFailed

SLUG: Final = re.compile(r"[a-z0-9][a-z0-9._-]{1,62}")
SLUG_RULE: Final = "2 to 63 characters: lower-case letters, digits, `.`, `_`, `-`, starting with a letter or digit"
NAME_CHARACTERS: Final = 200
_SECRET_BYTES: Final = 32
_NO_SECRET: Final = ""
"""The hash of a client that has none: no secret matches it."""


@dataclass(frozen=True, slots=True)
class Client:
    """A registered client. `credential` is the public thumbprint of its present secret and changes with it.

    With `keys` each key is a credential of its own, named by its thumbprint, and there is no secret. `dpop`: its tokens are
    bound to a key of their holder (RFC 9449), none is given without one.
    """

    id: str
    agency: str
    role: Role
    name: str
    credential: str
    disabled: bool
    created_at: datetime
    rotated_at: datetime
    secret_hash: str = field(repr=False)
    dpop: bool = False
    keys: tuple[ClientKey, ...] = ()

    @property
    def principal(self) -> Principal:
        """What the client is once it has proved itself by its secret."""
        return Principal(self.id, self.agency, self.role, self.credential)

    def holds(self, credential: str) -> bool:
        """Whether this names its present secret or one of its present keys."""
        if self.keys:
            return any(key.thumbprint == credential for key in self.keys)
        return bool(self.secret_hash) and credential == self.credential


@dataclass(frozen=True, slots=True)
class ClientDraft:
    """A client to be made. Without `id` one is generated: agency, role and four random bytes."""

    agency: str
    role: Role
    name: str
    id: str | None = None
    dpop: bool = False


async def create_client(connection: AsyncConnection, draft: ClientDraft, now: datetime) -> tuple[Client, str]:
    """The new client and its secret (256 random bits), which is shown this once; `Conflict` when the id is taken."""
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    return await _insert(connection, draft, now, await hash_secret(secret)), secret


async def create_keyed_client(
    connection: AsyncConnection, draft: ClientDraft, keys: Sequence[ClientKey], now: datetime
) -> Client:
    """A new client without a secret, with these keys; with none it gets no token before it has registered one."""
    made = await _insert(connection, draft, now, _NO_SECRET)
    await _write_keys(connection, made.id, keys, now)
    return replace(made, keys=tuple(keys))


async def _insert(connection: AsyncConnection, draft: ClientDraft, now: datetime, hashed: str) -> Client:
    _check(draft)
    client_id = draft.id or f"{draft.agency[:45]}-{draft.role}-{secrets.token_hex(4)}"
    row: dict[str, Any] = {
        "id": client_id,
        "agency": draft.agency,
        "role": draft.role,
        "name": draft.name,
        "secret_hash": hashed,
        "credential": _thumbprint(client_id, hashed),
        "disabled": False,
        "dpop": draft.dpop,
        "created_at": now,
        "rotated_at": now,
    }
    try:
        async with connection.begin_nested():
            await connection.execute(sa.insert(tables.client).values(row))
    except IntegrityError:
        raise Conflict(f"Client {client_id} exists already; choose another id, or rotate its secret.") from None
    await bump_stamp(connection, ACCESS_TOPIC)
    return Client(**row)


async def rotate_secret(
    connection: AsyncConnection, client_id: str, now: datetime, *, expected: Callable[[Client], None] = lambda _: None
) -> tuple[Client, str]:
    """Give the client a new secret. The old one, and tokens got with it, die within a second on every replica.

    `Conflict` for a client with keys: one proves itself by the one or the other.
    """
    before = await get_client(connection, client_id, lock=True)
    expected(before)
    if before.keys:
        raise Conflict(
            f"Client {client_id} proves itself by its keys and has no secret; PUT /v1/clients/{client_id}/keys changes them, "
            "and with an empty list takes them away."
        )
    secret = secrets.token_urlsafe(_SECRET_BYTES)
    hashed = await hash_secret(secret)
    change = {"secret_hash": hashed, "credential": _thumbprint(client_id, hashed), "rotated_at": now}
    await _update(connection, client_id, change)
    return await get_client(connection, client_id), secret


async def put_keys(
    connection: AsyncConnection,
    client_id: str,
    keys: Sequence[ClientKey],
    now: datetime,
    *,
    expected: Callable[[Client], None] = lambda _: None,
) -> Client:
    """These are the client's keys from now on, and its secret is none. Tokens of other keys, and of the secret, die.

    Without keys it gets no token until it is given a secret or a code of enrolment.
    """
    expected(await get_client(connection, client_id, lock=True))
    await _write_keys(connection, client_id, keys, now)
    change = {"secret_hash": _NO_SECRET, "credential": _thumbprint(client_id, _NO_SECRET), "rotated_at": now}
    await _update(connection, client_id, change)
    return await get_client(connection, client_id)


async def set_disabled(
    connection: AsyncConnection,
    client_id: str,
    *,
    disabled: bool,
    dpop: bool | None = None,
    expected: Callable[[Client], None] = lambda _: None,
) -> Client:
    """Disable or enable a client; its tokens die, or live again until their end, within a second on every replica.

    `dpop`: whether its tokens must be bound to a key from now on; None: as before.
    `expected` refuses a client that is not as the caller last saw it.
    """
    expected(await get_client(connection, client_id, lock=True))
    await _update(connection, client_id, {"disabled": disabled} | ({} if dpop is None else {"dpop": dpop}))
    return await get_client(connection, client_id)


async def get_client(connection: AsyncConnection, client_id: str, *, lock: bool = False) -> Client:
    """One client, or `NotFound`. `lock` keeps its row until the transaction ends."""
    statement = sa.select(tables.client).where(tables.client.c.id == client_id)
    found = await connection.execute(statement.with_for_update() if lock else statement)
    row = found.mappings().one_or_none()
    if row is None:
        raise NotFound(f"No client {client_id!r}.")
    return _client(row, await _keys_of(connection, [client_id]))


async def list_clients(
    connection: AsyncConnection, *, agency: str | None = None, after: str | None = None, limit: int | None = None
) -> list[Client]:
    """Clients by id, of one agency or of all, those after `after` first."""
    query = sa.select(tables.client).order_by(tables.client.c.id).limit(limit)
    if agency is not None:
        query = query.where(tables.client.c.agency == agency)
    if after is not None:
        query = query.where(tables.client.c.id > after)
    rows = (await connection.execute(query)).mappings().all()
    keys = await _keys_of(connection, [row["id"] for row in rows] if limit is not None else None)
    return [_client(row, keys) for row in rows]


async def _update(connection: AsyncConnection, client_id: str, change: dict[str, Any]) -> None:
    await connection.execute(sa.update(tables.client).where(tables.client.c.id == client_id).values(change))
    await bump_stamp(connection, ACCESS_TOPIC)


def _client(row: Mapping[Any, Any], keys: Mapping[str, tuple[ClientKey, ...]]) -> Client:
    return Client(**row, keys=keys.get(row["id"], ()))


async def _keys_of(connection: AsyncConnection, clients: Sequence[str] | None) -> Mapping[str, tuple[ClientKey, ...]]:
    """The keys of these clients, or of all, in the order of their kids."""
    column = tables.client_key.c
    query = sa.select(column.client, column.kid, column.jwk).order_by(column.client, column.kid)
    if clients is not None:
        query = query.where(column.client.in_(clients))
    found: defaultdict[str, list[ClientKey]] = defaultdict(list)
    for row in await connection.execute(query):
        found[row.client].append(load_key({**row.jwk, "kid": row.kid}))
    return {client: tuple(keys) for client, keys in found.items()}


async def _write_keys(connection: AsyncConnection, client_id: str, keys: Sequence[ClientKey], now: datetime) -> None:
    """The keys of a client; one that stands there already keeps its time."""
    column = tables.client_key.c
    mine = column.client == client_id
    stood = {
        row.kid: row
        for row in await connection.execute(sa.select(column.kid, column.thumbprint, column.created_at).where(mine))
    }
    await connection.execute(sa.delete(tables.client_key).where(mine))
    rows = [
        {
            "client": client_id,
            "kid": key.kid,
            "thumbprint": key.thumbprint,
            "jwk": dict(key.jwk),
            "created_at": stood[key.kid].created_at
            if key.kid in stood and stood[key.kid].thumbprint == key.thumbprint
            else now,
        }
        for key in keys
    ]
    if rows:
        await connection.execute(sa.insert(tables.client_key), rows)


def _check(draft: ClientDraft) -> None:
    problems = []
    if draft.id is not None and not SLUG.fullmatch(draft.id):
        problems.append(FieldError("/client_id", "pattern", SLUG_RULE))
    if not SLUG.fullmatch(draft.agency):
        problems.append(FieldError("/agency", "pattern", SLUG_RULE))
    if draft.role not in ROLES:
        problems.append(FieldError("/role", "choice", f"one of {', '.join(ROLES)}"))
    if not 0 < len(draft.name) <= NAME_CHARACTERS or not draft.name.isprintable():
        problems.append(FieldError("/name", "text", f"1 to {NAME_CHARACTERS} printable characters"))
    if problems:
        raise ValidationFailed("The client is not well formed.", errors=problems)


def _thumbprint(client_id: str, secret_hash: str) -> str:
    """A public name of the credential: a hash of the salted argon2id hash, so it says nothing about the secret."""
    digest = hashlib.sha256(b"simpul-credential/1\x00" + client_id.encode() + b"\x00" + secret_hash.encode()).digest()
    return base64.urlsafe_b64encode(digest[:16]).rstrip(b"=").decode()
