"""An HTTP service that misbehaves on demand, on a raw socket: it hangs, trickles, resets, lies about its length, changes its records.

Two pages of records stand at `/a`; the fault befalls the page that `fault_at` names. `open` counts requests that a peer still waits for.
"""

from __future__ import annotations

import contextlib
import json
import re
import select
import socket
import struct
import threading
import time
from collections.abc import Callable, Iterator

PAGES = (
    [{"kode": f"A{number}", "nama": f"Satu {number}", "jenis": "klinik"} for number in (1, 2)],
    [{"kode": f"A{number}", "nama": f"Dua {number}", "jenis": "klinik"} for number in (3, 4)],
    [],
)
_LONGEST_SECONDS = 20.0


class FaultyService:
    """Serves the two pages, or what `fault` makes of one of them: a name of `FAULTS`, None for none."""

    def __init__(self) -> None:
        self.fault: str | None = None
        self.fault_at = 1
        self._fell = False
        self.open = 0
        self._lock, self._ended = threading.Lock(), threading.Event()
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.url = f"http://127.0.0.1:{self._listener.getsockname()[1]}"
        threading.Thread(target=self._serve, daemon=True).start()

    @contextlib.contextmanager
    def broken(self, fault: str, page: int = 1) -> Iterator[None]:
        """The fault befalls this page as long as the context lasts."""
        self.fault, self.fault_at, self._fell = fault, page, False
        try:
            yield
        finally:
            self.fault = None

    def close(self) -> None:
        """Stops serving."""
        self._ended.set()
        self._listener.close()

    def _serve(self) -> None:
        with contextlib.suppress(OSError):
            while True:
                threading.Thread(target=self._answer, args=(self._listener.accept()[0],), daemon=True).start()

    def _answer(self, peer: socket.socket) -> None:
        with peer, contextlib.suppress(OSError):
            head = b""
            while b"\r\n\r\n" not in head:
                part = peer.recv(4096)
                if not part:
                    return
                head += part
            asked = re.search(rb"[?&]page=(\d+)", head)
            page = int(asked[1]) if asked else 1
            with self._lock:
                self.open += 1
            try:
                records = PAGES[min(page, len(PAGES)) - 1]
                if self.fault is None or not self._befalls(page):
                    peer.sendall(_whole(records))
                else:
                    FAULTS[self.fault](self, peer, records)
            finally:
                with self._lock:
                    self.open -= 1

    def _befalls(self, page: int) -> bool:
        """A member that is renamed is so on every page from then on: who asks for the first one again sees it."""
        again = page == 1 and self._fell
        self._fell = page == self.fault_at and page > 1 and self.fault == "renamed_member"
        return page == self.fault_at or again

    def wait(self, peer: socket.socket, seconds: float = _LONGEST_SECONDS) -> bool:
        """Until the peer leaves; False where it does not within this time."""
        ends = time.monotonic() + seconds
        while time.monotonic() < ends and not self._ended.is_set():
            if select.select([peer], [], [], 0.02)[0] and not peer.recv(4096):
                return True
        return False


def _body(records: object) -> bytes:
    return json.dumps({"data": records}).encode()


def _whole(records: object, length: int = 0, *, closes: bool = True) -> bytes:
    body = _body(records)
    head = f"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: {len(body) + length}\r\n"
    return head.encode() + (b"Connection: close\r\n\r\n" if closes else b"\r\n") + body


def _hang(service: FaultyService, peer: socket.socket, _records: object) -> None:
    service.wait(peer)


def _hang_in_body(service: FaultyService, peer: socket.socket, records: object) -> None:
    peer.sendall(_whole(records)[:-10])
    service.wait(peer)


def _trickle(service: FaultyService, peer: socket.socket, records: object) -> None:
    whole = _whole(records)
    peer.sendall(whole[:-60])
    for place in range(len(whole) - 60, len(whole)):
        if service.wait(peer, 1):
            return
        peer.sendall(whole[place : place + 1])


def _reset(_service: FaultyService, peer: socket.socket, records: object) -> None:
    peer.sendall(_whole(records)[:-10])
    time.sleep(0.05)
    peer.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))


def _length_too_long(_service: FaultyService, peer: socket.socket, records: object) -> None:
    peer.sendall(_whole(records, length=40))


def _length_too_short(_service: FaultyService, peer: socket.socket, records: object) -> None:
    peer.sendall(_whole(records, length=-20))


def _length_too_short_kept(service: FaultyService, peer: socket.socket, records: object) -> None:
    peer.sendall(_whole(records, length=-20, closes=False))
    service.wait(peer, 2)


def _other_columns(_service: FaultyService, peer: socket.socket, _records: object) -> None:
    peer.sendall(_whole([{"id": "A3", "nama_faskes": "Dua", "jenis": "klinik"}]))


def _renamed_member(_service: FaultyService, peer: socket.socket, records: object) -> None:
    assert isinstance(records, list)
    peer.sendall(_whole([{"kode": one["kode"], "nama": one["nama"], "kategori": one["jenis"]} for one in records]))


def _no_list(_service: FaultyService, peer: socket.socket, _records: object) -> None:
    peer.sendall(_whole({"A3": {"nama": "Dua"}}))


def _no_objects(_service: FaultyService, peer: socket.socket, _records: object) -> None:
    peer.sendall(_whole(["A3", "A4"]))


def _no_json(_service: FaultyService, peer: socket.socket, _records: object) -> None:
    page = b"<html><body>Gangguan</body></html>"
    peer.sendall(b"HTTP/1.1 200 OK\r\nContent-Type: text/html\r\nContent-Length: %d\r\n\r\n%b" % (len(page), page))


FAULTS: dict[str, Callable[[FaultyService, socket.socket, object], None]] = {
    "hangs": _hang,
    "hangs_in_body": _hang_in_body,
    "trickles": _trickle,
    "resets": _reset,
    "length_too_long": _length_too_long,
    "length_too_short": _length_too_short,
    "length_too_short_and_kept": _length_too_short_kept,
    "other_columns": _other_columns,
    "renamed_member": _renamed_member,
    "no_list": _no_list,
    "no_objects": _no_objects,
    "no_json": _no_json,
}
