"""Names of regions: exact, variant, ambiguous, unmatched; pages and crosswalks of the loaded lists."""

from __future__ import annotations

import time

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.datasets.mapping import code_search
from app.datasets.mapping.codes import CROSSWALK_SCHEMA, InMemoryCodeBook

REGIONS = [
    ("33", "Jawa Tengah", "provinsi", None),
    ("33.19", "Kabupaten Kudus", "kabupaten", "33"),
    ("33.19.02", "Kota Kudus", "kecamatan", "33.19"),
    ("33.20", "Kabupaten Jepara", "kabupaten", "33"),
    ("33.20.06", "Jepara", "kecamatan", "33.20"),
    ("33.20.10", "Karimunjawa", "kecamatan", "33.20"),
    ("33.20.10.2001", "Karimunjawa", "desa", "33.20.10"),
    ("33.20.10.2002", "Kemujan", "desa", "33.20.10"),
    ("33.20.06.1001", "Panggang", "kelurahan", "33.20.06"),
    ("33.28", "Kabupaten Tegal", "kabupaten", "33"),
    ("33.76", "Kota Tegal", "kabupaten", "33"),
    ("33.20.01", "Kali Wungu", "kecamatan", "33.20"),
    ("33.20.02", "Kaliwungu", "kecamatan", "33.20"),
]
CROSSWALK = [
    ("bps", "3320120", "kecamatan", "KARIMUNJAWA", "33.20.10", "nama", "bps.csv"),
    ("bps", "3320999", "kecamatan", "TAK ADA", None, "nama", "bps.csv"),
    ("dapodik", "032015", "kecamatan", "Kec. Karimunjawa", "33.20.10", "manual", "dapodik.csv"),
    ("dapodik", "032099", "kecamatan", "Kec. Karimun Jawa", "33.20.10", "manual", "dapodik.csv"),
]


def table(names: tuple[str, ...], rows: list[tuple[str | None, ...]]) -> pa.Table:
    columns = list(zip(*rows, strict=True))
    return pa.table([pa.array(column, pa.string()) for column in columns], names=list(names))


BOOK = InMemoryCodeBook(
    "1",
    table(("kode", "nama", "tingkat", "kode_induk"), REGIONS),
    table(("sistem", "kode_asal", "tingkat", "nama_asal", "kode_kemendagri", "metode", "sumber"), CROSSWALK),
)


def found(name: str, level: str | None = None, parent: str | None = None, system: str = "kemendagri"):
    answer = code_search.find_name(BOOK, system, name, level=level, parent=parent)
    return answer.status, [(one.row.code, one.match, *one.differs_by) for one in answer.candidates]


@pytest.mark.parametrize(
    ("name", "level", "expected"),
    [
        ("karimunjawa", "kecamatan", ("exact", [("33.20.10", "exact")])),
        ("  Karimunjawa ", "kecamatan", ("exact", [("33.20.10", "exact")])),
        ("Karimun Jawa", "kecamatan", ("variant", [("33.20.10", "variant", "separators")])),
        ("Karimun-Jawa", "kecamatan", ("variant", [("33.20.10", "variant", "separators")])),
        ("Karimoendjawa", "kecamatan", ("variant", [("33.20.10", "variant", "old_spelling")])),
        ("KEC.KARIMUN DJAWA", None, ("variant", [("33.20.10", "variant", "administrative_word", "separators", "old_spelling")])),
        ("Desa Karimunjawa", None, ("variant", [("33.20.10.2001", "variant", "administrative_word")])),
        ("Kab. Jepara", None, ("variant", [("33.20", "variant", "administrative_word")])),
        ("Kabupaten Jepara", None, ("exact", [("33.20", "exact")])),
        ("Kec. Kota Kudus", None, ("variant", [("33.19.02", "variant", "administrative_word")])),
        ("Kota Kudus", None, ("exact", [("33.19.02", "exact")])),
        ("Kudus", None, ("variant", [("33.19", "variant", "administrative_word")])),
        ("Kota Tegal", None, ("exact", [("33.76", "exact")])),
        ("Kab Tegal", None, ("variant", [("33.28", "variant", "administrative_word")])),
        ("Kel. Panggang", None, ("variant", [("33.20.06.1001", "variant", "administrative_word")])),
        ("Kaliwungu", "kecamatan", ("exact", [("33.20.02", "exact")])),
    ],
)  # fmt: skip
def test_a_name_means_one_region(name, level, expected):
    assert found(name, level) == expected


def test_a_name_of_several_regions_is_answered_with_all_and_none_is_chosen():
    assert found("Karimunjawa") == ("ambiguous", [("33.20.10", "exact"), ("33.20.10.2001", "exact")])
    assert found("Tegal")[0] == "ambiguous"
    status, candidates = found("Jepara")
    assert status == "ambiguous"
    assert {code for code, *_ in candidates} == {"33.20", "33.20.06"}
    assert found("Kali-wungu", "kecamatan")[0] == "ambiguous"
    assert found("Karimunjawa", parent="33.20.10") == ("exact", [("33.20.10.2001", "exact")])


