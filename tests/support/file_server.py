"""A web server with files on a raw socket: it states an ETag and a date, knows conditional requests, and fails in one way on demand."""

from __future__ import annotations

import contextlib
import gzip
import hashlib
import socket
import ssl
import struct
import threading
import time
from collections.abc import Callable
from dataclasses import dataclass, field

DATE = "Mon, 02 Nov 2026 08:00:00 GMT"


@dataclass
class Request:
    """What was asked."""

    path: str
    headers: dict[str, str]


@dataclass
class FileServer:
    """Serves `files` by their path. `fault`: a name of `FAULTS`, None for none; `needs`: a header that every request must carry."""

    files: dict[str, bytes] = field(default_factory=dict)
    fault: str | None = None
    needs: tuple[str, str] | None = None
    asked: list[Request] = field(default_factory=list)
    whole: int = 0
    """Bodies that were sent."""
    moved: dict[str, str] = field(default_factory=dict)
    states: bool = True
    """Whether ETag and date are stated."""
    pause_seconds: float = 0.0
    tls: ssl.SSLContext | None = None

    def __post_init__(self) -> None:
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        self.url = f"http://127.0.0.1:{self.port}" if self.tls is None else f"https://localhost:{self.port}"
        threading.Thread(target=self._serve, daemon=True).start()

    def close(self) -> None:
        """Stops serving."""
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._talk, args=(self._listener.accept()[0],), daemon=True).start()

    def _talk(self, plain: socket.socket) -> None:
        with contextlib.suppress(OSError):
            peer = plain if self.tls is None else self.tls.wrap_socket(plain, server_side=True)
            with peer:
                self._heard(peer)

    def _heard(self, peer: socket.socket) -> None:
        head = b""
        while b"\r\n\r\n" not in head:
            part = peer.recv(4096)
            if not part:
                return
            head += part
        first, *lines = head.decode("latin-1").split("\r\n")
        headers = {name.lower(): value for name, _, value in (line.partition(": ") for line in lines if line)}
        request = Request(first.split(" ")[1], headers)
        self.asked.append(request)
        time.sleep(self.pause_seconds)
        self._answer(peer, request)

    def _answer(self, peer: socket.socket, request: Request) -> None:
        body = self.files.get(request.path)
        if self.needs is not None and request.headers.get(self.needs[0]) != self.needs[1]:
            peer.sendall(_head(401, {"Content-Length": "0"}))
        elif request.path in self.moved:
            peer.sendall(_head(302, {"Location": self.moved[request.path], "Content-Length": "0"}))
        elif body is None:
            peer.sendall(_head(404, {"Content-Length": "0"}))
        elif self.fault is not None:
            FAULTS[self.fault](peer, body)
        else:
            etag = f'"{hashlib.sha256(body).hexdigest()[:16]}"'
            stated = {"ETag": etag, "Last-Modified": DATE} if self.states else {}
            if self.states and request.headers.get("if-none-match") == etag:
                peer.sendall(_head(304, stated))
                return
            self.whole += 1
            peer.sendall(_head(200, {**stated, "Content-Length": str(len(body))}) + body)


def _head(status: int, headers: dict[str, str]) -> bytes:
    lines = [f"HTTP/1.1 {status} X", *(f"{name}: {value}" for name, value in headers.items()), "Connection: close"]
    return ("\r\n".join(lines) + "\r\n\r\n").encode()


def _cut(peer: socket.socket, body: bytes) -> None:
    peer.sendall(_head(200, {"Content-Length": str(len(body))}) + body[: len(body) // 2])


def _reset(peer: socket.socket, body: bytes) -> None:
    _cut(peer, body)
    time.sleep(0.05)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _chunks_without_end(peer: socket.socket, body: bytes) -> None:
    peer.sendall(_head(200, {"Transfer-Encoding": "chunked"}) + b"%x\r\n%b\r\n" % (len(body), body))


def _chunks(peer: socket.socket, body: bytes) -> None:
    peer.sendall(_head(200, {"Transfer-Encoding": "chunked"}) + b"%x\r\n%b\r\n0\r\n\r\n" % (len(body), body))


def _until_closed(peer: socket.socket, body: bytes) -> None:
    peer.sendall(_head(200, {}) + body)


def _packed(peer: socket.socket, body: bytes) -> None:
    packed = gzip.compress(body)
    peer.sendall(_head(200, {"Content-Encoding": "gzip", "Content-Length": str(len(packed))}) + packed)


def _packed_and_cut(peer: socket.socket, body: bytes) -> None:
    packed = gzip.compress(body)[:-9]
    peer.sendall(_head(200, {"Content-Encoding": "gzip", "Content-Length": str(len(packed))}) + packed)


def _login(peer: socket.socket, _: bytes) -> None:
    page = b"<!DOCTYPE html><html><head><title>Masuk</title></head><body><form></form></body></html>"
    peer.sendall(_head(200, {"Content-Type": "text/html", "Content-Length": str(len(page))}) + page)


def _fails(peer: socket.socket, _: bytes) -> None:
    peer.sendall(_head(503, {"Content-Length": "0"}))


def _part(peer: socket.socket, body: bytes) -> None:
    peer.sendall(_head(206, {"Content-Length": "10", "Content-Range": f"bytes 0-9/{len(body)}"}) + body[:10])


def _hangs(_: socket.socket, __: bytes) -> None:
    time.sleep(30)


FAULTS: dict[str, Callable[[socket.socket, bytes], None]] = {
    "cut": _cut,
    "reset": _reset,
    "chunks": _chunks,
    "chunks_without_end": _chunks_without_end,
    "until_closed": _until_closed,
    "packed": _packed,
    "packed_and_cut": _packed_and_cut,
    "login": _login,
    "fails": _fails,
    "part": _part,
    "hangs": _hangs,
}
