"""Hard and soft rules of Indonesian identifiers, with the traps that other libraries fall into."""

from __future__ import annotations

import datetime as dt

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from app.schemas import identifiers as ids
from app.schemas import types


def rule_of(semantic_type, value):
    """None when the type accepts the value, else Pydantic's or our own code."""
    try:
        TypeAdapter(semantic_type).validate_python(value)
    except ValidationError as fault:
        return fault.errors()[0]["type"]
    return None


def nik(day, month="01", year="90", serial="0001"):
    return f"332010{day}{month}{year}{serial}"


@pytest.mark.parametrize("day", ["01", "31", "41", "71"])
def test_nik_takes_days_of_men_and_of_women(day):
    assert rule_of(types.Nik, nik(day)) is None


@pytest.mark.parametrize("day", ["00", "32", "39", "40", "72", "73", "79", "80", "81", "99"])
def test_nik_refuses_days_that_do_not_exist_even_where_modulo_forty_would_pass(day):
    assert rule_of(types.Nik, nik(day)) == "nik_date"


@pytest.mark.parametrize(("month", "year"), [("00", "90"), ("13", "90"), ("02", "01"), ("02", "99")])
def test_nik_refuses_dates_that_exist_in_neither_century(month, year):
    assert rule_of(types.Nik, nik("29" if month == "02" else "01", month, year)) == "nik_date"


@pytest.mark.parametrize("year", ["00", "04", "96"])
def test_nik_takes_a_leap_day_that_exists_in_one_of_two_centuries(year):
    assert rule_of(types.Nik, nik("29", "02", year)) is None
    assert rule_of(types.Nik, nik("69", "02", year)) is None


def test_nik_refuses_the_serial_0000_and_takes_9999():
    assert rule_of(types.Nik, nik("01", serial="0000")) == "nik_serial"
    assert rule_of(types.Nik, nik("01", serial="9999")) is None


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        ("33201001019000", "string_too_short"),
        ("33201001019000011", "string_too_long"),
        ("332010010190000A", "string_pattern_mismatch"),
        ("332010010190000\uff11", "string_pattern_mismatch"),
        ("3320100101900001\n", "string_too_long"),
        ("332010 010190001", "string_pattern_mismatch"),
        (3320100101900001, "string_type"),
        (3.32010010190000e15, "string_type"),
    ],
)
def test_nik_refuses_other_forms_and_never_a_number(value, rule):
    assert rule_of(types.Nik, value) == rule


@given(st.from_regex(r"[0-9]{16}", fullmatch=True))
def test_nik_rule_equals_the_written_rule(value):
    day, month, year = int(value[6:8]), int(value[8:10]), int(value[10:12])
    shown = day if 1 <= day <= 31 else day - 40 if 41 <= day <= 71 else 0
    dates = []
    for century in (1900, 2000):
        try:
            dates.append(dt.date(century + year, month, shown))
        except ValueError:
            continue
    possible = bool(dates) and not value.endswith("0000")
    assert (ids.nik_fault(value) is None) is possible


def test_nik_parts_say_sex_and_take_the_later_century_unless_it_is_to_come():
    today = dt.date(2026, 11, 24)
    woman = ids.nik_parts(nik("57", "08", "45"), today)
    assert (woman.region, woman.sex, woman.birth_dates) == ("33.20.10", "female", (dt.date(1945, 8, 17),))
    child = ids.nik_parts(nik("17", "08", "20"), today)
    assert (child.sex, child.birth_dates) == ("male", (dt.date(2020, 8, 17), dt.date(1920, 8, 17)))


@pytest.mark.parametrize("day", ["00", "32", "40", "41", "71"])
def test_kk_refuses_days_above_31_so_that_a_woman_s_nik_in_the_wrong_column_is_seen(day):
    assert rule_of(types.NomorKk, nik(day)) == "kk_date"


def test_kk_takes_a_date_of_recording_and_refuses_the_serial_0000():
    assert rule_of(types.NomorKk, nik("31", "12", "15")) is None
    assert rule_of(types.NomorKk, nik("31", "12", "15", "0000")) == "kk_serial"


@pytest.mark.parametrize(
    "code",
    [
        "33",
        "33.20",
        "33.01",
        "33.69",
        "33.71",
        "33.79",
        "33.99",
        "33.20.10",
        "33.20.06.1001",
        "33.20.10.2001",
        "91.01.01.3001",
    ],
)
def test_kode_wilayah_takes_the_four_levels(code):
    assert rule_of(types.KodeWilayah, code) is None


@pytest.mark.parametrize(
    "code",
    [
        "",
        "3",
        "333",
        "3320",
        "33.2",
        "33.00",
        "33.70",
        "33.20.1",
        "33.20.10.0001",
        "33.20.10.4001",
        "33.20.10.9001",
        "33.20.10.200",
        "33.20.10.20011",
        "33.20.10.2001\n",
        "33-20",
        "33.20.",
        "\uff13\uff13.\uff12\uff10",
    ],
)
def test_kode_wilayah_refuses_impossible_codes(code):
    assert rule_of(types.KodeWilayah, code) is not None


def test_levels_and_parents_are_read_from_the_code():
    assert [
        ids.level_of(code) for code in ("33", "33.20", "33.20.10", "33.20.06.1001", "33.20.10.2001", "91.01.01.3001")
    ] == ["provinsi", "kabupaten", "kecamatan", "kelurahan", "desa", "desa"]
    assert ids.parent_of("33.20.10.2001") == "33.20.10"
    assert ids.parent_of("33") is None


