"""Canonical JSON: equal to RFC 8785 by another implementation, or refused."""

from __future__ import annotations

import math

import orjson
import pytest
import rfc8785
from hypothesis import given
from hypothesis import strategies as st

from app.audit.entry.canonical import canonical, tame
from app.errors import EntryInvalid

TEXT = st.text(st.characters(exclude_categories=["Cs"]))
SCALARS = st.none() | st.booleans() | st.integers(-(2**53) + 1, 2**53 - 1) | TEXT
KEYS = st.text(st.characters(max_codepoint=127))
VALUES = st.recursive(
    SCALARS, lambda inner: st.lists(inner, max_size=4) | st.dictionaries(KEYS, inner, max_size=4), max_leaves=12
)
ANYTHING = st.recursive(
    SCALARS | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=12,
)


@given(VALUES)
def test_hostile_53_equal_to_rfc_8785(value):
    assert canonical(value) == rfc8785.dumps(value)


@pytest.mark.parametrize("text", ["\u2028\u2029", "\x7f", '\x00\x1f\b\f\n\r\t"\\/', "e\u0301", "\U0001f600", "\ufb33"])
def test_hostile_53_strings_that_others_write_differently(text):
    assert canonical({"a": text}) == rfc8785.dumps({"a": text})


@pytest.mark.parametrize(
    "value",
    [
        1.0,
        1e21,
        -0.0,
        math.nan,
        2**53,
        -(2**53),
        {"\u00e9": 1},
        {1: 2},
        "\ud800",
        {"a": ["\udfff"]},
        {1, 2},
        b"x",
        object(),
    ],
)
def test_hostile_53_what_is_refused(value):
    with pytest.raises(EntryInvalid):
        canonical({"a": value})


@given(ANYTHING)
def test_whatever_a_caller_sends_can_be_kept_as_a_detail(value):
    kept = canonical_of_detail({"query": value})
    assert orjson.dumps(orjson.loads(kept), option=orjson.OPT_SORT_KEYS) == kept


@given(st.floats(1e-4, 9e14) | st.floats(-9e14, -1e-4) | st.integers(-(10**14), 10**14).map(float))
def test_ordinary_numbers_of_a_detail_are_those_of_rfc_8785(number):
    assert canonical_of_detail({"a": number}) == rfc8785.dumps({"a": number})


@pytest.mark.parametrize(
    ("given_", "kept"),
    [(2**60, str(2**60)), (1e300, "1e+300"), (math.inf, "inf"), (1e-9, "1e-09"), ("\ud800", "\\ud800"),
     ((1, 2), [1, 2]),
     ({"\u00e9": 1}, {"\\xe9": 1}), ({5: None}, {"5": None}), (-0.0, 0)],
)  # fmt: skip
def test_extraordinary_values_of_a_detail_are_kept_as_text(given_, kept):
    assert tame(given_) == kept


def canonical_of_detail(value):
    return orjson.dumps(tame(value), option=orjson.OPT_SORT_KEYS)
