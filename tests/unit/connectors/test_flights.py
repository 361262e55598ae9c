"""One read for all who ask the same at the same time."""

from __future__ import annotations

import asyncio

import pytest

from app.datasets.flights import Flights
from app.errors import SourceUnreachable

pytestmark = pytest.mark.anyio


class Source:
    """Counts reads; each ends when it is told to."""

    def __init__(self) -> None:
        self.reads = 0
        self.stopped = 0
        self.go = asyncio.Event()

    async def read(self) -> int:
        self.reads += 1
        try:
            await self.go.wait()
        except asyncio.CancelledError:
            self.stopped += 1
            raise
        return self.reads


async def joined(flights: Flights[int], source: Source, *questions: str) -> list[asyncio.Task[int]]:
    tasks = [asyncio.create_task(flights.join(question, source.read)) for question in questions]
    await asyncio.sleep(0)
    await asyncio.sleep(0)
    return tasks


async def test_equal_questions_are_one_read_and_others_their_own():
    flights, source = Flights(), Source()
    tasks = await joined(flights, source, "a", "a", "b", "a")
    source.go.set()
    assert await asyncio.gather(*tasks) == [2, 2, 2, 2]
    assert source.reads == 2


async def test_nothing_is_kept_after_the_read():
    flights, source = Flights(), Source()
    source.go.set()
    assert await flights.join("a", source.read) == 1
    assert await flights.join("a", source.read) == 2


async def test_who_leaves_does_not_take_the_read_from_others():
    flights, source = Flights(), Source()
    first, second = await joined(flights, source, "a", "a")
    first.cancel()
    with pytest.raises(asyncio.CancelledError):
        await first
    source.go.set()
    assert await second == 1
    assert source.stopped == 0


async def test_the_last_who_leaves_stops_the_read_before_it_is_gone():
    flights, source = Flights(), Source()
    tasks = await joined(flights, source, "a", "a")
    for task in tasks:
        task.cancel()
    assert [type(found) for found in await asyncio.gather(*tasks, return_exceptions=True)] == [
        asyncio.CancelledError
    ] * 2
    assert source.stopped == 1
    source.go.set()
    assert await flights.join("a", source.read) == 2


async def test_a_fault_is_everybodys_and_the_next_question_is_asked_anew():
    flights: Flights[int] = Flights()
    asked = 0

    async def broken() -> int:
        nonlocal asked
        asked += 1
        await asyncio.sleep(0)
        raise SourceUnreachable("down")

    found = await asyncio.gather(*(flights.join("a", broken) for _ in range(3)), return_exceptions=True)
    assert [type(fault) for fault in found] == [SourceUnreachable] * 3
    assert asked == 1
    with pytest.raises(SourceUnreachable):
        await flights.join("a", broken)
    assert asked == 2
