"""An answer on its way: collected whole (in memory, above a bound in a spool file) before anything of it is released."""

from __future__ import annotations

import base64
import hashlib
import tempfile
from collections.abc import AsyncIterator, Iterator
from pathlib import Path
from typing import IO

from starlette.responses import Response
from starlette.types import Message, Receive, Send

from app.audit.commitments import BodyCommitment
from app.errors import AnswerTooLarge

CHUNK_BYTES = 262_144


class Capture:
    """Takes the place of `send`. `status`, `headers` and the body stand here until the exchange is closed."""

    def __init__(self, *, memory_bytes: int, spool_bytes: int, folder: Path) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.size = 0
        self._chunks: list[bytes] = []
        self._spool: IO[bytes] | None = None
        self._memory_bytes = memory_bytes
        self._spool_bytes = spool_bytes
        self._folder = folder

    async def send(self, message: Message) -> None:
        """ASGI `send` for the application below."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", ()))
        elif message["type"] == "http.response.body":
            body = message.get("body", b"")
            if body:
                self._take(body)

    def take(self, response: Response) -> None:
        """A finished response, as `send` would have taken it."""
        self.status = response.status_code
        self.headers = response.raw_headers
        self._take(bytes(response.body))

    def replace(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Throws away what was collected and stands for this answer instead."""
        self.discard()
        self.status = status
        self.headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        self._chunks = [body]
        self.size = len(body)

    def discard(self) -> None:
        """Forgets the body; removes the spool file."""
        self._chunks = []
        self.size = 0
        if self._spool is not None:
            self._spool.close()
            self._spool = None

    def digest(self, salted: BodyCommitment) -> str:
        """Feeds the body into `salted` (the commitment) and returns the `Content-Digest` value (RFC 9530)."""
        plain = hashlib.sha256()
        for chunk in self._iterate():
            plain.update(chunk)
            salted.update(chunk)
        return "sha-256=:" + base64.b64encode(plain.digest()).decode() + ":"

    async def release(self, send: Send, extra: list[tuple[bytes, bytes]]) -> AsyncIterator[int]:
        """Sends the answer; yields the bytes handed over so far after each chunk."""
        kept = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        kept.append((b"content-length", str(self.size).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": kept + extra})
        sent = 0
        for chunk in self._iterate():
            sent += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": sent < self.size})
            yield sent
        if sent == 0:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _take(self, body: bytes) -> None:
        self.size += len(body)
        if self.size > self._spool_bytes:
            raise AnswerTooLarge(
                f"the answer is larger than {self._spool_bytes} bytes; narrow it, or ask with Prefer: respond-async",
                limit_bytes=self._spool_bytes,
            )
        if self._spool is None and self.size > self._memory_bytes:
            # The file has no name: it is gone with the process, whatever happens.
            self._spool = tempfile.TemporaryFile(dir=self._folder)  # noqa: SIM115 - closed by discard()
            for chunk in self._chunks:
                self._spool.write(chunk)
            self._chunks = []
        if self._spool is not None:
            self._spool.write(body)
        else:
            self._chunks.append(body)

    def _iterate(self) -> Iterator[bytes]:
        if self._spool is None:
            yield from self._chunks
            return
        self._spool.seek(0)
        while chunk := self._spool.read(CHUNK_BYTES):
            yield chunk


async def read_whole(receive: Receive, limit_bytes: int) -> bytes | None:
    """The whole request body, None when it is larger than the limit (the rest is read and thrown away up to 4 x)."""
    chunks: list[bytes] = []
    size = 0
    while True:
        message = await receive()
        if message["type"] == "http.disconnect":
            raise ConnectionResetError
        size += len(message.get("body", b""))
        if size <= limit_bytes:
            chunks.append(message.get("body", b""))
        if not message.get("more_body", False):
            break
        if size > 4 * limit_bytes:
            return None
    return b"".join(chunks) if size <= limit_bytes else None