def test_there_are_38_provinces():
    assert len(ids.PROVINCES) == 38
    assert {"33", "91", "96"} <= ids.PROVINCES
    assert not {"20", "54", "77", "97"} & ids.PROVINCES


@pytest.mark.parametrize("code", ["33", "3320", "3320120", "3320120001"])
def test_kode_bps_takes_2_4_7_and_10_digits(code):
    assert rule_of(types.KodeBps, code) is None


@pytest.mark.parametrize("code", ["332", "332012", "33201200", "33.20", "33201200011"])
def test_kode_bps_refuses_other_lengths(code):
    assert rule_of(types.KodeBps, code) is not None


@pytest.mark.parametrize("value", ["pihps:12", "baileo:Provinsi Maluku", "33.20", "dki:3171010001"])
def test_a_region_in_a_key_is_a_code_or_names_its_system(value):
    assert rule_of(types.KodeWilayahAtauAsal, value) is None


@pytest.mark.parametrize(
    "value", ["Provinsi Maluku", "33.70", "pihps:", "PIHPS:12", ":12", "p:1", "pihps: 12", "pihps:\n"]
)
def test_a_region_in_a_key_without_a_system_is_refused(value):
    assert rule_of(types.KodeWilayahAtauAsal, value) is not None


@pytest.mark.parametrize("value", ["69886201", "P9908123", "00000001"])
def test_npsn_takes_eight_digits_or_capitals(value):
    assert rule_of(types.Npsn, value) is None


@pytest.mark.parametrize("value", ["p9908123", "6988620", "698862011", "6988-201", 69886201])
def test_npsn_refuses_other_forms(value):
    assert rule_of(types.Npsn, value) is not None


def test_nip_takes_those_of_civil_servants_of_contract_staff_and_old_ones():
    assert all(rule_of(types.Nip, nip) is None for nip in ("198609262015051001", "198609262023211001", "131234567"))


@pytest.mark.parametrize(
    ("nip", "rule"),
    [
        ("198602302015051001", "nip_birth_date"),
        ("000101012015051001", "nip_birth_date"),
        ("198609262015053001", "nip_sex"),
        ("198609262015051000", "nip_serial"),
        ("1986092620150510", "string_pattern_mismatch"),
        ("19860926 201505 1 001", "string_too_long"),
    ],
)
def test_nip_refuses_impossible_parts(nip, rule):
    assert rule_of(types.Nip, nip) == rule


def test_nip_of_a_child_is_only_doubtful():
    assert ids.nip_appointed_adult("198609262015051001")
    assert not ids.nip_appointed_adult("199809262015051001")
    assert rule_of(types.Nip, "199809262015051001") is None


@pytest.mark.parametrize("npwp", ["013121660091000", "016090524017000", "013000666091000", "0013121660091000"])
def test_npwp_luhn_holds_for_published_numbers(npwp):
    assert rule_of(types.Npwp, npwp) is None
    assert ids.npwp_luhn_holds(npwp)


def test_npwp_with_a_wrong_check_digit_is_doubtful_and_accepted():
    assert rule_of(types.Npwp, "013121661091000") is None
    assert not ids.npwp_luhn_holds("013121661091000")


def test_npwp_of_a_person_is_a_nik_with_its_rules():
    assert rule_of(types.Npwp, nik("41")) is None
    assert ids.npwp_luhn_holds(nik("41"))
    assert rule_of(types.Npwp, nik("72")) == "nik_date"


def test_nop_with_an_unusual_last_digit_is_doubtful_and_accepted():
    assert rule_of(types.Nop, "332001000100100011") is None
    assert [ids.nop_sector_usual("33200100010010001" + last) for last in "01279"] == [True, False, False, True, True]


@pytest.mark.parametrize(("value", "fine"), [("59452", True), ("594454", False), ("09452", False), ("5945", False)])
def test_postcodes_have_five_digits_and_no_leading_zero(value, fine):
    assert (rule_of(types.KodePos, value) is None) is fine


@pytest.mark.parametrize(
    ("code", "known"),
    [
        ("P3320120101", True),
        ("3320120101", True),
        ("R3320010", True),
        ("3320010", True),
        ("0180R001", True),
        ("D3100", False),
    ],
)
def test_facility_codes_are_opaque_and_one_of_no_scheme_is_known_as_such(code, known):
    assert rule_of(types.KodeFaskes, code) is None
    assert ids.facility_scheme_known(code) is known


def test_normalising_removes_what_people_write_between_digits_and_nothing_else():
    assert ids.normalise_identifier("01.300.066.6-091.000") == "013000666091000"
    assert ids.normalise_identifier(" 19860926 201505 1/001") == "198609262015051001"
    assert ids.normalise_identifier("33_20,1") == "33_20,1"


@pytest.mark.parametrize(
    ("phone", "usual"),
    [
        ("3503150", True),
        ("(0297) 312128", True),
        ("+62 812-3456-7890", True),
        ("", False),
        ("1234", False),
        ("29484848  (10 lines)", False),
        ("021-7650384 ; 7666087 ; 7692919", False),
        ("1" * 16, False),
    ],
)
def test_phones_are_kept_as_written_and_unusual_ones_are_doubtful(phone, usual):
    assert rule_of(types.Telepon, phone) is None
    assert ids.phone_usual(phone) is usual
