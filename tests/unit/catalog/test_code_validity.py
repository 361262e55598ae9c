"""Validity of codes in the files of `simpul codes load`: days, successors, and what is wrong with them."""

from __future__ import annotations

import json

import pytest

from app.catalog.code_files import CodeFile, parse_code_file
from app.errors import FieldError, ValidationFailed

HEAD = "kode,nama,valid_from,valid_to,pengganti\n"


def loaded(name: str, text: str) -> CodeFile:
    return parse_code_file(name, text.encode())


def faults(name: str, text: str) -> list[FieldError]:
    with pytest.raises(ValidationFailed) as caught:
        loaded(name, text)
    return list(caught.value.errors)


def test_a_region_list_tells_when_a_code_ended_and_what_replaced_it() -> None:
    found = loaded(
        "a.csv", HEAD + "33.20.10,Lama,2005-01-01,2019-05-01,33.20.17; 33.20.18\n33.20.17,Baru,2019-05-02,,\n"
    )
    assert [(one.valid_from, one.valid_to, one.pengganti) for one in found.regions] == [
        ("2005-01-01", "2019-05-01", "33.20.17 33.20.18"),
        ("2019-05-02", None, None),
    ]
    assert (found.dated, found.ignored) == (True, ())


def test_json_and_crosswalks_tell_it_too() -> None:
    items = [{"kode": "33", "nama": "Jawa Tengah", "valid_from": "1950-08-15"}, {"kode": "34", "nama": "DIY"}]
    found = loaded("a.json", json.dumps(items))
    assert ([one.valid_from for one in found.regions], found.dated) == (["1950-08-15", None], True)
    text = "sistem,kode_asal,tingkat,kode_kemendagri,valid_to,pengganti\ndapodik,032000,kabupaten,33.20,2020-12-31,032001\n"
    (entry,) = loaded("c.csv", text).crosswalk
    assert (entry.valid_from, entry.valid_to, entry.pengganti) == (None, "2020-12-31", "032001")


def test_a_list_without_the_columns_says_nothing_of_validity() -> None:
    found = loaded("a.csv", "kode,nama\n33,Jawa Tengah\n")
    assert (found.dated, found.regions[0].valid_to) == (False, None)


@pytest.mark.parametrize(
    ("cells", "told"),
    [
        ("2019-13-01,,", "valid_from: a day is written 2019-05-01, not '2019-13-01'"),
        ("20190501,,", "valid_from: a day is written 2019-05-01"),
        (",01/05/2019,", "valid_to: a day is written 2019-05-01"),
        ("2019-05-02,2019-05-01,", "lies before valid_from"),
        (",,33.21", "only where valid_to says that the code ended"),
        (",2019-05-01,33.20", "other codes of the same list"),
        (",2019-05-01,Jepara (baru)", "other codes of the same list"),
    ],
)
def test_what_is_wrong_is_named_with_its_line(cells: str, told: str) -> None:
    (found,) = faults("a.csv", f"{HEAD}33,Jawa Tengah,,,\n33.20,Jepara,{cells}\n")
    assert (found.pointer, found.code) == ("a.csv:3", "validity")
    assert told in found.detail


def test_a_number_in_json_is_no_day() -> None:
    (found,) = faults("a.json", json.dumps([{"kode": "33", "nama": "Jawa Tengah", "valid_from": 20190501}]))
    assert (found.code, found.detail) == ("validity", "valid_from is a text")
