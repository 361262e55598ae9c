"""PyMySQL's faults as errors of the tree. Texts of the server may hold values, so only its numbers are told."""

from __future__ import annotations

import ssl

import pymysql

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

_LEAVES: dict[int, tuple[type[SimpulError], str, str]] = {
    1044: (SourcePermissionDenied, "the user may not read this database", "/source/url"),
    1045: (SourceAuthFailed, "the database refused user or password; check the secret", "/source/url"),
    1049: (SourceMissing, "the server has no database of this name", "/source/url"),
    1054: (SourceSchemaMismatch, "a column that the mapping needs is gone", "/fields"),
    1142: (SourcePermissionDenied, "the user may not read this table", "/source/table"),
    1143: (SourcePermissionDenied, "the user may not read a column of this table", "/source/table"),
    1146: (SourceMissing, "the database has no such table", "/source/table"),
    1698: (SourceAuthFailed, "the database refused user or password; check the secret", "/source/url"),
    2026: (SourceTlsFailed, "the TLS connection to the database failed", "/source/url"),
}
_CUT_OFF = frozenset({1317, 1969, 3024, 1028})
"""Interrupted, or over the time limit (MariaDB, MySQL)."""
_NOT_NOW = frozenset(
    {1040, 1041, 1053, 1129, 1130, 1152, 1158, 1159, 1160, 1161, 1203, 1927, 2002, 2003, 2006, 2013, 2055}
)
_SERVER = frozenset({1021, 1030, 1037, 1038, 1114, 1205, 1213})


def translated(error: BaseException) -> SimpulError:
    """The leaf that says what went wrong at the source."""
    if isinstance(error, SimpulError):
        return error
    if isinstance(error, ssl.SSLError):
        return SourceTlsFailed("the TLS connection to the database failed", field="/source/url")
    if isinstance(error, TimeoutError):
        return SourceTimeout("the database did not answer in time", field="/source/url")
    if isinstance(error, OSError):
        return SourceUnreachable("the database refuses connections at this address", field="/source/url")
    if not isinstance(error, pymysql.err.MySQLError):
        return SourceFailed(f"the database could not be read ({type(error).__name__})", field="/source/url")
    code = error.args[0] if error.args and isinstance(error.args[0], int) else 0
    if code in _LEAVES:
        kind, detail, pointer = _LEAVES[code]
        return kind(detail, field=pointer)
    if code in _CUT_OFF:
        return SourceTimeout("the database did not answer before the deadline", step="read")
    if code in _NOT_NOW or isinstance(error, pymysql.err.InterfaceError):
        return SourceUnreachable(
            "the database takes no connection now, or the connection was lost", field="/source/url"
        )
    leaf = SourceFailed if code in _SERVER or code == 0 else SourceRejected
    return leaf(f"the database answered with error {code}", field="/source/query")
