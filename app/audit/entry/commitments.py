"""Salted commitments that bind erasable things (details, answer bodies, subject tags) to permanent entries.

Pure. Without its salt a commitment of a small answer could be guessed by trying; with the salt erased it says nothing.
"""

from __future__ import annotations

import os
from collections.abc import Iterable
from hashlib import sha256

SALT_BYTES = 32
_DETAIL_DOMAIN = b"\x44"


def new_salt() -> bytes:
    """32 random bytes."""
    return os.urandom(SALT_BYTES)


def commit_detail(salt: bytes, detail: bytes) -> str:
    """`detail_c`: hex SHA-256(44 || salt || canonical JSON of the detail)."""
    return sha256(_DETAIL_DOMAIN + salt + detail).hexdigest()


class BodyCommitment:
    """`body_c` of an answer: SHA-256(salt || exact body bytes), fed in pieces.

    The salt goes to the consumer and into the detail (as hex), so that either can prove later what was sent.
    """

    __slots__ = ("_hash", "salt")

    def __init__(self, salt: bytes | None = None) -> None:
        """`salt`: 32 bytes, random when not given."""
        self.salt = new_salt() if salt is None else salt
        if len(self.salt) != SALT_BYTES:
            raise ValueError(f"a salt has {SALT_BYTES} bytes")
        self._hash = sha256(self.salt)

    def update(self, piece: bytes | memoryview) -> None:
        """The next bytes of the body."""
        self._hash.update(piece)

    def hexdigest(self) -> str:
        """`body_c` over what was fed so far."""
        return self._hash.hexdigest()


def commit_body(salt: bytes, body: bytes) -> str:
    """`body_c` of a whole body."""
    return sha256(salt + body).hexdigest()


def commit_tags(tags: Iterable[tuple[bytes, str, int]]) -> str:
    """Digest over an entry's subject tags (tag, role, epoch); stands in the detail, so it goes when the detail goes."""
    lines = sorted(f"{role} {epoch} {tag.hex()}" for tag, role, epoch in tags)
    return sha256("\n".join(lines).encode()).hexdigest()
