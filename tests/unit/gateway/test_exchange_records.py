"""The records of one exchange: intent, outcome, what closes it in need, and what stands when a task is cancelled."""

from __future__ import annotations

import asyncio
from typing import Any

import pytest

from app.audit.entry.commitments import BodyCommitment, commit_body
from app.audit.entry.record import Caller, DatasetUse, SourceLeg, Subject, Verdict
from app.errors import EntryInvalid, LogUnavailable
from app.federation.question.query import SourceStatus
from app.gateway.exchange import Authority, Exchange, ReadOutcome
from tests.unit.gateway.making import MemoryLog, make_exchange

pytestmark = pytest.mark.anyio

PERSON = "3320010101800001"
SAID: dict[str, Any] = {"status": 200, "size": 5, "commitment": None}


def authorised() -> Exchange:
    exchange = make_exchange()
    exchange.asks(schemas=["fasilitas_kesehatan"], structure="kelas = ?", question={"filter": "kelas = 'B'"})
    exchange.authorised(Authority(True, "agreement", "pks-1", "pelayanan_kesehatan", "UU 17/2023"))
    exchange.touches(["dinkes"], [DatasetUse("dinkes-set", 3)])
    return exchange


async def test_the_intent_says_who_asks_whom_for_what_and_by_which_right():
    exchange, log = authorised(), MemoryLog()
    await exchange.intend(log)

    (intent,) = log.records
    entry = intent.entry
    assert (entry.kind, entry.op, entry.xid) == ("intent", "list", exchange.id)
    assert entry.client == Caller("ID-JEPARA/COM/rsud", "rsud-app", "thumb-rsud-app")
    assert entry.providers == ("ID-JEPARA/GOV/dinkes",)
    assert entry.datasets == (DatasetUse("dinkes-set", 3),)
    assert entry.dec == Verdict("allow", "agreement")
    assert (entry.agreement, entry.purpose, entry.basis) == ("pks-1", "pelayanan_kesehatan", "UU 17/2023")
    assert (entry.q, entry.status, entry.rows) == ("kelas = ?", None, None)
    assert intent.detail == {"address": "127.0.0.1", "request": "GET /v1/records/{schema}"}


async def test_an_intent_is_written_once():
    exchange, log = authorised(), MemoryLog()
    await exchange.intend(log)
    await exchange.intend(log)

    assert log.kinds() == ["intent"]


async def test_the_outcome_tells_counts_and_what_each_source_did():
    exchange, log = authorised(), MemoryLog()
    await exchange.intend(log)
    legs = [SourceStatus("dinkes", "dinkes-set", "ok", 2, rejected_rows=1), SourceStatus("rsud", "r", "timeout")]
    exchange.answered(ReadOutcome(2, ("kode_faskes", "nama"), False, legs))
    body = BodyCommitment()
    body.update(b"[1,2]")
    await exchange.close(log, status=200, size=5, commitment=body)

    entry = log.records[-1].entry
    assert log.kinds() == ["intent", "outcome"]
    assert (entry.status, entry.rows, entry.rejected, entry.bytes, entry.complete) == (200, 2, 1, 5, False)
    assert entry.fields == ("kode_faskes", "nama")
    assert entry.sources == (
        SourceLeg("ID-JEPARA/GOV/dinkes", "ok", 2),
        SourceLeg("ID-JEPARA/COM/rsud", "timeout", 0),
    )
    assert entry.body_c == commit_body(bytes.fromhex(log.detail()["body_salt"]), b"[1,2]")
    assert exchange.closed


async def test_a_request_refused_early_gets_intent_and_outcome_in_one_hand_over():
    exchange, log = make_exchange(), MemoryLog()
    exchange.decide(allow=False, rule="no_agreement")
    exchange.failed(error="agreement_missing: none")
    await exchange.close(log, status=403, size=0, commitment=None)

    assert log.kinds() == ["intent", "outcome"]
    assert log.records[1].entry.dec == Verdict("deny", "no_agreement")
    assert log.detail(1)["error"] == "agreement_missing: none"
    assert "error" not in log.detail(0)
    assert (exchange.intended, exchange.closed) == (True, True)


async def test_an_exchange_in_which_nothing_was_decided_says_nothing_of_a_decision():
    exchange, log = make_exchange(), MemoryLog()
    await exchange.close(log, **SAID)

    assert [one.entry.dec for one in log.records] == [None, None]


async def test_the_question_stands_in_the_detail_of_an_answer_and_of_no_refusal():
    answered, refused, log = authorised(), authorised(), MemoryLog()
    await answered.close(log, **SAID)
    assert log.detail()["query"] == {"filter": "kelas = 'B'"}
    await refused.close(log, **SAID | {"status": 400})

    assert "query" not in log.detail()


