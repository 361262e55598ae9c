"""Counting the log: how many entries, exchanges and records, by time bucket and by the values of one dimension.

One grouped pass over the facet index, which holds time and rows too; no entry is read. Does not live here: the entries
themselves (`search.py`), wire models (`api`).
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args

from app.audit.entry.members import CLOSERS
from app.audit.keys.subjects import SubjectKeys
from app.audit.read.candidates import case_tags, facets_of, placeholders, text_terms
from app.audit.read.filters import ExchangeFilter, Scope
from app.audit.read.search import ExchangeSearch
from app.audit.store.contract import LogReader

Dimension = Literal[
    "agency", "client", "provider", "schema", "dataset", "field", "purpose", "basis", "agreement", "effect", "rule",
    "status", "class", "kind", "op", "mode",
]  # fmt: skip
DIMENSIONS: tuple[Dimension, ...] = get_args(Dimension)
_INDEXED_A_STATEMENT = 2_000_000
_ENTRIES_A_STATEMENT = 250_000
_ENTRIES_A_FACET = 50
_FACETS_A_STATEMENT = 500


@dataclass(slots=True)
class Count:
    """How much: entries of the log, exchanges closed by them, records they name."""

    entries: int = 0
    exchanges: int = 0
    rows: int = 0

    def add(self, entries: int, rows: int, *, closing: bool) -> None:
        """Counts some entries of one facet."""
        self.entries += entries
        if closing:
            self.exchanges += entries
            self.rows += rows


@dataclass(frozen=True, slots=True)
class Summary:
    """Counts of a filter over the tree of `tree_size`. `values` has every value of the dimension, largest first."""

    tree_size: int
    total: Count
    buckets: Mapping[int, Count]
    values: Sequence[tuple[str, Count]]


async def summarise(
    search: ExchangeSearch,
    reader: LogReader,
    keys: SubjectKeys,
    wanted: ExchangeFilter,
    scope: Scope,
    *,
    width_us: int,
    offset_us: int,
    dimension: Dimension | None,
) -> Summary:
    """Counts of what the filter holds. Buckets are numbered `(time + offset_us) // width_us`; a zone is an offset."""
    tree_size = await search.committed()
    after, end = await search.bounds(wanted, tree_size)
    total, buckets, by_facet = Count(), defaultdict[int, Count](Count), defaultdict[int, Count](Count)
    closing = await facets_of(reader, [tuple(f"kind:{kind}" for kind in sorted(CLOSERS))])
    for facets, tags in await _passes(reader, keys, wanted, scope):
        where, values = _where(wanted, tags)
        for start, stop, part in _slices(after, end, facets):
            chosen = f" AND e.facet IN ({placeholders(len(part), 5 + len(values))})" if part else ""
            statement = (
                "SELECT e.facet, (e.t_us + $1) / $2, count(*), CAST(coalesce(sum(e.row_count), 0) AS BIGINT)"
                f" FROM log_entry e WHERE e.idx >= $3 AND e.idx < $4{where}{chosen} GROUP BY 1, 2"
            )
            rows = await reader.fetch(statement, offset_us, width_us, start, stop, *values, *part)
            for facet, bucket, entries, released in rows:
                if int(facet) not in facets:
                    continue
                for count in (total, buckets[int(bucket)], by_facet[int(facet)]):
                    count.add(int(entries), int(released), closing=int(facet) in closing)
    named = [] if dimension is None else await _by_value(reader, dimension, by_facet)
    return Summary(tree_size, total, dict(buckets), named)


Tags = Sequence[bytes] | None


async def _passes(
    reader: LogReader, keys: SubjectKeys, wanted: ExchangeFilter, scope: Scope
) -> list[tuple[frozenset[int], Tags]]:
    """Facets to count, in the order of the index, and the tags that their entries need. No entry is in two of them."""
    terms = wanted.terms(scope)
    allowed = await facets_of(reader, terms) if terms else await _every(reader)
    if wanted.tags is not None:
        return [(allowed, wanted.tags)]
    if wanted.case is not None:
        return [(allowed, case_tags(keys, wanted.case))]
    if wanted.text is None:
        return [(allowed, None)]
    spoken = await text_terms(reader, wanted.text)
    named = allowed & await facets_of(reader, [tuple(spoken)]) if spoken else frozenset()
    return [(named, None), (allowed - named, case_tags(keys, wanted.text))]


async def _every(reader: LogReader) -> frozenset[int]:
    return frozenset(int(row[0]) for row in await reader.fetch("SELECT DISTINCT facet FROM log_facet"))


def _slices(after: int, end: int, facets: frozenset[int]) -> Iterator[tuple[int, int, Sequence[int]]]:
    """Parts that one statement counts in bounded time: by facet, or all entries where that is less to look up."""
    if len(facets) > max(_FACETS_A_STATEMENT, (end - after) // _ENTRIES_A_FACET):
        for start in range(after, end, _ENTRIES_A_STATEMENT):
            yield start, min(start + _ENTRIES_A_STATEMENT, end), ()
        return
    listed = sorted(facets)
    for start in range(after, end, _INDEXED_A_STATEMENT):
        for first in range(0, len(listed), _FACETS_A_STATEMENT):
            yield start, min(start + _INDEXED_A_STATEMENT, end), listed[first : first + _FACETS_A_STATEMENT]


def _where(wanted: ExchangeFilter, tags: Tags) -> tuple[str, list[Any]]:
    """What facets do not say, as further conditions with placeholders from $5 on."""
    found, values = "", list[Any]()
    for condition, value in (
        ("e.t_us >=", wanted.from_us),
        ("e.t_us <", wanted.to_us),
        ("e.row_count >=", wanted.min_rows),
        ("e.xid =", wanted.xid),
    ):
        if value is not None:
            values.append(value)
            found += f" AND {condition} ${4 + len(values)}"
    if tags is not None:
        marks = placeholders(len(tags), 5 + len(values))
        found += f" AND e.idx IN (SELECT idx FROM exchange_subject WHERE tag IN ({marks}))" if tags else " AND 1 = 0"
        values += tags
    return found, values


async def _by_value(reader: LogReader, dimension: Dimension, by_facet: Mapping[int, Count]) -> list[tuple[str, Count]]:
    """Counts by value. An entry with several providers, schemas, fields or datasets counts under each of them."""
    found: dict[str, Count] = defaultdict(Count)
    rows = await reader.fetch(
        "SELECT term, facet FROM log_facet WHERE term >= $1 AND term < $2", f"{dimension}:", f"{dimension};"
    )
    for term, facet in rows:
        value = str(term).removeprefix(f"{dimension}:")
        count = by_facet.get(int(facet))
        if count is not None and not value.startswith("#"):
            kept = found[value]
            kept.entries += count.entries
            kept.exchanges += count.exchanges
            kept.rows += count.rows
    return sorted(found.items(), key=lambda item: (-item[1].entries, item[0]))
