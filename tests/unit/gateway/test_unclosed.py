"""Exchanges that ended while the log could not be written are closed by this gateway, once, as soon as it can be again."""

from __future__ import annotations

from typing import Any

import pytest

from app.errors import LogUnavailable
from app.gateway.exchange import Exchange
from app.gateway.unclosed import Unclosed
from tests.unit.gateway.making import MemoryLog, make_exchange

pytestmark = pytest.mark.anyio


class WrittenLog(MemoryLog):
    """A log that can be asked whether an exchange is closed; `well` is its health."""

    def __init__(self) -> None:
        super().__init__()
        self.well = True
        self.asked = 0

    @property
    def reader(self) -> WrittenLog:
        return self

    def healthy(self) -> bool:
        return self.well

    async def fetch(self, text: str, exchange: str) -> list[Any]:
        """The closing entries of an exchange."""
        assert all(f"'{kind}'" in text for kind in ("outcome", "aborted", "admin"))
        assert "'intent'" not in text
        self.asked += 1
        return [(1,) for one in self.records if one.entry.xid == exchange and one.entry.kind != "intent"]


async def intended(log: WrittenLog) -> Exchange:
    exchange = make_exchange()
    await exchange.intend(log)
    return exchange


async def test_only_what_was_intended_and_not_closed_waits():
    log, waiting = WrittenLog(), Unclosed()
    waiting.add(make_exchange())
    done = await intended(log)
    await done.close(log, status=200, size=0, commitment=None)
    waiting.add(done)
    assert len(waiting) == 0
    waiting.add(await intended(log))

    assert len(waiting) == 1


async def test_what_waits_is_aborted_each_once():
    log, waiting = WrittenLog(), Unclosed()
    lost = [await intended(log) for _ in range(3)]
    for exchange in lost:
        waiting.add(exchange)
    await waiting.close(log)
    await waiting.close(log)

    aborted = [one.entry.xid for one in log.records if one.entry.kind == "aborted"]
    assert sorted(aborted) == sorted(exchange.id for exchange in lost)
    assert len(waiting) == 0


async def test_an_exchange_whose_closing_stands_after_all_is_not_closed_twice():
    log, waiting = WrittenLog(), Unclosed()
    lost = await intended(log)
    waiting.add(lost)
    await lost.close(log, status=200, size=0, commitment=None)  # its answer was lost, the entry stands
    await waiting.close(log)

    assert log.kinds() == ["intent", "outcome"]
    assert len(waiting) == 0


async def test_a_log_that_is_not_well_is_left_alone():
    log, waiting = WrittenLog(), Unclosed()
    waiting.add(await intended(log))
    log.well = False
    await waiting.close(log)

    assert (log.asked, len(waiting)) == (0, 1)


async def test_a_log_that_fails_meanwhile_is_tried_again_later():
    log, waiting = WrittenLog(), Unclosed()
    for _ in range(2):
        waiting.add(await intended(log))
    log.fault = LogUnavailable("down")
    await waiting.close(log)
    assert (log.kinds(), len(waiting)) == (["intent", "intent"], 2)
    log.fault = None
    await waiting.close(log)

    assert log.kinds() == ["intent", "intent", "aborted", "aborted"]


async def test_memory_for_what_waits_is_bounded():
    log, waiting = WrittenLog(), Unclosed(most=2)
    for _ in range(5):
        waiting.add(await intended(log))

    assert len(waiting) == 2


async def test_what_comes_while_another_is_closed_is_closed_too():
    class SlowLog(WrittenLog):
        async def fetch(self, text: str, exchange: str) -> list[Any]:
            if late.id not in {one.id for one in waiting._waiting}:
                waiting.add(late)
            return await super().fetch(text, exchange)

    log, waiting = SlowLog(), Unclosed()
    first, late = await intended(log), await intended(log)
    waiting.add(first)
    await waiting.close(log)

    aborted = [one.entry.xid for one in log.records if one.entry.kind == "aborted"]
    assert sorted(set(aborted)) == sorted([first.id, late.id])