async def test_a_question_that_was_told_as_asked_is_not_told_twice():
    exchange, log = authorised(), MemoryLog()
    exchange.tells(asked={"sql": "SELECT 1"})
    await exchange.close(log, **SAID)

    assert log.detail(0)["asked"] == {"sql": "SELECT 1"}
    assert "query" not in log.detail()


async def test_the_outcome_does_not_repeat_what_the_intent_told_and_tells_what_came_since():
    exchange, log = authorised(), MemoryLog()
    exchange.tells(path="a.csv", version=1)
    await exchange.intend(log)
    exchange.tells(version=2, found=9)
    await exchange.close(log, **SAID)

    told = set(log.detail()) - {"elapsed_ms", "query"}
    assert told == {"version", "found"}
    assert (log.detail()["version"], log.detail()["found"]) == (2, 9)


async def test_a_member_that_became_none_is_told_again():
    exchange, log = make_exchange(), MemoryLog()
    exchange.tells(rest=1)
    await exchange.intend(log)
    exchange.tells(rest=None, new=None)
    await exchange.close(log, **SAID)

    assert {name: log.detail()[name] for name in ("rest", "new")} == {"rest": None, "new": None}


async def test_the_intent_names_who_is_asked_about_and_the_outcome_who_was_compared_too():
    exchange, log = make_exchange(op="verify"), MemoryLog()
    exchange.asserts(officer="dr. Ani", case="RM-7", represented="GOV/bupati")
    exchange.concerns(Subject("nik", PERSON, "asked"))
    await exchange.intend(log)
    exchange.concerns(Subject("nik", PERSON, "compared"))
    await exchange.close(log, **SAID)

    roles = [[subject.role for subject in one.subjects] for one in log.records]
    assert roles == [["asked", "case"], ["asked", "compared", "case"]]
    assert [log.detail(0)[name] for name in ("officer", "case", "represented")] == ["dr. Ani", "RM-7", "GOV/bupati"]


async def test_the_intent_names_nobody_who_is_only_compared():
    exchange, log = make_exchange(op="verify"), MemoryLog()
    exchange.concerns(Subject("nik", PERSON, "compared"))
    await exchange.intend(log)

    assert log.records[0].subjects == ()


@pytest.mark.parametrize("case", ["-", "  ", "…", ""])
async def test_a_case_reference_without_letter_or_digit_is_no_tag_and_no_fault(case: str):
    exchange, log = make_exchange(), MemoryLog()
    exchange.asserts(case=case)
    await exchange.close(log, **SAID)

    assert [one.subjects for one in log.records] == [(), ()]


async def test_a_log_that_takes_nothing_leaves_the_exchange_open():
    exchange, log = authorised(), MemoryLog()
    log.fault = LogUnavailable("down")
    with pytest.raises(LogUnavailable):
        await exchange.intend(log)
    with pytest.raises(LogUnavailable):
        await exchange.close(log, **SAID)

    assert (exchange.intended, exchange.closed, exchange.told) == (False, False, {})
    log.fault = None
    await exchange.close(log, **SAID)
    assert log.kinds() == ["intent", "outcome"]


async def test_facts_that_are_no_entry_are_closed_bare_and_stand_in_the_detail():
    exchange, log = authorised(), MemoryLog()
    exchange.asks(structure="nama = 'Siti'")
    exchange.tells(path="a.csv")
    with pytest.raises(EntryInvalid) as caught:
        await exchange.close(log, **SAID)
    await exchange.close_bare(log, status=500, size=0, commitment=None, fault=caught.value)

    assert log.kinds() == ["intent", "outcome"]
    entry = log.records[1].entry
    assert (entry.xid, entry.status, entry.schemas, entry.q) == (exchange.id, 500, (), None)
    assert entry.client == Caller("ID-JEPARA/COM/rsud", "rsud-app", "thumb-rsud-app")
    refused = log.detail()["refused_entry"]
    assert (refused["fault"], refused["q"]) == (caught.value.detail, "nama = 'Siti'")
    assert log.detail(0)["path"] == "a.csv"
    assert "path" not in log.detail()
    assert exchange.closed


async def test_what_a_bare_closing_repeats_of_the_facts_is_bounded():
    exchange, log = make_exchange(), MemoryLog()
    exchange.asks(structure="x" * 100_000)
    await exchange.close_bare(log, status=500, size=0, commitment=None, fault=EntryInvalid("too long"))

    assert len(log.detail()["refused_entry"]["q"]) == 2000


