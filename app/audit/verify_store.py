"""Verifies a stored log from outside: reads `log.db` of a folder (also a copy) or the PostgreSQL store, and never writes.

The pass itself is pure (`verify.py`). Memory is bounded: entries are read in blocks, in order.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import apsw
import psycopg

from app.audit.checkpoint import Checkpoint, NoteError, Verifier
from app.audit.keys import CHECKPOINT_FILE, load_verifier
from app.audit.merkle import HASH_BYTES, TILE_BITS, TILE_WIDTH, Frontier
from app.audit.store import COLUMN_NAMES, Head
from app.audit.verify import Finding, Row, StoredNode, StoredNote, Verification, Walk
from app.errors import InstanceMissing, LogUnavailable
from app.settings import Settings

BLOCK_ENTRIES = 2048
LOG_FILE = "log.db"

Fetch = Callable[..., list[tuple[Any, ...]]]
Progress = Callable[[int, int], None]


def verify_settings(settings: Settings, *, since: str | None = None, progress: Progress | None = None) -> Verification:
    """Verifies the log of an instance. `since` is the text of a signed checkpoint that it must be an extension of."""
    with _opened(settings) as fetch:
        return _verify(fetch, settings.dir, since, progress)


def _verify(fetch: Fetch, folder: Path, since: str | None, progress: Progress | None) -> Verification:
    verifier = load_verifier(folder)
    walk = Walk(verifier, Frontier())
    head = Head(0, b"", b"", b"")
    try:
        rows = fetch("SELECT size, root, frontier, tail FROM log_head")
        if not rows:
            raise Finding(0, "the log has no head")
        head = Head(int(rows[0][0]), *(bytes(part) for part in rows[0][1:]))
        _walk(fetch, walk, head, _notes(fetch, folder, verifier, since, head.size), progress)
    except Finding as finding:
        return _result(walk, head, finding)
    return _result(walk, head, None)


def _result(walk: Walk, head: Head, finding: Finding | None) -> Verification:
    return Verification(
        ok=finding is None,
        origin=walk.verifier.name,
        size=walk.frontier.size if finding is None else head.size,
        root=walk.frontier.root().hex(),
        entries_checked=walk.frontier.size,
        checkpoints_checked=walk.checkpoints,
        first_broken_index=finding.index if finding is not None else None,
        reason=finding.reason if finding is not None else None,
        warnings=tuple(walk.warnings),
        open_intents=tuple(sorted(walk.open_intents.values())),
    )


def _notes(
    fetch: Fetch, folder: Path, verifier: Verifier, since: str | None, size: int
) -> list[StoredNote | Checkpoint]:
    """Everything signed, by size: the stored checkpoints, the local one, the caller's."""
    found: list[StoredNote | Checkpoint] = [
        StoredNote(int(row[0]), bytes(row[1]), str(row[2]))
        for row in fetch("SELECT size, root, note FROM log_checkpoint ORDER BY size")
    ]
    outside = [("the checkpoint given", since)] if since is not None else []
    local = folder / CHECKPOINT_FILE
    if local.is_file():
        outside.append(("the last signed checkpoint of this folder", local.read_text("utf-8")))
    for name, text in outside:
        try:
            known = verifier.open(text)
        except NoteError as error:
            raise Finding(None, f"{name} does not verify: {error}") from None
        if known.size > size:
            raise Finding(
                size, f"{name} signs {known.size} entries, the log has {size}: entries were removed at its end"
            )
        found.append(known)
    return sorted(found, key=lambda note: note.size)


def _walk(
    fetch: Fetch, walk: Walk, head: Head, notes: list[StoredNote | Checkpoint], progress: Progress | None
) -> None:
    waiting = iter(notes)
    note = next(waiting, None)
    while note is not None and note.size == 0:
        _signed(walk, note)
        note = next(waiting, None)
    facets: set[int] = set()
    for start in range(0, head.size, BLOCK_ENTRIES):
        rows = _rows(fetch, start, min(start + BLOCK_ENTRIES, head.size))
        leaves = _leaves(fetch, head, start)
        terms = _terms(fetch, {row.columns[-1] for row in rows} - facets)
        for row in rows:
            for computed in walk.row(row, leaves.get(row.idx)):
                walk.node(computed, _node(fetch, computed[0], computed[1]))
            if row.columns[-1] not in facets:
                facets.add(row.columns[-1])
                walk.facet(row, terms)
            while note is not None and note.size == walk.frontier.size:
                _signed(walk, note)
                note = next(waiting, None)
        if progress is not None:
            progress(min(start + BLOCK_ENTRIES, head.size), head.size)
    beyond = fetch("SELECT min(idx) FROM log_entry WHERE idx >= $1 OR idx < 0", head.size)
    if beyond and beyond[0][0] is not None:
        raise Finding(
            int(beyond[0][0]), f"entry {beyond[0][0]} was added outside of the tree: the head counts {head.size}"
        )
    walk.end(head)
    _surplus(fetch, head.size)


def _signed(walk: Walk, note: StoredNote | Checkpoint) -> None:
    if isinstance(note, StoredNote):
        walk.checkpoint(note)
    else:
        walk.signed(note)


def _surplus(fetch: Fetch, size: int) -> None:
    """Side rows without an entry."""
    for table, name in (("exchange_detail", "detail"), ("exchange_subject", "subject tag")):
        found = fetch(f"SELECT min(idx) FROM {table} WHERE idx >= $1 OR idx < 0", size)  # noqa: S608 - our own names
        if found and found[0][0] is not None:
            raise Finding(int(found[0][0]), f"a {name} stands at index {found[0][0]}, where there is no entry")


