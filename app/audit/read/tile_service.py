"""The log as verifiers fetch it: checkpoint, hash tiles, entry bundles (C2SP tlog-tiles), from the stored rows.

Only what a published checkpoint covers is there; everything else is NotFound. Does not live here: HTTP and who may ask.
"""

from __future__ import annotations

from dataclasses import replace
from typing import Protocol

from app.audit.store.contract import LogReader
from app.audit.tlog.checkpoint import Checkpoint
from app.audit.tlog.cosignatures import signed_note
from app.audit.tlog.merkle import HASH_BYTES, TILE_BITS, TILE_WIDTH, leaf_hash
from app.audit.tlog.tiles import Tile, bundle
from app.errors import LogBroken, NotFound

_LARGEST = "SELECT size, note FROM log_checkpoint ORDER BY size DESC LIMIT 1"
_COVERED = "SELECT size FROM log_checkpoint WHERE size >= $1 AND size < $2 LIMIT 1"
_COSIGNED = "SELECT line FROM log_cosignature WHERE size = $1 ORDER BY name"
_HASHES = "SELECT hash FROM log_node WHERE level = $1 AND n >= $2 AND n < $3 ORDER BY n"
_FULL_LEAVES = "SELECT leaves FROM log_node WHERE level = 8 AND n = $1"
_LEAVES = "SELECT leaf_hash FROM log_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx"
_ENTRIES = "SELECT leaf_hash, entry FROM log_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx"
_MOST_SIZE = 1 << 62
_COSIGNED_SINCE = """SELECT c.size, c.root, c.note, s.line FROM log_checkpoint c JOIN log_cosignature s ON s.size = c.size
 WHERE c.size >= $1 ORDER BY c.size LIMIT 64"""


class Signing(Protocol):
    """The part of the log that signs."""

    async def checkpoint(self, size: int) -> Checkpoint:
        """A signed checkpoint of at least `size` entries."""
        ...


async def served_checkpoint(reader: LogReader) -> str:
    """The largest published checkpoint with the cosignatures it has so far. NotFound before the first."""
    for size, note in await reader.fetch(_LARGEST):
        return signed_note(str(note), [str(line) for (line,) in await reader.fetch(_COSIGNED, int(size))])
    raise NotFound("no checkpoint is signed yet")


async def served_tile(reader: LogReader, tile: Tile | None) -> bytes:
    """Bytes of a hash tile or entry bundle. NotFound unless a published checkpoint has this tile.

    LogBroken when rows are missing or an entry is not what was logged: nothing damaged is handed out as good.
    """
    if tile is None or not await _published(reader, tile):
        raise NotFound("no published checkpoint of this log has such a tile")
    end = tile.first + tile.width
    if tile.level is None:
        rows = await reader.fetch(_ENTRIES, tile.first, end)
        for offset, (stored, entry) in enumerate(rows):
            if leaf_hash(bytes(entry)) != bytes(stored):
                index = tile.first + offset
                raise LogBroken(f"entry {index}: its bytes are not those that were logged", first_broken_index=index)
        parts = [bytes(entry) for _, entry in rows]
    elif tile.level == 0 and tile.width == TILE_WIDTH:
        rows = await reader.fetch(_FULL_LEAVES, tile.n)
        leaves = bytes(rows[0][0] or b"") if rows else b""
        parts = [leaves[i : i + HASH_BYTES] for i in range(0, len(leaves), HASH_BYTES)]
    elif tile.level == 0:
        parts = [bytes(leaf) for (leaf,) in await reader.fetch(_LEAVES, tile.first, end)]
    else:
        parts = [bytes(node) for (node,) in await reader.fetch(_HASHES, tile.level * TILE_BITS, tile.first, end)]
    if len(parts) != tile.width:
        raise LogBroken(f"{tile.path()}: {len(parts)} of {tile.width} rows are there")
    return bundle(parts) if tile.level is None else b"".join(parts)


async def covering_checkpoint(log: Signing, reader: LogReader, size: int) -> Checkpoint:
    """A checkpoint over at least `size` entries, cosignatures attached: of the first ones, that with the most of them."""
    signed = await log.checkpoint(size)
    lines: dict[int, list[str]] = {}
    notes: dict[int, Checkpoint] = {}
    for found, root, note, line in await reader.fetch(_COSIGNED_SINCE, size):
        notes[int(found)] = Checkpoint(signed.origin, int(found), bytes(root), str(note))
        lines.setdefault(int(found), []).append(str(line))
    if not lines:
        return signed
    best = max(lines, key=lambda found: (len(lines[found]), -found))
    return replace(notes[best], note=signed_note(notes[best].note, lines[best]))


async def _published(reader: LogReader, tile: Tile) -> bool:
    """A partial tile is there for the sizes of published checkpoints, a full one from its last entry on."""
    first, end = tile.sizes
    if first >= _MOST_SIZE:
        return False
    return bool(await reader.fetch(_COVERED, first, min(end or _MOST_SIZE, _MOST_SIZE)))
