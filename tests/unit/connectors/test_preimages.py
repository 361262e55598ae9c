"""Conditions on mapped fields, turned around: whatever the mapping makes a wanted value of, the raw condition lets through."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.datasets.mapping.codes import empty_code_book
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.contract import StepContext
from app.datasets.preimages import preimages
from app.filters.evaluation import compile_predicate
from app.filters.tree import Compare, In, Literal, Property

_CODES = {
    "PUSKESMAS": "puskesmas",
    "RUMAH SAKIT": "rumah_sakit",
    "R%S_\\": "rumah_sakit",
    1: "klinik",
    "": "klinik",
    "x": None,
}
_WORDS = ["PUSKESMAS", "RUMAH", "SAKIT", " ", "  ", "\t", "\u3000", "R%S_\\", "1", "x", "rumah", ""]
_RAW = st.lists(st.sampled_from(_WORDS), max_size=5).map("".join) | st.text(max_size=6)
_STEPS: list[tuple[str, Any]] = [
    ("codes", _CODES),
    ("text", "trim"),
    ("text", "squeeze"),
    ("text", ["trim", "squeeze"]),
]


@given(
    st.sampled_from(_STEPS),
    _RAW | st.integers(0, 2),
    st.lists(st.sampled_from(["puskesmas", "rumah_sakit", "klinik", "RUMAH SAKIT", "R%S_\\"]), min_size=1, max_size=3),
)
def test_nothing_that_is_wanted_is_left_out(step, raw, wanted) -> None:
    name, options = step
    context = StepContext("/fields/jenis", empty_code_book(), "Asia/Jakarta")
    try:
        value = STEPS[name](options, context)(raw, {"mentah": raw})
    except StepReject:
        return
    node = In(Property("jenis"), tuple(map(Literal, wanted)))
    if compile_predicate(node)({"jenis": value}) is not True:
        return
    for form in preimages(node, {"jenis": {"from": "mentah", name: options}}):
        if isinstance(form, In) is isinstance(raw, int):
            assert compile_predicate(form)({"mentah": raw}) is True


@pytest.mark.parametrize(
    "given",
    [
        {"from": "mentah", "text": "upper"},
        {"from": "mentah", "text": ["trim", "lower"]},
        {"from": "mentah", "codes": _CODES, "slice": [1, 2]},
        {"from": ["a", "b"], "join": " "},
        {"from": "$.a.b", "codes": _CODES},
        {"const": "puskesmas"},
        {"from": "mentah", "codes": {"lain": "lain"}},
        "mentah",
    ],
)
def test_what_is_not_proven_is_not_turned_around(given) -> None:
    assert list(preimages(Compare("=", Property("jenis"), Literal("puskesmas")), {"jenis": given})) == []
