"""Sessions on a MySQL or MariaDB server: dialled at a literal address, read only, in UTC, limited in time.

What an old server lacks is found when a session is made and told by `check`; it never changes an answer.
"""

from __future__ import annotations

import contextlib
import re
import socket
import ssl
import threading
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pymysql
from pymysql.cursors import SSCursor

from app.connectors.sql.address import ServerTarget
from app.connectors.sql.mysql_faults import translated
from app.tls import unverified, verified

CONNECT_SECONDS = 5.0
_IDLE_SECONDS = 60.0
_VERSION = re.compile(r"(?:5\.5\.5-)?(\d+)\.(\d+)\.(\d+)")


class Session(pymysql.connections.Connection):
    """A connection whose TLS is made of what is passed to it, and whose line can be cut from any thread."""

    line: socket.socket | None = None
    """The line below TLS, held a second time."""

    @property
    def number(self) -> int | None:
        """By which the server knows it; None until they have met."""
        known: tuple[int] | None = getattr(self, "server_thread_id", None)
        return None if known is None else known[0]

    def cut(self) -> None:
        """Ends the connection: whoever waits for the server goes on with an error."""
        if self.line is not None:
            with contextlib.suppress(OSError):
                self.line.shutdown(socket.SHUT_RDWR)

    def _create_ssl_ctx(self, sslp: Any) -> ssl.SSLContext:
        """The context that was passed; where the driver would make one for `prefer` (with SSLKEYLOGFILE), ours."""
        return sslp if isinstance(sslp, ssl.SSLContext) else unverified()


@dataclass(frozen=True, slots=True)
class ServerFacts:
    """What a version can do: sessions that cannot write, and a limit for one statement (its setting, factor to seconds)."""

    maria: bool
    version: tuple[int, int, int]

    @classmethod
    def of(cls, text: str) -> ServerFacts:
        """From the version that the server tells, such as `5.5.5-10.11.2-MariaDB` or `8.0.36`."""
        found = _VERSION.match(text)
        numbers = tuple(int(part) for part in found.groups()) if found else (0, 0, 0)
        return cls("mariadb" in text.lower() or text.startswith("5.5.5-"), (numbers[0], numbers[1], numbers[2]))

    @property
    def read_only(self) -> bool:
        """Knows read-only transactions."""
        return self.version >= ((10, 0, 0) if self.maria else (5, 6, 5))

    @property
    def limit(self) -> tuple[str, int] | None:
        """The setting that limits a SELECT, and its units in a second."""
        if self.maria:
            return ("max_statement_time", 1) if self.version >= (10, 1, 1) else None
        return ("max_execution_time", 1000) if self.version >= (5, 7, 8) else None

    @property
    def json_checks(self) -> bool:
        """A MariaDB that tells its check constraints by table."""
        return self.maria and self.version >= (10, 2, 22)

    @property
    def lacks(self) -> str:
        """What this server lacks, for the note of a check."""
        missing = [] if self.read_only else ["read-only sessions: give a user that has the SELECT right alone"]
        missing += [] if self.limit else ["a time limit for statements: long ones are killed by the gateway"]
        return "; ".join(missing)

    def settings(self, seconds: float) -> Iterator[str]:
        """The statements that prepare a session."""
        yield "SET SESSION time_zone = '+00:00'"
        if self.read_only:
            yield "SET SESSION TRANSACTION READ ONLY"
        if self.limit is not None:
            name, units = self.limit
            yield f"SET SESSION {name} = {max(1, round(seconds * units))}"


class Sessions:
    """Idle sessions of one connector. Called from its threads only; whoever takes one gives it back or drops it."""

    def __init__(
        self, target: ServerTarget, addresses: list[str], deadline_seconds: float, ca_file: Path | None
    ) -> None:
        self.addresses = addresses
        self._target = target
        self._seconds = deadline_seconds
        self._ca_file = ca_file
        self._idle: list[tuple[Session, float]] = []
        self._lock = threading.Lock()
        self.facts: ServerFacts | None = None

    def take(self, begin: Callable[[Session], None]) -> Session:
        """An idle session that still lives, or a new one, told to `begin` before the server is heard. Raises `SourceError` leaves."""
        while True:
            with self._lock:
                if not self._idle:
                    break
                session, since = self._idle.pop()
            if time.monotonic() - since < _IDLE_SECONDS:
                begin(session)
                return session
            drop(session)
        return self._connect(begin)

    def give_back(self, session: Session) -> None:
        """A session whose last statement was read to its end."""
        with self._lock:
            self._idle.append((session, time.monotonic()))

    def kill(self, number: int) -> None:
        """Ends another session at the server, with what it runs; tried for as long as a connection may take.

        Not `KILL QUERY`: that is lost where the session is between two statements and the next one is already on its way.
        """
        watch: list[threading.Timer] = []

        def begin(session: Session) -> None:
            watch.append(threading.Timer(CONNECT_SECONDS, session.cut))
            watch[0].start()

        with contextlib.suppress(Exception):
            session = self._connect(begin)
            try:
                _execute(session, f"KILL CONNECTION {int(number)}")
            finally:
                drop(session)
        for timer in watch:
            timer.cancel()

    def close(self) -> None:
        """Drops what is idle."""
        with self._lock:
            idle, self._idle = self._idle, []
        for session, _ in idle:
            drop(session)

    def _connect(self, begin: Callable[[Session], None]) -> Session:
        target = self._target
        session: Session | None = None
        try:
            dialled = socket.create_connection((self.addresses[0], target.port), CONNECT_SECONDS)
            dialled.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
            session = Session(
                host=target.host,
                user=target.user,
                password=target.password,
                database=target.database,
                charset="utf8mb4",
                sql_mode="NO_ENGINE_SUBSTITUTION",
                autocommit=True,
                local_infile=False,
                read_timeout=self._seconds + CONNECT_SECONDS,
                write_timeout=CONNECT_SECONDS,
                cursorclass=SSCursor,
                defer_connect=True,
                program_name="simpul",
                **_tls(target.sslmode, self._ca_file),
            )
            session.line = dialled.dup()
            begin(session)
            session.connect(dialled)
            self.facts = ServerFacts.of(str(session.get_server_info()))  # type: ignore[no-untyped-call]
            for statement in self.facts.settings(self._seconds):
                _execute(session, statement)
        except Exception as error:  # noqa: BLE001 - whatever the driver raises becomes one of our errors
            if session is not None:
                drop(session)
            raise translated(error) from None
        return session


def drop(session: Session) -> None:
    """Closes a session at once, whatever it is doing; nothing more is read from it."""
    session._force_close()  # type: ignore[attr-defined]  # noqa: SLF001 - `close` would talk to the server first
    if session.line is not None:
        session.line.close()


def _execute(session: Session, statement: str) -> None:
    with session.cursor() as cursor:
        cursor.execute(statement)


def _tls(mode: str, ca_file: Path | None) -> dict[str, Any]:
    """`verify-full` and `require` verify the certificate; `prefer` takes TLS where there is any."""
    if mode in ("verify-full", "verify-ca", "require"):
        return {"ssl": verified(ca_file)}
    return {"ssl_disabled": True} if mode == "disable" else {}
