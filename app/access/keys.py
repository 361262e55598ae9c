"""Signing keys of access tokens: Ed25519, kept as sealed rows so that all replicas share them; rotation; the JWKS.

A new key is published at once and signs only after `PUBLISH_SECONDS`, when every replica has read it; an old one
verifies until the last token it signed has ended. All of that follows from the times of making alone: no state to
repair.
"""

from __future__ import annotations

import base64
import hashlib
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import sqlalchemy as sa
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey, Ed25519PublicKey
from sqlalchemy.ext.asyncio import AsyncConnection

from app.access import tables
from app.access.sealing import Seal, Sealed
from app.access.tables import ACCESS_TOPIC
from app.database import bump_stamp
from app.errors import InstanceMissing

PUBLISH_SECONDS: Final = 10
VERIFY_SECONDS: Final = PUBLISH_SECONDS + 900 + 60
"""How long a replaced key still verifies: it signs on a little, then a token's longest life, then clock skew."""
_ROW: Final = "signing_key"


@dataclass(frozen=True, slots=True)
class SigningKey:
    """One key pair; `kid` is the RFC 7638 thumbprint of its public half."""

    kid: str
    created_at: datetime
    private: Ed25519PrivateKey = field(repr=False)
    public: Ed25519PublicKey = field(repr=False)


@dataclass(frozen=True, slots=True)
class KeySet:
    """The instance's keys, oldest first."""

    keys: tuple[SigningKey, ...]

    def signing(self, now: datetime) -> SigningKey:
        """The newest key that every replica knows by now; the oldest when all are brand new."""
        if not self.keys:
            raise InstanceMissing("The instance has no signing key; `simpul init` makes one.")
        published = now - timedelta(seconds=PUBLISH_SECONDS)
        return next((key for key in reversed(self.keys) if key.created_at <= published), self.keys[0])

    def verifying(self, now: datetime) -> Mapping[str, SigningKey]:
        """The keys whose tokens may still be alive, by kid."""
        replaced_before = now - timedelta(seconds=VERIFY_SECONDS)
        followers = [*self.keys[1:], None] if self.keys else []
        pairs = zip(self.keys, followers, strict=True)
        return {key.kid: key for key, newer in pairs if newer is None or newer.created_at > replaced_before}

    def jwks(self, now: datetime) -> dict[str, Any]:
        """The JSON Web Key Set of the verifying keys (RFC 7517, RFC 8037)."""
        return {
            "keys": [
                {
                    "kty": "OKP",
                    "crv": "Ed25519",
                    "x": _public_text(key.public),
                    "kid": kid,
                    "use": "sig",
                    "alg": "EdDSA",
                }
                for kid, key in self.verifying(now).items()
            ]
        }


async def load_keys(connection: AsyncConnection, seal: Seal) -> KeySet:
    """All keys, opened; call at start and when the stamp `access` moved."""
    rows = await connection.execute(sa.select(tables.signing_key).order_by(tables.signing_key.c.created_at))
    return KeySet(tuple(_open(seal, row) for row in rows))


async def rotate_keys(connection: AsyncConnection, seal: Seal, now: datetime, *, revoke_others: bool = False) -> str:
    """Make a key and return its kid. `revoke_others`: all older keys, and every token of theirs, stop at once."""
    column = tables.signing_key.c
    older = (await load_keys(connection, seal)).verifying(now)
    await connection.execute(
        sa.delete(tables.signing_key).where(column.kid.not_in([] if revoke_others else list(older)))
    )
    private = Ed25519PrivateKey.generate()
    kid = _kid(private.public_key())
    sealed = seal.seal(private.private_bytes_raw(), _ROW, kid)
    row = {"kid": kid, "sealed": sealed.sealed, "nonce": sealed.nonce, "key_id": sealed.key_id, "created_at": now}
    await connection.execute(sa.insert(tables.signing_key).values(row))
    await bump_stamp(connection, ACCESS_TOPIC)
    return kid


async def ensure_keys(connection: AsyncConnection, seal: Seal, now: datetime) -> str | None:
    """Make the first key of an instance and return its kid; None when there is one."""
    if (await connection.execute(sa.select(tables.signing_key.c.kid).limit(1))).first() is None:
        return await rotate_keys(connection, seal, now)
    return None


def _open(seal: Seal, row: Any) -> SigningKey:
    raw = seal.open(Sealed(row.sealed, row.nonce, row.key_id), _ROW, row.kid)
    private = Ed25519PrivateKey.from_private_bytes(raw)
    return SigningKey(row.kid, row.created_at, private, private.public_key())


def _public_text(public: Ed25519PublicKey) -> str:
    return base64.urlsafe_b64encode(public.public_bytes_raw()).rstrip(b"=").decode()


def _kid(public: Ed25519PublicKey) -> str:
    """RFC 7638 thumbprint; RFC 8037 names the members."""
    members = f'{{"crv":"Ed25519","kty":"OKP","x":"{_public_text(public)}"}}'
    return base64.urlsafe_b64encode(hashlib.sha256(members.encode()).digest()).rstrip(b"=").decode()
