"""Paths and bytes of C2SP tlog-tiles: which tile a path names, and how entries are bundled.

Pure. Does not live here: which tiles exist (`tile_service.py`), HTTP (`api`).
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from app.audit.tlog.merkle import TILE_BITS, TILE_WIDTH

MOST_LEVEL = 7
"""A tree of 2^63 entries has no tile above this level; tlog-tiles allows paths up to level 63."""
_PATH = re.compile(
    r"(?P<level>0|[1-9][0-9]?|entries)/(?P<n>(?:x[0-9]{3}/)*[0-9]{3})(?:\.p/(?P<width>[1-9][0-9]{0,2}))?"
)
_LENGTH_BYTES = 2


@dataclass(frozen=True, slots=True)
class Tile:
    """Tile `n` of a level (None: the bundle of entries), holding `width` hashes or entries; 256 when full."""

    level: int | None
    n: int
    width: int = TILE_WIDTH

    @property
    def span(self) -> int:
        """Entries below one hash of this tile."""
        return 1 << (TILE_BITS * (self.level or 0))

    @property
    def first(self) -> int:
        """Position of its first hash on its level."""
        return self.n * TILE_WIDTH

    @property
    def sizes(self) -> tuple[int, int | None]:
        """Tree sizes [from, to) of which this tile is part; a full tile is part of all from its own on."""
        end = self.first + self.width
        return end * self.span, None if self.width == TILE_WIDTH else (end + 1) * self.span

    def path(self) -> str:
        """Its path below the log's prefix."""
        groups = [f"{self.n % 1000:03d}"]
        rest = self.n // 1000
        while rest:
            groups.insert(0, f"x{rest % 1000:03d}")
            rest //= 1000
        level = "entries" if self.level is None else str(self.level)
        partial = "" if self.width == TILE_WIDTH else f".p/{self.width}"
        return f"tile/{level}/{'/'.join(groups)}{partial}"


def parse_tile(path: str) -> Tile | None:
    """The tile that `<L>/<N>[.p/<W>]` names, None for any other text (leading zeros, a width of 0 or 256, …)."""
    found = _PATH.fullmatch(path)
    if found is None or len(path) > 64:
        return None
    level = None if found["level"] == "entries" else int(found["level"])
    width = int(found["width"] or TILE_WIDTH)
    tile = Tile(level, int(found["n"].replace("x", "").replace("/", "")), width)
    if (
        (found["width"] is not None and width >= TILE_WIDTH)
        or (level or 0) > MOST_LEVEL
        or tile.path() != f"tile/{path}"
    ):
        return None
    return tile


def tiles_of(size: int) -> Iterable[Tile]:
    """Every tile of a tree of `size` entries, bundles included: full ones and the partial one at each right edge."""
    for level in (None, *range(MOST_LEVEL + 1)):
        count = size >> (TILE_BITS * (level or 0))
        for n in range(count // TILE_WIDTH):
            yield Tile(level, n)
        if count % TILE_WIDTH:
            yield Tile(level, count // TILE_WIDTH, count % TILE_WIDTH)


def bundle(entries: Iterable[bytes]) -> bytes:
    """Entries one after another, each with its length as two bytes before it."""
    return b"".join(len(entry).to_bytes(_LENGTH_BYTES) + entry for entry in entries)
