"""From a record to what is stored: canonical bytes, commitment, tags, columns. Runs before the writer.

Pure except for random salts and the subject keys.
"""

from __future__ import annotations

from collections.abc import Hashable
from dataclasses import dataclass
from typing import Any

from app.audit.entry import members as rules
from app.audit.entry.canonical import dumps, tame
from app.audit.entry.commitments import commit_detail, commit_tags, new_salt
from app.audit.entry.facets import Terms, entry_terms, facet_terms
from app.audit.entry.record import (
    ENTRY_BYTES,
    Entry,
    Record,
    lasting_key,
    lasting_members,
    member_columns,
    move_lists,
    own_members,
)
from app.audit.keys.details import DetailKeys
from app.audit.keys.subjects import SubjectKeys
from app.audit.store.contract import COLUMN_NAMES, Prepared
from app.audit.tlog.merkle import leaf_hash
from app.errors import EntryInvalid, EntryTooLarge

DETAIL_BYTES = 262_144
_FILLED_IN = ("detail_c", "subj_n")
_RESERVED = ("lists", "tags")
_COMMITMENT_BYTES = len(b'"detail_c":"",') + 64


@dataclass(frozen=True, slots=True)
class _Lasting:
    """Members that many entries share, checked once; `terms` by (status, digits of the row count)."""

    members: dict[str, Any]
    terms: dict[tuple[int | None, int], Terms]


class _LastingCache:
    """Checking and deriving the shared members costs more than all the rest of an entry: the last few are kept."""

    def __init__(self, size: int) -> None:
        self._size = size
        self._known: dict[Hashable, _Lasting] = {}

    def of(self, entry: Entry) -> _Lasting:
        """The shared members of an entry. EntryInvalid when one is wrong."""
        key = lasting_key(entry)
        try:
            known = self._known.get(key)
        except TypeError:
            raise EntryInvalid("lists of an entry are given as tuples") from None
        if known is None:
            found = lasting_members(entry)
            rules.check_each(found)
            rules.check_operation(found["kind"], found["op"])
            known = _Lasting(found, {})
            if len(self._known) >= self._size:
                self._known.clear()
            self._known[key] = known
        return known


_LASTING = _LastingCache(4096)


def prepare(record: Record, keys: SubjectKeys, seals: DetailKeys) -> Prepared:
    """Canonical bytes and rows of a record, its detail sealed. EntryInvalid or EntryTooLarge when it is not a good entry."""
    lasting = _LASTING.of(record.entry)
    own = own_members(record.entry)
    for name in _FILLED_IN:
        if name in own:
            raise EntryInvalid(f"/{name}: the log fills this in")
    rules.check_each(own)
    found = {**lasting.members, **own}
    rules.check_present(found)
    tags = keys.tags(record.subjects, int(found["t"][:4]))
    if people := sum(role != "case" for _, role, _ in tags):
        found["subj_n"] = people
    entry = dumps(found)
    moved: dict[str, Any] = {}
    if len(entry) > ENTRY_BYTES - _COMMITMENT_BYTES:
        moved = move_lists(found, ENTRY_BYTES - _COMMITMENT_BYTES)
        entry = dumps(found)
    detail = _detail(record, moved, tags)
    salt = None
    if detail is not None:
        salt = new_salt()
        found["detail_c"] = commit_detail(salt, detail)
        entry = dumps(found)
        if found["kind"] != "erasure":
            detail = seals.seal(found["id"], int(found["t"][:4]), detail)
    terms = entry_terms(found) if moved else _terms(lasting, found)
    row = member_columns(found, terms)
    return Prepared(
        entry=entry,
        leaf_hash=leaf_hash(entry),
        columns=tuple([row[name] for name in COLUMN_NAMES]),
        terms=facet_terms(found, moved) if moved else terms,
        salt=salt,
        detail=detail,
        tags=tags,
    )


def _terms(lasting: _Lasting, found: dict[str, Any]) -> Terms:
    rows = found.get("rows")
    key = (found.get("status"), len(str(rows)) if rows else 0)
    known = lasting.terms.get(key)
    if known is None:
        known = lasting.terms[key] = entry_terms(found)
    return known


def _detail(record: Record, moved: dict[str, Any], tags: list[tuple[bytes, str, int]]) -> bytes | None:
    """Canonical detail: the caller's members, the lists that moved, the digest of the tags; None when all are empty."""
    detail: dict[str, Any] = tame(record.detail) if record.detail else {}
    for name in _RESERVED:
        if name in detail:
            raise EntryInvalid(f"/detail/{name}: this member belongs to the log")
    if moved:
        detail["lists"] = moved
    if tags:
        detail["tags"] = commit_tags(tags)
    if not detail:
        return None
    content = dumps(detail)
    if len(content) > DETAIL_BYTES:
        raise EntryTooLarge(f"the detail of an entry is at most {DETAIL_BYTES} bytes, this one has {len(content)}")
    return content
