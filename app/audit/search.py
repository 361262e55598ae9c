"""Auditors' reads of the log: pages of entries, one exchange with its proofs. Every row returned is checked first.

Does not live here: who may ask (`gateway`), signing of cursors and wire shapes (`api`), recording that somebody read.
"""

from __future__ import annotations

import heapq
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from typing import Any

import orjson

from app.audit.checkpoint import Checkpoint
from app.audit.entry import member_columns
from app.audit.facets import has_moved
from app.audit.filters import ExchangeFilter, Scope
from app.audit.log import ExchangeLog
from app.audit.merkle import leaf_hash
from app.audit.nodes import stored_hashes
from app.audit.proofs import inclusion_ranges, proof_hashes, root_from_inclusion
from app.audit.store import COLUMN_NAMES, LogReader, StoredEntry
from app.errors import ExchangeUnknown, LogBroken

PAGE_ENTRIES = 1000
_LOOK_BACK = 4096
_FEW_FACETS = 200
_FACETS_A_STATEMENT = 50
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


class ExchangeSearch:
    """Searches one log. Holds no state; one instance serves all requests."""

    def __init__(self, log: ExchangeLog, reader: LogReader) -> None:
        """`reader`: the log's store (`log.reader`)."""
        self._log = log
        self._reader = reader

    async def search(
        self, wanted: ExchangeFilter, scope: Scope, *, limit: int = 100, cursor: Cursor | None = None
    ) -> Page:
        """One page, newest first. Later pages (`cursor`) read the same tree, whatever is appended meanwhile.

        LogBroken, naming the index, when a row is not what its entry says.
        """
        limit = min(max(limit, 1), PAGE_ENTRIES)
        tree_size = await self._committed() if cursor is None else cursor.tree_size
        before = tree_size if cursor is None else min(cursor.before_idx, tree_size)
        found: list[StoredEntry] = []
        after, end = await self._bounds(wanted, tree_size)
        before = min(before, end)
        source = await _Candidates.prepare(self._reader, wanted, scope)
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
            raise ExchangeUnknown("no exchange with this id is in the log, or not one of your agency")
        checkpoint = await self._log.checkpoint(entries[-1].idx + 1)
        proofs = [await self.inclusion(entry.idx, entry.leaf_hash, checkpoint) for entry in entries]
        return Exchange(entries, proofs, checkpoint)

    async def inclusion(self, index: int, leaf: bytes, checkpoint: Checkpoint) -> Inclusion:
        """The audit path of one entry under a checkpoint. LogBroken when the stored hashes do not lead to its root."""
        ranges = inclusion_ranges(index, checkpoint.size)
        hashes = proof_hashes(ranges, await stored_hashes(self._reader, ranges))
        if root_from_inclusion(leaf, index, checkpoint.size, hashes) != checkpoint.root:
            raise LogBroken(
                f"entry {index} is not in the signed tree of size {checkpoint.size}", first_broken_index=index
            )
        return Inclusion(index, leaf, hashes, checkpoint)

    async def _committed(self) -> int:
        rows = await self._reader.fetch("SELECT size FROM log_head")
        return int(rows[0][0]) if rows else 0

    async def _bounds(self, wanted: ExchangeFilter, tree_size: int) -> tuple[int, int]:
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
        rows = await self._reader.fetch(f"{_ROWS}idx IN ({_marks(len(indexes))}) ORDER BY idx DESC", *indexes)
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
            f"SELECT idx, detail FROM exchange_detail WHERE idx IN ({_marks(len(indexes))})",
            *indexes,
        )
        return {int(idx): orjson.loads(bytes(detail)) for idx, detail in rows}


class _Candidates:
    """Indexes of entries whose terms fit, newest first; by exchange, by facet, or all entries."""

    def __init__(self, reader: LogReader, xid: str | None, facets: frozenset[int] | None) -> None:
        self._reader = reader
        self._xid = xid
        self._facets = facets

    @classmethod
    async def prepare(cls, reader: LogReader, wanted: ExchangeFilter, scope: Scope) -> _Candidates:
        """Look up which facets have all the terms."""
        terms = wanted.terms(scope)
        if not terms:
            return cls(reader, wanted.xid, None)
        parts: list[str] = []
        values: list[str] = []
        for alternatives in terms:
            marks = _marks(len(alternatives), len(values) + 1)
            parts.append(f"SELECT facet FROM log_facet WHERE term IN ({marks})")
            values += alternatives
        rows = await reader.fetch(" INTERSECT ".join(parts), *values)
        return cls(reader, wanted.xid, frozenset(int(row[0]) for row in rows))

    async def below(self, before: int, after: int, count: int) -> list[int]:
        """At most about `count` indexes in [after, before), falling; empty when there are no more."""
        if self._xid is not None:
            statement = "SELECT idx FROM log_entry WHERE xid = $1 AND idx < $2 AND idx >= $3 ORDER BY idx DESC"
            return _indexes(await self._reader.fetch(statement, self._xid, before, after))
        if self._facets is None:
            return list(range(before - 1, max(after, before - count) - 1, -1))
        if not self._facets:
            return []
        if len(self._facets) > _FEW_FACETS and (found := await self._scan(self._facets, before, after, count)):
            return found
        return await self._by_facet(self._facets, before, after, count)

    async def _scan(self, facets: frozenset[int], before: int, after: int, count: int) -> list[int]:
        """Many facets fit, so most likely many entries do: look at the newest ones."""
        rows = await self._reader.fetch(
            "SELECT idx, facet FROM log_entry WHERE idx < $1 AND idx >= $2 ORDER BY idx DESC",
            before,
            max(after, before - _LOOK_BACK),
        )
        return [int(idx) for idx, facet in rows if facet in facets][:count]

    async def _by_facet(self, facets: frozenset[int], before: int, after: int, count: int) -> list[int]:
        """The newest entries of each facet by its index, merged."""
        best: list[int] = []
        listed = list(facets)
        for start in range(0, len(listed), _FACETS_A_STATEMENT):
            part = listed[start : start + _FACETS_A_STATEMENT]
            parts = [
                f"SELECT idx FROM (SELECT idx FROM log_entry WHERE facet = ${position} AND idx < $1 AND idx >= $2"
                " ORDER BY idx DESC LIMIT $3) f"
                for position in range(4, 4 + len(part))
            ]
            rows = await self._reader.fetch(" UNION ALL ".join(parts), before, after, count, *part)
            best = heapq.nlargest(count, best + _indexes(rows))
        return best


def _indexes(rows: Iterable[tuple[Any, ...]]) -> list[int]:
    return [int(row[0]) for row in rows]


def _marks(count: int, start: int = 1) -> str:
    return ", ".join(f"${position}" for position in range(start, start + count))


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
