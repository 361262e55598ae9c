"""Rejected records as they are kept: one row a record with all its faults, bounded, and storable in any database."""

from __future__ import annotations

from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any

from app.catalog.quarantine import Rejected, _rows
from app.datasets.records import Reject

NOW = datetime(2026, 11, 20, tzinfo=UTC)


def rows(sample: Sequence[Reject], limit_rows: int = 1000) -> list[dict[str, Any]]:
    found = Rejected("faskes", 3, None, whole=True, records=len(sample), by_rule={}, sample=sample)
    return list(_rows(found, NOW, limit_rows))


def test_faults_of_one_record_are_one_row_that_shows_the_first_and_keeps_all_in_order():
    sample = [
        Reject("row 2", "nik", "format", "16 digits", "33**"),
        Reject("row 5", "nama", "missing", "must be given"),
        Reject("row 2", "nama", "too_long", "at most 200", "S***"),
    ]
    first, second = rows(sample)

    assert (first["place"], first["field"], first["rule"], first["masked"]) == ("row 2", "nik", "format", "33**")
    assert [fault["rule"] for fault in first["faults"]] == ["format", "too_long"]
    assert (second["place"], len(second["faults"])) == ("row 5", 1)
    assert {row["revision"] for row in (first, second)} == {3}
    assert first["first_seen"] == first["last_seen"] == NOW


def test_the_bound_counts_records_and_a_kept_record_keeps_all_its_faults():
    sample = [Reject(f"row {number}", "a", "x", "") for number in range(5)] + [Reject("row 0", "b", "y", "")]
    found = rows(sample, 2)

    assert [row["place"] for row in found] == ["row 0", "row 1"]
    assert [fault["field"] for fault in found[0]["faults"]] == ["a", "b"]


def test_a_record_is_known_again_by_its_location():
    (first,), (again,), (other,) = (rows([Reject(place, "a", "x", "")]) for place in ("row 1", "row 1", "row 2"))

    assert first["digest"] == again["digest"]
    assert first["digest"] != other["digest"]
    assert len(first["digest"]) == 32


def test_places_and_values_that_a_database_does_not_store_are_written_visibly():
    found = rows(
        [Reject("a\0b", "f", "x", "\ud800", "\0"), Reject("a\u2400b", "f", "x", ""), Reject("\ud800", "f", "x", "")]
    )

    assert [row["place"] for row in found] == ["a\u2400b", "a\u2400b", "\ufffd"]
    assert (found[0]["detail"], found[0]["masked"]) == ("\ufffd", "\u2400")
    assert len({row["digest"] for row in found}) == 3


def test_a_read_that_rejected_nothing_keeps_nothing():
    assert rows([]) == []
