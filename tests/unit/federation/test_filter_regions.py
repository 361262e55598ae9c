"""`induk` and `tingkat` in filters: the same answers as plain Python and three-valued logic give, in text and JSON."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FilterMalformed, OperatorUnsupported, TypeMismatch
from app.filters.cql2.parse import parse_json, parse_text
from app.filters.evaluation import compile_predicate
from app.filters.redaction import filter_structure
from app.filters.typing import typed
from app.schemas import registry
from app.schemas.identifiers import level_of
from app.schemas.wilayah import LEVELS

REGIONS = registry.get("wilayah")
CODES = [
    "33", "34", "33.20", "33.21", "33.20.05", "33.20.06", "33.20.05.2001", "33.20.05.1001", "33.20.06.2002", "33.21.05.2001", None,
]  # fmt: skip
NAMED = [code for code in CODES if code is not None]


def above(code: str | None, level: str) -> str | None:
    """What `induk` means."""
    if code is None:
        return None
    parts = code.split(".")
    if level in LEVELS[3:]:
        return code if level_of(code) == level else None
    needed = LEVELS.index(level) + 1
    return ".".join(parts[:needed]) if len(parts) >= needed else None


def holds(text: str, code: str | None) -> bool | None:
    return compile_predicate(typed(REGIONS, parse_text(text)))({"kode": code, "nama": "x"})


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("level", LEVELS)
def test_a_level_is_that_of_the_code(code: str | None, level: str) -> None:
    is_of = None if code is None else level_of(code) == level

    assert holds(f"tingkat(kode) = '{level}'", code) is is_of
    assert holds(f"'{level}' = tingkat(kode)", code) is is_of
    assert holds(f"tingkat(kode) <> '{level}'", code) is (None if is_of is None else not is_of)
    assert holds(f"NOT tingkat(kode) = '{level}'", code) is (None if is_of is None else not is_of)


@pytest.mark.parametrize("code", CODES)
@pytest.mark.parametrize("wanted", NAMED)
def test_the_region_above_is_found_and_unknown_above_its_level(code: str | None, wanted: str) -> None:
    level = level_of(wanted)
    call = f"induk(kode, '{level}')"
    value = above(code, level)
    expected = None if value is None else value == wanted
    true = bool(expected)
    opposite = expected is False

    assert (holds(f"{call} = '{wanted}'", code) is True) == true
    assert (holds(f"{call} IN ('{wanted}')", code) is True) == true
    assert (holds(f"{call} <> '{wanted}'", code) is True) == opposite
    assert (holds(f"NOT {call} = '{wanted}'", code) is True) == opposite
    assert (holds(f"NOT (NOT {call} = '{wanted}')", code) is True) == true
    assert (holds(f"NOT ({call} = '{wanted}' OR nama = 'y')", code) is True) == opposite
    assert (holds(f"NOT ({call} <> '{wanted}' AND nama = 'x')", code) is True) == true


@given(st.lists(st.sampled_from(LEVELS), min_size=1, max_size=3), st.sampled_from(NAMED))
def test_a_list_of_levels(levels: list[str], code: str) -> None:
    text = f"tingkat(kode) IN ({', '.join(repr(level) for level in levels)})"

    assert holds(text, code) is (level_of(code) in levels)
    assert holds(f"NOT {text}", code) is (level_of(code) not in levels)
    assert holds(text.replace(" IN ", " NOT IN "), code) is (level_of(code) not in levels)


def test_text_and_json_are_the_same_and_the_log_holds_no_value() -> None:
    call = {"op": "induk", "args": [{"property": "kode"}, "kecamatan"]}
    document = {
        "op": "and",
        "args": [{"op": "=", "args": [call, "33.20.05"]}, {"op": "=", "args": [{"property": "nama"}, "x"]}],
    }
    text = "INDUK(kode, 'kecamatan') = '33.20.05' AND nama = 'x'"

    assert parse_text(text) == parse_json(document)
    assert "33" not in filter_structure(typed(REGIONS, parse_text(text)))


def test_the_field_tingkat_is_still_a_field() -> None:
    assert parse_text("tingkat = 'desa'") == parse_json({"op": "=", "args": [{"property": "tingkat"}, "desa"]})


@pytest.mark.parametrize(
    ("text", "error", "told"),
    [
        ("tingkat(kode) = 'kota'", FilterMalformed, "a kota stands on level kabupaten"),
        ("induk(kode, 'kec') = '33.20.05'", FilterMalformed, "a level is one of"),
        ("induk(kode, 'kecamatan') = '33.20'", FilterMalformed, "no code of level kecamatan"),
        ("induk(kode, 'kecamatan') = '332005'", FilterMalformed, "no code of level kecamatan"),
        ("induk(kode) = '33'", FilterMalformed, "write tingkat(kode)"),
        ("tingkat('33') = 'desa'", FilterMalformed, "takes a field"),
        ("tingkat(kode) < 'desa'", FilterMalformed, "=, <> or IN"),
        ("tingkat(kode) LIKE 'd%'", FilterMalformed, "=, <> or IN"),
        ("tingkat(kode) IS NULL", FilterMalformed, "=, <> or IN"),
        ("tingkat(kode) = 3", FilterMalformed, "write tingkat(kode)"),
        ("tingkat(kode) = nama", FilterMalformed, "write tingkat(kode)"),
        ("tingkat(kode)", OperatorUnsupported, "tingkat"),
        ("tingkat(luas_km2) = 'desa'", TypeMismatch, "luas_km2"),
    ],
)
def test_what_is_wrong_says_what_to_write(text: str, error: type[Exception], told: str) -> None:
    with pytest.raises(error) as caught:
        typed(REGIONS, parse_text(text))

    assert told in str(caught.value)
