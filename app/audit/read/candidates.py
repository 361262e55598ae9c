"""Which entries a search has to look at: indexes, newest first, from the facets, the tags, or one exchange.

Does not live here: reading and checking the entries (`search.py`), counting them (`summary.py`).
"""

from __future__ import annotations

import heapq
from collections.abc import Collection, Iterable, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from app.audit.keys.subjects import SubjectKeys
from app.audit.read.filters import CASE_TYPE, ExchangeFilter, Scope
from app.audit.store.contract import LogReader
from app.errors import EntryInvalid

_FACETS_A_STATEMENT = 50
_TEXT_TERMS = 1000
_FACETS_A_LOOK_UP = 500
_SCAN_MOST = 32_768
"""Entries that are looked at one by one where many facets fit, before each facet is asked for its own."""

_TERMS_OF = """WITH RECURSIVE found(term) AS (
 SELECT min(term) FROM log_facet WHERE term > $1 AND term < $2
 UNION ALL SELECT (SELECT min(term) FROM log_facet WHERE term > found.term AND term < $2) FROM found
 WHERE found.term IS NOT NULL
) SELECT term FROM found WHERE term IS NOT NULL"""
"""Distinct terms of a dimension, by leaps through the index."""


@dataclass(frozen=True, slots=True)
class SearchBounds:
    """How a search goes about it; what it finds is the same under any bounds."""

    look_back: int = 4096
    """Entries that are looked at in one step."""
    few_facets: int = 200
    """So many facets are asked for their own entries at once; of more, the newest entries are looked at first."""
    facets_listed: int = 1000
    """More facets than these are not listed."""


USUAL_BOUNDS = SearchBounds()


class Candidates(Protocol):
    """A source of indexes."""

    async def below(self, before: int, after: int, count: int) -> list[int]:
        """The newest `count` indexes in [after, before), falling; fewer when there are no more."""
        ...


async def candidates(
    reader: LogReader, keys: SubjectKeys, wanted: ExchangeFilter, scope: Scope, bounds: SearchBounds
) -> Candidates:
    """Where to look for what is wanted. Everything it gives has the wanted terms, tags and exchange."""
    terms = wanted.terms(scope)
    if wanted.only_terms and terms:
        few = await facets_of(reader, terms, most=bounds.facets_listed + 1)
        listed = len(few) <= bounds.facets_listed
        return _Facets(reader, few, bounds) if listed else _ManyFacets(reader, terms, bounds)
    facets = await facets_of(reader, terms) if terms else None
    if wanted.xid is not None:
        return _OfExchange(reader, wanted.xid, facets)
    if wanted.tags is not None:
        return _Tagged(reader, wanted.tags, facets, bounds)
    if wanted.case is not None:
        return _Tagged(reader, case_tags(keys, wanted.case), facets, bounds)
    if wanted.text is not None:
        spoken = await text_terms(reader, wanted.text)
        named = await facets_of(reader, [*terms, tuple(spoken)]) if spoken else frozenset()
        tagged = _Tagged(reader, case_tags(keys, wanted.text), facets, bounds)
        return _Either((_Facets(reader, named, bounds), tagged))
    return _All()


async def facets_of(reader: LogReader, terms: Sequence[tuple[str, ...]], *, most: int | None = None) -> frozenset[int]:
    """Facets (at most so many rows of them) that have one term of each group of alternatives."""
    parts: list[str] = []
    values: list[str] = []
    for alternatives in terms:
        marks = placeholders(len(alternatives), len(values) + 1)
        parts.append(f"SELECT facet FROM log_facet WHERE term IN ({marks})")
        values += alternatives
    limit = "" if most is None else f" LIMIT {most}"
    rows = await reader.fetch(" INTERSECT ".join(parts) + limit, *values)
    return frozenset(int(row[0]) for row in rows)


async def text_terms(reader: LogReader, text: str) -> list[str]:
    """Terms of purposes and legal bases that hold the text, whatever its case."""
    needle = text.casefold()
    found: list[str] = []
    for dimension in ("purpose", "basis"):
        rows = await reader.fetch(_TERMS_OF, f"{dimension}:", f"{dimension};")
        found += [str(row[0]) for row in rows if needle in str(row[0]).removeprefix(f"{dimension}:").casefold()]
    return found[:_TEXT_TERMS]


def case_tags(keys: SubjectKeys, reference: str) -> list[bytes]:
    """Tags of a case reference under every key that is there; none for a text without letter or digit."""
    try:
        return [tag for _, tag in keys.search_tags(CASE_TYPE, reference)]
    except EntryInvalid:
        return []


def placeholders(count: int, start: int = 1) -> str:
    """`$start, $start+1, ...`."""
    return ", ".join(f"${position}" for position in range(start, start + count))


class _All:
    async def below(self, before: int, after: int, count: int) -> list[int]:
        return list(range(before - 1, max(after, before - count) - 1, -1))


class _OfExchange:
    def __init__(self, reader: LogReader, xid: str, facets: Collection[int] | None) -> None:
        self._reader, self._xid, self._facets = reader, xid, facets

    async def below(self, before: int, after: int, count: int) -> list[int]:
        statement = "SELECT idx, facet FROM log_entry WHERE xid = $1 AND idx < $2 AND idx >= $3 ORDER BY idx DESC"
        rows = await self._reader.fetch(statement, self._xid, before, after)
        return [int(idx) for idx, facet in rows if self._facets is None or facet in self._facets][:count]


