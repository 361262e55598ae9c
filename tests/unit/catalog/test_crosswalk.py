"""Region codes and how BPS codes find theirs: by name below the matched parent, never by their digits alone."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from app.catalog.crosswalk import BPS, BPS_LEVELS, CrosswalkEntry, RegionEntry, match_bps, normal_name, region_level


def region(kode: str, nama: str) -> RegionEntry:
    return RegionEntry(kode, nama, *region_level(kode), "list.csv")


def bps(code: str, nama: str | None, *, target: str | None = None, method: str = "nama") -> CrosswalkEntry:
    return CrosswalkEntry(BPS, code, BPS_LEVELS[len(code)], nama, target, method, "bps.csv")


REGIONS = [
    region("33", "Jawa Tengah"),
    region("33.20", "Jepara"),
    region("33.20.06", "Jepara"),
    region("33.20.10", "Karimunjawa"),
    region("33.20.06.1001", "Panggang"),
    region("33.20.06.2002", "Mulyoharjo"),
]


def matched(entries: Iterable[CrosswalkEntry], regions: Iterable[RegionEntry] = REGIONS) -> dict[str, str | None]:
    return {entry.kode_asal: entry.kode_kemendagri for entry in match_bps(entries, regions)}


@pytest.mark.parametrize(
    ("kode", "level", "parent"),
    [
        ("33", "provinsi", None),
        ("33.20", "kabupaten", "33"),
        ("33.20.06", "kecamatan", "33.20"),
        ("33.20.06.1001", "kelurahan", "33.20.06"),
        ("33.20.06.2001", "desa", "33.20.06"),
    ],
)
def test_level_and_parent_follow_from_the_code(kode: str, level: str, parent: str | None):
    assert region_level(kode) == (level, parent)


@pytest.mark.parametrize(
    "kode",
    ["", "3", "333", "3320", "33.2", "33.20.6", "33.20.06.100", "33.20.06.3001", "33.20.06.1001.1", "33.20 ", "ab"],
)
def test_what_is_no_region_code_is_refused_with_how_one_is_written(kode: str):
    with pytest.raises(ValueError, match="region code"):
        region_level(kode)


def test_names_compare_without_case_width_and_repeated_blanks_and_with_every_letter():
    assert normal_name("  Kota\t JEPARA ") == normal_name("\uff4b\uff4f\uff54\uff41 jepara")
    assert normal_name("Jepara") != normal_name("Jépara")


def test_names_decide_and_the_digits_do_not():
    found = matched([bps("33", "JAWA TENGAH"), bps("3320", "Jepara"), bps("3320120", "karimunjawa")])

    assert found == {"33": "33", "3320": "33.20", "3320120": "33.20.10"}


def test_a_village_is_looked_for_below_its_matched_district_alone():
    other = region("33.20.10.2001", "Panggang")
    found = matched([bps("3320", "Jepara"), bps("3320060", "Jepara"), bps("3320060001", "Panggang")], [*REGIONS, other])

    assert found["3320060001"] == "33.20.06.1001"


def test_without_its_district_a_village_is_not_matched():
    assert matched([bps("3320", "Jepara"), bps("3320060001", "Panggang")])["3320060001"] is None


def test_a_name_that_no_region_below_the_parent_has_stays_unmatched():
    assert matched([bps("3320", "Jepara"), bps("3320050", "Tidak Ada")])["3320050"] is None


def test_two_codes_of_one_name_are_both_unmatched():
    found = matched([bps("3320", "Jepara"), bps("3320060", "Jepara"), bps("3320061", "JEPARA")])

    assert (found["3320060"], found["3320061"]) == (None, None)


def test_two_regions_of_one_name_leave_the_code_unmatched():
    twice = [*REGIONS, region("33.20.11", "Karimunjawa"), region("35", "Jawa Tengah")]
    found = matched([bps("33", "Jawa Tengah"), bps("3320", "Jepara"), bps("3320120", "Karimunjawa")], twice)

    assert found["3320120"] is None


def test_a_regency_without_name_stands_for_its_digits_when_most_names_below_agree():
    districts = [bps("3320060", "Jepara"), bps("3320120", "Karimunjawa"), bps("3320050", "Tidak Ada")]
    entries = {entry.kode_asal: entry for entry in match_bps(districts, REGIONS)}

    assert entries["3320"].kode_kemendagri == "33.20"
    assert entries["3320"].metode == "kode"
    assert entries["33"].kode_kemendagri == "33"
    assert entries["3320120"].kode_kemendagri == "33.20.10"


def test_half_of_the_names_is_not_most_of_them():
    found = matched([bps("3320060", "Jepara"), bps("3320050", "Tidak Ada")])

    assert (found["3320"], found["33"], found["3320060"]) == (None, None, None)


def test_digits_that_mean_another_regency_are_not_believed():
    jakarta = [region("31", "DKI Jakarta"), region("31.71", "Jakarta Pusat"), region("31.71.01", "Gambir")]
    found = matched([bps("3171010", "Jagakarsa"), bps("3171020", "Pasar Minggu")], jakarta)

    assert found["3171"] is None


def test_a_name_is_looked_for_on_its_own_level():
    assert matched([bps("3320", "Karimunjawa")])["3320"] is None


def test_what_was_matched_by_hand_stays_and_leads_those_below():
    manual = bps("3399", "Kabupaten Lain", target="33.20", method="manual")
    found = {entry.kode_asal: entry for entry in match_bps([manual, bps("3399010", "Karimunjawa")], REGIONS)}

    assert found["3399"] == manual
    assert found["3399010"].kode_kemendagri == "33.20.10"


def test_matching_again_changes_nothing_and_a_region_that_is_gone_takes_its_match_with_it():
    first = match_bps([bps("33", "Jawa Tengah"), bps("3320", "Jepara"), bps("3320120", "Karimunjawa")], REGIONS)

    assert match_bps(first, REGIONS) == first
    assert matched(first, REGIONS[:3])["3320120"] is None


def test_entries_come_back_in_the_order_of_their_codes():
    codes = [entry.kode_asal for entry in match_bps([bps("3320120", "Karimunjawa"), bps("33", "x")], REGIONS)]

    assert codes == ["33", "3320", "3320120"]
