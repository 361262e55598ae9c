"""Sealing of short values with the instance key: AES-256-GCM, bound to the row by its associated data (AAD).

The key is 32 random bytes as base64url, from `SIMPUL_SECRET_KEY` or `DIR/keys/seal.key`. Several keys may be given,
parted by white space: the first seals, all of them open, which is what a change of key needs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Final

from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.errors import Conflict, InstanceMissing, SettingsInvalid

KEY_BYTES: Final = 32
KEY_FILE: Final = Path("keys") / "seal.key"
_NONCE_BYTES: Final = 12


@dataclass(frozen=True, slots=True)
class Sealed:
    """A sealed value: ciphertext with tag, nonce, and which key opens it."""

    sealed: bytes = field(repr=False)
    nonce: bytes = field(repr=False)
    key_id: str


class Seal:
    """Seals with the first key, opens with any. Shows key ids only."""

    def __init__(self, keys: Sequence[bytes]) -> None:
        if not keys or any(len(key) != KEY_BYTES for key in keys):
            raise SettingsInvalid(f"The seal key must be {KEY_BYTES} bytes as base64url; `simpul init` makes one.")
        self._ciphers = {_key_id(key): AESGCM(key) for key in keys}
        self.key_id = _key_id(keys[0])

    def __repr__(self) -> str:
        return f"Seal(key_id={self.key_id!r})"

    def seal(self, plain: bytes, *bound_to: str) -> Sealed:
        """Seal `plain` for the row named by `bound_to`. A fresh random nonce each time: far below 2^32 values a key."""
        nonce = secrets.token_bytes(_NONCE_BYTES)
        return Sealed(self._ciphers[self.key_id].encrypt(nonce, plain, _aad(bound_to)), nonce, self.key_id)

    def open(self, sealed: Sealed, *bound_to: str) -> bytes:
        """The value sealed for exactly this row; `SettingsInvalid` when its key is missing or it was changed."""
        cipher = self._ciphers.get(sealed.key_id)
        if cipher is None:
            raise SettingsInvalid(
                f"A value is sealed under key {sealed.key_id}, which this instance was not given; "
                "add it to SIMPUL_SECRET_KEY or keys/seal.key."
            )
        try:
            return cipher.decrypt(sealed.nonce, sealed.sealed, _aad(bound_to))
        except InvalidTag:
            raise SettingsInvalid(
                f"The sealed value of {'/'.join(bound_to[:2])} was changed or moved from another row; store it again."
            ) from None


def create_seal_key(folder: Path) -> Path:
    """Write a new key to `folder/keys/seal.key`, mode 0400; `Conflict` when one is there (it is never overwritten)."""
    file = folder / KEY_FILE
    file.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    try:
        handle = os.open(file, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o400)
    except FileExistsError:
        raise Conflict(f"{KEY_FILE} exists already; a new key would make stored secrets unreadable.") from None
    with os.fdopen(handle, "wb") as stream:
        stream.write(base64.urlsafe_b64encode(secrets.token_bytes(KEY_BYTES)) + b"\n")
    return file


def load_seal(folder: Path, key_text: str | None = None) -> Seal:
    """The seal from `key_text` (the value of `SIMPUL_SECRET_KEY`), else from `folder/keys/seal.key`."""
    if key_text:
        return Seal(_parse_keys(key_text, "SIMPUL_SECRET_KEY"))
    file = folder / KEY_FILE
    if not file.is_file():
        raise InstanceMissing(f"{KEY_FILE} is missing and SIMPUL_SECRET_KEY is not set; `simpul init` makes the key.")
    if file.stat().st_mode & 0o077:
        raise SettingsInvalid(f"{KEY_FILE} can be read by others; run `chmod 400` on it.")
    return Seal(_parse_keys(file.read_text("ascii", errors="replace"), str(KEY_FILE)))


def _parse_keys(text: str, origin: str) -> list[bytes]:
    keys = []
    for number, word in enumerate(text.split(), 1):
        try:
            key = base64.b64decode(word + "=" * (-len(word) % 4), altchars=b"-_", validate=True)
        except (binascii.Error, ValueError):
            key = b""
        if len(key) != KEY_BYTES:
            raise SettingsInvalid(f"{origin}: key {number} is not {KEY_BYTES} bytes as base64url.")
        keys.append(key)
    return keys


def _key_id(key: bytes) -> str:
    """A public name of a key: 64 bits of its hash under an own prefix; the key is random, so this reveals nothing."""
    return hashlib.sha256(b"simpul-seal/1\x00" + key).hexdigest()[:16]


def _aad(bound_to: Sequence[str]) -> bytes:
    """Length-prefixed parts, so that no two rows share an encoding."""
    parts = (part.encode() for part in bound_to)
    return b"simpul-seal/1" + b"".join(len(part).to_bytes(4, "big") + part for part in parts)
