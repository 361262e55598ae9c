"""Merkle tree of RFC 6962: hashes, the frontier that grows by one leaf, roots of ranges.

Pure. Does not live here: proofs (`proofs.py`), where hashes are stored (`store/`).
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from hashlib import sha256

HASH_BYTES = 32
TILE_BITS = 8
"""Hashes are stored at every eighth level only (C2SP tlog-tiles): one row for 256, 65,536, ... entries."""
TILE_WIDTH = 1 << TILE_BITS
EMPTY_ROOT = sha256(b"").digest()


def leaf_hash(entry: bytes) -> bytes:
    """SHA-256(00 || entry), RFC 6962 section 2.1."""
    return sha256(b"\x00" + entry).digest()


def node_hash(left: bytes, right: bytes) -> bytes:
    """SHA-256(01 || left || right), RFC 6962 section 2.1."""
    return sha256(b"\x01" + left + right).digest()


def fold(hashes: Sequence[bytes]) -> bytes:
    """Root over complete subtrees of falling size, given from left to right."""
    if not hashes:
        return EMPTY_ROOT
    root = hashes[-1]
    for left in reversed(hashes[:-1]):
        root = node_hash(left, root)
    return root


def complete(hashes: Sequence[bytes]) -> bytes:
    """Root of a complete subtree from its 2^k hashes."""
    level = list(hashes)
    while len(level) > 1:
        level = [node_hash(level[i], level[i + 1]) for i in range(0, len(level), 2)]
    return level[0]


class Frontier:
    """The right edge of a tree: one hash per set bit of `size`, largest subtree first.

    Appending a leaf takes amortised one hash; the whole state is at most 64 hashes.
    """

    __slots__ = ("_hashes", "size")

    def __init__(self, size: int = 0, packed: bytes = b"") -> None:
        """`packed` is what `pack()` gave for a tree of `size` leaves; ValueError when the two do not fit."""
        if size < 0 or len(packed) != size.bit_count() * HASH_BYTES:
            raise ValueError(f"a frontier of size {size} has {size.bit_count()} hashes, not {len(packed) / HASH_BYTES}")
        self.size = size
        self._hashes = [packed[i : i + HASH_BYTES] for i in range(0, len(packed), HASH_BYTES)]

    def append(self, leaf: bytes) -> list[tuple[int, int, bytes]]:
        """Add one leaf hash. Returns the tile nodes (level 8, 16, ..., position, hash) that this leaf completed."""
        stack = self._hashes
        index = self.size
        position, level, node = index, 0, leaf
        made: list[tuple[int, int, bytes]] = []
        while position & 1:
            node = sha256(b"\x01" + stack.pop() + node).digest()
            position >>= 1
            level += 1
            if level % TILE_BITS == 0:
                made.append((level, position, node))
        stack.append(node)
        self.size = index + 1
        return made

    def root(self) -> bytes:
        """Root of the tree at its present size."""
        return fold(self._hashes)

    def pack(self) -> bytes:
        """The state as bytes, 32 for each set bit of `size`."""
        return b"".join(self._hashes)


def subtrees(start: int, end: int) -> Iterator[tuple[int, int]]:
    """Complete subtrees (level, position) that cover the leaves [start, end), from left to right.

    `start` is a multiple of the largest one, as it is for every range that occurs in a tree or proof.
    """
    while start < end:
        level = (end - start).bit_length() - 1
        yield level, start >> level
        start += 1 << level


def stored_range(level: int, position: int) -> tuple[int, int, int]:
    """Where the hashes below a subtree stand: (stored level, first position, count); stored levels are 0, 8, 16, ..."""
    stored = level - level % TILE_BITS
    width = level - stored
    return stored, position << width, 1 << width


def ranges_needed(ranges: Iterable[tuple[int, int]]) -> list[tuple[int, int, int]]:
    """Stored hashes (stored level, first position, count) needed to compute the roots of leaf ranges."""
    return [stored_range(level, position) for start, end in ranges for level, position in subtrees(start, end)]


def range_root(start: int, end: int, stored: Mapping[tuple[int, int], bytes]) -> bytes:
    """Root of the leaves [start, end); `stored` maps (stored level, position) to hashes; KeyError without one."""
    parts: list[bytes] = []
    for level, position in subtrees(start, end):
        base, first, count = stored_range(level, position)
        parts.append(complete([stored[base, first + i] for i in range(count)]))
    return fold(parts)


def frontier_at(size: int, stored: Mapping[tuple[int, int], bytes]) -> Frontier:
    """The frontier of the first `size` leaves from stored hashes (see `ranges_needed([(0, size)])`)."""
    parts: list[bytes] = []
    for level, position in subtrees(0, size):
        base, first, count = stored_range(level, position)
        parts.append(complete([stored[base, first + i] for i in range(count)]))
    return Frontier(size, b"".join(parts))
