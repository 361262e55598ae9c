"""The facts of one exchange: the last word stands, and what is not said does not undo what was said."""

from __future__ import annotations

import pytest

from app.audit.entry.record import DatasetUse, Subject
from app.federation.question.query import SourceStatus
from app.gateway.exchange import Authority, ReadOutcome
from tests.unit.gateway.making import NAMES, make_exchange


def test_an_agency_is_named_by_instance_class_and_id_and_by_gov_where_its_class_is_not_known():
    assert NAMES.member("rsud") == "ID-JEPARA/COM/rsud"
    assert NAMES.member("dinkes") == "ID-JEPARA/GOV/dinkes"


def test_what_is_asked_is_told_in_pieces_and_no_piece_undoes_another():
    exchange = make_exchange()
    exchange.asks(schemas=["fasilitas_kesehatan"], question={"filter": "kelas = 'B'"})
    exchange.asks(op="sql", structure="SELECT ?", size=90)
    exchange.asks()

    assert (exchange.op, exchange.schemas) == ("sql", ("fasilitas_kesehatan",))
    assert (exchange.structure, exchange.asked_bytes) == ("SELECT ?", 90)
    assert exchange.question == {"filter": "kelas = 'B'"}


def test_assertions_of_a_body_stand_beside_those_of_the_headers():
    exchange = make_exchange()
    exchange.asserts(officer="198001012005011001", case="RM-7")
    exchange.asserts(purpose="pelayanan_kesehatan", case="RM-8")

    said = exchange.assertions
    assert (said.officer, said.case, said.purpose) == ("198001012005011001", "RM-8", "pelayanan_kesehatan")
    assert said.agreement is None


def test_the_last_decision_stands_with_its_agreement():
    exchange = make_exchange()
    exchange.decide(allow=False, rule="no_agreement")
    exchange.authorised(Authority(allow=True, rule="agreement", agreement="pks-1", purpose="audit", basis="UU 17/2023"))

    assert exchange.authority == Authority(True, "agreement", "pks-1", "audit", "UU 17/2023")
    exchange.authorised(Authority(allow=True, rule="open_data"))
    assert exchange.authority == Authority(True, "open_data")


def test_nothing_decided_is_no_permission():
    assert make_exchange().authority == Authority(allow=False, rule="")


def test_a_refusal_without_agreement_keeps_the_agreement_that_is_being_changed():
    exchange = make_exchange()
    exchange.touches(("dukcapil",), agreement="pks-1")
    exchange.decide(allow=True, rule="role")
    exchange.touches(("dukcapil",))

    assert (exchange.agreement, exchange.rule) == ("pks-1", "role")


def test_providers_and_datasets_are_named_once_each_in_their_order():
    exchange = make_exchange()
    exchange.touches(["rsud", "dinkes", "rsud"], [DatasetUse("b", 2), DatasetUse("a", 1), DatasetUse("b", 2)])

    assert exchange.providers == ("rsud", "dinkes")
    assert exchange.datasets == (DatasetUse("b", 2), DatasetUse("a", 1))
    exchange.touches(["bps"])
    assert exchange.providers == ("bps",)
    assert exchange.datasets == (DatasetUse("b", 2), DatasetUse("a", 1))


def test_a_count_of_none_leaves_the_count_before_and_nought_is_a_count():
    exchange = make_exchange()
    exchange.answered(ReadOutcome(12, ("nama",), True))
    exchange.answered(ReadOutcome(0))

    assert (exchange.rows, exchange.fields, exchange.complete) == (0, ("nama",), True)
    exchange.answered(ReadOutcome(complete=False, fields=()))
    assert (exchange.rows, exchange.fields, exchange.complete) == (0, (), False)


def test_rejected_records_are_added_up_over_the_sources_and_told_alone_where_no_source_tells_them():
    exchange = make_exchange()
    exchange.answered(ReadOutcome(rejected=7))
    assert exchange.rejected == 7
    legs = [SourceStatus("dinkes", "a", "ok", rejected_rows=2), SourceStatus("rsud", "b", "ok", rejected_rows=3)]
    exchange.answered(ReadOutcome(1, sources=legs, rejected=7))

    assert exchange.rejected == 5
    assert exchange.sources == legs
    exchange.answered(ReadOutcome(1))
    assert exchange.sources == legs


def test_of_two_faults_the_last_stands_and_told_members_gather():
    exchange = make_exchange()
    exchange.tells(job="j-1")
    exchange.tells(reason="asked")
    exchange.failed(error="first", place=1)
    exchange.failed(error="second")

    assert exchange.detail == {"job": "j-1", "reason": "asked"}
    assert exchange.fault == {"error": "second"}


def test_an_ordinary_request_takes_nothing_of_the_quota_of_details():
    exchange = make_exchange(request="GET " + "x" * 5000)
    assert exchange.detail_bytes == 0
    exchange.asserts(case="RM-7")

    assert exchange.detail_bytes >= 5000 - 1024


@pytest.mark.parametrize("said", ["officer", "case", "represented"])
def test_long_assertions_count_against_the_quota_of_details(said: str):
    exchange = make_exchange(request="")
    exchange.asserts(**{said: "x" * 3000})

    assert exchange.detail_bytes == pytest.approx(3000 - 1024, abs=20)


def test_a_large_question_counts_against_the_quota_of_details_beyond_a_kibibyte():
    exchange = make_exchange(request="")
    exchange.asks(size=1000)
    assert exchange.detail_bytes == 0
    exchange.asks(size=11_024)

    assert exchange.detail_bytes == pytest.approx(10_000, abs=20)


def test_a_jobs_own_exchange_starts_from_the_facts_of_its_request_and_shares_none_that_grow():
    request = make_exchange(op="export")
    request.asks(schemas=["fasilitas_kesehatan"])
    request.tells(job="j-1")
    request.concerns(Subject("nik", "3320010101800001", "asked"))
    request.failed(error="of the request")
    request.intended = request.closed = True
    own = request.anew()
    own.tells(more=1)
    own.concerns(Subject("nik", "3320010101800002", "asked"))

    assert own.id > request.id
    assert (own.op, own.schemas, own.detail) == ("export", ("fasilitas_kesehatan",), {"job": "j-1", "more": 1})
    assert (own.intended, own.closed, own.fault) == (False, False, {})
    assert request.detail == {"job": "j-1"}
    assert len(request.subjects) == 1
