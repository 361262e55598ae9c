"""asyncpg's faults as errors of the tree. Texts of the server may hold values, so only its code and names are told."""

from __future__ import annotations

import ssl
import time

import asyncpg

from app.connectors.sql.drift import TableChanged
from app.errors import (
    SimpulError,
    SourceAuthFailed,
    SourceFailed,
    SourceMissing,
    SourcePermissionDenied,
    SourceRejected,
    SourceSchemaMismatch,
    SourceTimeout,
    SourceTlsFailed,
    SourceUnreachable,
)

_STALE = (
    asyncpg.InvalidCachedStatementError,
    asyncpg.exceptions.OutdatedSchemaCacheError,
    asyncpg.UndefinedColumnError,
    asyncpg.UndefinedTableError,
    asyncpg.UndefinedFunctionError,  # text = integer: a column of the condition has another type now
    asyncpg.DatatypeMismatchError,
)


def changed_under(error: Exception) -> bool:
    """Whether the fault may come from a table that is not as it was described."""
    return isinstance(error, (TableChanged, *_STALE)) or type(error) is asyncpg.DataError  # a value of another type


def translated(error: BaseException) -> SimpulError:  # noqa: C901, PLR0911, PLR0912 - a table of cases
    """The leaf that says what went wrong at the source."""
    match error:
        case SimpulError():
            return error
        case TableChanged():
            return SourceFailed("the table's columns changed while it was read; ask again", field="/source/table")
        case asyncpg.InvalidPasswordError() | asyncpg.InvalidAuthorizationSpecificationError():
            return SourceAuthFailed("the database refused user or password; check the secret", field="/source/url")
        case asyncpg.InvalidCatalogNameError():
            return SourceMissing("the server has no database of this name", field="/source/url")
        case asyncpg.UndefinedTableError() | asyncpg.InvalidSchemaNameError():
            return SourceMissing("the database has no such table", field="/source/table")
        case asyncpg.UndefinedColumnError():
            return SourceSchemaMismatch("a column that the mapping needs is gone", field="/fields")
        case asyncpg.InsufficientPrivilegeError():
            return SourcePermissionDenied("the user may not read this table", field="/source/table")
        case asyncpg.QueryCanceledError():
            return SourceTimeout("the database did not answer before the deadline", step="read")
        case asyncpg.AdminShutdownError() | asyncpg.CrashShutdownError():
            return SourceUnreachable("the database ended the session", field="/source/url")
        case asyncpg.TooManyConnectionsError() | asyncpg.CannotConnectNowError() | asyncpg.PostgresConnectionError():
            return SourceUnreachable("the database takes no connection now", field="/source/url")
        case asyncpg.PostgresError():
            code = getattr(error, "sqlstate", "") or ""
            kind = SourceFailed if code[:2] in {"53", "57", "58", "XX"} else SourceRejected
            return kind(f"the database answered with SQLSTATE {code}", field="/source/query")
        case ssl.SSLError():
            return SourceTlsFailed("the TLS connection to the database failed", field="/source/url")
        case TimeoutError():
            return SourceTimeout("the database did not answer in time", field="/source/url")
        case OSError() | ConnectionError():
            return SourceUnreachable("the database refuses connections at this address", field="/source/url")
        case asyncpg.InterfaceError():
            return SourceUnreachable("the connection to the database was lost", field="/source/url")
    return SourceFailed(f"the database could not be read ({type(error).__name__})", field="/source/url")


def seconds_left(deadline: float | None) -> float | None:
    """Seconds to the deadline (monotonic seconds); `SourceTimeout` when there are none."""
    left = None if deadline is None else deadline - time.monotonic()
    if left is not None and left <= 0:
        raise SourceTimeout("the database did not answer before the deadline", step="read")
    return left
