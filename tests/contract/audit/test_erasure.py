"""Erasure of details: the proof stays whole, the verifier says what went, and nothing goes without a record of it."""

from __future__ import annotations

from typing import Any

import pytest

from app.audit.entry.record import Caller
from app.audit.entry.spans import Erased, parse_spans, spans_of, spans_text
from app.audit.erasure.carrying_out import Order, Selection, carry_out, selected
from app.audit.read.filters import ExchangeFilter, Scope
from app.audit.read.search import ExchangeSearch
from app.audit.store.erasure_entries import recorded_erasures
from app.errors import EntryInvalid
from tests.contract.audit.conftest import GATEWAY, REGISTRY

SITI, BUDI = "3320990101900001", "3320990101900002"
OFFICER = Caller("ID-JEPARA/GOV/diskominfo", "walidata")


def order(log, selection: Selection, **more: Any) -> Order:
    facts = {"op": "erasure.subject", "basis": "UU 27/2022 Ps. 8", "request": "ers-1", "holds": ()}
    return Order(selection=selection, by=OFFICER, gateway=GATEWAY, before_idx=log.size(), **{**facts, **more})


def subject(log, nik: str) -> Selection:
    return Selection(tags=tuple(tag for _, tag in log.subject_keys.search_tags("nik", nik)))


async def test_details_of_one_person_go_and_all_proofs_stay(instance, exchange):
    async with instance.opened() as log:
        for nik in (SITI, BUDI, SITI):
            await log.append_many(exchange(nik=nik))
        before = instance.verify()
        went = await carry_out(log, order(log, subject(log, SITI)))
        found = await ExchangeSearch(log, log.reader).search(ExchangeFilter(), Scope(None))
        assert (went.details, went.tags, went.entries) == (4, 0, [6])
        assert went.receivers == {"ID-JEPARA/GOV/rsud-kartini"}
        assert len(found.entries) == 7
    left = [row[0] for row in instance.rows("SELECT idx FROM exchange_detail ORDER BY idx")]
    verified = instance.verify(since=(await checkpoint_of(instance)))
    whole = instance.verify()

    assert left == [2, 3, 6]
    assert before.ok
    assert verified.ok
    assert (whole.ok, whole.erased_details, whole.erased_by) == (True, 4, (6,)), whole.reason
    assert SITI.encode() not in b"".join(bytes(row[0]) for row in instance.rows("SELECT detail FROM exchange_detail"))


async def checkpoint_of(instance) -> str:
    return str(instance.rows("SELECT note FROM log_checkpoint ORDER BY size LIMIT 1")[0][0])


async def test_the_trail_stays_unless_it_is_to_go(instance, exchange):
    async with instance.opened() as log:
        await log.append_many(exchange(nik=SITI))
        await log.append_many(exchange(nik=BUDI))
        await carry_out(log, order(log, subject(log, SITI)))
        kept = instance.rows("SELECT count(*) FROM exchange_subject")[0][0]
        went = await carry_out(log, order(log, subject(log, SITI), trail=True))
        assert (kept, went.details, went.tags) == (6, 0, 3)
    assert instance.verify().ok


async def test_a_hold_keeps_what_it_names(instance, exchange):
    async with instance.opened() as log:
        for agreement in ("PKS-1", "PKS-2", "PKS-1"):
            await log.append_many(exchange(nik=SITI, agreement=agreement))
        hold = Selection(terms=("agreement:PKS-2",))
        wanted = order(log, subject(log, SITI), holds=(hold, subject(log, BUDI)))
        assert await selected(log.reader, wanted, 0, held=True, limit=10) == [2, 3]
        assert (await carry_out(log, wanted)).details == 4
        assert await recorded_erasures(log.reader) == [(6, [(0, 1), (4, 5)])]
    assert [row[0] for row in instance.rows("SELECT idx FROM exchange_detail ORDER BY idx")] == [2, 3, 6]
    assert instance.verify().ok


async def test_a_range_goes_in_batches_each_recorded(instance, exchange):
    async with instance.opened() as log:
        for number in range(150):
            await log.append_many(exchange(nik=f"33209901{number:08d}", agreement=f"PKS-{number % 2}"))
        wanted = order(log, Selection(terms=("agreement:PKS-1",)), op="erasure.range")
        went = await carry_out(log, wanted, batch_entries=100)
        again = await carry_out(log, wanted, batch_entries=100)
        assert (went.details, went.entries, again.entries) == (150, [300, 301], [])
    verified = instance.verify()
    assert (verified.ok, verified.erased_details, verified.erased_by) == (True, 150, (300, 301)), verified.reason


async def test_a_detail_that_goes_without_a_record_is_found(instance, exchange):
    async with instance.opened() as log:
        for nik in (SITI, BUDI):
            await log.append_many(exchange(nik=nik))
        await carry_out(log, order(log, subject(log, SITI)))
    instance.rows("DELETE FROM exchange_detail WHERE idx = 3")
    found = instance.verify()

    assert (found.ok, found.first_broken_index) == (False, 3)
    assert "no erasure" in str(found.reason)


async def test_tags_added_to_an_erased_entry_are_found(instance, exchange):
    async with instance.opened() as log:
        await log.append_many(exchange(nik=SITI, providers=(REGISTRY,)))
        await carry_out(log, order(log, subject(log, SITI)))
    for number in range(3):
        instance.rows(
            "INSERT INTO exchange_subject (idx, tag, role, epoch) VALUES (0, $1, 'asked', 2026)", bytes([number]) * 16
        )

    assert instance.verify().first_broken_index == 0


def test_spans_are_text_and_back():
    spans = spans_of([0, 1, 2, 7, 12_345_678, 12_345_679])

    assert spans_text(spans) == "0-2 7 12_345_678-12_345_679"
    assert parse_spans(spans_text(spans)) == spans
    for wrong in ("", "a", "3-1", "1,2", "-4"):
        with pytest.raises(EntryInvalid):
            parse_spans(wrong)


def test_an_erasure_covers_only_what_is_older():
    found = Erased([(10, [(2, 4), (9, 12)]), (20, [(4, 6)])])

    assert [found.by(index) for index in (1, 2, 4, 5, 6, 7, 9, 11)] == [None, 10, 10, 20, 20, None, None, None]
