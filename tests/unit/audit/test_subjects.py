"""Subject tags: one tag for all ways to write an identifier, keys that are made once and never shown."""

from __future__ import annotations

import os
import stat

import pytest

from app.audit.entry.record import Subject
from app.audit.keys.subjects import SubjectKeys, normalise, subject_tag
from app.errors import EntryInvalid, LogUnavailable

KEY = bytes(range(32))
NIK = "3320010101900001"


@pytest.mark.parametrize(
    "written",
    [
        "3320010101900001",
        "3320 0101 0190 0001",
        "3320010101900001\n",
        "33.20.01.010190-0001",
        "\uff13\uff13\uff12\uff10\uff10\uff11\uff10\uff11\uff10\uff11\uff19\uff10\uff10\uff10\uff10\uff11",
        "\u0663\u0663\u0662\u0660\u0660\u0661\u0660\u0661\u0660\u0661\u0669\u0660\u0660\u0660\u0660\u0661",
        "3320010101900001\u200b",
    ],
)
def test_hostile_54_one_tag_for_all_ways_to_write_a_number(written):
    assert subject_tag(KEY, "nik", written) == subject_tag(KEY, "nik", NIK)


def test_hostile_54_letters_fold_by_case_and_composition():
    assert normalise("ab\u00e9-1") == normalise("AB E\u0301 1") == "AB\u00c91"


def test_another_type_key_or_value_gives_another_tag():
    tag = subject_tag(KEY, "nik", NIK)
    assert len(tag) == 16
    assert (
        len({tag, subject_tag(KEY, "nisn", NIK), subject_tag(bytes(32), "nik", NIK), subject_tag(KEY, "nik", "1")}) == 4
    )


def test_a_known_tag():
    assert subject_tag(KEY, "nik", NIK).hex() == "f4b013bb6de0f356b0e183e6eb1788f9"


@pytest.mark.parametrize("value", ["", " ", "-.-", "\u200b"])
def test_an_identifier_without_letter_or_digit_is_refused(value):
    with pytest.raises(EntryInvalid):
        normalise(value)


def test_keys_are_yearly_random_private_and_stay(tmp_path):
    keys = SubjectKeys(tmp_path / "keys")
    first = keys.key(2026)
    assert first != keys.key(2027)
    assert SubjectKeys(tmp_path / "keys").key(2026) == first
    path = tmp_path / "keys" / "subject-2026.key"
    assert stat.S_IMODE(path.stat().st_mode) == 0o400
    assert keys.epochs() == [2027, 2026]
    assert keys.search_tags("nik", NIK) == [(year, subject_tag(keys.key(year), "nik", NIK)) for year in (2027, 2026)]
    assert sorted(os.listdir(tmp_path / "keys")) == ["subject-2026.key", "subject-2027.key"]


def test_tags_of_an_entry_are_distinct_with_role_and_epoch(tmp_path):
    keys = SubjectKeys(tmp_path)
    subjects = (Subject("nik", "1", "asked"), Subject("nik", "1 ", "asked"), Subject("nik", "1", "released"))
    tag = subject_tag(keys.key(2026), "nik", "1")
    assert keys.tags(subjects, 2026) == [(tag, "asked", 2026), (tag, "released", 2026)]


@pytest.mark.parametrize("content", ["", "zz", "00" * 31])
def test_a_damaged_key_file_keeps_the_log_from_being_written(tmp_path, content):
    (tmp_path / "subject-2026.key").write_text(content)
    with pytest.raises(LogUnavailable, match="2026"):
        SubjectKeys(tmp_path).key(2026)
