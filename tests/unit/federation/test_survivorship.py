"""The merged view: whose value survives, by which rule, and where agencies disagree."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from app.federation.question.query import AnswerRecord
from app.federation.survivorship import MergeRules, disagreements, grouped, is_master, merge_records
from tests.support.memory import FACILITIES, record

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def says(
    agency: str, key: str = "P1", fields: tuple[str, ...] = tuple(FACILITIES.fields), **values: Any
) -> AnswerRecord:
    made = record(FACILITIES, **{"kode_faskes": key, "nama": "x", **values})
    return AnswerRecord(made, agency, f"{agency}-set", NOW, fields)


def rules_of(merged: Any) -> dict[str, tuple[str, str]]:
    return {name: (one.agency, rule) for name, (one, rule) in merged.provenance.items()}


def test_master_wins_where_it_has_a_value_and_others_fill_the_rest() -> None:
    merged = merge_records(
        FACILITIES,
        [says("bps", nama="Menurut BPS", kelas="C", lat=-6.5), says("dinkes", nama="Menurut Dinkes", kelas=None)],
        MergeRules(masters=frozenset({"dinkes"})),
    )

    assert (merged.values["nama"], merged.values["kelas"]) == ("Menurut Dinkes", "C")
    assert rules_of(merged)["nama"] == ("dinkes", "source_priority")
    assert rules_of(merged)["kelas"] == ("bps", "only")
    assert "telepon" not in merged.provenance


def test_most_recent_wins_where_every_dataset_tells_when() -> None:
    rules = MergeRules(changed={"bps-set": "kelas", "rsud-set": "kelas"})
    merged = merge_records(
        FACILITIES, [says("bps", nama="lama", kelas="2024"), says("rsud", nama="baru", kelas="2025")], rules
    )

    assert merged.values["nama"] == "baru"
    assert rules_of(merged)["nama"] == ("rsud", "most_recent")


def test_most_complete_wins_else_and_the_order_of_arrival_never_matters() -> None:
    rows = [says("rsud", nama="penuh", kelas="A", alamat="Jalan"), says("bps", nama="kurang")]
    for given in (rows, rows[::-1]):
        merged = merge_records(FACILITIES, given, MergeRules())
        assert rules_of(merged)["nama"] == ("rsud", "most_complete")


def test_field_that_is_not_granted_takes_no_part() -> None:
    narrow = says("dinkes", fields=("kode_faskes",), nama="rahasia")
    merged = merge_records(FACILITIES, [narrow, says("bps", nama="terbuka")], MergeRules(masters=frozenset({"dinkes"})))

    assert merged.values["nama"] == "terbuka"
    assert disagreements(FACILITIES, [narrow, says("bps", nama="terbuka")]) == []


def test_disagreement_names_every_side_and_null_is_no_opinion() -> None:
    found = disagreements(FACILITIES, [says("rsud", nama="B", kelas="A"), says("bps", nama="A", kelas=None)])

    assert [(one.field, [(who.agency, value) for who, value in one.values]) for one in found] == [
        ("nama", [("bps", "A"), ("rsud", "B")])
    ]


def test_records_of_one_key_stand_together() -> None:
    rows = [says("a", "K1"), says("b", "K1"), says("a", "K2")]

    assert [[one.record.key for one in run] for run in grouped(rows)] == [["K1", "K1"], ["K2"]]


def test_master_is_told_by_the_producer_that_the_schema_names() -> None:
    assert is_master(FACILITIES, "Dinas Kesehatan Kabupaten Jepara")
    assert is_master(FACILITIES, "dinas kesehatan")
    assert not is_master(FACILITIES, "Dinas Kesehatanku")
    assert not is_master(FACILITIES, "RSUD R.A. Kartini")
