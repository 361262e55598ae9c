"""`log verify` on the rule of exchanges: one intent, one closing entry; and beside an erasure that goes on meanwhile."""

from __future__ import annotations

import asyncio
from contextlib import AbstractContextManager
from typing import Any

import pytest

from app.audit.entry.record import Caller, Entry, Record, uuid7
from app.audit.erasure.carrying_out import Order, Selection, carry_out
from app.audit.verify.checks import GAP_OP
from app.audit.verify.stored_log import settings_source, verify_log
from tests.support.log_instance import GATEWAY, Instance


def record(kind: Any, xid: str, op: str = "lookup") -> Record:
    return Record(Entry(xid=xid, kind=kind, gw=GATEWAY, op=op), {"n": 1})


def whole(count: int) -> list[Record]:
    """So many exchanges as they should be."""
    return [record(kind, xid) for xid in (uuid7() for _ in range(count)) for kind in ("intent", "outcome")]


async def logged(instance: Instance, *records: Record) -> None:
    async with instance.opened(checkpoint_seconds=60) as log:
        await log.append_many(list(records))


async def test_an_exchange_that_was_closed_twice_is_named_and_the_rest_is_verified_all_the_same(instance):
    xid, other = uuid7(), uuid7()
    await logged(
        instance,
        *whole(3),
        record("intent", xid),
        record("outcome", xid),
        *whole(300),
        record("aborted", xid),
        *whole(100),
        record("intent", other),
        record("outcome", other),
        record("audit_read", other),
    )
    found = instance.verify()
    assert (found.ok, found.first_broken_index, found.size) == (False, 608, 812)
    assert found.reason == "the exchange was closed before, by entry 7"
    assert (found.closed_twice, found.without_intent, found.open_intents) == ((608, 811), (), ())
    assert "2 entries close an exchange that was closed before; first 608" in found.warnings
    instance.disarm()
    instance.rows("UPDATE log_entry SET leaf_hash = $1 WHERE idx = 700", bytes(32))
    damaged = instance.verify()
    assert (damaged.ok, damaged.first_broken_index) == (False, 700)


async def test_an_exchange_that_began_and_ended_twice_was_closed_twice(instance):
    xid = uuid7()
    first, second = ([record("intent", xid), record("outcome", xid)] for _ in range(2))
    await logged(instance, *first, *whole(200), *second)
    found = instance.verify()
    assert (found.ok, found.first_broken_index, found.closed_twice) == (False, 403, (403,))


@pytest.mark.parametrize("kind", ["outcome", "aborted", "audit_read"])
async def test_a_closing_entry_without_an_intent_is_named(instance, kind):
    xid = uuid7()
    await logged(instance, *whole(2), record(kind, xid), record("intent", xid), record("intent", uuid7()))
    found = instance.verify()
    assert (found.ok, found.first_broken_index) == (False, 4)
    assert found.reason == "the exchange has no intent before this entry"
    assert found.without_intent == (4,)
    assert len(found.open_intents) == 2


async def test_entries_that_may_stand_alone_and_deliveries_break_no_rule(instance):
    read, left = uuid7(), uuid7()
    await logged(
        instance,
        record("admin", uuid7(), GAP_OP),
        record("intent", left),
        record("outcome", left),
        record("delivery", left),
        record("delivery", left),
        record("intent", read, "exchange.search"),
        record("audit_read", read, "exchange.search"),
    )
    async with instance.opened() as log:
        wanted = Order(
            op="erasure.range", selection=Selection(to_us=2**62), holds=(), by=Caller("ID-JEPARA/GOV/a", "b"),
            gateway=GATEWAY, basis="b", request="r", before_idx=log.size(),
        )  # fmt: skip
        await carry_out(log, wanted)
    found = instance.verify()
    assert (found.ok, found.size, found.closed_twice, found.without_intent) == (True, 8, (), ()), found.reason
    assert not any("close an exchange" in warning for warning in found.warnings)


async def test_an_action_of_an_administrator_without_intent_is_told_and_breaks_nothing(instance):
    await logged(instance, *whole(1), record("admin", uuid7(), "connector.publish"))
    found = instance.verify()
    assert (found.ok, found.without_intent) == (True, (2,))
    assert found.warnings == ("1 entries close an exchange that has no intent; first 2",)


async def test_what_lies_before_the_checkpoint_given_counts_too(instance):
    open_one, closed = uuid7(), uuid7()
    async with instance.opened(checkpoint_seconds=60) as log:
        await log.append_many([record("intent", open_one), record("intent", closed), record("outcome", closed)])
        await log.append_many(whole(200))
        note = (await log.checkpoint(log.size())).note
        await log.append_many([record("outcome", open_one)])
        good = await asyncio.to_thread(instance.verify, since=note)
        await log.append_many([record("outcome", closed)])
        bad = await asyncio.to_thread(instance.verify, since=note)
    assert (good.ok, good.entries_checked < good.size) == (True, True)
    assert (bad.ok, bad.first_broken_index, bad.closed_twice) == (False, 404, (404,))


async def test_many_faults_are_counted_and_the_first_ones_listed(instance):
    await logged(instance, *(record("outcome", uuid7()) for _ in range(300)))
    found = instance.verify()
    assert (found.ok, found.first_broken_index, found.without_intent) == (False, 0, tuple(range(100)))
    assert found.warnings == ("300 entries close an exchange that has no intent; first 0",)


class Interrupted:
    """A source whose reader is held up once, after the first statement that holds some words."""

    def __init__(self, fetch: Any, words: str, happen: Any) -> None:
        self._fetch, self._words, self._happen = fetch, words, happen

    def __call__(self, statement: str, *values: Any) -> list[tuple[Any, ...]]:
        rows: list[tuple[Any, ...]] = self._fetch(statement, *values)
        if self._happen is not None and self._words in statement:
            happen, self._happen = self._happen, None
            happen()
        return rows

    def snapshot(self) -> AbstractContextManager[None]:
        found: AbstractContextManager[None] = self._fetch.snapshot()
        return found


@pytest.mark.parametrize(
    "words",
    [
        pytest.param("kind:erasure", id="after the list of erasures"),
        pytest.param("FROM exchange_detail WHERE idx", id="between details and tags"),
        pytest.param("FROM exchange_subject WHERE idx", id="between tags and entries"),
    ],
)
async def test_an_erasure_beside_the_verification_is_no_damage(instance, exchange, words):
    nik = "3320990101900001"
    async with instance.opened(checkpoint_seconds=60) as log:
        for _ in range(3):
            await log.append_many(exchange(nik=nik))
        tags = tuple(tag for _, tag in log.subject_keys.search_tags("nik", nik))
        wanted = Order(
            op="erasure.subject", selection=Selection(tags=tags), holds=(), by=Caller("ID-JEPARA/GOV/a", "b"),
            gateway=GATEWAY, basis="b", request="r", before_idx=log.size(), trail=True,
        )  # fmt: skip
        loop = asyncio.get_running_loop()

        def erase() -> None:
            went = asyncio.run_coroutine_threadsafe(carry_out(log, wanted), loop).result(20)
            assert went.details == 6

        def verified() -> Any:
            with settings_source(instance.settings) as fetch:
                return verify_log(Interrupted(fetch, words, erase), instance.folder)

        beside = await asyncio.to_thread(verified)
    assert (beside.ok, beside.size) == (True, 6), beside.reason
    assert (instance.verify().erased_details, instance.verify().ok) == (6, True)
