"""A member that is called otherwise in mid-read is told; one that is absent is none."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors.rest.drift import Members
from app.errors import SourceSchemaMismatch

FIRST = [{"kode": "A1", "alamat": "Jl. A", "lat": 1}, {"kode": "A2", "alamat": "Jl. B", "lat": 2}]


RENAMED = [{"kode": "A1", "address": "Jl. A", "lat": 1}, {"kode": "A2", "address": "Jl. B", "lat": 2}]


def looked(
    *pages: list[Any], wanted: tuple[str, ...] | None = ("kode", "alamat"), again: list[Any] | None = RENAMED
) -> int:
    """How often the first page was asked for again; `again`: what it is then, None as it was."""
    members, first, asked = Members(wanted), 1, 0
    for page in pages:
        suspicion = members.look(page, first)
        if suspicion is not None:
            asked += 1
            suspicion.confirm(pages[0] if again is None else again)
        first += len(page)
    return asked


@pytest.mark.parametrize("wanted", [("kode", "alamat"), None])
@pytest.mark.parametrize("between", [[], [[]], [FIRST]])
def test_a_renamed_member_is_told_with_its_record(between: list[list[Any]], wanted: tuple[str, ...] | None) -> None:
    renamed = [{"kode": "A3", "address": "Jl. C", "lat": 3}, {"kode": "A4", "address": None, "lat": 4}]
    first = 3 + sum(len(page) for page in between)

    with pytest.raises(SourceSchemaMismatch, match=f"from record {first} on no record has alamat") as told:
        looked(FIRST, *between, renamed, wanted=wanted)
    assert told.value.facts["missing"] == ["alamat"]


@pytest.mark.parametrize(
    "page",
    [
        [{"kode": "A3", "lat": 3}],
        [{"kode": "A3", "lat": 3, "telepon": "1", "jam": "7"}],
        [{"kode": "A3", "lat": 3}, {"kode": "A4", "alamat": "Jl. D", "lat": 4}],
        [{"kode": "A3", "jam": "7", "lat": 3}, {"kode": "A4", "alamat": "Jl. D", "lat": 4}],
        [{"lat": 3, "alamat": "Jl. C", "kode": "A3"}],
        [],
        ["A3"],
    ],
)
def test_an_absent_member_is_none(page: list[Any]) -> None:
    assert looked(FIRST, page, FIRST) == 0


def test_what_the_mapping_does_not_want_may_be_called_anything() -> None:
    assert looked(FIRST, [{"kode": "A3", "alamat": "Jl. C", "lintang": 3}]) == 0


OTHER = [{"kode": "A3", "jalan": "Jl. C", "lat": 3}, {"kode": "A4", "jalan": "Jl. D", "lat": 4}]
MIXED = [FIRST[1], OTHER[0]]


@pytest.mark.parametrize(
    ("pages", "asked"),
    [
        ([FIRST, OTHER], 1),
        ([FIRST, OTHER, FIRST, OTHER, FIRST], 1),
        ([FIRST, MIXED, OTHER], 0),
        ([[FIRST[0]], [OTHER[0]], [FIRST[1]], [OTHER[1]]], 1),
        ([OTHER, FIRST], 1),
    ],
)
@pytest.mark.parametrize("wanted", [("kode", "alamat", "jalan"), None])
def test_a_list_of_two_types_is_no_rename_and_is_asked_once(
    pages: list[list[Any]], asked: int, wanted: tuple[str, ...] | None
) -> None:
    assert looked(*pages, wanted=wanted, again=None) == asked


@pytest.mark.parametrize("again", [[], ["A1"], [FIRST[0], RENAMED[1]], [{"kode": "A1", "lat": 1}]])
def test_a_first_page_that_does_not_tell_is_no_sign(again: list[Any]) -> None:
    assert looked(FIRST, OTHER, again=again) == 1
