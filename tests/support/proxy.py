"""A TCP proxy before a server of others that misbehaves on demand: it refuses, resets, cuts off, hangs or trickles in mid-answer."""

from __future__ import annotations

import contextlib
import select
import socket
import struct
import threading
import time
from collections.abc import Iterator

FAULTS = ("refuses", "resets", "cuts_off", "hangs", "trickles")
_TRICKLE_SECONDS = 0.1


class FaultyProxy:
    """Passes on what both sides say. The fault befalls each connection once the server sent `after` bytes since it was broken."""

    def __init__(self, port: int) -> None:
        self._server, self._fault, self._after, self._round = port, "", 0, 0
        self._lock = threading.Lock()
        self.open = 0
        self._ended = threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        threading.Thread(target=self._serve, daemon=True).start()

    @contextlib.contextmanager
    def broken(self, fault: str, after: int = 0) -> Iterator[None]:
        """One of `FAULTS` befalls what stands and what comes, as long as the context lasts."""
        assert fault in FAULTS
        self._after, self._round = after, self._round + 1
        self._fault = fault
        try:
            yield
        finally:
            self._fault = ""

    def close(self) -> None:
        """Stops passing on."""
        self._ended.set()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                peer = self._listener.accept()[0]
                threading.Thread(target=self._pass_on, args=(peer,), daemon=True).start()

    def _pass_on(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            if self._fault == "refuses":
                return _reset(peer)
            with socket.create_connection(("127.0.0.1", self._server)) as server:
                with self._lock:
                    self.open += 1
                try:
                    self._both_ways(peer, server)
                finally:
                    with self._lock:
                        self.open -= 1
        return None

    def _both_ways(self, peer: socket.socket, server: socket.socket) -> None:
        seen, counted = 0, self._round
        while not self._ended.is_set():
            for side in select.select([peer, server], [], [], 0.05)[0]:
                part = side.recv(65_536)
                if not part:
                    return
                if side is peer:
                    server.sendall(part)
                    continue
                if counted != self._round:
                    seen, counted = 0, self._round
                sound = len(part) if not self._fault else max(0, self._after - seen)
                seen += len(part)
                peer.sendall(part[:sound])
                if len(part) > sound and not self._break(peer, part[sound:]):
                    return

    def _break(self, peer: socket.socket, rest: bytes) -> bool:
        """What becomes of the rest; whether the connection goes on."""
        match self._fault:
            case "refuses" | "resets":
                _reset(peer)
            case "hangs":
                self._until_left(peer)
            case "trickles":
                for at in range(len(rest)):
                    if not self._fault:
                        peer.sendall(rest[at:])
                        return True
                    peer.sendall(rest[at : at + 1])
                    if self._until_left(peer, _TRICKLE_SECONDS):
                        return False
            case "cuts_off":
                pass
            case _:
                peer.sendall(rest)
                return True
        return False

    def _until_left(self, peer: socket.socket, seconds: float = 20.0) -> bool:
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self._ended.is_set():
            if select.select([peer], [], [], 0.02)[0] and not peer.recv(4096):
                return True
        return False


def _reset(peer: socket.socket) -> None:
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
