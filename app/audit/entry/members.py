"""The members of a log entry, version 1: every member, its rule, and which members each kind must have.

Pure. Used when an entry is written (a wrong one cannot be) and when one is read back by the verifier.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from datetime import datetime
from typing import Any, Literal, get_args

from app.audit.entry.canonical import INTEGER_LIMIT
from app.errors import EntryInvalid

VERSION = "simpul-log/1"
Kind = Literal["intent", "outcome", "delivery", "aborted", "admin", "audit_read", "erasure"]
KINDS = frozenset(get_args(Kind))
CLOSERS = KINDS - {"intent", "delivery"}
"""Kinds that close the intent of their exchange."""

EXCHANGE_OPS = frozenset(
    {
        "list", "lookup", "search", "aggregate", "sql", "match", "export", "changes", "explain",
        "verify", "preview", "discover", "quarantine", "refresh", "download",
    }
)  # fmt: skip
"""Operations on records. Any other is an action with a dot in it: `connector.publish`, `exchange.search`."""

MOVABLE = ("sources", "fields", "q", "datasets", "providers")
"""Members that may move into the detail when the entry would pass its limit, in this order."""

_UUID = re.compile(r"[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}")
_TIME = re.compile(r"[0-9]{4}-[0-9]{2}-[0-9]{2}T[0-9]{2}:[0-9]{2}:[0-9]{2}\.[0-9]{6}Z")
_ACTION = re.compile(r"[a-z][a-z0-9_]*(\.[a-z][a-z0-9_]*)+")
_AGENCY = re.compile(r"[^/\s]+/[^/\s]+/[^/\s]+")
_TOKEN = re.compile(r"[a-z][a-z0-9_]{0,63}")
_HEX64 = re.compile(r"[0-9a-f]{64}")
_LITERAL = re.compile(r"'(?!\?')|\d{8}")

Check = Callable[[Any], bool]


def _count(value: Any) -> bool:
    return type(value) is int and 0 <= value < INTEGER_LIMIT


def _text(limit: int) -> Check:
    return lambda value: type(value) is str and 0 < len(value) <= limit


def _match(pattern: re.Pattern[str], limit: int = 200) -> Check:
    return lambda value: type(value) is str and len(value) <= limit and pattern.fullmatch(value) is not None


def _list(check: Check) -> Check:
    return lambda value: (type(value) in (list, tuple) and len(value) > 0 and all(map(check, value))) or _moved(value)


def _moved(value: Any) -> bool:
    """A member that stands in the detail: how many elements (characters) it has, and its digest."""
    return (
        type(value) is dict
        and value.keys() == {"count", "digest"}
        and _count(value["count"])
        and _match(_HEX64)(value["digest"])
    )


def _object(required: Mapping[str, Check], optional: Mapping[str, Check] | None = None) -> Check:
    checks = {**required, **(optional or {})}
    must = required.keys()

    def check(value: Any) -> bool:
        if type(value) is not dict or not must <= value.keys():
            return False
        for name, member in value.items():
            rule = checks.get(name)
            if rule is None or not rule(member):
                return False
        return True

    return check


def _query(value: Any) -> bool:
    """The structure of a query: literals are `?`. Quoted text or eight digits in a row: a literal slipped in."""
    return (type(value) is str and len(value) > 0 and _LITERAL.search(value) is None) or _moved(value)


def _moment(value: Any) -> bool:
    """A time of the calendar, in UTC with microseconds."""
    if not _TIME_CHECK(value):
        return False
    try:
        datetime.fromisoformat(value)
    except ValueError:
        return False
    return True


_TIME_CHECK = _match(_TIME)
_AGENCY_CHECK = _match(_AGENCY)
_HASH_CHECK = _match(_HEX64)

MEMBERS: Mapping[str, Check] = {
    "v": lambda value: value == VERSION,
    "id": _match(_UUID),
    "xid": _match(_UUID),
    "kind": lambda value: type(value) is str and value in KINDS,
    "t": _moment,
    "gw": _object({"replica": _text(120), "build": _text(120)}),
    "client": _object({"agency": _AGENCY_CHECK, "client": _text(200)}, {"cred": _text(128)}),
    "rep": _text(200),
    "op": lambda value: type(value) is str and (value in EXCHANGE_OPS or _match(_ACTION, 80)(value)),
    "schemas": _list(_match(_TOKEN)),
    "providers": _list(_AGENCY_CHECK),
    "datasets": _list(_object({"dataset": _text(200), "revision": _count})),
    "agreement": _text(200),
    "purpose": _text(200),
    "basis": _text(500),
    "dec": _object({"effect": lambda value: value in ("allow", "deny"), "rule": _text(120)}),
    "q": _query,
    "status": lambda value: type(value) is int and 100 <= value <= 599,
    "rows": _count,
    "rejected": _count,
    "bytes": _count,
    "complete": lambda value: type(value) is bool,
    "fields": _list(_match(_TOKEN)),
    "sources": _list(_object({"agency": _AGENCY_CHECK, "status": _match(_TOKEN)}, {"rows": _count})),
    "body_c": _HASH_CHECK,
    "subj_n": lambda value: _count(value) and value > 0,
    "detail_c": _HASH_CHECK,
    "mode": lambda value: value == "uji",
}
_ALWAYS = frozenset({"v", "id", "xid", "kind", "t", "gw", "op"})


def check(members: Mapping[str, Any]) -> None:
    """Refuse (EntryInvalid, naming the member) what is not an entry of version 1."""
    check_each(members)
    check_present(members)
    check_operation(members["kind"], members["op"])


def check_each(members: Mapping[str, Any]) -> None:
    """The rule of each member, taken alone."""
    for name, value in members.items():
        rule = MEMBERS.get(name)
        if rule is None:
            raise EntryInvalid(f"/{name}: entries of {VERSION} have no such member")
        if not rule(value):
            raise EntryInvalid(f"/{name}: not what the format of an entry allows here")


def check_present(members: Mapping[str, Any]) -> None:
    """The members that every entry has."""
    if not members.keys() >= _ALWAYS:
        raise EntryInvalid(f"/{min(_ALWAYS - members.keys())}: every entry has this member")


def check_operation(kind: str, op: str) -> None:
    """Actions of administrators are no operations on records."""
    if kind in ("admin", "erasure") and op in EXCHANGE_OPS:
        raise EntryInvalid(f"/op: the operation of an entry of kind {kind} is an action such as connector.publish")
