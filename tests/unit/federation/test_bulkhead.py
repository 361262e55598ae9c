"""Slots shared by clients: the one that holds fewest is next, nobody holds all, look-ups find one beside bulk work."""

from __future__ import annotations

import asyncio
import time

import pytest

from app.errors import ServerOverloaded
from app.federation.reading.bulkhead import Bulkhead


@pytest.mark.parametrize(("slots", "share"), [(1, 1), (2, 1), (3, 3), (4, 3), (8, 6), (1000, 750)])
def test_one_client_never_holds_all(slots: int, share: int) -> None:
    shared = Bulkhead(slots)
    got = [shared.enter("a") for _ in range(slots + 1)]
    assert (got.count(True), shared.share, shared.free) == (share, share, slots - share)
    if slots > share:
        assert shared.enter("b")


def test_at_a_source_look_ups_take_what_is_free_and_lists_leave_some() -> None:
    shared = Bulkhead(8, quick_shares=False)
    assert [shared.enter("a", bulk=True) for _ in range(6)].count(True) == 5
    assert [shared.enter("b", bulk=True) for _ in range(2)].count(True) == 1
    assert [shared.enter("a") for _ in range(3)].count(True) == 2
    shared.leave("a", bulk=True)
    assert shared.enter("c", bulk=True)


@pytest.mark.anyio
async def test_the_next_slot_goes_to_who_holds_the_fewest() -> None:
    shared, order = Bulkhead(2), list[str]()

    async def work(client: str) -> None:
        async with shared.slot(client):
            order.append(client)
            await asyncio.sleep(0.01)

    async with asyncio.TaskGroup() as group:
        for client in ("a", "a", "a", "a", "b", "c"):
            group.create_task(work(client))
            await asyncio.sleep(0)
    assert order[:3] == ["a", "b", "c"] or order[:2] == ["a", "b"]
    assert sorted(order) == ["a", "a", "a", "a", "b", "c"]
    assert order.index("c") < 4
    assert (shared.free, shared.waiting) == (2, 0)


@pytest.mark.anyio
async def test_bulk_work_leaves_slots_for_look_ups() -> None:
    shared = Bulkhead(4)
    assert [shared.enter(client, bulk=True) for client in ("a", "b", "c", "d")] == [True, True, True, False]
    assert shared.enter("d")
    with pytest.raises(ServerOverloaded):
        await shared.wait("e", bulk=True, until=time.monotonic() + 0.02)
    assert shared.waiting == 0
    shared.leave("a", bulk=True)
    await shared.wait("e", bulk=True, until=time.monotonic() + 0.02) if not shared.enter("e", bulk=True) else None
    for client, bulk in (("b", True), ("c", True), ("d", False), ("e", True)):
        shared.leave(client, bulk=bulk)
    assert shared.free == 4


@pytest.mark.anyio
async def test_whoever_leaves_while_waiting_loses_nothing_of_others() -> None:
    shared = Bulkhead(1)
    assert shared.enter("a")
    waiting = [asyncio.create_task(shared.wait(client)) for client in ("b", "c")]
    await asyncio.sleep(0)
    waiting[0].cancel()
    shared.leave("a")  # the slot may have been given to the one that leaves just now
    await asyncio.wait_for(waiting[1], 1)
    shared.leave("c")
    assert (shared.free, shared.waiting) == (1, 0)
