"""Parsed rows on disk, readable only by the process that had them parsed: AES-256-CTR under a key that stands nowhere."""

from __future__ import annotations

import io
from pathlib import Path
from typing import IO, Any, Final

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

KEY_BYTES: Final = 48
"""32 bytes of key and 16 of the first counter block; one key serves one file."""
_BUFFER_BYTES: Final = 1 << 18


def writing(path: Path, key: bytes) -> IO[bytes]:
    """A new file."""
    return io.BufferedWriter(_Sealed(path.open("wb", buffering=0), key), _BUFFER_BYTES)


def reading(path: Path, key: bytes) -> IO[bytes]:
    """The plain lines from the start."""
    return io.BufferedReader(_Sealed(path.open("rb", buffering=0), key), _BUFFER_BYTES)


class _Sealed(io.RawIOBase):
    def __init__(self, file: io.FileIO, key: bytes) -> None:
        self._file = file
        self._cipher: CipherContext = Cipher(AES(key[:32]), CTR(key[32:])).encryptor()

    def readable(self) -> bool:
        return self._file.readable()

    def writable(self) -> bool:
        return self._file.writable()

    def readinto(self, buffer: Any) -> int:
        found = self._cipher.update(self._file.read(len(buffer)) or b"")
        buffer[: len(found)] = found
        return len(found)

    def write(self, part: Any) -> int:
        view = memoryview(self._cipher.update(bytes(part)))
        size = len(view)
        while view:
            view = view[self._file.write(view) or 0 :]
        return size

    def close(self) -> None:
        super().close()
        self._file.close()
