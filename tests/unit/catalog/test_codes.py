"""Loaded codes as reports and tables tell them."""

from __future__ import annotations

from app.catalog import tables
from app.catalog.codes import _arrow, _report
from app.catalog.crosswalk import CrosswalkEntry, RegionEntry
from app.datasets.mapping.codes import InMemoryCodeBook

REGION = RegionEntry("33.20", "Jepara", "kabupaten", "33", "list.csv")
MATCHED = CrosswalkEntry("bps", "3320", "kabupaten", "JEPARA", "33.20", "nama", "bps.csv")
UNMATCHED = CrosswalkEntry("bps", "3321", "kabupaten", None, None, "kode", "bps.csv")


def test_a_report_counts_what_changed_and_names_what_stayed_unmatched():
    found = _report(10, 3, 2, [MATCHED, UNMATCHED])

    assert (found.rows, found.created, found.updated, found.unchanged) == (10, 3, 2, 5)
    assert (found.matched, found.unmatched) == (1, (UNMATCHED,))


def test_both_lists_as_tables_are_a_code_book_in_which_unmatched_codes_have_no_answer():
    regions, crosswalk = _arrow(tables.region_code, [REGION]), _arrow(tables.code_crosswalk, [MATCHED, UNMATCHED])
    book = InMemoryCodeBook("1", regions, crosswalk)

    assert [field.name for field in regions.schema] == [
        "kode", "nama", "tingkat", "kode_induk", "sumber", "valid_from", "valid_to", "pengganti",
    ]  # fmt: skip
    assert book.region("33.20") is not None
    assert book.crosswalk("bps", "3320", "kabupaten") == "33.20"
    assert book.crosswalk("bps", "3321", "kabupaten") is None


def test_empty_lists_are_tables_without_rows():
    assert _arrow(tables.region_code, []).num_rows == 0
    assert _arrow(tables.code_crosswalk, []).schema.field("kode_kemendagri").nullable
