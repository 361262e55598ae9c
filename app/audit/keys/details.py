"""Details as they are stored: sealed under a key of their year, bound to their entry. What an entry commits to is the plain text.

AES-256-GCM; `S`, the year (2 bytes), nonce (12 bytes), ciphertext with tag. Destroying a year's key file shreds its details.
Details of erasures stay plain (whoever verifies a copy without keys needs the list of what went), and those of older versions until
`write/standing_details.py` has been over them: canonical JSON begins with `{`.
"""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.audit.keys.files import KEY_FOLDER, YearKeys
from app.errors import LogBroken

_SEALED: Final = b"S"
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = 3 + _NONCE_BYTES


class DetailKeys:
    """The yearly keys of details in a folder (`detail-2026.key`), made when first needed to seal."""

    def __init__(self, folder: Path) -> None:
        """`folder`: the instance's `keys` folder."""
        self._keys = YearKeys(folder, "detail")
        self._ciphers: dict[int, AESGCM] = {}

    @classmethod
    def of(cls, folder: Path) -> DetailKeys:
        """The keys of an instance's folder, or of a copy of it (which may have none)."""
        return cls(folder / KEY_FOLDER)

    def seal(self, entry_id: str, year: int, plain: bytes) -> bytes:
        """A detail as it is stored. LogUnavailable when the key can be neither read nor made."""
        nonce = os.urandom(_NONCE_BYTES)
        head = _SEALED + year.to_bytes(2, "big")
        return head + nonce + self._cipher(year).encrypt(nonce, plain, _bound(head, entry_id))

    def open(self, entry_id: str, stored: bytes) -> bytes | None:
        """The plain detail; None when the key of its year is not here. LogBroken when it was changed or is another entry's."""
        if stored[:1] != _SEALED:
            return stored
        head, nonce = stored[:3], stored[3:_HEADER_BYTES]
        year = int.from_bytes(stored[1:3], "big")
        if year not in self._ciphers and not self._keys.has(year):
            return None
        try:
            return self._cipher(year).decrypt(nonce, stored[_HEADER_BYTES:], _bound(head, entry_id))
        except (InvalidTag, ValueError):
            raise LogBroken(f"the detail of entry {entry_id} was changed: its seal does not open") from None

    def document(self, entry_id: str, stored: bytes | None) -> dict[str, Any] | None:
        """The members of a stored detail, None when there is none or its key is not here."""
        plain = None if stored is None else self.open(entry_id, bytes(stored))
        if plain is None:
            return None
        found: dict[str, Any] = orjson.loads(plain)
        return found

    def _cipher(self, year: int) -> AESGCM:
        known = self._ciphers.get(year)
        if known is None:
            known = self._ciphers[year] = AESGCM(self._keys.key(year))
        return known


def sealed_year(stored: bytes) -> int | None:
    """The year of the key of a stored detail, None when it is plain."""
    return int.from_bytes(stored[1:3], "big") if stored[:1] == _SEALED else None


def _bound(head: bytes, entry_id: str) -> bytes:
    return b"simpul-detail/1\x00" + head + entry_id.encode()
