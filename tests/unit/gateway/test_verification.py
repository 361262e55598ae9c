"""Verification of a person: what fits what, what is shown of the name, and that masked fields are neither."""

from __future__ import annotations

from datetime import date
from typing import Any

import pytest

from app.access.decisions import Decision
from app.datasets.records import MappedRecord
from app.errors import ValidationFailed
from app.gateway.verification import Verification, _compared, check_subject, masked_name
from app.schemas import registry

PERSONS = registry.get("penduduk_verifikasi")
HELD: dict[str, Any] = {"nama": "Siti Contoh Aminah", "tanggal_lahir": date(1980, 1, 1), "status_dasar": "hidup"}
ALL = frozenset({"nik", *HELD})


def compared(given: dict[str, Any], *, masks: dict[str, str] | None = None, **held: Any) -> Verification:
    decision = Decision(allow=True, rule="agreement", fields=ALL, masks=masks or {})
    return _compared(MappedRecord("x", {**HELD, **held}), given, decision)


@pytest.mark.parametrize("name", ["Siti Contoh Aminah", "SITI CONTOH AMINAH", "  siti  contoh\taminah "])
def test_a_name_fits_in_any_case_and_with_any_blanks(name: str):
    assert compared({"nama": name}).hasil == "cocok"


@pytest.mark.parametrize("name", ["Siti Contoh", "Siti Contoh Aminahh", "Aminah Contoh Siti", "SitiContohAminah"])
def test_another_name_does_not_fit(name: str):
    assert compared({"nama": name}).per_field == {"nama": False}


def test_one_field_that_differs_makes_the_whole_not_fit_and_says_which():
    found = compared({"nama": "Siti Contoh Aminah", "tanggal_lahir": date(1980, 1, 2)})

    assert (found.hasil, found.per_field) == ("tidak_cocok", {"nama": True, "tanggal_lahir": False})


def test_a_date_fits_as_a_date_and_as_its_text_and_in_no_other_spelling():
    fits = [compared({"tanggal_lahir": day}).hasil for day in (date(1980, 1, 1), "1980-01-01", "01-01-1980")]

    assert fits == ["cocok", "cocok", "tidak_cocok"]


def test_what_the_register_does_not_hold_never_fits():
    assert compared({"nama": "None"}, nama=None).hasil == "tidak_cocok"


def test_the_name_is_shown_masked_and_the_status_as_it_is():
    found = compared({})

    assert (found.nama_tersamar, found.status_dasar) == ("S*** C***** A*****", "hidup")


def test_a_masked_field_is_not_shown():
    found = compared({}, masks={"nama": "hide", "status_dasar": "hide"})

    assert (found.nama_tersamar, found.status_dasar) == (None, None)


def test_a_register_without_the_name_shows_none():
    assert compared({}, nama=None).nama_tersamar is None


@pytest.mark.parametrize(("name", "shown"), [("Siti", "S***"), ("A B", "A B"), (" Ani  Budi ", "A** B***"), ("", "")])
def test_a_masked_name_shows_initials_and_lengths_alone(name: str, shown: str):
    assert masked_name(name) == shown


def test_an_identifier_that_breaks_its_own_rules_is_refused_without_repeating_it():
    with pytest.raises(ValidationFailed) as caught:
        check_subject(PERSONS, {"nik": "12345"})

    assert [one.pointer for one in caught.value.errors] == ["/nik"]
    assert "12345" not in f"{caught.value.detail}{caught.value.errors}"


def test_a_sound_identifier_passes_whatever_else_is_missing():
    check_subject(PERSONS, {"nik": "3320010101800001"})
    with pytest.raises(ValidationFailed):
        check_subject(PERSONS, {})
