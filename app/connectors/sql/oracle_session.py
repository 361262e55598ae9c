"""Sessions on an Oracle server by python-oracledb (thin), the extra `simpul[oracle]`: read only, in UTC, texts compared by their bytes.

The driver follows where a listener sends it and turns off the check of names in a TLS context that it is given. So it runs on an event loop
that dials allowed addresses alone and makes TLS itself, with the gateway's own context.
"""

from __future__ import annotations

import asyncio
import contextlib
import re
import ssl
import threading
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from importlib import import_module
from pathlib import Path
from typing import Any

from app.connectors.sql.address import ServerTarget
from app.connectors.sql.oracle_faults import translated
from app.connectors.sql.oracle_types import CHARSET, RIGHTS
from app.errors import NetworkForbidden, SimpulError, SourceRejected, SourceTlsFailed
from app.tls import verified

CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 60.0
_BREAK_SECONDS = 1.0
ARRAY_ROWS = 1_000
"""Rows that the server sends at once."""
_VERSION = re.compile(r"(\d+)\.(\d+)")
SETTINGS = (
    "ALTER SESSION SET TIME_ZONE = '+00:00' NLS_COMP = 'BINARY' NLS_SORT = 'BINARY' NLS_NUMERIC_CHARACTERS = '.,' "
    "NLS_CALENDAR = 'GREGORIAN' NLS_DATE_LANGUAGE = 'AMERICAN'"
)
READ_ONLY = "SET TRANSACTION READ ONLY"
"""Stands until the transaction ends: whatever writes is refused (ORA-01456), and all statements see one moment."""


def driver() -> Any:
    """The driver of the extra. Raises `SourceRejected` that says what the operator installs."""
    try:
        return import_module("oracledb")
    except ModuleNotFoundError as missing:
        detail = f"an Oracle database needs {missing.name}, which is not installed here: the operator installs simpul[oracle]"
        raise SourceRejected(detail, field="/source/url") from None


class PinnedLoop(asyncio.SelectorEventLoop):
    """An event loop that opens connections to allowed addresses alone, and makes TLS by a context of the gateway."""

    def __init__(self, allowed: tuple[str, int], tls: ssl.SSLContext | None, name: str) -> None:
        super().__init__()
        self._allowed = allowed
        self._tls = tls
        self._name = name
        self.fault: SimpulError | None = None
        """What went wrong with a connection; the driver tells it in words of its own."""
        self.transport: asyncio.Transport | None = None

    async def create_connection(self, protocol_factory: Any, host: Any = None, port: Any = None, **more: Any) -> Any:
        """Dials. Raises `NetworkForbidden` for another address than the manifest's."""
        if (host, port) != self._allowed or more.get("sock") is not None:
            self.fault = NetworkForbidden(
                "the listener sends to another address, which is not followed: name the instance itself in the url",
                field="/source/url",
            )
            raise self.fault
        transport, protocol = await super().create_connection(protocol_factory, host, port)
        self.transport = transport
        return transport, protocol

    async def start_tls(self, transport: Any, protocol: Any, sslcontext: Any, **more: Any) -> Any:
        """TLS with the name of the manifest's host verified, whatever context the driver has."""
        if self._tls is None:
            self.fault = SourceTlsFailed("the server asks for TLS: write sslmode=verify-full", field="/source/url")
            raise self.fault
        try:
            self.transport = await super().start_tls(
                transport, protocol, self._tls, server_hostname=self._name, ssl_handshake_timeout=CONNECT_SECONDS
            )
        except (ssl.SSLError, ConnectionError) as error:
            self.fault = SourceTlsFailed("the TLS connection to the database failed", field="/source/url")
            raise self.fault from error
        return self.transport


