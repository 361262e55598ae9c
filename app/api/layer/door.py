"""The connection itself, before there is a request: how many an address may hold, and how long the head of a request may take.

uvicorn's own protocol waits without an end for a head that does not arrive. httptools takes what follows the head of a
request with `Upgrade` for the other protocol: its body would be lost, or be read as the next request.
"""

from __future__ import annotations

import asyncio
from array import array
from collections import Counter
from typing import Any, ClassVar

from httptools import HttpParserUpgrade, HttpRequestParser
from uvicorn.protocols.http.httptools_impl import STATUS_LINE, HttpToolsProtocol

from app.api.layer.problems import problem_body, problem_headers
from app.errors import RequestError, SimpulError
from app.telemetry import TraceContext


class HttpMalformed(RequestError):
    """What arrived is no HTTP/1.1 request, or more of a head than the parser takes."""

    code = "http_malformed"


class HeadTooLate(RequestError):
    """The head of a request did not arrive in time."""

    code = "head_too_late"


class OneProtocol(HttpRequestParser):
    """Reads a request that asks for another protocol as if it did not ask (RFC 9110, section 7.8)."""

    def __init__(self, protocol: Door) -> None:
        super().__init__(protocol)
        self.set_dangerous_leniencies(lenient_data_after_close=True)  # as uvicorn has it
        self._protocol = protocol

    @property
    def ignored(self) -> bool:
        """The head under way asks for another protocol and will be read again without this wish."""
        return self.should_upgrade() and self.get_method() != b"CONNECT"

    def feed_data(self, data: bytes | bytearray | memoryview | array[int]) -> None:
        """What follows a head that asks for another protocol is read as its body, if its length says that it has one."""
        rest = memoryview(data)
        while rest:
            try:
                super().feed_data(rest)
                return
            except HttpParserUpgrade as ended:
                if not self.ignored:  # a tunnel that is refused: whatever follows is not HTTP
                    self._protocol.cycle.keep_alive = False
                    return
                rest = rest[ended.args[0] :]
                super().feed_data(self._plain_head())

    def _plain_head(self) -> bytes:
        lines = [b"%s %s HTTP/%s" % (self.get_method(), self._protocol.url, self.get_http_version().encode())]
        lines += [b"%s: %s" % header for header in self._protocol.headers if header[0] != b"upgrade"]
        return b"\r\n".join([*lines, b"", b""])


class Door(HttpToolsProtocol):
    """Closes what sends no head in time, and what is too many of one address. Made for a server by `door`."""

    head_seconds: ClassVar[float]
    base_url: ClassVar[str]
    most: ClassVar[int]
    held: ClassVar[Counter[str]]
    _timer: asyncio.TimerHandle | None = None
    _address = ""
    parser: OneProtocol

    def __init__(self, *given: Any, **named: Any) -> None:
        super().__init__(*given, **named)
        self.parser = OneProtocol(self)

    def on_headers_complete(self) -> None:
        """The head that counts."""
        if not self.parser.ignored:
            super().on_headers_complete()

    def on_message_complete(self) -> None:
        """The end of the message that counts."""
        if not self.parser.ignored:
            super().on_message_complete()

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        """One more of this address."""
        super().connection_made(transport)
        self._address = self.client[0] if self.client else ""
        self.held[self._address] += 1
        if self.held[self._address] > self.most:
            transport.abort()
            return
        self._arm()

    def connection_lost(self, exc: Exception | None) -> None:
        """One less."""
        self._disarm()
        self.held[self._address] -= 1
        if not self.held[self._address]:
            del self.held[self._address]
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """A head that arrives whole needs no clock; one that is begun and not complete has its time from here on."""
        super().data_received(data)
        scope: Any = self.scope
        if scope is not None and "method" not in scope:  # uvicorn writes it down when the head is complete
            self._arm()
        elif self._timer is not None:
            self._disarm()

    def _arm(self) -> None:
        if self._timer is None:
            self._timer = self.loop.call_later(self.head_seconds, self._expire)

    def _disarm(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _expire(self) -> None:
        self._timer = None
        if not self.transport.is_closing():
            self._refuse(HeadTooLate(f"the head of a request arrives within {self.head_seconds:g} s"))

    def send_400_response(self, msg: str) -> None:
        """What is no request gets a problem as every other fault does."""
        self._refuse(HttpMalformed("this is no HTTP/1.1 request, or its address is longer than 65,535 bytes"))

    def _refuse(self, error: SimpulError) -> None:
        status, body = problem_body(error, base_url=self.base_url, trace_id=TraceContext.from_header(None).trace_id)
        named = problem_headers(error) | {"content-length": str(len(body)), "connection": "close"}
        head = "".join(f"{name}: {value}\r\n" for name, value in named.items())
        self.transport.write(STATUS_LINE[status] + head.encode() + b"\r\n" + body)
        self.transport.close()


def door(head_seconds: float, connections_per_address: int, base_url: str) -> type[HttpToolsProtocol]:
    """The protocol of one server: connections are counted by address within it."""
    return type(
        "Door",
        (Door,),
        {"head_seconds": head_seconds, "most": connections_per_address, "base_url": base_url, "held": Counter()},
    )
