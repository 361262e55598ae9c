"""HEAD and OPTIONS, which every path answers without a route of its own."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.types import Message, Send


def headers_only(send: Send) -> Send:
    """`send` without the body: HEAD is answered as GET is (RFC 9110, section 9.3.2)."""

    async def bare(message: Message) -> None:
        if message["type"] == "http.response.body":
            message = {**message, "body": b""}
        await send(message)

    return bare


async def options(methods: frozenset[str], plain: Sequence[tuple[bytes, bytes]], send: Send) -> None:
    """Which methods a path takes (RFC 9110, section 9.3.7), for everybody: the document tells it too."""
    status = 204 if methods else 404
    headers = [*plain, (b"content-length", b"0")] if not methods else list(plain)
    if methods:
        headers.append((b"allow", ", ".join(sorted(methods)).encode()))
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": b""})


def parts_taken(limits: str) -> list[tuple[bytes, bytes]]:
    """What OPTIONS tells of a path where an upload in parts can begin (draft-ietf-httpbis-resumable-upload)."""
    return [(b"accept-patch", b"application/partial-upload"), (b"upload-limit", limits.encode())]