class _Tagged:
    def __init__(
        self, reader: LogReader, tags: Sequence[bytes], facets: Collection[int] | None, bounds: SearchBounds
    ) -> None:
        self._reader, self._tags, self._facets, self._bounds = reader, tags, facets, bounds

    async def below(self, before: int, after: int, count: int) -> list[int]:
        found: list[int] = []
        step = max(count, self._bounds.look_back // 8)
        while self._tags and len(found) < count:
            statement = (
                "SELECT DISTINCT s.idx, e.facet FROM exchange_subject s JOIN log_entry e ON e.idx = s.idx"
                f" WHERE s.tag IN ({placeholders(len(self._tags), 4)}) AND s.idx < $1 AND s.idx >= $2"
                " ORDER BY s.idx DESC LIMIT $3"
            )
            rows = await self._reader.fetch(statement, before, after, step, *self._tags)
            found += [int(idx) for idx, facet in rows if self._facets is None or facet in self._facets]
            if len(rows) < step:
                break
            before = int(rows[-1][0])
        return found[:count]


class _Facets:
    """Entries of some facets. Many facets most likely mean many entries: then the newest ones are looked at first,
    and as many more as their share promises.
    """

    def __init__(self, reader: LogReader, facets: Collection[int], bounds: SearchBounds) -> None:
        self._reader, self._facets, self._bounds = reader, facets, bounds

    async def below(self, before: int, after: int, count: int) -> list[int]:
        if not self._facets:
            return []
        best: list[int] = []
        many, window = len(self._facets) > self._bounds.few_facets, self._bounds.look_back
        while many and window <= _SCAN_MOST and len(best) < count and before > after:
            floor = max(after, before - window)
            statement = "SELECT idx, facet FROM log_entry WHERE idx < $1 AND idx >= $2 ORDER BY idx DESC"
            rows = await self._reader.fetch(statement, before, floor)
            best += [int(idx) for idx, facet in rows if facet in self._facets][: count - len(best)]
            before = floor
            window = window * (count - len(best)) // len(best) if best else _SCAN_MOST + 1
            window = max(window, self._bounds.look_back)
        return best if len(best) == count else await self._by_facet(best, before, after, count)

    async def _by_facet(self, best: list[int], before: int, after: int, count: int) -> list[int]:
        """The newest entries of each facet by its index, merged; what is older than the worst kept is not read."""
        listed, wanted = list(self._facets), count - len(best)
        kept: list[int] = []
        for start in range(0, len(listed), _FACETS_A_STATEMENT):
            part = listed[start : start + _FACETS_A_STATEMENT]
            parts = [
                f"SELECT idx FROM (SELECT idx FROM log_entry WHERE facet = ${position} AND idx < $1 AND idx >= $2"
                " ORDER BY idx DESC LIMIT $3) f"
                for position in range(4, 4 + len(part))
            ]
            floor = kept[-1] if len(kept) == wanted else after
            rows = await self._reader.fetch(" UNION ALL ".join(parts), before, floor, wanted, *part)
            kept = heapq.nlargest(wanted, {*kept, *_indexes(rows)})
        return best + kept


class _ManyFacets:
    """More facets fit than are worth listing: of the newest entries, those are looked up that occur."""

    def __init__(self, reader: LogReader, terms: Sequence[tuple[str, ...]], bounds: SearchBounds) -> None:
        self._reader, self._terms, self._bounds = reader, terms, bounds
        self._fits: dict[int, bool] = {}

    async def below(self, before: int, after: int, count: int) -> list[int]:
        best: list[int] = []
        look_back = self._bounds.look_back
        window, floor = max(count * 4, look_back // 4), max(after, before - look_back)
        while len(best) < count and before > floor:
            start = max(floor, before - window)
            statement = "SELECT idx, facet FROM log_entry WHERE idx < $1 AND idx >= $2 ORDER BY idx DESC"
            rows = await self._reader.fetch(statement, before, start)
            await self._look_up({int(facet) for _, facet in rows} - self._fits.keys())
            best += [int(idx) for idx, facet in rows if self._fits[int(facet)]][: count - len(best)]
            before = start
        if len(best) == count or before <= after:
            return best
        everything = _Facets(self._reader, await facets_of(self._reader, self._terms), self._bounds)
        return best + await everything.below(before, after, count - len(best))

    async def _look_up(self, facets: Collection[int]) -> None:
        listed = sorted(facets)
        for start in range(0, len(listed), _FACETS_A_LOOK_UP):
            part = listed[start : start + _FACETS_A_LOOK_UP]
            parts, values = list[str](), list[Any](part)
            for alternatives in self._terms:
                marks = placeholders(len(alternatives), len(values) + 1)
                parts.append(
                    f"SELECT facet FROM log_facet WHERE facet IN ({placeholders(len(part))}) AND term IN ({marks})"
                )
                values += alternatives
            fit = {int(row[0]) for row in await self._reader.fetch(" INTERSECT ".join(parts), *values)}
            self._fits.update({facet: facet in fit for facet in part})


class _Either:
    def __init__(self, parts: Sequence[Candidates]) -> None:
        self._parts = parts

    async def below(self, before: int, after: int, count: int) -> list[int]:
        found: set[int] = set()
        for part in self._parts:
            found.update(await part.below(before, after, count))
        return heapq.nlargest(count, found)


def _indexes(rows: Iterable[tuple[Any, ...]]) -> list[int]:
    return [int(row[0]) for row in rows]
