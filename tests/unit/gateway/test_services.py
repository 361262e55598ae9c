"""A gateway that stops waits for the requests under way, and no longer than it may."""

from __future__ import annotations

import asyncio

import pytest

from app.gateway.services import UnderWay

pytestmark = pytest.mark.anyio


async def test_nothing_under_way_needs_no_wait():
    assert await UnderWay().idle(0.0)


async def test_the_last_request_that_leaves_ends_the_wait():
    under_way = UnderWay()
    under_way.enter()
    under_way.enter()
    waiting = asyncio.create_task(under_way.idle(5.0))
    await asyncio.sleep(0)
    under_way.leave()
    await asyncio.sleep(0)
    assert not waiting.done()
    under_way.leave()

    assert await waiting


async def test_a_request_that_does_not_end_is_not_waited_for_for_ever():
    under_way = UnderWay()
    under_way.enter()

    assert not await under_way.idle(0.01)
    assert under_way.count == 1


async def test_a_request_that_comes_while_the_gateway_waits_is_waited_for_too():
    under_way = UnderWay()
    under_way.enter()
    under_way.leave()
    under_way.enter()

    assert not await under_way.idle(0.01)
