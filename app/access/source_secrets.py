"""Secrets of sources: written by an agency, sealed in the store, opened only when a connector is, never shown again."""

from __future__ import annotations

import re
import uuid
from collections.abc import Collection, Mapping
from datetime import datetime
from typing import Final

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import tables
from app.access.sealing import Seal, Sealed
from app.access.tables import SECRETS_TOPIC
from app.conditions import UNCONDITIONAL, Precondition
from app.database import bump_stamp
from app.errors import FieldError, NotFound, SecretUnknown, SettingsInvalid, ValidationFailed

NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_.-]{0,62}")
VALUE_BYTES: Final = 16_384
_REFERENCE: Final = re.compile(r"\$\{([^}]*)\}")


async def put_secret(
    connection: AsyncConnection,
    seal: Seal,
    agency: str,
    name: str,
    value: str,
    now: datetime,
    *,
    condition: Precondition = UNCONDITIONAL,
) -> bool:
    """Store or replace a secret; True when it is new. Bound to its row: (agency, name, row id).

    It cannot be read, so it has no tag: `If-Match: *` asks that it exists, `If-None-Match: *` that it does not.
    """
    _check(name, value)
    column = tables.secret.c
    mine = sa.and_(column.agency == agency, column.name == name)
    row_id = (await connection.execute(sa.select(column.id).where(mine))).scalar_one_or_none()
    new = row_id is None
    if new:
        condition.absent(f"secret {name}")
    else:
        condition.stands(f"secret {name}", '""')
    row_id = row_id or str(uuid.uuid4())
    sealed = seal.seal(value.encode(), agency, name, row_id)
    change = {"sealed": sealed.sealed, "nonce": sealed.nonce, "key_id": sealed.key_id, "rotated_at": now}
    if new:
        row = change | {"agency": agency, "name": name, "id": row_id, "created_at": now}
        await connection.execute(sa.insert(tables.secret).values(row))
    else:
        await connection.execute(sa.update(tables.secret).where(mine).values(change))
    await bump_stamp(connection, SECRETS_TOPIC)
    return new


async def delete_secret(connection: AsyncConnection, agency: str, name: str) -> None:
    """Remove a secret, or `NotFound`."""
    column = tables.secret.c
    gone = await connection.execute(sa.delete(tables.secret).where(column.agency == agency, column.name == name))
    if gone.rowcount == 0:
        raise NotFound(f"Agency {agency} has no secret of that name.")
    await bump_stamp(connection, SECRETS_TOPIC)


async def list_names(connection: AsyncConnection, agency: str) -> list[tuple[str, datetime]]:
    """Names and times of the last change; values never leave this module but through a `SecretReader`."""
    column = tables.secret.c
    query = sa.select(column.name, column.rotated_at).where(column.agency == agency).order_by(column.name)
    return [(row.name, row.rotated_at) for row in await connection.execute(query)]


class SecretStore:
    """The sealed rows in memory; values are opened one at a time, when a reference is resolved, and not kept."""

    def __init__(self, seal: Seal) -> None:
        self._seal = seal
        self._rows: Mapping[tuple[str, str], tuple[str, Sealed]] = {}

    async def refresh(self, connection: AsyncConnection) -> None:
        """Read all rows again; call at start and when the stamp `secrets` moved."""
        rows = await connection.execute(sa.select(tables.secret))
        self._rows = {(row.agency, row.name): (row.id, Sealed(row.sealed, row.nonce, row.key_id)) for row in rows}

    def resolver(
        self, agency: str, env_allow: Collection[str] = (), environment: Mapping[str, str] | None = None
    ) -> AgencySecrets:
        """The reader of one agency: its own secrets, and the environment names that the operator listed for it."""
        present = environment or {}
        allowed = {name: present[name] for name in env_allow if name in present}
        return AgencySecrets(self, agency, allowed)

    def value(self, agency: str, name: str) -> str:
        """The value of one secret; `SecretUnknown` names it when there is none or it cannot be opened."""
        found = self._rows.get((agency, name))
        if found is None:
            raise SecretUnknown(
                f"Agency {agency} has no secret {name}; store it with PUT /v1/secrets/{name}.", name=name
            )
        row_id, sealed = found
        try:
            return self._seal.open(sealed, agency, name, row_id).decode()
        except SettingsInvalid as fault:
            raise SecretUnknown(f"Secret {name} cannot be opened: {fault.detail}", name=name) from None


class AgencySecrets:
    """A `SecretReader` (`connectors/environment.py`). Its repr shows the agency only."""

    def __init__(self, store: SecretStore, agency: str, environment: Mapping[str, str]) -> None:
        self._store = store
        self._agency = agency
        self._environment = environment

    def __repr__(self) -> str:
        return f"AgencySecrets(agency={self._agency!r})"

    def resolve(self, text: str) -> str:
        """The text with `${secret:NAME}` and `${env:NAME}` replaced, once: a value is never looked into for more."""
        return _REFERENCE.sub(self._replace, text)

    def _replace(self, match: re.Match[str]) -> str:
        kind, parted, name = match[1].partition(":")
        if not parted or kind not in ("secret", "env") or not NAME.fullmatch(name):
            raise SecretUnknown("A reference is written ${secret:NAME} or ${env:NAME}; this one is neither.")
        if kind == "secret":
            return self._store.value(self._agency, name)
        if name not in self._environment:
            raise SecretUnknown(
                f"${{env:{name}}} is not set, or the operator did not allow it for agency {self._agency}.", name=name
            )
        return self._environment[name]


def _check(name: str, value: str) -> None:
    problems = []
    if not NAME.fullmatch(name):
        problems.append(FieldError("/name", "pattern", "a letter, then up to 62 letters, digits, `_`, `.` or `-`"))
    if not value:
        problems.append(FieldError("/value", "empty", "give the secret's value"))
    try:
        size_bytes = len(value.encode())
    except UnicodeEncodeError:
        problems.append(FieldError("/value", "text", "the value holds a lone surrogate, which no source can read"))
    else:
        if size_bytes > VALUE_BYTES:
            problems.append(FieldError("/value", "length", f"at most {VALUE_BYTES} bytes"))
    if problems:
        raise ValidationFailed("The secret is not well formed.", errors=problems)
