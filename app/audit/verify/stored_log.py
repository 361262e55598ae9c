"""`simpul log verify`: feeds a stored log through the checks of `checks.py`, tile by tile, in bounded memory.

Read-only; works beside a running gateway (everything up to the size it had at the start) and on a copied folder.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager
from pathlib import Path
from typing import Any

import orjson

from app.audit.entry.spans import Erased, Span, entry_spans
from app.audit.keys.details import DetailKeys
from app.audit.keys.files import CHECKPOINT_FILE, load_verifier
from app.audit.store.contract import COLUMN_NAMES, Head
from app.audit.store.erasure_entries import ERASURES
from app.audit.tlog.checkpoint import Checkpoint, NoteError, Verifier
from app.audit.tlog.merkle import HASH_BYTES, TILE_BITS, TILE_WIDTH, Frontier, frontier_at, ranges_needed
from app.audit.verify.checks import Finding, Row, StoredNode, StoredNote, Verification, Walk
from app.audit.verify.source import Fetch, is_served, postgres_source, sqlite_source
from app.errors import LogError
from app.settings import Settings

Progress = Callable[[int, int], None]
"""Called with (entries checked, entries in all)."""

_PROGRESS_TILES = 16

_STATE = """SELECT h.log_id, h.size, h.root, h.frontier, h.tail,
 (SELECT min(idx) FROM log_entry WHERE idx < 0), (SELECT min(idx) FROM log_entry WHERE idx >= h.size),
 (SELECT min(idx) FROM exchange_detail WHERE idx < 0), (SELECT min(idx) FROM exchange_detail WHERE idx >= h.size),
 (SELECT min(idx) FROM exchange_subject WHERE idx < 0), (SELECT min(idx) FROM exchange_subject WHERE idx >= h.size),
 (SELECT min(n) FROM log_node WHERE level = 8 AND (n < 0 OR n >= h.size / 256)),
 (SELECT max(size) FROM log_checkpoint), (SELECT min(size) FROM log_checkpoint)
 FROM log_head h"""
"""Everything that must fit one moment of a growing log, in one statement."""

_ENTRIES = (
    f"SELECT idx, leaf_hash, entry, {', '.join(COLUMN_NAMES)} FROM log_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx"
)
_DETAILS = "SELECT idx, salt, detail FROM exchange_detail WHERE idx >= $1 AND idx < $2"
_TAGS = "SELECT idx, tag, role, epoch FROM exchange_subject WHERE idx >= $1 AND idx < $2"
_NODE = "SELECT hash, leaves, t_min_us, t_max_us FROM log_node WHERE level = $1 AND n = $2"
_HASHES = "SELECT n, hash FROM log_node WHERE level = $1 AND n >= $2 AND n < $3"
_NOTES = "SELECT size, root, note FROM log_checkpoint WHERE size >= $1 AND size <= $2 ORDER BY size"
_STRAY_FACET = "SELECT min(term) FROM log_facet f WHERE NOT EXISTS (SELECT 1 FROM log_entry e WHERE e.facet = f.facet)"


def verify_settings(settings: Settings, *, since: str | None = None, progress: Progress | None = None) -> Verification:
    """Verify the log of an instance.

    `since`: text of a signed checkpoint; the log must extend it, and only what came after is read. InstanceMissing,
    SettingsInvalid or LogUnavailable when it could not be read; what is wrong in the log stands in the result.
    """
    if settings.database_url is not None:
        with settings_source(settings) as fetch:
            return verify_log(fetch, settings.dir, since=since, progress=progress)
    return verify_folder(settings.dir, since=since, progress=progress)


def settings_source(settings: Settings) -> AbstractContextManager[Fetch]:
    """How to read the log of an instance from outside of its gateway."""
    if settings.database_url is not None:
        return postgres_source(settings.database_url.get_secret_value())
    return _source(settings.dir, served=is_served(settings.dir))


def verify_folder(folder: Path, *, since: str | None = None, progress: Progress | None = None) -> Verification:
    """Verify the embedded log of a folder or of a copy of it; errors as for `verify_settings`."""
    served = is_served(folder)
    with _source(folder, served=served) as fetch:
        found = verify_log(fetch, folder, since=since, progress=progress)
    if not found.ok and not served and is_served(folder):
        # A gateway started meanwhile and moved pages under a reader that takes no locks: look again, beside it.
        return verify_folder(folder, since=since, progress=progress)
    return found


def _source(folder: Path, *, served: bool) -> AbstractContextManager[Fetch]:
    return sqlite_source(folder, served=served)


def verify_log(
    fetch: Fetch, folder: Path, *, since: str | None = None, progress: Progress | None = None
) -> Verification:
    """Verify what `fetch` reads against `log.vkey` and `log.checkpoint` of `folder`."""
    verifier = load_verifier(folder)
    check = _Check(fetch, verifier, progress, DetailKeys.of(folder))
    finding: Finding | None = None
    try:
        check.run(*_outside(folder, verifier, since))
    except Finding as found:
        finding = found
    walk = check.walk
    return Verification(
        ok=finding is None,
        origin=verifier.name,
        size=walk.frontier.size,
        root=walk.frontier.root().hex(),
        entries_checked=walk.frontier.size - check.start,
        checkpoints_checked=walk.checkpoints,
        first_broken_index=None if finding is None else finding.index,
        reason=None if finding is None else finding.reason,
        warnings=tuple(walk.warnings),
        open_intents=tuple(sorted(walk.open_intents.values())),
        erased_details=walk.erased_details,
        erased_by=tuple(sorted(walk.erased_by)),
        closed_twice=tuple(walk.closed_twice.first),
        without_intent=tuple(walk.without_intent.first),
    )


def _outside(folder: Path, verifier: Verifier, since: str | None) -> tuple[Checkpoint | None, Checkpoint | None]:
    """The caller's checkpoint and the local one, verified. Read before the store, which may only be ahead of them."""
    path = folder / CHECKPOINT_FILE
    local = path.read_bytes().decode("utf-8", "replace") if path.is_file() else None
    found: list[Checkpoint | None] = []
    for name, text in (("the checkpoint given", since), (f"the local {CHECKPOINT_FILE}", local)):
        try:
            found.append(None if text is None else verifier.open(text))
        except NoteError as error:
            raise Finding(None, f"{name} does not verify: {error}") from None
    return found[0], found[1]


