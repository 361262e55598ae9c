"""Appending a batch to the log on PostgreSQL in one statement, and so in one round trip and one flush.

The statement moves the head only from the state the caller knows; when another replica moved it, nothing is written at
all and the caller takes the row lock instead (`postgres.py`). It locks the row of its replica first, so that either
the batch is committed before that replica is declared stopped, or never (`postgres_replicas.py`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from app.audit.store.contract import COLUMN_NAMES, Head, Prepared
from app.audit.store.tree_growth import TileNode
from app.audit.tlog.merkle import TILE_BITS

_COLUMN_TYPES = {"t_us": "bigint", "status": "integer", "row_count": "bigint", "facet": "bigint"}
_COLUMNS = ("idx", "leaf_hash", "entry", *COLUMN_NAMES)
_TYPES = ("bigint", "bytea", "bytea", *(_COLUMN_TYPES.get(name, "text") for name in COLUMN_NAMES))
_HEAD_VALUES = 11


def _arrays(types: Sequence[str], start: int) -> str:
    return ", ".join(f"${start + offset}::{kind}[]" for offset, kind in enumerate(types))


_ENTRIES = _HEAD_VALUES + 1
_DETAILS = _ENTRIES + len(_TYPES)
_TAGS = _DETAILS + 3
_FACETS = _TAGS + 4
_NODES = _FACETS + 2
_MOVED = "WHERE EXISTS (SELECT 1 FROM moved)"

APPEND = f"""WITH serving AS (
 SELECT 1 FROM log_replica WHERE replica = $10 AND stopped_by IS NULL
 AND current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' FOR UPDATE
), moved AS (
 UPDATE log_head SET size = $2, root = $3, frontier = $4, tail = $5
 WHERE log_id = $1 AND size = $6 AND root = $7 AND frontier = $8 AND tail = $9
 AND EXISTS (SELECT 1 FROM serving) RETURNING size
), entries AS (
 INSERT INTO log_entry ({", ".join(_COLUMNS)}) SELECT * FROM unnest({_arrays(_TYPES, _ENTRIES)}) {_MOVED}
), details AS (
 INSERT INTO exchange_detail (idx, salt, detail)
 SELECT * FROM unnest({_arrays(("bigint", "bytea", "bytea"), _DETAILS)}) {_MOVED}
), tags AS (
 INSERT INTO exchange_subject (idx, tag, role, epoch)
 SELECT * FROM unnest({_arrays(("bigint", "bytea", "text", "integer"), _TAGS)}) {_MOVED}
), facets AS (
 INSERT INTO log_facet (term, facet) SELECT * FROM unnest({_arrays(("text", "bigint"), _FACETS)}) {_MOVED}
 ON CONFLICT DO NOTHING
), nodes AS (
 INSERT INTO log_node (level, n, hash, leaves, t_min_us, t_max_us)
 SELECT f.level, f.n, f.hash, f.leaves,
  CASE WHEN f.level = {TILE_BITS} THEN least(f.t_min_us,
   (SELECT min(t_us) FROM log_entry WHERE idx >= f.n << {TILE_BITS} AND idx < $6)) END,
  CASE WHEN f.level = {TILE_BITS} THEN greatest(f.t_max_us,
   (SELECT max(t_us) FROM log_entry WHERE idx >= f.n << {TILE_BITS} AND idx < $6)) END
 FROM unnest({_arrays(("integer", "bigint", "bytea", "bytea", "bigint", "bigint"), _NODES)})
  AS f(level, n, hash, leaves, t_min_us, t_max_us) {_MOVED}
), replica AS (
 UPDATE log_replica SET open_from = $11, seen_us = (extract(epoch FROM clock_timestamp()) * 1000000)::bigint
 WHERE replica = $10 AND EXISTS (SELECT 1 FROM moved)
) SELECT (SELECT count(*) FROM serving) AS serving, (SELECT count(*) FROM moved) AS moved"""
"""One row. `serving` 0: another replica declared this one stopped, or the server gave up durability. `moved` 0: the head
was not where `known` said. In both cases nothing was written. Values as `append_values` gives them.
"""


def append_values(
    origin: str,
    known: Head,
    grown: Head,
    replica: tuple[str, int],
    batch: Sequence[Prepared],
    fresh_terms: Sequence[tuple[str, int]],
    nodes: Sequence[TileNode],
) -> list[Any]:
    """The values of `APPEND`: a column of each table as one array."""
    first = known.size
    rows = [(first + offset, e.leaf_hash, e.entry, *e.columns) for offset, e in enumerate(batch)]
    details = [(first + offset, e.salt, e.detail) for offset, e in enumerate(batch) if e.salt is not None]
    tags = [(first + offset, *tag) for offset, e in enumerate(batch) for tag in e.tags]
    spans = [(n.level, n.n, n.hash, n.leaves, *_span(n, first, batch)) for n in nodes]
    return [
        origin,
        *(grown.size, grown.root, grown.frontier, grown.tail),
        *(known.size, known.root, known.frontier, known.tail),
        *replica,
        *_turned(rows, len(_TYPES)),
        *_turned(details, 3),
        *_turned(tags, 4),
        *_turned(fresh_terms, 2),
        *_turned(spans, 6),
    ]


def _span(node: TileNode, first: int, batch: Sequence[Prepared]) -> tuple[int | None, int | None]:
    """Earliest and latest time of the batch's entries in a finished tile; the statement adds those stored before."""
    if node.level != TILE_BITS:
        return None, None
    start = max(node.first_leaf - first, 0)
    times = [entry.t_us for entry in batch[start : node.first_leaf + (1 << TILE_BITS) - first]]
    return min(times), max(times)


def _turned(rows: Sequence[tuple[Any, ...]], width: int) -> list[list[Any]]:
    return [list(column) for column in zip(*rows, strict=True)] if rows else [[] for _ in range(width)]
