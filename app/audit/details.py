"""Details as they are stored: sealed under a key of their year, bound to their entry. What an entry commits to is the plain text.

AES-256-GCM; `S`, the year (2 bytes), nonce (12 bytes), ciphertext with tag. Destroying a year's key file shreds its details.
Details of erasures stay plain (whoever verifies a copy without keys needs the list of what went), and those of older versions until
`seal_standing` has been over them: canonical JSON begins with `{`.
"""

from __future__ import annotations

import asyncio
import logging
import os
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, Final

import orjson
from cryptography.exceptions import InvalidTag
from cryptography.hazmat.primitives.ciphers.aead import AESGCM

from app.audit.durable_files import replace_file
from app.audit.keys import KEY_FOLDER, YearKeys
from app.audit.store import DetailEraser, LogReader
from app.errors import LogBroken

_logger = logging.getLogger(__name__)

DONE_FILE: Final = "log.sealed"
"""Says that no detail of an older version stands plain any more."""

_SEALED: Final = b"S"
_NONCE_BYTES: Final = 12
_HEADER_BYTES: Final = 3 + _NONCE_BYTES
_BATCH: Final = 500
_STANDING = (
    "SELECT d.idx, d.detail, e.id, e.kind, e.t_us FROM exchange_detail d JOIN log_entry e ON e.idx = d.idx"
    " WHERE d.idx >= $1 AND d.idx < $2 ORDER BY d.idx"
)


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


async def seal_standing(reader: LogReader, eraser: DetailEraser, keys: DetailKeys, folder: Path, size: int) -> int:
    """Seal what an older version stored plain among the first `size` entries; how many there were. Once for each folder.

    In small batches, so that appending goes on. Interrupted it begins again at the next opening.
    """
    if (folder / DONE_FILE).exists():
        return 0
    count = 0
    for start in range(0, size, _BATCH):
        rows = await reader.fetch(_STANDING, start, min(start + _BATCH, size))
        plain = [
            (int(idx), bytes(detail), keys.seal(str(name), datetime.fromtimestamp(t_us / 1e6, UTC).year, bytes(detail)))
            for idx, detail, name, kind, t_us in rows
            if bytes(detail[:1]) != _SEALED and kind != "erasure"
        ]
        if plain:
            await eraser.seal(plain)
            count += len(plain)
            await asyncio.sleep(0)
    await asyncio.to_thread(replace_file, folder / DONE_FILE, b"1\n", 0o600)
    if count:
        _logger.warning("sealed %d details that an older version had stored plain", count)
    return count


def _bound(head: bytes, entry_id: str) -> bytes:
    return b"simpul-detail/1\x00" + head + entry_id.encode()