class _Check:
    """One pass over a stored log."""

    def __init__(self, fetch: Fetch, verifier: Verifier, progress: Progress | None, seals: DetailKeys) -> None:
        self._fetch = fetch
        self._progress = progress
        self.walk = Walk(verifier, Frontier(), seals)
        self.start = 0
        self._facets: set[int] = set()

    def run(self, since: Checkpoint | None, local: Checkpoint | None) -> None:
        """Everything, in the order in which the first broken index is found. Finding when something does not fit."""
        rows = self._fetch(_STATE)
        if len(rows) != 1:
            raise Finding(0, f"the log has {len(rows)} heads, not one")
        origin, size, root, frontier, tail, *extremes = rows[0]
        head = Head(int(size), bytes(root), bytes(frontier), bytes(tail))
        if origin != self.walk.verifier.name:
            raise Finding(None, f"this is the log of origin {origin}, the key is of {self.walk.verifier.name}")
        outside = sorted((known for known in (since, local) if known is not None), key=lambda known: known.size)
        _not_shorter(head.size, outside)
        self.walk.erased = Erased(self._erasures())
        if since is not None:
            self._begin(since.size - since.size % TILE_WIDTH)
        outside = [known for known in outside if known.size >= self.start]
        for first in range(self.start, head.size, TILE_WIDTH):
            self._tile(first, min(first + TILE_WIDTH, head.size), head, outside)
        if self.start == head.size:
            self._notes(self._stored_notes(head.size, head.size), outside)
        _nothing_outside(head.size, extremes)
        self.walk.end(head)
        if self.start == 0 and (stray := self._fetch(_STRAY_FACET)[0][0]) is not None:
            raise Finding(None, f"the search term {stray} stands there without an entry")
        self.walk.rules()

    def _erasures(self) -> Iterator[tuple[int, list[Span]]]:
        """What erasure entries say. The entries themselves are checked when their turn comes."""
        for idx, entry, detail in self._fetch(ERASURES):
            try:
                yield int(idx), entry_spans(orjson.loads(bytes(entry)), orjson.loads(bytes(detail or b"{}")))
            except (LogError, orjson.JSONDecodeError):
                raise Finding(int(idx), "the erasure does not name the entries whose detail it erased") from None

    def _begin(self, start: int) -> None:
        """Begin at a tile, from the stored hashes of what lies before; the checkpoint given then vouches for them."""
        stored: dict[tuple[int, int], bytes] = {}
        for level, first, count in ranges_needed([(0, start)]):
            rows = self._fetch(_HASHES, level, first, first + count)
            stored.update({(level, int(n)): bytes(value) for n, value in rows})
        try:
            self.walk.frontier = frontier_at(start, stored)
        except KeyError as missing:
            level, n = missing.args[0]
            raise Finding(n << level, f"node {n} of level {level} is missing") from None
        self.start = self.walk.signed_size = start

    def _tile(self, first: int, end: int, head: Head, outside: list[Checkpoint]) -> None:
        finished = end - first == TILE_WIDTH
        node = self._node(TILE_BITS, first // TILE_WIDTH) if finished else None
        leaves = head.tail if not finished else b"" if node is None or node.leaves is None else node.leaves
        notes = self._stored_notes(first if first == 0 else first + 1, end)
        self._notes(notes, outside)
        with self._fetch.snapshot():  # an erasure takes away details and tags while this reads
            rows = list(self._rows(first, end))
            if any(row.detail is None and self.walk.erased.by(row.idx) is None for row in rows):
                self.walk.erased = Erased(self._erasures())
        terms = self._terms({row.columns[-1] for row in rows} - self._facets)
        for row in rows:
            offset = (row.idx - first) * HASH_BYTES
            for computed in self.walk.row(row, leaves[offset : offset + HASH_BYTES] or None):
                stored = node if computed[0] == TILE_BITS else self._node(computed[0], computed[1])
                self.walk.node(computed, stored)
            if row.columns[-1] in terms and row.columns[-1] not in self._facets:
                self._facets.add(row.columns[-1])
                self.walk.facet(row, terms)
            self._notes(notes, outside)
        self.walk.exchanges(self._earlier({xid for _, xid, _ in self.walk.closing}, end))
        if self.walk.frontier.size != end:
            raise Finding(self.walk.frontier.size, f"entry {self.walk.frontier.size} is missing")
        if self._progress is not None and (end == head.size or end // TILE_WIDTH % _PROGRESS_TILES == 0):
            self._progress(end, head.size)

    def _notes(self, stored: list[StoredNote], outside: list[Checkpoint]) -> None:
        """Take off and check the checkpoints over exactly the entries read so far."""
        size = self.walk.frontier.size
        while stored and stored[0].size == size:
            self.walk.checkpoint(stored.pop(0))
        while outside and outside[0].size == size:
            self.walk.signed(outside.pop(0))

    def _stored_notes(self, first: int, last: int) -> list[StoredNote]:
        return [StoredNote(int(size), bytes(root), str(note)) for size, root, note in self._fetch(_NOTES, first, last)]

    def _node(self, level: int, n: int) -> StoredNode | None:
        for found, leaves, earliest, latest in self._fetch(_NODE, level, n):
            return StoredNode(level, n, bytes(found), None if leaves is None else bytes(leaves), earliest, latest)
        return None

    def _rows(self, first: int, end: int) -> Iterator[Row]:
        details = {int(idx): (bytes(salt), bytes(text)) for idx, salt, text in self._fetch(_DETAILS, first, end)}
        tags: dict[int, list[tuple[bytes, str, int]]] = {}
        for idx, tag, role, epoch in self._fetch(_TAGS, first, end):
            tags.setdefault(int(idx), []).append((bytes(tag), str(role), int(epoch)))
        for idx, leaf, entry, *columns in self._fetch(_ENTRIES, first, end):
            salt, detail = details.get(int(idx), (None, None))
            kept = tuple(tags.get(int(idx), ()))
            yield Row(int(idx), bytes(leaf), bytes(entry), tuple(columns), salt, detail, kept)

    def _earlier(self, xids: set[str], end: int) -> dict[tuple[str, str], int]:
        """The first entry of each kind of these exchanges: by the index of exchanges, whatever the log's size."""
        if not xids:
            return {}
        marks = ", ".join(f"${number}" for number in range(2, 2 + len(xids)))
        statement = f"SELECT xid, kind, min(idx) FROM log_entry WHERE idx < $1 AND xid IN ({marks}) GROUP BY xid, kind"
        return {(str(xid), str(kind)): int(idx) for xid, kind, idx in self._fetch(statement, end, *xids)}

    def _terms(self, facets: set[int]) -> dict[int, frozenset[str]]:
        """Stored search terms of facets that are met for the first time."""
        if not facets:
            return {}
        found: dict[int, set[str]] = {facet: set() for facet in facets}
        marks = ", ".join(f"${number}" for number in range(1, len(facets) + 1))
        statement = f"SELECT facet, term FROM log_facet WHERE facet IN ({marks})"
        for facet, term in self._fetch(statement, *facets):
            found[int(facet)].add(str(term))
        return {facet: frozenset(terms) for facet, terms in found.items()}


def _not_shorter(size: int, outside: list[Checkpoint]) -> None:
    for known in outside:
        if known.size > size:
            raise Finding(
                size, f"a signed checkpoint is over {known.size} entries, the log has {size}: entry {size} was removed"
            )


def _nothing_outside(size: int, extremes: list[Any]) -> None:
    """No row stands at an index that the tree does not have."""
    names = ("entry", "detail", "subject tag")
    for name, below, beyond in zip(names, extremes[0:6:2], extremes[1:6:2], strict=True):
        for index in (below, beyond):
            if index is not None:
                raise Finding(int(index), f"a row ({name}) was added at index {index}: the tree has {size} entries")
    node, largest, smallest = extremes[6:]
    if node is not None:
        raise Finding(int(node) * TILE_WIDTH, f"a tile node was added at {node}: the tree has {size} entries")
    if largest is not None and largest > size:
        raise Finding(
            size, f"a stored checkpoint is over {largest} entries, the log has {size}: entry {size} was removed"
        )
    if smallest is not None and smallest < 0:
        raise Finding(None, "a stored checkpoint has a negative size")