async def test_a_bare_closing_keeps_the_people_searchable():
    exchange, log = make_exchange(op="verify"), MemoryLog()
    exchange.concerns(Subject("nik", PERSON, "asked"))
    await exchange.close_bare(log, status=500, size=0, commitment=None, fault=EntryInvalid("x"))

    assert [subject.value for subject in log.records[-1].subjects] == [PERSON]


async def test_a_bare_closing_goes_without_the_people_where_they_are_the_fault():
    exchange, log = make_exchange(op="verify"), MemoryLog()
    exchange.concerns(Subject("nik", "--", "compared"))
    await exchange.close_bare(log, status=500, size=0, commitment=None, fault=EntryInvalid("x"))

    assert log.kinds() == ["intent", "outcome"]
    assert log.records[-1].subjects == ()


async def test_a_bare_closing_that_is_refused_too_says_so():
    exchange, log = make_exchange(op="No Operation"), MemoryLog()
    with pytest.raises(EntryInvalid):
        await exchange.close_bare(log, status=500, size=0, commitment=None, fault=EntryInvalid("x"))

    assert log.records == []
    assert not exchange.closed


async def test_a_bare_closing_after_an_intent_writes_no_second_intent():
    exchange, log = authorised(), MemoryLog()
    await exchange.intend(log)
    await exchange.close_bare(log, status=500, size=0, commitment=BodyCommitment(), fault=EntryInvalid("x"))

    assert log.kinds() == ["intent", "outcome"]
    assert len(bytes.fromhex(log.detail()["body_salt"])) == 32


async def test_an_exchange_whose_outcome_was_lost_is_aborted_with_its_facts_and_reason():
    exchange, log = authorised(), MemoryLog()
    await exchange.intend(log)
    exchange.failed(error="source_failed: x")
    await exchange.abort(log)

    assert log.kinds() == ["intent", "aborted"]
    assert log.records[-1].entry.agreement == "pks-1"
    assert log.detail()["error"] == "source_failed: x"
    assert "could not be written" in log.detail()["reason"]


async def test_a_consumer_that_left_is_told_with_what_it_got():
    exchange, log = authorised(), MemoryLog()
    await exchange.close(log, **SAID)
    await exchange.delivery(log, sent=2, size=5)

    assert log.kinds() == ["intent", "outcome", "delivery"]
    assert log.records[-1].entry.bytes == 2
    assert log.detail() == {"answer_bytes": 5}


async def test_an_administrative_exchange_closes_by_its_own_kind():
    exchange, log = make_exchange(op="connector.publish", closing="admin", mode="uji"), MemoryLog()
    await exchange.close(log, **SAID)

    assert log.kinds() == ["intent", "admin"]
    assert [one.entry.mode for one in log.records] == ["uji", "uji"]


async def left(work: Any, log: MemoryLog) -> asyncio.Task[None]:
    """A task that was cancelled while the log was still writing."""
    log.late = asyncio.get_running_loop().create_future()
    task = asyncio.create_task(work)
    await asyncio.sleep(0)
    task.cancel()
    await asyncio.sleep(0)
    return task


async def test_who_is_cancelled_while_the_intent_is_written_leaves_when_it_is_known_to_stand():
    exchange, log = authorised(), MemoryLog()
    task = await left(exchange.intend(log), log)
    assert not task.done()
    assert log.late is not None
    log.late.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert exchange.intended
    assert exchange.told["request"] == "GET /v1/records/{schema}"


async def test_who_is_cancelled_while_the_log_fails_knows_that_nothing_stands():
    exchange, log = authorised(), MemoryLog()
    task = await left(exchange.close(log, **SAID), log)
    assert log.late is not None
    log.late.set_exception(LogUnavailable("down"))
    with pytest.raises(asyncio.CancelledError):
        await task

    assert (exchange.intended, exchange.closed) == (False, False)


async def test_who_is_cancelled_while_the_outcome_is_written_does_not_write_it_twice():
    exchange, log = authorised(), MemoryLog()
    task = await left(exchange.close(log, **SAID), log)
    assert log.late is not None
    log.late.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert exchange.closed
    assert log.kinds() == ["intent", "outcome"]


async def test_who_is_cancelled_twice_still_waits_until_it_is_known():
    exchange, log = authorised(), MemoryLog()
    task = await left(exchange.close(log, **SAID), log)
    for _ in range(3):
        task.cancel()
        await asyncio.sleep(0)
    assert not task.done()
    assert log.late is not None
    log.late.set_result(None)
    with pytest.raises(asyncio.CancelledError):
        await task

    assert exchange.closed
