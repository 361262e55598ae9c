"""Bytes of an answer that wait for their release: in memory while few, else in an encrypted file. Nothing else lives here.

The file is AES-256-CTR under a key of its own; a digest over the plain bytes stands in the log, so a change shows.
"""

from __future__ import annotations

import hashlib
import secrets
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from functools import cached_property
from pathlib import Path
from typing import IO, Final, Protocol

from cryptography.hazmat.primitives.ciphers import Cipher, CipherContext
from cryptography.hazmat.primitives.ciphers.algorithms import AES
from cryptography.hazmat.primitives.ciphers.modes import CTR

from app.audit.entry.commitments import BodyCommitment
from app.errors import AnswerTooLarge
from app.gateway.storage import Room, StorageFull

CHUNK_BYTES: Final = 262_144
KEY_BYTES: Final = 48
"""32 bytes of key and 16 of the first counter block."""


class Digest(Protocol):
    """A hash that is fed in pieces."""

    def update(self, piece: bytes | memoryview, /) -> None:
        """The next bytes."""

    def digest(self) -> bytes:
        """The hash of what was fed so far."""


_BRACE = ord("{")


class Spool:
    """A growing answer. It can be written like a file (pyarrow does) and read again from its start.

    Without `path` the file has no name: it is gone with the process, whatever happens.
    """

    def __init__(
        self,
        folder: Path,
        *,
        memory_bytes: int,
        most_bytes: int,
        path: Path | None = None,
        key: bytes | None = None,
        room: Room | None = None,
        first: bytes = b"",
    ) -> None:
        """`first`: members that the JSON object which is written gets before its own."""
        self.size = 0
        self._first = first
        self.closed = False
        self._key = key
        self._folder, self._path, self._room = folder, path, room
        self._memory_bytes = memory_bytes if path is None else 0
        self._most_bytes = most_bytes
        self._chunks: list[bytes] = []
        self._digests: tuple[Digest, BodyCommitment] | None = None
        self._file: IO[bytes] | None = None if path is None else self._opened()

    @cached_property
    def key(self) -> bytes:
        """Key of the file, made when it is first needed: most answers stay in memory."""
        return self._key or secrets.token_bytes(KEY_BYTES)

    @cached_property
    def _cipher(self) -> CipherContext:
        return _cipher(self.key)

    def write(self, part: bytes | memoryview) -> int:
        """Appends; raises `AnswerTooLarge` naming the job route above the limit."""
        part = memoryview(part).cast("B")  # a buffer of Arrow counts signed bytes, which no cipher takes
        if not part.nbytes:
            return 0
        if self._first and part[0] == _BRACE:
            part = memoryview(with_first(self._first, bytes(part)))
        self._first = b""
        self.size += part.nbytes
        if self.size > self._most_bytes:
            raise AnswerTooLarge(
                f"the answer is larger than {self._most_bytes} bytes; narrow it, or take another format",
                limit_bytes=self._most_bytes,
            )
        if self._file is None and self.size > self._memory_bytes:
            self._file = self._opened()
            for chunk in self._chunks:
                self._append(self._file, chunk)
            self._chunks = []
        if self._file is None:
            self._chunks.append(bytes(part))
        else:
            self._append(self._file, part)
        return part.nbytes

    def _append(self, file: IO[bytes], part: bytes | memoryview) -> None:
        pieces = memoryview(part)
        if self._room is not None:
            self._room.take(pieces.nbytes)
        if self._digests is not None:
            for digest in self._digests:
                digest.update(part)
        try:
            for start in range(0, pieces.nbytes, CHUNK_BYTES):  # a cipher lets no other thread in
                file.write(self._cipher.update(pieces[start : start + CHUNK_BYTES]))
        except OSError as error:
            raise StorageFull(f"the answer could not be kept: {error.strerror}; try again") from None

    def sealed(self) -> tuple[bytes, BodyCommitment]:
        """SHA-256 of all that was written, and its commitment. Of what stands in a file both are made while it is written."""
        digests = self._digests
        if digests is None:
            digests = hashlib.sha256(), BodyCommitment()
            for chunk in self.chunks():
                for digest in digests:
                    digest.update(chunk)
        return digests[0].digest(), digests[1]

    def chunks(self) -> Iterator[bytes]:
        """The plain bytes from the start."""
        if self._file is None:
            yield from self._chunks
            return
        self._file.flush()
        self._file.seek(0)
        yield from _plain(self._file, self.key)
        self._file.seek(0, 2)

    def tell(self) -> int:
        """Bytes written."""
        return self.size

    def flush(self) -> None:
        """Everything written is on its way to the file."""
        if self._file is not None:
            try:
                self._file.flush()
            except OSError as error:
                raise StorageFull(f"the answer could not be kept: {error.strerror}; try again") from None

    def close(self) -> None:
        """Forgets the answer; a named file stays."""
        self.closed = True
        self._chunks = []
        self.size = 0
        if self._file is not None:
            with suppress(OSError):  # a full disk: what was not written is of no use any more
                self._file.close()
            self._file = None
        if self._room is not None:
            self._room.give_back()

    def _opened(self) -> IO[bytes]:
        self._digests = hashlib.sha256(), BodyCommitment()
        try:
            return tempfile.TemporaryFile(dir=self._folder) if self._path is None else self._path.open("w+b")
        except OSError as error:
            raise StorageFull(f"the answer could not be kept: {error.strerror}; try again") from None


def read_spooled(path: Path, key: bytes) -> Iterator[bytes]:
    """The plain bytes of a named spool file."""
    with path.open("rb") as file:
        yield from _plain(file, key)


def _plain(file: IO[bytes], key: bytes) -> Iterator[bytes]:
    cipher = _cipher(key)
    while chunk := file.read(CHUNK_BYTES):
        yield cipher.update(chunk)


def _cipher(key: bytes) -> CipherContext:
    """CTR is the same in both directions; the key serves one file only."""
    return Cipher(AES(key[:32]), CTR(key[32:])).encryptor()


def with_first(members: bytes, document: bytes) -> bytes:
    """A JSON object (or its beginning) with these members before its own."""
    rest = document[1:]
    return b"{" + members + (b"" if rest.lstrip()[:1] in {b"}", b""} else b",") + rest
