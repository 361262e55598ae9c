"""Faults of python-oracledb as errors of the tree. Texts of the server may hold values, so only its numbers are told."""

from __future__ import annotations

import re

from app.errors import (
    SimpulError,
    SourceAuthFailed,
    SourceFailed,
    SourceMissing,
    SourcePermissionDenied,
    SourceRejected,
    SourceSchemaMismatch,
    SourceTimeout,
    SourceUnreachable,
)

_OLD = "the server is older than Oracle 12.1, which the driver does not talk to"
_LEAVES: dict[str, tuple[type[SimpulError], str, str]] = {
    "ORA-00904": (SourceSchemaMismatch, "a column that the mapping needs is gone", "/fields"),
    "ORA-00942": (SourceMissing, "the database shows this user no such table", "/source/table"),
    "ORA-01017": (SourceAuthFailed, "the database refused user or password; check the secret", "/source/url"),
    "ORA-28000": (SourceAuthFailed, "the account of this user is locked", "/source/url"),
    "ORA-28001": (SourceAuthFailed, "the password of this user has expired", "/source/url"),
    "ORA-01045": (SourcePermissionDenied, "the user may not log on: it needs CREATE SESSION", "/source/url"),
    "ORA-01031": (SourcePermissionDenied, "the user may not read this table", "/source/table"),
    "ORA-41900": (SourcePermissionDenied, "the user may not read this table", "/source/table"),
    "ORA-01456": (SourceRejected, "the query writes, which a session of the gateway refuses", "/source/query"),
    "ORA-12514": (SourceMissing, "the server has no service of this name", "/source/url"),
    "ORA-12505": (SourceMissing, "the server has no service of this name", "/source/url"),
    "DPY-6001": (SourceMissing, "the server has no service of this name", "/source/url"),
    "DPY-3010": (SourceRejected, _OLD, "/source/url"),
    "DPY-3015": (SourceRejected, "the user's password is kept in a form (10g) that the driver does not know; set it anew", "/source/url"),
}  # fmt: skip
_CUT_OFF = frozenset({"ORA-01013", "ORA-03156", "DPY-4024"})
"""Interrupted, or over the time limit."""
_NOT_NOW = frozenset(
    {
        "ORA-00018", "ORA-00020", "ORA-00028", "ORA-01033", "ORA-01034", "ORA-01089", "ORA-01090", "ORA-02396", "ORA-03113",
        "ORA-03114", "ORA-03135", "ORA-12154", "ORA-12516", "ORA-12519", "ORA-12520", "ORA-12528", "ORA-12541", "ORA-12547",
        "DPY-1001", "DPY-4011", "DPY-6000", "DPY-6005",
    }
)  # fmt: skip
_SERVER = frozenset({"ORA-00600", "ORA-00060", "ORA-01555", "ORA-01652", "ORA-04031", "ORA-04036", "ORA-07445"})
"""What may be another time: no memory, no space for sorting, a snapshot that is too old."""
_CODE = re.compile(r"(?:ORA|DPY|DPI)-\d{4,5}")


def code_of(error: BaseException) -> str:
    """The code of a fault of the driver, such as `ORA-00942`; empty for another fault."""
    told = error.args[0] if error.args else None
    found = _CODE.match(str(getattr(told, "full_code", "") or ""))
    return found[0] if found else ""


def translated(error: BaseException) -> SimpulError:
    """The leaf that says what went wrong at the source."""
    if isinstance(error, SimpulError):
        return error
    code = code_of(error)
    if code in _LEAVES:
        kind, detail, pointer = _LEAVES[code]
        return kind(detail, field=pointer)
    if code in _CUT_OFF or isinstance(error, TimeoutError):
        return SourceTimeout("the database did not answer before the deadline", step="read")
    if code in _NOT_NOW or isinstance(error, OSError):
        return SourceUnreachable(
            "the database takes no connection now, or the connection was lost", field="/source/url"
        )
    if not code:
        return SourceFailed(f"the database could not be read ({type(error).__name__})", field="/source/url")
    leaf = SourceFailed if code in _SERVER or code.startswith("DPY") else SourceRejected
    return leaf(f"the database answered with error {code}", field="/source/query")
