"""A member that is called otherwise in mid-read is told; one that is absent is none."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors.rest.drift import Members
from app.errors import SourceSchemaMismatch

FIRST = [{"kode": "A1", "alamat": "Jl. A", "lat": 1}, {"kode": "A2", "alamat": "Jl. B", "lat": 2}]


def looked(*pages: list[Any], wanted: tuple[str, ...] | None = ("kode", "alamat")) -> None:
    members, first = Members(wanted), 1
    for page in pages:
        members.look(page, first)
        first += len(page)


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
    looked(FIRST, page, FIRST)


def test_what_the_mapping_does_not_want_may_be_called_anything() -> None:
    looked(FIRST, [{"kode": "A3", "alamat": "Jl. C", "lintang": 3}])
