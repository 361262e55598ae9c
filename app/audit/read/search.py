"""Auditors' reads of the log: pages of entries, one exchange with its proofs. Every row returned is checked first.

Does not live here: who may ask (`gateway`), signing of cursors and wire models (`api`), recording that somebody read.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import orjson

from app.audit.entry.facets import has_moved
from app.audit.entry.record import member_columns
from app.audit.keys.details import DetailKeys
from app.audit.keys.subjects import SubjectKeys
from app.audit.read.candidates import USUAL_BOUNDS, SearchBounds, candidates, placeholders
from app.audit.read.filters import ExchangeFilter, Scope
from app.audit.store.contract import COLUMN_NAMES, LogReader, StoredEntry
from app.audit.store.stored_hashes import stored_hashes
from app.audit.tlog.checkpoint import Checkpoint
from app.audit.tlog.merkle import leaf_hash
from app.audit.tlog.proofs import inclusion_ranges, proof_hashes, root_from_inclusion
from app.errors import ExchangeUnknown, LogBroken

PAGE_ENTRIES = 1000
_TILE = 256
_ROWS = f"SELECT idx, leaf_hash, entry, {', '.join(COLUMN_NAMES)} FROM log_entry WHERE "


@dataclass(frozen=True, slots=True)
class Cursor:
    """Where the next page begins: entries below `before_idx` of the tree of `tree_size`."""

    tree_size: int
    before_idx: int


@dataclass(frozen=True, slots=True)
class Page:
    """Entries, newest first, all of one tree. `next` is None on the last page."""

    entries: list[StoredEntry]
    tree_size: int
    next: Cursor | None


@dataclass(frozen=True, slots=True)
class Inclusion:
    """Proof that an entry stands at `index` of the tree that `checkpoint` signs. `hashes` go from leaf to root."""

    index: int
    leaf_hash: bytes
    hashes: list[bytes]
    checkpoint: Checkpoint


@dataclass(frozen=True, slots=True)
class Exchange:
    """All entries of one exchange that the scope sees, in order, each with its proof under one checkpoint."""

    entries: list[StoredEntry]
    proofs: list[Inclusion]
    checkpoint: Checkpoint


class SearchedLog(Protocol):
    """The part of the log that a search needs besides its stored rows."""

    @property
    def subject_keys(self) -> SubjectKeys:
        """Keys of the tags of people."""

    @property
    def seals(self) -> DetailKeys:
        """Keys of the details."""

    async def checkpoint(self, size: int) -> Checkpoint:
        """A signed checkpoint of at least `size` entries."""
        ...


class ExchangeSearch:
    """Searches one log. Holds no state; one instance serves all requests."""

    def __init__(self, log: SearchedLog, reader: LogReader, *, bounds: SearchBounds = USUAL_BOUNDS) -> None:
        """`reader`: the log's store (`log.reader`)."""
        self._log = log
        self._reader = reader
        self._bounds = bounds

    async def search(
        self, wanted: ExchangeFilter, scope: Scope, *, limit: int = 100, cursor: Cursor | None = None
    ) -> Page:
        """One page, newest first. Later pages (`cursor`) read the same tree, whatever is appended meanwhile.

        LogBroken, naming the index, when a row is not what its entry says.
        """
        limit = min(max(limit, 1), PAGE_ENTRIES)
        tree_size = await self.committed() if cursor is None else cursor.tree_size
        before = tree_size if cursor is None else min(cursor.before_idx, tree_size)
        found: list[StoredEntry] = []
        after, end = await self.bounds(wanted, tree_size)
        before = min(before, end)
        source = await candidates(self._reader, self._log.subject_keys, wanted, scope, self._bounds)
        while before > after and len(found) <= limit:
            indexes = await source.below(before, after, limit + 1)
            if not indexes:
                break
            entries = await self._read(indexes)
            found += [entry for entry in entries if wanted.holds(entry.members) and scope.sees(entry.members)]
            before = indexes[-1]
        if len(found) <= limit:
            return Page(found, tree_size, None)
        return Page(found[:limit], tree_size, Cursor(tree_size, found[limit - 1].idx))

    async def exchange(self, xid: str, scope: Scope) -> Exchange:
        """Every entry of an exchange in this scope, with inclusion proofs. ExchangeUnknown when there is none."""
        rows = await self._reader.fetch(_ROWS + "xid = $1 ORDER BY idx", xid)
        details = await self._details([int(row[0]) for row in rows]) if rows else {}
        entries = [_with_lists(_checked(row), details.get(int(row[0]))) for row in rows]
        entries = [
            replace(entry, detail=details.get(entry.idx) if scope.sees_detail(entry.members) else None)
            for entry in entries
            if scope.sees(entry.members)
        ]
        if not entries:
            raise ExchangeUnknown("no exchange with this id is in the log, or it is not one of yours")
        checkpoint = await self._log.checkpoint(entries[-1].idx + 1)
        proofs = [await self.inclusion(entry.idx, entry.leaf_hash, checkpoint) for entry in entries]
        return Exchange(entries, proofs, checkpoint)

    async def roles(self, indexes: Sequence[int], tags: Sequence[bytes]) -> dict[int, list[str]]:
        """In which roles (asked, released, compared) these entries name the subject of the tags."""
        if not indexes or not tags:
            return {}
        marks, others = placeholders(len(tags)), placeholders(len(indexes), 1 + len(tags))
        rows = await self._reader.fetch(
            f"SELECT idx, role FROM exchange_subject WHERE tag IN ({marks}) AND idx IN ({others}) ORDER BY idx, role",
            *tags,
            *indexes,
        )
        found: dict[int, list[str]] = {}
        for idx, role in rows:
            found.setdefault(int(idx), []).append(str(role))
        return found

    async def inclusion(self, index: int, leaf: bytes, checkpoint: Checkpoint) -> Inclusion:
        """The audit path of one entry under a checkpoint. LogBroken when the stored hashes do not lead to its root."""
        ranges = inclusion_ranges(index, checkpoint.size)
        hashes = proof_hashes(ranges, await stored_hashes(self._reader, ranges))
        if root_from_inclusion(leaf, index, checkpoint.size, hashes) != checkpoint.root:
            raise LogBroken(
                f"entry {index} is not in the signed tree of size {checkpoint.size}", first_broken_index=index
            )
        return Inclusion(index, leaf, hashes, checkpoint)

    async def committed(self) -> int:
        """Entries in the tree now."""
        rows = await self._reader.fetch("SELECT size FROM log_head")
        return int(rows[0][0]) if rows else 0

    async def bounds(self, wanted: ExchangeFilter, tree_size: int) -> tuple[int, int]:
        """Indexes [after, end) outside of which no entry can lie in the wanted time, from the times of finished tiles.

        Entries of replicas and of a clock set back are out of order; a tile knows its earliest and latest time.
        """
        after, end = 0, tree_size
        if wanted.from_us is None and wanted.to_us is None:
            return after, end
        rows = await self._reader.fetch(
            "SELECT min(n), max(n) FROM log_node WHERE level = 8 AND n < $1 AND t_max_us >= $2 AND t_min_us < $3",
            tree_size // _TILE,
            -(2**62) if wanted.from_us is None else wanted.from_us,
            2**62 if wanted.to_us is None else wanted.to_us,
        )
        open_tile = tree_size - tree_size % _TILE
        recent = await self._reader.fetch(
            "SELECT min(t_us) FROM log_entry WHERE idx >= $1 AND idx < $2", open_tile, tree_size
        )
        first, last = rows[0]
        if recent[0][0] is None or (wanted.to_us is not None and recent[0][0] >= wanted.to_us):
            end = 0 if last is None else (int(last) + 1) * _TILE
        return open_tile if first is None else int(first) * _TILE, end

    async def _read(self, indexes: Sequence[int]) -> list[StoredEntry]:
        """Checked entries at falling indexes, moved lists put back, without details."""
        rows = await self._reader.fetch(f"{_ROWS}idx IN ({placeholders(len(indexes))}) ORDER BY idx DESC", *indexes)
        if len(rows) != len(indexes):
            missing = min(set(indexes) - {int(row[0]) for row in rows})
            raise LogBroken(f"entry {missing} is missing", first_broken_index=missing)
        entries = [_checked(row) for row in rows]
        if not any(has_moved(entry.members) for entry in entries):
            return entries
        details = await self._details([entry.idx for entry in entries if has_moved(entry.members)])
        return [_with_lists(entry, details.get(entry.idx)) for entry in entries]

    async def _details(self, indexes: Sequence[int]) -> dict[int, dict[str, Any]]:
        """Details that are there, checked against the commitments of their entries by `log verify`, not here."""
        rows = await self._reader.fetch(
            "SELECT d.idx, d.detail, e.id FROM exchange_detail d JOIN log_entry e ON e.idx = d.idx"
            f" WHERE d.idx IN ({placeholders(len(indexes))})",
            *indexes,
        )
        found = {int(idx): self._log.seals.document(name, detail) for idx, detail, name in rows}
        return {idx: detail for idx, detail in found.items() if detail is not None}


def _checked(row: tuple[Any, ...]) -> StoredEntry:
    """A row as an entry, hashed again, every column compared with what the bytes say."""
    idx, stored_hash, entry_bytes, *found_columns = row
    entry_bytes, stored_hash = bytes(entry_bytes), bytes(stored_hash)
    if leaf_hash(entry_bytes) != stored_hash:
        raise LogBroken(f"entry {idx}: its bytes are not those that were logged", first_broken_index=int(idx))
    members = orjson.loads(entry_bytes)
    derived = member_columns(members)
    for name, value in zip(COLUMN_NAMES, found_columns, strict=True):
        if derived[name] != value:
            raise LogBroken(f"entry {idx}: column {name} is not what its bytes say", first_broken_index=int(idx))
    return StoredEntry(int(idx), stored_hash, entry_bytes, members)


def _with_lists(entry: StoredEntry, detail: dict[str, Any] | None) -> StoredEntry:
    """The entry with the lists that moved into its detail back in place."""
    if detail is None or "lists" not in detail:
        return entry
    return replace(entry, members={**entry.members, **detail["lists"]})
