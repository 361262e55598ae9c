"""Reading stored hashes of the tree: the root at any size, and what a proof needs. SQL is the same on both stores."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from app.audit.store.contract import LogReader
from app.audit.tlog.merkle import HASH_BYTES, TILE_WIDTH, range_root, ranges_needed
from app.errors import LogBroken

_LEAVES = "SELECT idx, leaf_hash FROM log_entry WHERE idx >= $1 AND idx < $2 ORDER BY idx"
_TILE = "SELECT leaves FROM log_node WHERE level = 8 AND n = $1"
_NODES = "SELECT n, hash FROM log_node WHERE level = $1 AND n >= $2 AND n < $3 ORDER BY n"

Hashes = dict[tuple[int, int], bytes]


async def stored_hashes(reader: LogReader, ranges: Iterable[tuple[int, int]]) -> Hashes:
    """Stored hashes that give the roots of the leaf ranges. LogBroken, naming the index, when one is missing."""
    found: Hashes = {}
    tiles: dict[int, bytes] = {}
    for level, first, count in _joined(ranges_needed(ranges)):
        if level == 0:
            rows = await _leaves(reader, first, count, tiles)
        else:
            rows = await reader.fetch(_NODES, level, first, first + count)
        if len(rows) != count:
            present = {row[0] for row in rows}
            gap = next(n for n in range(first, first + count) if n not in present)
            what = f"entry {gap}" if level == 0 else f"node {gap} of level {level}"
            raise LogBroken(f"{what} is missing", first_broken_index=gap << level)
        found.update({(level, n): bytes(value) for n, value in rows})
    return found


async def _leaves(reader: LogReader, first: int, count: int, tiles: dict[int, bytes]) -> list[tuple[Any, ...]]:
    """Leaf hashes by index: of a finished tile from its one row (kept in `tiles`), else from the entries."""
    tile = first // TILE_WIDTH
    if tile == (first + count - 1) // TILE_WIDTH:
        if tile not in tiles:
            rows = await reader.fetch(_TILE, tile)
            tiles[tile] = bytes(rows[0][0]) if rows and rows[0][0] is not None else b""
        leaves = tiles[tile]
        if len(leaves) == TILE_WIDTH * HASH_BYTES:
            start = (first - tile * TILE_WIDTH) * HASH_BYTES
            return [
                (first + offset, leaves[start + offset * HASH_BYTES : start + (offset + 1) * HASH_BYTES])
                for offset in range(count)
            ]
    return await reader.fetch(_LEAVES, first, first + count)


def _joined(wanted: list[tuple[int, int, int]]) -> list[tuple[int, int, int]]:
    """Neighbouring ranges of one level as one."""
    joined: list[tuple[int, int, int]] = []
    for level, first, count in sorted(set(wanted)):
        if joined and joined[-1][0] == level and joined[-1][1] + joined[-1][2] == first:
            joined[-1] = (level, joined[-1][1], joined[-1][2] + count)
        else:
            joined.append((level, first, count))
    return joined


async def stored_head(reader: LogReader, origin: str) -> tuple[int, bytes]:
    """Size and root of the tree. LogBroken when the store holds none of this origin."""
    rows = await reader.fetch("SELECT log_id, size, root FROM log_head")
    for name, size, root in rows:
        if name == origin:
            return int(size), bytes(root)
    raise LogBroken(f"the store holds a log of another origin: {', '.join(str(row[0]) for row in rows)}")


async def root_at(reader: LogReader, size: int) -> bytes:
    """Root of the first `size` entries, from stored hashes."""
    return range_root(0, size, await stored_hashes(reader, [(0, size)]))
