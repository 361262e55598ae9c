"""An answer on its way: collected whole (in memory, above a bound in a spool file) before anything of it is released."""

from __future__ import annotations

import asyncio
import base64
import hashlib
from collections.abc import AsyncIterator, Iterator, Mapping
from pathlib import Path

from starlette.responses import Response
from starlette.types import Message, Receive, Scope, Send

from app.api.layer.representation import (
    Header,
    coded,
    coding_of,
    header_of,
    part_of,
    retagged,
    unchanged,
    varied,
    without_content,
)
from app.audit.entry.commitments import BodyCommitment
from app.conditions import tag_of
from app.errors import SimpulError
from app.gateway.spool import CHUNK_BYTES, Spool, with_first
from app.gateway.storage import Room
from app.lanes import in_bulk

__all__ = ["CHUNK_BYTES", "Capture", "SpooledResponse", "read_whole"]

_OK = 200
_NOT_MODIFIED = 304
_OBJECTS = frozenset({b"application/json", b"application/geo+json", b"application/problem+json"})


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
        self.headers: list[Header] = []
        self.size = 0
        """Bytes of the answer as it was made, whatever is sent of it."""
        self._sealed: tuple[bytes, BodyCommitment] | None = None
        self._part: tuple[int, int] | None = None
        self._coded: Spool | None = None
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

    def mark(self, members: bytes) -> None:
        """Puts these members before those of an answer that is a JSON object; one that has them stays."""
        kind = (header_of(self.headers, b"content-type") or b"").partition(b";")[0]
        chunks = self._spool.chunks()
        first = next(chunks, b"") if kind in _OBJECTS else b""
        if first[:1] != b"{" or first.startswith(b"{" + members):
            return
        marked = self._empty()
        marked.write(with_first(members, first))
        for chunk in chunks:
            marked.write(chunk)
        self._spool.close()
        self._spool, self.size, self._sealed = marked, marked.size, None

    def discard(self) -> None:
        """Forgets the body; removes the spool file."""
        self._spool.close()
        self._spool = self._empty()
        self.size, self._sealed, self._part = 0, None, None
        if self._coded is not None:
            self._coded.close()
            self._coded = None

    def chunks(self) -> Iterator[bytes]:
        """The answer as it was made."""
        return self._spool.chunks()

    def sealed(self) -> tuple[bytes, BodyCommitment]:
        """SHA-256 of the whole answer and its commitment, made once: neither depends on the form in which it is sent."""
        if self._sealed is None:
            self._sealed = self._spool.sealed()
        return self._sealed

    async def represent(self, asked: Mapping[bytes, bytes], method: str) -> str | None:
        """Settles in which form the answer is sent: 304, a part, a coding; says so in a word, None for the answer as it is.

        Raises `PreconditionFailed`, `RangeNotSatisfiable`.
        """
        self.headers = varied(self.headers)
        if method == "GET" and self.status == _OK:
            tag = (header_of(self.headers, b"etag") or b"").decode()
            if not tag:
                tag = tag_of(self.sealed()[0])
                self.headers.append((b"etag", tag.encode()))
            if unchanged(asked, tag):
                self.status, self.headers, self._part = 304, without_content(self.headers), (0, 0)
                return "not modified"
            if header_of(self.headers, b"accept-ranges") is not None:
                self._part = part_of(asked, tag, self.size)
        if self._part is not None:
            start, stop = self._part
            self.status = 206
            self.headers.append((b"content-range", f"bytes {start}-{stop - 1}/{self.size}".encode()))
            return f"bytes {start}-{stop - 1}"
        coding = coding_of(asked.get(b"accept-encoding"), self.headers, self.size)
        return coding if coding is not None and await self._code(coding) else None

    async def _code(self, coding: str) -> bool:
        """In one go where the answer is small, else piece by piece beside the other work; False where there is no room for it."""
        self._coded = spool = self._empty()
        pieces = coded(coding, self._spool.chunks())
        try:
            if self.size <= CHUNK_BYTES // 4:
                for piece in pieces:
                    spool.write(piece)
            else:
                while await in_bulk(_moved, pieces, spool):
                    pass
        except SimpulError:  # the answer itself is there: it leaves uncoded
            spool.close()
            self._coded = None
            return False
        self.headers = retagged(self.headers, coding)
        return True

    @property
    def told_size(self) -> int:
        """Bytes of the answer that the caller gets, before any coding: what its entry counts."""
        return self.size if self._part is None else self._part[1] - self._part[0]

    @property
    def sent_size(self) -> int:
        """Bytes that are sent."""
        return self.told_size if self._coded is None else self._coded.size

    def content_digest(self) -> str | None:
        """`Content-Digest` (RFC 9530) of what is sent; None where nothing is."""
        if self.status == _NOT_MODIFIED:
            return None
        if self._part is None and self._coded is None:
            digest = self.sealed()[0]
        else:
            sent = hashlib.sha256()
            for chunk in self._iterate():
                sent.update(chunk)
            digest = sent.digest()
        return "sha-256=:" + base64.b64encode(digest).decode() + ":"

    async def release(self, send: Send, extra: list[tuple[bytes, bytes]]) -> AsyncIterator[int]:
        """Sends the answer; yields the bytes handed over so far after each chunk."""
        kept = [(name, value) for name, value in self.headers if name.lower() != b"content-length"]
        size = self.sent_size
        if self.status != _NOT_MODIFIED:
            kept.append((b"content-length", str(size).encode()))
        await send({"type": "http.response.start", "status": self.status, "headers": kept + extra})
        sent = 0
        for chunk in self._iterate():
            if not chunk:  # a part behind the last one would be a second end: the server then drops the connection
                continue
            sent += len(chunk)
            await send({"type": "http.response.body", "body": chunk, "more_body": sent < size})
            yield sent
            if (
                sent < size
            ):  # the server drops without a word what is for a client that has gone: who watches for that is let in
                await asyncio.sleep(0)
        if sent == 0:
            await send({"type": "http.response.body", "body": b"", "more_body": False})

    def _empty(self) -> Spool:
        return Spool(self._folder, memory_bytes=self._memory_bytes, most_bytes=self._spool_bytes, room=self._room)

    def _take(self, body: bytes) -> None:
        self._spool.write(body)
        self.size += len(body)
        self._sealed = None

    def _iterate(self) -> Iterator[bytes]:
        """What is sent."""
        if self._coded is not None:
            yield from self._coded.chunks()
            return
        offset, (start, stop) = 0, self._part or (0, self.size)
        for chunk in self._spool.chunks():
            yield (
                chunk
                if start <= offset and offset + len(chunk) <= stop
                else chunk[max(start - offset, 0) : max(stop - offset, 0)]
            )
            offset += len(chunk)
            if offset >= stop:
                return


def _moved(pieces: Iterator[bytes], spool: Spool) -> bool:
    """Writes the next piece; False behind the last."""
    piece = next(pieces, None)
    if piece is None:
        return False
    spool.write(piece)
    return True


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