class Session:
    """One connection and the loop that it lives on. Called from one thread at a time; `cut` from any."""

    def __init__(self, loop: PinnedLoop) -> None:
        self.loop = loop
        self.connection: Any = None

    def run(self, work: Any) -> Any:
        """What a coroutine of the driver gives. Raises `SourceError` leaves."""
        try:
            return self.loop.run_until_complete(work)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes one of our errors
            raise (self.loop.fault or translated(error)) from None

    def execute(self, text: str, parameters: Sequence[Any] = ()) -> Any:
        """The cursor of a statement."""
        cursor = self.connection.cursor()
        cursor.arraysize = cursor.prefetchrows = ARRAY_ROWS
        self.run(cursor.execute(text, list(parameters), fetch_lobs=False, fetch_decimals=True))
        return cursor

    def fetch(self, text: str, parameters: Sequence[Any] = ()) -> list[Any]:
        """All rows of a statement."""
        cursor = self.execute(text, parameters)
        found: list[Any] = self.run(cursor.fetchall())
        cursor.close()
        return found

    def cut(self) -> None:
        """Breaks the statement at the server, then the connection: whoever waits for the server goes on with an error."""
        with contextlib.suppress(RuntimeError):  # the loop is closed
            self.loop.call_soon_threadsafe(self._break)

    def _break(self) -> None:
        self.loop.call_later(_BREAK_SECONDS, self._abort)
        with contextlib.suppress(Exception):
            if self.connection is not None:
                self.connection.cancel()
                return
        self._abort()

    def _abort(self) -> None:
        if self.loop.transport is not None:
            self.loop.transport.abort()

    def drop(self) -> None:
        """Closes it at once, whatever it is doing; nothing more is read from it."""
        self._abort()
        with contextlib.suppress(Exception):
            self.loop.run_until_complete(asyncio.sleep(0))
        with contextlib.suppress(Exception):
            self.loop.close()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a session learned: the server's version, its character set, what the user may do beyond reading."""

    version: tuple[int, int]
    charset: str
    rights: tuple[str, ...]
    plain: bool

    @property
    def note(self) -> str:
        """What an operator has to know, for the note of a check."""
        told = []
        if self.rights:
            more = ", ".join(self.rights[:5]) + (", …" if len(self.rights) > 5 else "")
            told.append(f"the user may do more than read ({more}): give it CREATE SESSION and READ on the table alone")
        if self.plain:
            told.append("the connection is not encrypted: write sslmode=verify-full and the port of TCPS")
        return "; ".join(told)


class Sessions:
    """Idle sessions of one connector. Called from its threads only; whoever takes one gives it back or drops it."""

    def __init__(
        self, target: ServerTarget, addresses: list[str], seconds: float, ca_file: Path | None, library: Any
    ) -> None:
        self.addresses = addresses
        self.facts: ServerFacts | None = None
        self._target = target
        self._seconds = seconds
        self._ca_file = ca_file
        self._library = library
        self._idle: list[tuple[Session, float]] = []
        self._lock = threading.Lock()

    def take(self, begin: Callable[[Session], None]) -> Session:
        """A session in a read-only transaction, told to `begin` before the server is heard. Raises `SourceError` leaves."""
        session = self._waiting()
        if session is None:
            return self._connect(begin)
        begin(session)
        try:
            session.execute(READ_ONLY)
        except SimpulError:  # it was closed meanwhile
            session.drop()
            return self._connect(begin)
        return session

    def give_back(self, session: Session) -> None:
        """A session whose last statement was read to its end; its transaction ends."""
        try:
            session.run(session.connection.rollback())
        except SimpulError:
            session.drop()
            return
        with self._lock:
            self._idle.append((session, time.monotonic()))

    def close(self) -> None:
        """Drops what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session, _ in idle:
            session.drop()

    def _waiting(self) -> Session | None:
        while True:
            with self._lock:
                if not self._idle:
                    return None
                session, since = self._idle.pop()
            if time.monotonic() - since < _IDLE_SECONDS:
                return session
            session.drop()

    def _connect(self, begin: Callable[[Session], None]) -> Session:
        target = self._target
        secure = target.sslmode in ("require", "verify-full")
        tls = verified(self._ca_file) if secure else None
        session = Session(PinnedLoop((self.addresses[0], target.port), tls, target.host))
        begin(session)
        try:
            session.connection = session.run(self._dialled(secure=secure))
            session.connection.call_timeout = round((self._seconds + CONNECT_SECONDS) * 1000)
            session.execute(SETTINGS)
            if self.facts is None:
                self.facts = self._learned(session, plain=not secure)
            session.execute(READ_ONLY)
        except SimpulError:
            session.drop()
            raise
        return session

    async def _dialled(self, *, secure: bool) -> Any:
        target = self._target
        return await self._library.connect_async(
            user=target.user,
            password=target.password,
            host=self.addresses[0],
            port=target.port,
            service_name=target.database,
            protocol="tcps" if secure else "tcp",
            ssl_context=ssl.create_default_context() if secure else None,
            ssl_server_dn_match=False,  # the loop verifies the name; the driver knows the address alone
            tcp_connect_timeout=CONNECT_SECONDS,
            retry_count=0,
            program="simpul",
        )

    def _learned(self, session: Session, *, plain: bool) -> ServerFacts:
        found = _VERSION.match(str(session.connection.version))
        version = (int(found[1]), int(found[2])) if found else (12, 1)
        charset = session.fetch(CHARSET)
        rights = tuple(str(right) for (right,) in session.fetch(RIGHTS))
        return ServerFacts(version, str(charset[0][0]) if charset else "", rights, plain)
