"""Kept plans of look-ups: found only while nothing moved since they were made, and never too many."""

from __future__ import annotations

from dataclasses import replace
from datetime import date

from app.access.snapshot import AccessSnapshot
from app.audit.entry.record import DatasetUse
from app.gateway.exchange import Authority
from app.gateway.plans import Plan, PlanCache
from tests.unit.gateway.making import make_exchange, open_dataset

TODAY = date(2026, 11, 20)
SNAPSHOT = AccessSnapshot(stamp=1)
DATASETS = (open_dataset("dinkes"),)
AUTHORITY = Authority(allow=True, rule="agreement", agreement="pks-1", purpose="audit", basis="UU 17/2023")
PLAN = Plan(
    SNAPSHOT, DATASETS, TODAY, ("nama",), 100, None, (), ("dinkes",), (DatasetUse("dinkes-set", 1),), AUTHORITY, "key=?"
)


def test_a_kept_plan_is_found_again():
    kept = PlanCache()
    kept.keep(("a",), PLAN)

    assert kept.find(("a",), SNAPSHOT, DATASETS, TODAY) is PLAN
    assert kept.find(("b",), SNAPSHOT, DATASETS, TODAY) is None


def test_a_plan_is_gone_when_grants_or_datasets_were_loaded_anew_even_if_they_look_alike():
    kept = PlanCache()
    kept.keep(("a",), PLAN)

    assert kept.find(("a",), AccessSnapshot(stamp=1), DATASETS, TODAY) is None
    assert kept.find(("a",), SNAPSHOT, (DATASETS[0], open_dataset("rsud")), TODAY) is None
    assert kept.find(("a",), SNAPSHOT, tuple(iter(DATASETS)), TODAY) is None


def test_a_plan_does_not_outlive_its_day():
    kept = PlanCache()
    kept.keep(("a",), PLAN)

    assert kept.find(("a",), SNAPSHOT, DATASETS, date(2026, 11, 21)) is None


def test_a_plan_made_anew_replaces_the_one_before():
    kept, later = PlanCache(), replace(PLAN, day=date(2026, 11, 21))
    kept.keep(("a",), PLAN)
    kept.keep(("a",), later)

    assert kept.find(("a",), SNAPSHOT, DATASETS, date(2026, 11, 21)) is later


def test_the_oldest_plan_goes_when_too_many_are_kept():
    kept = PlanCache(most=3)
    for mark in "abcd":
        kept.keep((mark,), PLAN)

    found = [mark for mark in "abcd" if kept.find((mark,), SNAPSHOT, DATASETS, TODAY) is not None]
    assert found == ["b", "c", "d"]


def test_a_plan_notes_decision_datasets_and_structure_in_the_exchange():
    exchange = make_exchange(op="lookup")
    PLAN.note(exchange)

    assert exchange.authority == AUTHORITY
    assert (exchange.providers, exchange.datasets) == (("dinkes",), (DatasetUse("dinkes-set", 1),))
    assert exchange.structure == "key=?"