def _rows(fetch: Fetch, start: int, end: int) -> list[Row]:
    columns = ", ".join(COLUMN_NAMES)
    entries = fetch(
        f"SELECT idx, leaf_hash, entry, {columns} FROM log_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx",  # noqa: S608 - our own names
        start,
        end,
    )
    details = {
        int(row[0]): (bytes(row[1]), bytes(row[2]))
        for row in fetch("SELECT idx, salt, detail FROM exchange_detail WHERE idx >= $1 AND idx < $2", start, end)
    }
    tags: dict[int, list[tuple[bytes, str, int]]] = {}
    for idx, tag, role, epoch in fetch(
        "SELECT idx, tag, role, epoch FROM exchange_subject WHERE idx >= $1 AND idx < $2", start, end
    ):
        tags.setdefault(int(idx), []).append((bytes(tag), str(role), int(epoch)))
    found = []
    for row in entries:
        salt, detail = details.get(int(row[0]), (None, None))
        kept = tuple(tags.get(int(row[0]), ()))
        found.append(Row(int(row[0]), bytes(row[1]), bytes(row[2]), tuple(row[3:]), salt, detail, kept))
    return found


def _leaves(fetch: Fetch, head: Head, start: int) -> dict[int, bytes]:
    """The leaf hashes that tiles and head hold for a block, so that a changed row is named itself and not its tile."""
    first, last = start // TILE_WIDTH, (start + BLOCK_ENTRIES) // TILE_WIDTH
    known: dict[int, bytes] = {}
    for n, leaves in fetch(
        "SELECT n, leaves FROM log_node WHERE level = $1 AND n >= $2 AND n <= $3", TILE_BITS, first, last
    ):
        if leaves is not None:
            _spread(known, int(n) * TILE_WIDTH, bytes(leaves))
    _spread(known, head.size - len(head.tail) // HASH_BYTES, head.tail)
    return known


def _spread(known: dict[int, bytes], first: int, leaves: bytes) -> None:
    for place in range(len(leaves) // HASH_BYTES):
        known[first + place] = leaves[place * HASH_BYTES : (place + 1) * HASH_BYTES]


def _node(fetch: Fetch, level: int, n: int) -> StoredNode | None:
    rows = fetch("SELECT hash, leaves, t_min_us, t_max_us FROM log_node WHERE level = $1 AND n = $2", level, n)
    if not rows:
        return None
    leaves = None if rows[0][1] is None else bytes(rows[0][1])
    return StoredNode(level, n, bytes(rows[0][0]), leaves, rows[0][2], rows[0][3])


def _terms(fetch: Fetch, facets: set[int]) -> dict[int, frozenset[str]]:
    found: dict[int, set[str]] = {}
    listed: Sequence[int] = sorted(facets)
    for start in range(0, len(listed), 500):
        part = listed[start : start + 500]
        marks = ", ".join(f"${place}" for place in range(1, len(part) + 1))
        for term, facet in fetch(f"SELECT term, facet FROM log_facet WHERE facet IN ({marks})", *part):  # noqa: S608 - marks
            found.setdefault(int(facet), set()).add(str(term))
    return {facet: frozenset(terms) for facet, terms in found.items()}


@contextmanager
def _opened(settings: Settings) -> Iterator[Fetch]:
    if settings.database_url is None:
        with _sqlite(settings.dir / LOG_FILE) as fetch:
            yield fetch
    else:
        with _postgres(settings.database_url.get_secret_value()) as fetch:
            yield fetch


@contextmanager
def _sqlite(path: Path) -> Iterator[Fetch]:
    """One read transaction over the file. Beside a running gateway its WAL is read; a copy in a read-only place is opened as it is."""
    if not path.is_file():
        raise InstanceMissing(f"{path}: there is no log here; is this the folder of an instance?")
    flags = apsw.SQLITE_OPEN_READONLY | apsw.SQLITE_OPEN_URI
    wal = path.with_name(path.name + "-wal")
    immutable = not wal.exists() or wal.stat().st_size == 0
    try:
        connection = apsw.Connection(f"{path.absolute().as_uri()}?mode=ro", flags=flags)
        try:
            connection.execute("SELECT count(*) FROM sqlite_master").fetchall()
        except apsw.Error:
            connection.close()
            if not immutable:
                raise
            connection = apsw.Connection(f"{path.absolute().as_uri()}?mode=ro&immutable=1", flags=flags)
        connection.execute("BEGIN")
    except apsw.Error as error:
        raise LogUnavailable(f"{path} cannot be read: {error}") from None

    def fetch(statement: str, *values: Any) -> list[tuple[Any, ...]]:
        for place in range(len(values), 0, -1):
            statement = statement.replace(f"${place}", f"?{place}")
        try:
            return connection.execute(statement, values).fetchall()
        except apsw.Error as error:
            raise Finding(None, f"the database file is damaged: {error}") from None

    try:
        yield fetch
    finally:
        connection.close()


@contextmanager
def _postgres(url: str) -> Iterator[Fetch]:
    try:
        with psycopg.connect(url, autocommit=False) as connection:
            connection.read_only = True
            connection.isolation_level = psycopg.IsolationLevel.REPEATABLE_READ

            def fetch(statement: str, *values: Any) -> list[tuple[Any, ...]]:
                text = statement
                for place in range(len(values), 0, -1):
                    text = text.replace(f"${place}", f"%(v{place})s")
                named = {f"v{place}": value for place, value in enumerate(values, 1)}
                return connection.execute(text, named).fetchall()

            yield fetch
    except psycopg.Error as error:
        raise LogUnavailable(f"the log cannot be read ({error.sqlstate or type(error).__name__})") from None
