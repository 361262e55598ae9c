"""Reading a stored log from outside the gateway: `log.db` of a folder or copy, or PostgreSQL. Writes nothing.

Does not live here: what is checked (`checks.py`, `stored_log.py`).
"""

from __future__ import annotations

import fcntl
import os
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from typing import Any, Protocol

import apsw
import psycopg

from app.audit.store.sqlite import LOCK_FILE, LOG_FILE, apsw_message
from app.audit.verify.checks import Finding
from app.errors import InstanceMissing, LogUnavailable

_BUSY_MILLISECONDS = 10_000


class Fetch(Protocol):
    """All rows of one SELECT; placeholders are `$1`, `$2`, ... on both stores."""

    def snapshot(self) -> AbstractContextManager[None]:
        """Inside of it all statements see one committed state. Short: it keeps the store from tidying up."""
        ...

    def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """Finding when the file itself is damaged, LogUnavailable when it cannot be read."""
        ...


def is_served(folder: Path) -> bool:
    """True while a gateway has the embedded log of this folder open."""
    try:
        descriptor = os.open(folder / LOCK_FILE, os.O_RDONLY | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH | fcntl.LOCK_NB)
    except OSError:
        return True
    else:
        return False
    finally:
        os.close(descriptor)


@contextmanager
def sqlite_source(folder: Path, *, served: bool) -> Iterator[Fetch]:
    """Read `log.db` of a folder. `served` (see `is_served`) decides how.

    Beside a running gateway: an ordinary reader, whose statements each see one committed state. Else without locks and
    without shared memory, so that no file appears in the folder: a copy with its `-wal` file is read through it (its
    index is kept in memory), a file without one as immutable.
    """
    path = folder / LOG_FILE
    if not path.is_file():
        raise InstanceMissing(f"{path}: there is no log here; is this the folder of an instance?")
    try:
        connection = _connect(path, served=served)
    except apsw.Error as error:
        raise LogUnavailable(f"{path} cannot be read: {error}") from None

    try:
        yield _SqliteFetch(connection, path)
    finally:
        connection.close()


class _SqliteFetch:
    def __init__(self, connection: apsw.Connection, path: Path) -> None:
        self._connection = connection
        self._path = path

    def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `Fetch`."""
        try:
            return list(self._connection.execute(statement.replace("$", "?"), values))
        except (apsw.BusyError, apsw.LockedError, apsw.IOError, apsw.CantOpenError) as error:
            raise LogUnavailable(f"{self._path} cannot be read: {apsw_message(error)}") from None
        except apsw.Error as error:
            raise Finding(None, f"the database file is damaged: {error}") from None

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See `Fetch`: a read transaction."""
        self("BEGIN")
        try:
            yield
        finally:
            with suppress(apsw.Error):  # a failed read may have ended it
                self._connection.execute("ROLLBACK")


def _connect(path: Path, *, served: bool) -> apsw.Connection:
    uri = path.absolute().as_uri()
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    wal = path.with_name(path.name + "-wal")
    if served:
        connection = apsw.Connection(f"{uri}?mode=ro", flags=flags)
        connection.set_busy_timeout(_BUSY_MILLISECONDS)
    elif wal.is_file() and wal.stat().st_size:
        connection = apsw.Connection(f"{uri}?mode=ro", flags=flags, vfs="unix-none")
        connection.config(apsw.SQLITE_DBCONFIG_NO_CKPT_ON_CLOSE, 1)
        connection.pragma("locking_mode", "EXCLUSIVE")
    else:
        connection = apsw.Connection(f"{uri}?mode=ro&immutable=1", flags=flags)
    connection.pragma("query_only", 1)
    connection.pragma("mmap_size", 0)
    return connection


@contextmanager
def postgres_source(url: str) -> Iterator[Fetch]:
    """Read the log in a PostgreSQL database, in read-only transactions: of one statement each, unless a snapshot is asked for."""
    scheme, _, rest = url.partition("://")
    address = f"{scheme.partition('+')[0]}://{rest}"
    try:
        with psycopg.connect(
            address, autocommit=True, cursor_factory=psycopg.RawCursor, options="-c default_transaction_read_only=on"
        ) as connection:
            yield _PostgresFetch(connection)
    except psycopg.Error as error:
        raise LogUnavailable(f"the log's database cannot be read ({error.sqlstate or type(error).__name__})") from None


class _PostgresFetch:
    def __init__(self, connection: psycopg.Connection[Any]) -> None:
        self._connection = connection

    def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        """See `Fetch`."""
        return self._connection.execute(statement, values, prepare=True, binary=True).fetchall()

    @contextmanager
    def snapshot(self) -> Iterator[None]:
        """See `Fetch`: one transaction, since READ COMMITTED looks anew at every statement."""
        self._connection.execute("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY")
        try:
            yield
        finally:
            self._connection.execute("ROLLBACK")
