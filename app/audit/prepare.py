"""From a record to what is stored: canonical bytes, commitment, tags, columns. Runs before the entry waits for the writer.

Pure except for random salts and the subject keys.
"""

from __future__ import annotations

from typing import Any

from app.audit import shape
from app.audit.canonical import dumps, tame
from app.audit.commitments import commit_detail, commit_tags, new_salt
from app.audit.entry import ENTRY_BYTES, Record, member_columns, members, move_lists
from app.audit.facets import facet_terms
from app.audit.merkle import leaf_hash
from app.audit.store import COLUMN_NAMES, Prepared
from app.audit.subjects import SubjectKeys
from app.errors import EntryInvalid, EntryTooLarge

DETAIL_BYTES = 4_194_304
_RESERVED = ("lists", "tags")
_COMMITMENT_BYTES = len(b'"detail_c":"",') + 64


def prepare(record: Record, keys: SubjectKeys) -> Prepared:
    """Canonical bytes and rows of a record. EntryInvalid or EntryTooLarge when it is not a good entry."""
    found = members(record.entry)
    if "detail_c" in found or "subj_n" in found:
        raise EntryInvalid("/detail_c, /subj_n: the log fills these in")
    shape.check(found)
    tags = keys.tags(record.subjects, int(found["t"][:4]))
    if tags:
        found["subj_n"] = len(tags)
    entry = dumps(found)
    moved: dict[str, Any] = {}
    if len(entry) > ENTRY_BYTES - _COMMITMENT_BYTES:
        moved = move_lists(found, ENTRY_BYTES - _COMMITMENT_BYTES)
    detail = _detail(record, moved, tags)
    salt = None
    if detail is not None:
        salt = new_salt()
        found["detail_c"] = commit_detail(salt, detail)
        entry = dumps(found)
    row = member_columns(found)
    return Prepared(
        entry=entry,
        leaf_hash=leaf_hash(entry),
        columns=tuple(row[name] for name in COLUMN_NAMES),
        terms=facet_terms(found, moved),
        salt=salt,
        detail=detail,
        tags=tags,
    )


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
