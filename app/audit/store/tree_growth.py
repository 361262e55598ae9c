"""Growing the tree by a batch: indexes, completed tile nodes, the new head. The same on both stores.

Pure.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from app.audit.store.contract import Head, Prepared
from app.audit.tlog.merkle import HASH_BYTES, TILE_BITS, TILE_WIDTH, Frontier


@dataclass(frozen=True, slots=True)
class TileNode:
    """A completed node of level 8, 16, ...; level 8 keeps the 256 leaf hashes that it was made of."""

    level: int
    n: int
    hash: bytes
    leaves: bytes | None

    @property
    def first_leaf(self) -> int:
        """Index of the first entry below."""
        return self.n << self.level


def grow(head: Head, batch: Sequence[Prepared]) -> tuple[Head, list[TileNode]]:
    """The head after `batch` was appended to `head`, and the nodes it completed. ValueError when `head` is damaged."""
    frontier = Frontier(head.size, head.frontier)
    tail = bytearray(head.tail)
    if len(tail) != head.size % TILE_WIDTH * HASH_BYTES:
        raise ValueError("the tail of the head does not fit its size")
    nodes: list[TileNode] = []
    for entry in batch:
        tail += entry.leaf_hash
        for level, position, value in frontier.append(entry.leaf_hash):
            leaves = bytes(tail) if level == TILE_BITS else None
            nodes.append(TileNode(level, position, value, leaves))
        if frontier.size % TILE_WIDTH == 0:
            tail.clear()
    return Head(frontier.size, frontier.root(), frontier.pack(), bytes(tail)), nodes
