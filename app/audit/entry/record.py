"""Entries of the exchange log: the record type, its canonical bytes, and what can be read back from them.

Pure. Does not live here: the rules of the members (`members.py`), search terms (`facets.py`), storage.
"""

from __future__ import annotations

import os
import threading
import time
from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from hashlib import sha256
from operator import attrgetter
from typing import Any, Literal

import orjson

from app.audit.entry import members as rules
from app.audit.entry.canonical import canonical, dumps
from app.audit.entry.facets import Terms, entry_terms, facet_id
from app.audit.entry.members import Kind
from app.errors import EntryInvalid, EntryTooLarge

ENTRY_BYTES = 4096
Role = Literal["asked", "released", "compared", "case"]
_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MICROSECOND = timedelta(microseconds=1)


class _Uuid7:
    """UUIDv7 (RFC 9562 6.2, method 3): 60 bits of time that never go back within the process, 62 random bits."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._last = 0

    def __call__(self) -> str:
        nanoseconds = time.time_ns()
        now = (nanoseconds // 1_000_000 << 12) | (nanoseconds % 1_000_000 * 4096 // 1_000_000)
        with self._lock:
            self._last = now = max(now, self._last + 1)
        random = int.from_bytes(os.urandom(8), "big") & 0x3FFF_FFFF_FFFF_FFFF
        value = (now >> 12) << 80 | 7 << 76 | (now & 0xFFF) << 64 | 2 << 62 | random
        text = f"{value:032x}"
        return f"{text[:8]}-{text[8:12]}-{text[12:16]}-{text[16:20]}-{text[20:]}"


uuid7 = _Uuid7()
"""A new UUIDv7 as text; ids of one process are strictly increasing."""


def utc_text(moment: datetime | None = None) -> str:
    """A moment (default: now) as entries hold it: RFC 3339, UTC, microseconds, `Z`."""
    value = datetime.now(UTC) if moment is None else moment.astimezone(UTC)
    return value.isoformat(timespec="microseconds")[:26] + "Z"


def utc_microseconds(text: str) -> int:
    """Microseconds since 1970 of a time as entries hold it; ValueError when it is none."""
    return (datetime.fromisoformat(text) - _EPOCH) // _MICROSECOND


@dataclass(frozen=True, slots=True)
class Gateway:
    """Which process wrote the entry: name of the replica, version of the build."""

    replica: str
    build: str


@dataclass(frozen=True, slots=True)
class Caller:
    """Who asked: agency as `INSTANCE/CLASS/agency`, client id, thumbprint of the credential used."""

    agency: str
    client: str
    cred: str | None = None


@dataclass(frozen=True, slots=True)
class Verdict:
    """The decision and the rule that made it."""

    effect: Literal["allow", "deny"]
    rule: str


@dataclass(frozen=True, slots=True)
class DatasetUse:
    """A dataset asked, with the revision of its manifest."""

    dataset: str
    revision: int


@dataclass(frozen=True, slots=True)
class SourceLeg:
    """What one source did: agency as `INSTANCE/CLASS/agency`, status code word, rows given."""

    agency: str
    status: str
    rows: int | None = None


@dataclass(frozen=True, slots=True)
class Subject:
    """A person the exchange touched, or its case reference (role `case`). Only a keyed tag is stored, erasably."""

    id_type: str
    value: str = field(repr=False)
    role: Role


@dataclass(frozen=True, slots=True, kw_only=True)
class Entry:
    """One entry, version 1. Members that are None or empty are left out of the bytes.

    The log fills in `subj_n` and `detail_c` when it stores the record. Agencies stand as `INSTANCE/CLASS/agency`.
    `q` is the structure of the query with every literal replaced by `?`. `body_c` is hex (`commitments.BodyCommitment`).
    """

    xid: str
    kind: Kind
    gw: Gateway
    op: str
    id: str = field(default_factory=uuid7)
    t: str = field(default_factory=utc_text)
    client: Caller | None = None
    rep: str | None = None
    schemas: tuple[str, ...] = ()
    providers: tuple[str, ...] = ()
    datasets: tuple[DatasetUse, ...] = ()
    agreement: str | None = None
    purpose: str | None = None
    basis: str | None = None
    dec: Verdict | None = None
    q: str | None = None
    status: int | None = None
    rows: int | None = None
    rejected: int | None = None
    bytes: int | None = None
    complete: bool | None = None
    fields: tuple[str, ...] = ()
    sources: tuple[SourceLeg, ...] = ()
    body_c: str | None = None
    subj_n: int | None = None
    detail_c: str | None = None
    mode: Literal["uji"] | None = None
    v: str = rules.VERSION


@dataclass(frozen=True, slots=True)
class Record:
    """What the log is asked to keep: the entry, its erasable detail, the subjects it touched."""

    entry: Entry
    detail: Mapping[str, Any] | None = None
    subjects: tuple[Subject, ...] = ()


_LASTING_TEXTS = ("v", "kind", "op", "rep", "agreement", "purpose", "basis", "q", "mode")
_LASTING_LISTS = ("schemas", "providers", "fields")
_OWN = ("id", "xid", "t", "status", "rows", "rejected", "bytes", "complete", "body_c", "subj_n", "detail_c")


def members(entry: Entry) -> dict[str, Any]:
    """The members of an entry as plain JSON values, absent ones left out."""
    return {**lasting_members(entry), **own_members(entry)}


def lasting_members(entry: Entry) -> dict[str, Any]:
    """The members that many entries have in common: who, what, why and under which arrangement."""
    found: dict[str, Any] = {"gw": {"replica": entry.gw.replica, "build": entry.gw.build}}
    for name in _LASTING_TEXTS:
        value = getattr(entry, name)
        if value is not None:
            found[name] = value
    for name in _LASTING_LISTS:
        if value := getattr(entry, name):
            found[name] = list(value)
    if (client := entry.client) is not None:
        found["client"] = {"agency": client.agency, "client": client.client}
        if client.cred is not None:
            found["client"]["cred"] = client.cred
    if entry.dec is not None:
        found["dec"] = {"effect": entry.dec.effect, "rule": entry.dec.rule}
    if entry.datasets:
        found["datasets"] = [{"dataset": use.dataset, "revision": use.revision} for use in entry.datasets]
    return found


def own_members(entry: Entry) -> dict[str, Any]:
    """The members that belong to this entry alone: identity, time, counts, legs, digests."""
    found: dict[str, Any] = {}
    for name in _OWN:
        value = getattr(entry, name)
        if value is not None:
            found[name] = value
    if entry.sources:
        found["sources"] = [
            {"agency": leg.agency, "status": leg.status}
            if leg.rows is None
            else {"agency": leg.agency, "status": leg.status, "rows": leg.rows}
            for leg in entry.sources
        ]
    return found


lasting_key = attrgetter("gw", *_LASTING_TEXTS, *_LASTING_LISTS, "client", "dec", "datasets")
"""The attributes that `lasting_members` depends on, as one tuple."""


def list_digest(value: Any) -> str:
    """SHA-256 (hex) of the canonical JSON of a member that moved into the detail."""
    return sha256(canonical(value)).hexdigest()


def move_lists(found: dict[str, Any], limit_bytes: int) -> dict[str, Any]:
    """Move members out of `found` until it fits `limit_bytes`; returns what moved. EntryTooLarge when that is not enough."""
    moved: dict[str, Any] = {}
    for name in rules.MOVABLE:
        if len(dumps(found)) <= limit_bytes:
            return moved
        if name in found:
            moved[name] = found[name]
            found[name] = {"count": len(found[name]), "digest": list_digest(found[name])}
    if len(dumps(found)) > limit_bytes:
        raise EntryTooLarge(f"an entry is at most {ENTRY_BYTES} bytes of canonical JSON, without its lists too")
    return moved


def decode(entry_bytes: bytes) -> dict[str, Any]:
    """Members of stored entry bytes. EntryInvalid unless they are canonical JSON of an entry of version 1."""
    if len(entry_bytes) > ENTRY_BYTES:
        raise EntryTooLarge(f"an entry is at most {ENTRY_BYTES} bytes, this one has {len(entry_bytes)}")
    try:
        found = orjson.loads(entry_bytes)
    except orjson.JSONDecodeError:
        raise EntryInvalid("the bytes are not JSON") from None
    if not isinstance(found, dict):
        raise EntryInvalid("an entry is a JSON object")
    rules.check(found)
    if dumps(found) != entry_bytes:
        raise EntryInvalid("the bytes are not canonical JSON (RFC 8785)")
    return found


def columns(entry_bytes: bytes) -> dict[str, Any]:
    """Every extracted column of `log_entry` that stands beside the bytes, derived from them alone."""
    return member_columns(orjson.loads(entry_bytes))


def member_columns(found: Mapping[str, Any], terms: Terms | None = None) -> dict[str, Any]:
    """`columns` of members that are parsed already ; `terms` of `facets.entry_terms` where they are known."""
    client, verdict = found.get("client"), found.get("dec")
    return {
        "id": found["id"],
        "xid": found["xid"],
        "kind": found["kind"],
        "t_us": utc_microseconds(found["t"]),
        "agency": None if client is None else client["agency"],
        "client": None if client is None else client["client"],
        "op": found["op"],
        "effect": None if verdict is None else verdict["effect"],
        "status": found.get("status"),
        "row_count": found.get("rows"),
        "facet": facet_id(entry_terms(found) if terms is None else terms),
    }
