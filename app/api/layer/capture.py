"""An answer on its way: collected whole (in memory, above a bound in a spool file) before anything of it is released."""

from __future__ import annotations

import base64
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.audit.entry.commitments import BodyCommitment
from app.gateway.spool import CHUNK_BYTES, Spool
from app.gateway.storage import Room

__all__ = ["CHUNK_BYTES", "Capture", "SpooledResponse", "read_whole"]


class SpooledResponse(Response):
    """An answer that stands finished in a spool. Only the layer's capture can release it."""

    def __init__(self, spool: Spool, headers: Mapping[str, str], media_type: str) -> None:
        super().__init__(b"", 200, headers, media_type)
        self.spool = spool

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """By way of the router: the bytes are handed on; the layer's own endpoints give the spool itself."""
        await send({"type": "http.response.start", "status": self.status_code, "headers": self.raw_headers})
        try:
            for chunk in self.spool.chunks():
                await send({"type": "http.response.body", "body": chunk, "more_body": True})
        finally:
            self.spool.close()
        await send({"type": "http.response.body", "body": b"", "more_body": False})


class Capture:
    """Takes the place of `send`. `status`, `headers` and the body stand here until the exchange is closed."""

    def __init__(self, *, memory_bytes: int, spool_bytes: int, folder: Path, room: Room) -> None:
        self.status = 0
        self.headers: list[tuple[bytes, bytes]] = []
        self.size = 0
        self._folder = folder
        self._room = room
        self._memory_bytes = memory_bytes
        self._spool_bytes = spool_bytes
        self._spool = self._empty()

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
        if isinstance(response, SpooledResponse):
            self.discard()
            self._spool, self.size = response.spool, response.spool.size
        else:
            self._take(bytes(response.body))

    def replace(self, status: int, headers: dict[str, str], body: bytes) -> None:
        """Throws away what was collected and stands for this answer instead."""
        self.discard()
        self.status = status
        self.headers = [(name.encode(), value.encode("latin-1", "replace")) for name, value in headers.items()]
        self._spool.write(body)
        self.size = len(body)

    def discard(self) -> None:
        """Forgets the body; removes the spool file."""
        self._spool.close()
        self._spool = self._empty()
        self.size = 0

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
            if not chunk:  # a part behind the last one would be a second end: the server then drops the connection
                continue
            sent += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": sent < self.size})
            yield sent
        if sent == 0:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _empty(self) -> Spool:
        return Spool(self._folder, memory_bytes=self._memory_bytes, most_bytes=self._spool_bytes, room=self._room)

    def _take(self, body: bytes) -> None:
        self._spool.write(body)
        self.size += len(body)

    def _iterate(self) -> Iterator[bytes]:
        return self._spool.chunks()


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
