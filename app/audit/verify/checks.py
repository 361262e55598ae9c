"""Verification of a whole log, row by row in one pass: hashes, order, columns, details, tags, tiles, checkpoints, head.

Pure: rows come from `stored_log.py`. The first thing that does not fit ends it, with the index it stands at.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.audit.entry.commitments import commit_detail, commit_tags
from app.audit.entry.facets import facet_terms
from app.audit.entry.members import CLOSERS, KINDS, MOVABLE
from app.audit.entry.record import decode, list_digest, member_columns
from app.audit.entry.spans import Erased
from app.audit.keys.details import DetailKeys, sealed_year
from app.audit.store.contract import COLUMN_NAMES, Head, Tag
from app.audit.tlog.checkpoint import Checkpoint, NoteError, Verifier
from app.audit.tlog.merkle import HASH_BYTES, TILE_BITS, TILE_WIDTH, Frontier, leaf_hash
from app.errors import LogError

_BACKWARDS_US = 60_000_000
_BROKEN_KEPT = 100
GAP_OP = "log.gap"
"""Operation of the first entry of a log that continues after a loss."""


class Finding(Exception):
    """Something does not fit. `index` is the first entry concerned, None when no single entry is."""

    def __init__(self, index: int | None, reason: str) -> None:
        super().__init__(reason)
        self.index = index
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Row:
    """One entry as stored, with everything that belongs to its index. `detail`: sealed, as it stands there."""

    idx: int
    leaf_hash: bytes
    entry: bytes
    columns: tuple[Any, ...]
    salt: bytes | None
    detail: bytes | None
    tags: tuple[Tag, ...]


@dataclass(frozen=True, slots=True)
class StoredNode:
    """A row of `log_node`."""

    level: int
    n: int
    hash: bytes
    leaves: bytes | None
    t_min_us: int | None
    t_max_us: int | None


@dataclass(frozen=True, slots=True)
class StoredNote:
    """A row of `log_checkpoint`."""

    size: int
    root: bytes
    note: str


@dataclass(frozen=True, slots=True)
class Verification:
    """Result. `size` and `root` (hex) are those verified; `open_intents` are exchanges without an outcome so far.

    `erased_details` entries have no detail any more, as the entries `erased_by` record. `closed_twice` and
    `without_intent` are closing entries that break the rule of exchanges, the first ones of them.
    """

    ok: bool
    origin: str
    size: int
    root: str
    entries_checked: int
    checkpoints_checked: int
    first_broken_index: int | None = None
    reason: str | None = None
    warnings: tuple[str, ...] = ()
    open_intents: tuple[int, ...] = ()
    erased_details: int = 0
    erased_by: tuple[int, ...] = ()
    closed_twice: tuple[int, ...] = ()
    without_intent: tuple[int, ...] = ()


@dataclass(slots=True)
class Broken:
    """Entries that break one rule: the first of them, how many there are, and the first that is more than worth telling."""

    reason: str
    count: int = 0
    first: list[int] = field(default_factory=list)
    fault: tuple[int, str] | None = None

    def add(self, index: int, *facts: int, broken: bool = True) -> None:
        """One more, in rising order."""
        self.count += 1
        if len(self.first) < _BROKEN_KEPT:
            self.first.append(index)
        if broken and self.fault is None:
            self.fault = (index, f"the {self.reason.format(*facts)}")

    def told(self, warnings: list[str], what: str) -> None:
        """How many there were, if any."""
        if self.count:
            warnings.append(f"{self.count} {what}; first {self.first[0]}")


@dataclass(slots=True)
class Walk:
    """State of the pass: what was computed so far. Memory: one tile, the open intents, the facets. The exchanges that
    were closed are not kept: the store is asked for the earlier entries of those that a tile closes.
    """

    verifier: Verifier
    frontier: Frontier
    seals: DetailKeys
    erased: Erased = field(default_factory=Erased)
    erased_details: int = 0
    closed_details: int = 0
    erased_by: set[int] = field(default_factory=set)
    seen_facets: set[int] = field(default_factory=set)
    open_intents: dict[str, int] = field(default_factory=dict)
    closing: list[tuple[int, str, str]] = field(default_factory=list)
    closed_twice: Broken = field(default_factory=lambda: Broken("exchange was closed before, by entry {}"))
    without_intent: Broken = field(default_factory=lambda: Broken("exchange has no intent before this entry"))
    tail: bytearray = field(default_factory=bytearray)
    warnings: list[str] = field(default_factory=list)
    checkpoints: int = 0
    signed_size: int = 0
    _latest_us: int = 0
    _tile_times: list[int] = field(default_factory=list)
    _backwards: int = 0
    _first_backwards: int | None = None

    def row(self, row: Row, known_leaf: bytes | None) -> list[tuple[int, int, bytes]]:
        """Check one entry against itself and `known_leaf`, the leaf hash that its tile or the head's tail holds.

        Returns the tile nodes that it completes. Finding when something does not fit.
        """
        if row.idx != self.frontier.size:
            raise Finding(self.frontier.size, f"entry {self.frontier.size} is missing: the next row is {row.idx}")
        leaf = leaf_hash(row.entry)
        if leaf != row.leaf_hash:
            raise Finding(row.idx, "the bytes of the entry were changed: they do not give its leaf hash")
        if known_leaf is not None and leaf != known_leaf:
            raise Finding(row.idx, "another entry was committed at this index: the tree holds another leaf hash")
        try:
            found = decode(row.entry)
        except LogError as error:
            raise Finding(row.idx, f"not a valid entry: {error.detail}") from None
        derived = member_columns(found)
        for name, value in zip(COLUMN_NAMES, row.columns, strict=True):
            if derived[name] != value:
                raise Finding(row.idx, f"column {name} was changed: the entry says otherwise")
        self._detail(row, found)
        if row.idx == 0 and found["op"] == GAP_OP:
            self.warnings.append(f"declared gap: this log begins {found.get('q')}")
        self._intents(row.idx, found)
        self._time(row.idx, derived["t_us"])
        if len(self.tail) == TILE_WIDTH * HASH_BYTES:
            self.tail.clear()
            self._tile_times.clear()
        self.tail += leaf
        self._tile_times.append(derived["t_us"])
        return self.frontier.append(leaf)

    def node(self, computed: tuple[int, int, bytes], stored: StoredNode | None) -> None:
        """Compare a computed tile node with the stored one."""
        level, n, value = computed
        first = n << level
        if stored is None:
            raise Finding(first, f"node {n} of level {level} (entries from {first}) is missing")
        if stored.hash != value:
            raise Finding(first, f"node {n} of level {level} (entries from {first}) does not match its entries")
        if level == TILE_BITS:
            if stored.leaves != bytes(self.tail):
                raise Finding(first, f"the leaf hashes of tile {n} do not match its entries")
            if (stored.t_min_us, stored.t_max_us) != (min(self._tile_times), max(self._tile_times)):
                raise Finding(first, f"the times of tile {n} do not match its entries")

    def checkpoint(self, stored: StoredNote) -> Checkpoint:
        """Check a stored checkpoint over exactly the entries read so far."""
        try:
            known = self.verifier.open(stored.note)
        except NoteError as error:
            raise Finding(None, f"the checkpoint of size {stored.size} does not verify: {error}") from None
        if known.size != stored.size or known.root != stored.root:
            raise Finding(None, f"the row of the checkpoint of size {stored.size} is not what its note says")
        self._signed(known)
        return known

    def signed(self, known: Checkpoint) -> None:
        """Check a verified checkpoint from elsewhere over exactly the entries read so far."""
        self._signed(known)

    def _signed(self, known: Checkpoint) -> None:
        if known.size != self.frontier.size:
            raise Finding(None, f"the checkpoint of size {known.size} is out of order")
        if known.root != self.frontier.root():
            raise Finding(
                self.signed_size,
                f"entries between {self.signed_size} and {known.size} were rewritten: a signed checkpoint"
                f" over {known.size} entries has another root",
            )
        self.signed_size = known.size
        self.checkpoints += 1

    def end(self, head: Head) -> None:
        """All rows were read: the head must be what they give."""
        if self.frontier.size < head.size:
            raise Finding(
                self.frontier.size, f"entry {self.frontier.size} is missing: the head counts {head.size} entries"
            )
        tail = b"" if len(self.tail) == TILE_WIDTH * HASH_BYTES else bytes(self.tail)
        computed = (self.frontier.root(), self.frontier.pack(), tail)
        if computed != (head.root, head.frontier, head.tail):
            raise Finding(self.signed_size, "the head of the log (root, frontier, tail) is not what its entries give")
        if self._backwards:
            self.warnings.append(
                f"{self._backwards} entries are over a minute older than one before them; first {self._first_backwards}"
            )
        if self.open_intents:
            self.warnings.append(
                f"{len(self.open_intents)} intents without an outcome; first {min(self.open_intents.values())}"
            )
        if self.closed_details:
            self.warnings.append(
                f"{self.closed_details} details are sealed under keys that are not here (keys/detail-YEAR.key):"
                " they and their tags were not compared with their entries"
            )
        self.closed_twice.told(self.warnings, "entries close an exchange that was closed before")
        self.without_intent.told(self.warnings, "entries close an exchange that has no intent")

    def exchanges(self, earlier: Mapping[tuple[str, str], int]) -> None:
        """The rule of exchanges for the closing entries read since the last call: one intent before, none that closes.

        `earlier`: for exchange and kind the first index. An action of an administrator may stand alone, and is told.
        """
        for index, xid, kind in self.closing:
            before = {name: at for name in KINDS if (at := earlier.get((xid, name), index)) < index}
            first = min((at for name, at in before.items() if name in CLOSERS), default=None)
            if first is not None:
                self.closed_twice.add(index, first)
            elif "intent" not in before:
                self.without_intent.add(index, broken=kind != "admin")
        self.closing.clear()

    def rules(self) -> None:
        """Everything else was right: Finding for the first entry that breaks the rule of exchanges."""
        found = [fault for fault in (self.closed_twice.fault, self.without_intent.fault) if fault is not None]
        if found:
            raise Finding(*min(found))

    def facet(self, row: Row, stored_terms: Mapping[int, frozenset[str]]) -> None:
        """On the first entry of a facet: its search terms are those of the entry."""
        found = orjson.loads(row.entry)
        facet = row.columns[-1]
        detail = self.seals.document(found["id"], row.detail)
        wanted = frozenset(facet_terms(found, (detail or {}).get("lists", {})))
        stored = stored_terms.get(facet, frozenset())
        if detail is None and wanted <= stored:
            return  # lists that moved into a detail which is erased, or sealed and its key not here
        if stored != wanted:
            raise Finding(
                row.idx, "the search terms of the entry were changed: it would not be found, or found wrongly"
            )

    def _detail(self, row: Row, found: dict[str, Any]) -> None:
        committed = found.get("detail_c")
        if row.detail is None or row.salt is None:
            if committed is not None:
                self._erased(row, found)
            elif row.tags:
                raise Finding(row.idx, "the entry has subject tags but no detail that commits to them")
            return
        if committed is None:
            raise Finding(row.idx, "a detail stands here that the entry does not know")
        plain = self._opened(row.idx, found, row.detail)
        if plain is not None and commit_detail(row.salt, plain) != committed:
            raise Finding(row.idx, "the detail of the entry was changed: it does not fit its commitment")
        people = _people(row.tags)
        if people != found.get("subj_n", 0):
            raise Finding(row.idx, f"the entry has {people} subject tags, {found.get('subj_n', 0)} were committed")
        if plain is None:
            self.closed_details += 1
            return
        detail = orjson.loads(plain)
        if (row.tags or "tags" in detail) and commit_tags(row.tags) != detail.get("tags"):
            raise Finding(row.idx, "the subject tags of the entry were changed")
        moved = detail.get("lists", {})
        for name in MOVABLE:
            kept = found.get(name)
            if isinstance(kept, dict) and (name not in moved or list_digest(moved[name]) != kept["digest"]):
                raise Finding(row.idx, f"the list {name} in the detail is not the one of the entry")

    def _opened(self, index: int, found: dict[str, Any], stored: bytes) -> bytes | None:
        """The plain detail, None when its key is not here. Finding when it is not the sealed detail of this entry."""
        if sealed_year(stored) not in (None, int(found["t"][:4])):
            raise Finding(index, "the detail of the entry was changed: it is sealed for another year")
        try:
            return self.seals.open(found["id"], stored)
        except LogError:
            raise Finding(index, "the detail of the entry was changed: its seal does not open") from None

    def _erased(self, row: Row, found: dict[str, Any]) -> None:
        """The detail is gone: a later entry must say so. Tags may stay, as the trail of who received data."""
        by = self.erased.by(row.idx)
        if by is None:
            raise Finding(row.idx, "the detail of the entry is missing, and no erasure is recorded")
        if _people(row.tags) > found.get("subj_n", 0):
            raise Finding(row.idx, f"subject tags were added to the entry, whose detail entry {by} erased")
        self.erased_details += 1
        self.erased_by.add(by)

    def _intents(self, index: int, found: dict[str, Any]) -> None:
        if found["kind"] == "intent":
            self.open_intents.setdefault(found["xid"], index)
        elif found["kind"] in CLOSERS:
            self.open_intents.pop(found["xid"], None)
            if (
                found["kind"] != "erasure" and found["op"] != GAP_OP
            ):  # these two stand alone, each an exchange of its own
                self.closing.append((index, found["xid"], found["kind"]))

    def _time(self, index: int, moment_us: int) -> None:
        if moment_us < self._latest_us - _BACKWARDS_US:
            self._backwards += 1
            if self._first_backwards is None:
                self._first_backwards = index
        self._latest_us = max(self._latest_us, moment_us)


def _people(tags: tuple[Tag, ...]) -> int:
    """Tags of people; the tag of the case is bound by the digest alone."""
    return sum(role != "case" for _, role, _ in tags)
