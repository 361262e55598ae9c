"""A log as a folder of static files (C2SP tlog-tiles): written from the stored entries, and checked without any store.

Every hash is computed anew from the entries' bytes, so a tree that was written is one that was verified.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

from app.audit.tlog.checkpoint import Checkpoint
from app.audit.tlog.cosignatures import signed_note
from app.audit.tlog.merkle import TILE_WIDTH, Frontier, complete, leaf_hash
from app.audit.tlog.policy import Policy
from app.audit.tlog.tiles import MOST_LEVEL, Tile, bundle, tiles_of
from app.audit.verify.checks import Finding
from app.audit.verify.source import Fetch

CHECKPOINT = "checkpoint"
Progress = Callable[[int, int], None]
_LENGTH_BYTES = 2
_SIGNED = "SELECT size, note FROM log_checkpoint ORDER BY size DESC LIMIT 1"
_COSIGNED = "SELECT line FROM log_cosignature WHERE size = $1 ORDER BY name"
_ENTRIES = "SELECT idx, entry FROM log_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx"


class TileBuilder:
    """Takes entries in order, 256 at a time, and gives the bytes of every tile they complete."""

    def __init__(self) -> None:
        self.frontier = Frontier()
        self._levels: list[list[bytes]] = [[] for _ in range(MOST_LEVEL + 1)]

    def add(self, entries: Sequence[bytes]) -> Iterator[tuple[Tile, bytes]]:
        """Entries of one bundle: the bundle itself and the hash tiles that are full now."""
        first = self.frontier.size
        if first % TILE_WIDTH or len(entries) > TILE_WIDTH:
            raise ValueError("entries come one whole bundle at a time")
        yield Tile(None, first // TILE_WIDTH, len(entries)), bundle(entries)
        self._levels[0] = [leaf_hash(entry) for entry in entries]
        for leaf in self._levels[0]:
            self.frontier.append(leaf)
        level = 0
        while len(self._levels[level]) == TILE_WIDTH:
            hashes = self._levels[level]
            yield Tile(level, (self.frontier.size >> (8 * (level + 1))) - 1), b"".join(hashes)
            self._levels[level] = []
            level += 1
            self._levels[level].append(complete(hashes))

    def edge(self) -> Iterator[tuple[Tile, bytes]]:
        """The partial hash tiles at the right edge, when all entries were added."""
        for level, hashes in enumerate(self._levels):
            if hashes:
                yield Tile(level, self.frontier.size >> (8 * (level + 1)), len(hashes)), b"".join(hashes)


def export_tiles(fetch: Fetch, policy: Policy, out: Path, progress: Progress | None = None) -> Checkpoint:
    """Write the log up to its last signed checkpoint into `out`; the checkpoint itself last, when all else is right.

    Finding when the entries do not give the signed root; then `out` has no checkpoint.
    """
    rows = fetch(_SIGNED)
    if not rows:
        raise Finding(None, "no checkpoint is signed yet; there is nothing to export")
    size, note = int(rows[0][0]), str(rows[0][1])
    checkpoint = policy.open(note)
    builder = TileBuilder()
    for first in range(0, size, TILE_WIDTH):
        entries: list[bytes] = []
        for idx, entry in fetch(_ENTRIES, first, min(first + TILE_WIDTH, size)):
            if int(idx) != first + len(entries):
                raise Finding(first + len(entries), f"entry {first + len(entries)} is missing")
            entries.append(bytes(entry))
        for tile, content in builder.add(entries):
            _write(out / tile.path(), content)
        if progress is not None:
            progress(builder.frontier.size, size)
    for tile, content in builder.edge():
        _write(out / tile.path(), content)
    if (builder.frontier.size, builder.frontier.root()) != (checkpoint.size, checkpoint.root):
        raise Finding(None, f"the {size} entries do not give the root of the signed checkpoint")
    _write(out / CHECKPOINT, signed_note(note, [str(line) for (line,) in fetch(_COSIGNED, size)]).encode())
    return checkpoint


def check_tiles(
    folder: Path,
    policy: Policy,
    since: str | None = None,
    *,
    fresh_since: int | None = None,
    progress: Progress | None = None,
) -> Checkpoint:
    """Check a folder of tiles against trusted keys, every byte of it. Finding names the first entry that is concerned.

    `since`: text of a signed checkpoint that you kept; the log must extend it. `fresh_since`: see `Policy.open`.
    """
    note = _read(folder / CHECKPOINT, None).decode("utf-8", "replace")
    checkpoint = policy.open(note, fresh_since=fresh_since)
    older = None if since is None else policy.open(since)
    if older is not None and (older.origin != checkpoint.origin or older.size > checkpoint.size):
        raise Finding(
            None, f"the checkpoint that you kept is over {older.size} entries of {older.origin}: not extended"
        )
    builder = TileBuilder()
    for first in range(0, checkpoint.size, TILE_WIDTH):
        wanted = Tile(None, first // TILE_WIDTH, min(TILE_WIDTH, checkpoint.size - first))
        entries = _entries(_read(folder / wanted.path(), first), wanted, first)
        if older is not None and first < older.size <= first + len(entries):
            _extends(builder.frontier, entries[: older.size - first], older)
        for tile, content in builder.add(entries):
            _same(folder, tile, content)
        if progress is not None:
            progress(builder.frontier.size, checkpoint.size)
    for tile, content in builder.edge():
        _same(folder, tile, content)
    if builder.frontier.root() != checkpoint.root:
        raise Finding(None, "the entries do not give the root of the signed checkpoint")
    _nothing_else(folder, checkpoint.size)
    return checkpoint


def _extends(frontier: Frontier, entries: Sequence[bytes], older: Checkpoint) -> None:
    copy = Frontier(frontier.size, frontier.pack())
    for entry in entries:
        copy.append(leaf_hash(entry))
    if copy.root() != older.root:
        raise Finding(None, f"the first {older.size} entries are not those of the checkpoint that you kept: rewritten")


def _same(folder: Path, tile: Tile, content: bytes) -> None:
    first = tile.first * tile.span
    if _read(folder / tile.path(), first) != content:
        raise Finding(first, f"{tile.path()} is not what the entries give")


def _nothing_else(folder: Path, size: int) -> None:
    """Files that no tile of this size explains would be read by nobody, or by somebody who should not."""
    known = {tile.path() for tile in tiles_of(size)}
    for path in sorted((folder / "tile").rglob("*")):
        name = path.relative_to(folder).as_posix()
        if path.is_file() and name not in known:
            raise Finding(None, f"{name} is no tile of a log of {size} entries")


def _entries(content: bytes, tile: Tile, first: int) -> list[bytes]:
    """The entries of a bundle: exactly as many as the tile has, and not a byte more."""
    found: list[bytes] = []
    offset = 0
    while offset < len(content):
        length = int.from_bytes(content[offset : offset + _LENGTH_BYTES])
        entry = content[offset + _LENGTH_BYTES : offset + _LENGTH_BYTES + length]
        if len(entry) != length or offset + _LENGTH_BYTES > len(content):
            raise Finding(first + len(found), f"{tile.path()} ends inside of an entry")
        found.append(entry)
        offset += _LENGTH_BYTES + length
    if len(found) != tile.width:
        raise Finding(
            first + min(len(found), tile.width), f"{tile.path()} holds {len(found)} entries, not {tile.width}"
        )
    return found


def _read(path: Path, first: int | None) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise Finding(first, f"{path.name}: {error.strerror}") from None


def _write(path: Path, content: bytes) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(content)
