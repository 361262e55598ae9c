"""Tokens that were revoked one by one (RFC 7009): kept until they would have ended, known to every replica within a second."""

from __future__ import annotations

from datetime import UTC, datetime

import sqlalchemy as sa
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access.tables import REVOKED_TOPIC, revoked_token
from app.database import bump_stamp, upsert


async def revoke_token(connection: AsyncConnection, jti: str, ends_at: float) -> None:
    """The token is dead from now on; what has ended by itself is forgotten."""
    await connection.execute(sa.delete(revoked_token).where(revoked_token.c.expires_at < datetime.now(UTC)))
    await upsert(connection, revoked_token, [{"jti": jti, "expires_at": datetime.fromtimestamp(ends_at, UTC)}])
    await bump_stamp(connection, REVOKED_TOPIC)


async def load_revoked(connection: AsyncConnection) -> frozenset[str]:
    """The tokens that would still be alive."""
    query = sa.select(revoked_token.c.jti).where(revoked_token.c.expires_at >= datetime.now(UTC))
    return frozenset((await connection.execute(query)).scalars())
