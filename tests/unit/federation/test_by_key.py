"""The records of each key, key by key: those of the whole, from any position, read no further than somebody asks."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Sequence
from contextlib import aclosing
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from app.datasets.records import ReadRequest, ReadResult
from app.errors import AllSourcesFailed, PartialAnswerRefused, SourceFailed, SourceUnreachable
from app.federation.by_key import ReadByKey, behind, in_key_order
from app.federation.question.query import DatasetRef, Query
from app.federation.reading.breaker import Guards
from app.federation.reading.runtime import Runtime
from tests.support.memory import FACILITIES, MemoryDataset, ref_of
from tests.support.room import room_in

QUESTION = Query(FACILITIES, sort=in_key_order(FACILITIES))
Keys = list[tuple[str, list[str]]]


class InOrder(MemoryDataset):
    """Gives pages in key order by itself, as a table does. `faulty_after`: every read behind so many fails."""

    faulty_after = 1 << 30

    async def read(self, request: ReadRequest) -> ReadResult:
        """As `Dataset.read`."""
        if len(self.asked) >= self.faulty_after:
            self.fault = SourceFailed("x")
        return replace(await super().read(request), pushed=("order", "limit"))


class Unordered(MemoryDataset):
    """Counts how often it is read whole, in an order of its own."""

    wholes = 0

    async def read(self, request: ReadRequest) -> ReadResult:
        """As `Dataset.read`."""
        return replace(await super().read(request), pushed=())

    async def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """As `Dataset.stream`."""
        self.wholes += 1
        async for part in super().stream(request):
            yield replace(part, records=part.records[::-1])


def rows(numbers: Sequence[int]) -> list[dict[str, Any]]:
    return [{"kode_faskes": f"K{number:03}", "nama": "x", "jenis": "klinik"} for number in numbers]


def refs_of(*sources: MemoryDataset) -> list[DatasetRef]:
    return [ref_of(f"opd-{index}", source) for index, source in enumerate(sources)]


def runtime() -> Runtime:
    return Runtime(Guards(failures_to_open=1000, rest_seconds=1.0, concurrency=4))


async def keys_of(reading: ReadByKey, most: int = 1 << 30) -> Keys:
    found: Keys = []
    async with aclosing(reading.groups()) as parts:
        async for groups in parts:
            found += [(group[0].record.key, [one.agency for one in group]) for group in groups]
            if len(found) >= most:
                break
    return found


def expected(sources: Sequence[MemoryDataset], after: str = "") -> Keys:
    keys = sorted({key for source in sources for key in source.held if key > after})
    return [(key, [f"opd-{index}" for index, source in enumerate(sources) if key in source.held]) for key in keys]


@pytest.mark.parametrize("first", [1, 7, 1000])
@pytest.mark.parametrize("after", ["", "K030", "K0305", "K999"])
def test_every_key_is_given_once_with_all_who_hold_it(tmp_path: Path, first: int, after: str) -> None:
    sources = [InOrder(rows(range(90))), Unordered(rows(range(0, 200, 3))), InOrder(rows(range(40, 45)))]
    query = replace(QUESTION, after=behind([after])) if after else QUESTION
    reading = ReadByKey(query, refs_of(*sources), runtime(), room_in(tmp_path), first=first)

    assert asyncio.run(keys_of(reading)) == expected(sources, after)
    assert reading.finish() is True
    assert [status.rows for status in reading.statuses] == [
        sum(key > after for key in source.held) for source in sources
    ]
    assert list(tmp_path.iterdir()) == []


def test_nothing_is_read_beyond_what_is_asked_and_what_cannot_go_on_is_read_whole_once(tmp_path: Path) -> None:
    ordered, unordered = InOrder(rows(range(900))), Unordered(rows(range(900)))
    few = ReadByKey(QUESTION, refs_of(ordered), runtime(), room_in(tmp_path), first=10)
    assert len(asyncio.run(keys_of(few, most=10))) == 10
    assert [request.limit for request in ordered.asked] == [10]

    everything = ReadByKey(QUESTION, refs_of(unordered), runtime(), room_in(tmp_path), first=10)
    assert len(asyncio.run(keys_of(everything))) == 900
    assert (len(unordered.asked) - unordered.wholes, unordered.wholes) == (1, 1)


def test_source_that_fails_on_the_way_is_missing_from_there(tmp_path: Path) -> None:
    sound, faulty = InOrder(rows(range(50))), InOrder(rows(range(50)))
    faulty.faulty_after = 1
    reading = ReadByKey(QUESTION, refs_of(sound, faulty), runtime(), room_in(tmp_path), first=20)
    found = asyncio.run(keys_of(reading))

    assert [len(agencies) for _, agencies in found] == [2] * 20 + [1] * 30
    assert [status.status for status in reading.statuses] == ["ok", "unavailable"]
    assert reading.finish() is False
    strict = ReadByKey(
        replace(QUESTION, partial="never"), refs_of(sound, faulty), runtime(), room_in(tmp_path), first=20
    )
    asyncio.run(keys_of(strict))
    with pytest.raises(PartialAnswerRefused, match="no answer from opd-1"):
        strict.finish()


def test_where_nobody_answers_to_the_end_nothing_stands(tmp_path: Path) -> None:
    faulty = InOrder(rows(range(50)))
    faulty.faulty_after = 1
    away = Unordered(rows(range(3)))
    away.fault = SourceUnreachable("x")
    reading = ReadByKey(QUESTION, refs_of(faulty, away), runtime(), room_in(tmp_path), first=20)
    asyncio.run(keys_of(reading))
    with pytest.raises(AllSourcesFailed):
        reading.finish()