def test_a_name_that_no_region_has_is_unmatched_and_close_ones_are_shown_beside_it():
    assert found("Karimunjowo", "kecamatan") == ("unmatched", [("33.20.10", "similar")])
    assert found("Kota Jepara", "kabupaten") == ("unmatched", [("33.20", "similar")])
    assert found("Bandung") == ("unmatched", [])
    assert found("---", "kecamatan") == ("unmatched", [])
    assert found("Kemujan", parent="33.19") == ("unmatched", [])


def test_names_of_another_system_are_looked_up_in_it():
    assert found("Karimunjawa", system="bps") == ("exact", [("3320120", "exact")])
    assert found("Karimunjawa", system="dapodik")[0] == "ambiguous"


def test_rows_are_narrowed_by_level_region_and_part_of_the_name_and_come_in_pages():
    def codes(**narrowed: str):
        return code_search.rows_of(BOOK, "kemendagri", **narrowed)["code"].to_pylist()

    assert codes() == sorted(row[0] for row in REGIONS)
    assert codes(level="desa") == ["33.20.06.1001", "33.20.10.2001", "33.20.10.2002"]
    assert codes(parent="33.20.10") == ["33.20.10.2001", "33.20.10.2002"]
    assert codes(part="jawa", level="kecamatan") == ["33.20.10"]
    assert codes(parent="33.2") == []
    every = code_search.rows_of(BOOK, "kemendagri")
    paged: list[str] = []
    more = True
    while more:
        rows, more = code_search.page_of(every, after=paged[-1] if paged else None, limit=5)
        paged += [row.code for row in rows]
    assert paged == codes()
    assert code_search.rows_of(BOOK, "bps")["kode_wilayah"].to_pylist() == ["33.20.10", None]


def test_a_code_is_told_in_another_system_by_the_region_that_both_mean():
    def crosswalk(system, code, target):
        row = code_search.row_of(BOOK, system, code)
        return [found.code for found in code_search.crosswalk_of(BOOK, row, target)]

    assert crosswalk("bps", "3320120", "kemendagri") == ["33.20.10"]
    assert crosswalk("bps", "3320120", "dapodik") == ["032015", "032099"]
    assert crosswalk("kemendagri", "33.20.10", "bps") == ["3320120"]
    assert crosswalk("kemendagri", "33.20", "bps") == []
    assert crosswalk("bps", "3320999", "kemendagri") == []
    assert code_search.row_of(BOOK, "bps", "33201") is None
    assert code_search.systems(BOOK) == ("kemendagri", "bps", "dapodik")


def test_a_name_among_all_villages_of_the_country_is_found_by_columns():
    rows = [(f"{n:06d}", f"Desa Nomor {n}", "desa", None) for n in range(90_000)]
    book = InMemoryCodeBook("1", table(("kode", "nama", "tingkat", "kode_induk"), rows), BOOK.crosswalk_table)
    started = time.process_time()
    answer = code_search.find_name(book, "kemendagri", "NOMOR 77123")
    assert [one.row.code for one in answer.candidates] == ["077123"]
    assert time.process_time() - started < 1


DAYS = st.sampled_from([None, "2004-12-31", "2005-01-01", "2019-05-01", "2019-05-02", "2026-01-01"])


@given(
    rows=st.lists(st.tuples(DAYS, DAYS), min_size=1, max_size=9),
    day=st.sampled_from(["2005-01-01", "2019-05-01", "2019-05-02", "2030-01-01"]),
)
def test_a_day_keeps_the_codes_that_are_valid_on_it(rows: list[tuple[str | None, str | None]], day: str) -> None:
    """First and last day belong to it; what nobody said counts as valid. Lists, names and codes agree."""
    codes = [f"33.{number:02}" for number in range(1, len(rows) + 1)]
    table = pa.table(
        {
            "kode": codes,
            "nama": [f"Kabupaten {code}" for code in codes],
            "tingkat": ["kabupaten"] * len(rows),
            "kode_induk": ["33"] * len(rows),
            "valid_from": pa.array([first for first, _ in rows], pa.string()),
            "valid_to": pa.array([last for _, last in rows], pa.string()),
            "pengganti": pa.nulls(len(rows), pa.string()),
        }
    )
    book = InMemoryCodeBook("1", table, CROSSWALK_SCHEMA.empty_table())
    expected = [
        code
        for code, (first, last) in zip(codes, rows, strict=True)
        if not (first is not None and first > day) and not (last is not None and last < day)
    ]
    kept, _ = code_search.page_of(code_search.rows_of(book, "kemendagri", as_of=day), after=None, limit=99)
    assert [row.code for row in kept] == expected
    assert [row.code for row in kept if row.valid(day)] == expected
    for code in codes:
        found = code_search.find_name(book, "kemendagri", f"Kabupaten {code}", as_of=day)
        assert (found.status == "exact") is (code in expected)
    whole, _ = code_search.page_of(code_search.rows_of(book, "kemendagri"), after=None, limit=99)
    assert [row.code for row in whole] == codes
