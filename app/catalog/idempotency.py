"""The table of idempotency keys: which request a key stood for, and what that was answered. Heeding them: `gateway/idempotency.py`."""

from __future__ import annotations

from dataclasses import asdict, dataclass, field
from datetime import datetime
from typing import Any, Literal

from sqlalchemy import Column, Index, LargeBinary, String, Table, delete, func, select, update
from sqlalchemy.ext.asyncio import AsyncConnection

from app.database import UtcTime, metadata, upsert

KeyState = Literal["running", "answered", "unknown"]

idempotency_key = Table(
    "idempotency_key",
    metadata,
    Column("client", String(128), primary_key=True),
    Column("key", String(64), primary_key=True),
    Column("fingerprint", String(64), nullable=False),
    Column("exchange", String(36), nullable=False),
    Column("state", String(16), nullable=False),
    Column("sealed", LargeBinary),
    Column("nonce", LargeBinary),
    Column("key_id", String(64)),
    Column("started_at", UtcTime, nullable=False),
    Column("expires_at", UtcTime, nullable=False),
    Index(None, "expires_at"),
)


@dataclass(frozen=True, slots=True)
class KeyedRequest:
    """One row. `key` and `fingerprint`: SHA-256 in hex, of the key and of the request; `exchange`: the one that did the work."""

    client: str
    key: str
    fingerprint: str
    exchange: str
    state: KeyState
    started_at: datetime
    expires_at: datetime
    sealed: bytes | None = field(default=None, repr=False)
    nonce: bytes | None = field(default=None, repr=False)
    key_id: str | None = None


async def reserve(connection: AsyncConnection, new: KeyedRequest) -> KeyedRequest:
    """The row that stands under this key: `new` itself, or the one that stood there before."""
    mine = idempotency_key.c.client == new.client, idempotency_key.c.key == new.key
    await connection.execute(delete(idempotency_key).where(*mine, idempotency_key.c.expires_at < new.started_at))
    row = asdict(new)
    await upsert(connection, idempotency_key, [row], keep=list(row))
    found = (await connection.execute(select(idempotency_key).where(*mine))).mappings().one()
    return KeyedRequest(**found)


async def count(connection: AsyncConnection, client: str) -> int:
    """How many keys of a client stand there."""
    counted = select(func.count()).select_from(idempotency_key).where(idempotency_key.c.client == client)
    return int((await connection.execute(counted)).scalar_one())


async def settle(connection: AsyncConnection, exchange: str, **values: Any) -> None:
    """What became of the request of this exchange."""
    await connection.execute(
        update(idempotency_key).where(idempotency_key.c.exchange == exchange, _running()).values(**values)
    )


async def release(connection: AsyncConnection, exchange: str) -> None:
    """Forgets the key: nothing was done under it."""
    await connection.execute(delete(idempotency_key).where(idempotency_key.c.exchange == exchange, _running()))


async def forget_expired(connection: AsyncConnection, moment: datetime) -> None:
    """Removes every key whose time is over."""
    await connection.execute(delete(idempotency_key).where(idempotency_key.c.expires_at < moment))


def _running() -> Any:
    return idempotency_key.c.state == "running"
