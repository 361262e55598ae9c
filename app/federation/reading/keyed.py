"""Many keys put to one dataset: in lists where its source can look them up, else one read of everything.

A source that reads itself through for every list is told from one with an index by the time that its first lists take.
"""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncGenerator, Iterator
from contextlib import aclosing
from dataclasses import dataclass, replace
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.records import ReadResult
from app.errors import SimpulError
from app.federation.question.query import Query, SourceStatus
from app.federation.reading.leg import Leg, request_of, stream
from app.federation.reading.runtime import Runtime
from app.federation.reading.verdict import ANSWERED
from app.filters.tree import Filter, In, Listed, Property, all_of


@dataclass(frozen=True, slots=True)
class Lists:
    """When keys go to a source in lists."""

    sizes: tuple[int, ...] = (50_000, 1_000)
    """Keys in a list: what a source that binds a list as one value takes, then what every source with lists takes."""
    worth: int = 30
    """Reading everything takes about as long as so many reads that look at every row and give few."""
    quick_seconds: float = 0.2
    """A list that is looked up in an index takes no longer; of those `most` are worth it."""
    most: int = 1_000


LISTS: Final = Lists()
_MOST_REJECTS = 1_000


@dataclass(frozen=True, slots=True)
class Keys:
    """Keys of records, each once, and what of them sources are asked for: values of the key's first field. Arrow arrays."""

    field: str
    ids: Any
    values: Any
    how: Lists = LISTS
    before: int = 0
    """How many keys stand before these, where these are a part of others."""

    def conditions(self, size: int, first: int = 0) -> Iterator[Filter]:
        """The values from `first` on as conditions of at most `size` values."""
        for start in range(first, len(self.values), size):
            yield In(Property(self.field), Listed(tuple(self.part(start, size))))

    def part(self, start: int, size: int) -> list[Any]:
        """Some of the values."""
        part: list[Any] = self.values.slice(start, size).to_pylist()
        return part

    def listed(self, start: int, size: int) -> Keys:
        """The keys whose values stand in one list: a join with them alone is the cheaper one. All, where that is not plain."""
        if self.values is not self.ids:
            return self
        ids = self.ids.slice(start, size)
        return replace(self, ids=ids, values=ids, before=self.before + start)

    def known(self, columns: pa.RecordBatch) -> pa.RecordBatch:
        """The rows with one of the keys, and which of them (`_key`)."""
        ids = columns.column("_id")  # a table is made of the keys that may be meant, not of a million for each batch
        near: Any = pc.indices_nonzero(pc.is_in(self.ids, value_set=ids))
        index: Any = near.take(pc.index_in(ids, value_set=self.ids.take(near))).cast(pa.int32())
        index = pc.add(index, pa.scalar(self.before, pa.int32()))
        return columns.append_column("_key", index).filter(index.is_valid())


class FieldValues(Keys):
    """Values of a field that need not be the key: all records with one of them are wanted, and not which of them it is."""

    __slots__ = ()

    @classmethod
    def of(cls, field: str, values: Any) -> FieldValues:
        """Each value once."""
        return cls(field, values, values)

    def listed(self, start: int, size: int) -> Keys:
        """All: what a list asked for is not looked for again."""
        return self

    def known(self, columns: pa.RecordBatch) -> pa.RecordBatch:
        """The rows with one of the values: a source that takes no list gave others too."""
        held: Any = pc.is_in(columns.column(self.field), value_set=self.values)
        return columns.filter(held)


async def stream_keyed(leg: Leg, query: Query, runtime: Runtime, keys: Keys) -> AsyncGenerator[tuple[ReadResult, Keys]]:
    """Part by part the records that may have one of the keys beside them. It ends early when the leg fails."""
    size = await _list_size(leg, query, runtime, keys)
    asked, begun = 0, time.monotonic()
    while asked < len(keys.values):
        left = -(-(len(keys.values) - asked) // size) if size else 0
        lists_so_far = asked // size if size else 0
        worth = size and (left <= keys.how.worth or _quick(keys.how, lists_so_far, time.monotonic() - begun, left))
        rest = size if worth else len(keys.values)  # read through: what the lists gave before is not wanted again
        wanted = next(keys.conditions(rest, asked)) if worth or asked else None
        part = Leg(leg.scan, SourceStatus(leg.ref.agency, leg.ref.dataset, "ok", revision=leg.ref.revision))
        those = keys.listed(asked, rest)
        async with aclosing(stream(part, replace(query, filter=all_of(wanted, query.filter)), runtime)) as results:
            async for result in results:
                yield result, those
        _add(leg.status, part.status)
        if part.status.status not in ANSWERED or not worth:
            return
        asked += size


def _quick(how: Lists, lists: int, seconds: float, left: int) -> bool:
    """Whether so many lists more are looked up sooner than everything is read. The first lists are asked to know it."""
    return left <= how.most and (lists < 2 or seconds / lists <= how.quick_seconds)


async def _list_size(leg: Leg, query: Query, runtime: Runtime, keys: Keys) -> int:
    """How many keys go into one list; 0 when the source does not look them up. One short list needs no look at the source."""
    if len(keys.values) <= keys.how.sizes[-1]:
        return keys.how.sizes[-1]
    seconds = leg.ref.source.deadline_seconds
    ends = time.monotonic() + seconds if runtime.deadline is None else min(time.monotonic() + seconds, runtime.deadline)
    if runtime.circuit(leg.ref.dataset) != "closed":
        return 0  # it may not be asked at all: the read says so
    for size in keys.how.sizes:
        wanted = In(
            Property(keys.field), Listed((keys.part(0, 1)[0],) * min(size, len(keys.values)))
        )  # only its length matters
        request = request_of(replace(query, filter=wanted), leg.scan, ends)
        try:
            async with asyncio.timeout_at(asyncio.get_running_loop().time() + ends - time.monotonic()):
                outline = await leg.ref.source.outline(request)
        except (SimpulError, TimeoutError):
            return 0  # the read meets the same fault, and tells it
        if any(part.filter == wanted and part.exactness != "none" for part in outline.parts):
            return size
    return 0


def _add(whole: SourceStatus, part: SourceStatus) -> None:
    """What one more read of a leg came to."""
    if part.status != "ok":
        whole.status, whole.problem = part.status, part.problem
    whole.snapshot, whole.problem = part.snapshot, part.problem or whole.problem
    whole.receipts = (*whole.receipts, *part.receipts)
    whole.elapsed_ms = round(whole.elapsed_ms + part.elapsed_ms, 1)
    whole.rejected_rows += part.rejected_rows
    whole.rejects = [*whole.rejects, *part.rejects][:_MOST_REJECTS]
    counts = dict(whole.by_rule)
    for rule, count in part.by_rule.items():
        counts[rule] = counts.get(rule, 0) + count
    whole.by_rule = counts
    whole.whole, whole.version, whole.pushed, whole.as_of = part.whole, part.version, part.pushed, part.as_of
