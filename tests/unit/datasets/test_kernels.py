"""Kernels over whole columns say what is said of each value alone, or they say nothing."""

from __future__ import annotations

import re

import pyarrow as pa
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from app.datasets.columnar.kernels import kernel_of
from app.datasets.columnar.quality import may_be_worth_a_look
from app.datasets.mapping.codes import empty_code_book
from app.datasets.mapping.compile import CompiledField, compile_field
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps.contract import StepContext
from app.datasets.quality import WORTH_A_LOOK
from app.schemas import registry
from app.schemas.text_bytes import all_match, all_printable, none_begins_blank

SCHEMA = registry.get("fasilitas_kesehatan@1")
NUMBERS = st.one_of(
    st.decimals(-999, 999, places=3).map(str),
    st.integers(-(10**15), 10**15).map(str),
    st.text("0123456789.-", min_size=1, max_size=6),
    st.sampled_from(["0", "-0", "-0.0", "00", "1.", ".5", "-.5", "1e3", "+3", " 1", "1.2.3", "--1", "1-", "", "0.10"]),
)
TEXTS = st.one_of(
    st.text("ab Z~\u00e9\t.", max_size=5), st.sampled_from(["a  b", "Jalan Raya", " a", "a ", "\x7f", "Nomor 12"])
)
LOOKED_AT = st.text("0123456789 .-a@", max_size=24)


def compiled(name: str, given_step: object) -> CompiledField:
    spec = SCHEMA.fields[name]
    return compile_field(
        name, given_step, spec, StepContext(f"/fields/{name}", empty_code_book(), "Asia/Jakarta", spec=spec)
    )


def says(field: CompiledField, values: list[str]) -> int:
    """How many values the kernel is sure of; each of them is what the function makes of it."""
    column = pa.array(values, pa.string())
    found = kernel_of(field, SCHEMA.fields[field.name], SCHEMA.arrow.field(field.name).type, column)
    assert found is not None
    told, sure = found[0].to_pylist(), found[1].to_pylist()
    for value, made, known in zip(values, told, sure, strict=True):
        if known:
            try:
                assert made == field.value({"a": value})
            except StepReject as reject:
                raise AssertionError(f"{value!r} is {made!r}, and was to be refused") from reject
    return sum(sure)


@given(st.lists(NUMBERS, min_size=1, max_size=3))
@example(["-0.50", "110.6", "0"])
@example(["1.2.3"])
def test_numbers_are_what_each_is_alone(values: list[str]) -> None:
    says(compiled("lat", {"from": "a", "number": {}}), values)


@given(st.lists(TEXTS, min_size=1, max_size=3))
@example(["a", ""])
def test_texts_are_what_each_is_alone(values: list[str]) -> None:
    for steps in ("a", {"from": "a", "text": "squeeze"}, {"from": "a", "text": "trim"}):
        says(compiled("alamat", steps), values)


@pytest.mark.parametrize("name", ["lat", "alamat"])
def test_plain_columns_are_sure_whole(name: str) -> None:
    steps = {"from": "a", "number": {}} if name == "lat" else {"from": "a", "text": "squeeze"}
    values = ["-6.5812345", "110.7", "0", "0.5", "-12"] if name == "lat" else ["Jalan Pemuda 12", "-", "A"]
    assert says(compiled(name, steps), values) == len(values)


@given(st.lists(LOOKED_AT, max_size=4), st.lists(LOOKED_AT, max_size=2), st.lists(LOOKED_AT, max_size=2))
@example(["1 2 3 4 5 6 7 8 9 0"], [], [])
@example(["0812345678"], ["1"], ["2"])
def test_no_text_that_is_worth_a_look_is_passed_over(texts: list[str], before: list[str], behind: list[str]) -> None:
    """Also in a column that is a part of a longer one."""
    column = pa.array([*before, *texts, *behind], pa.string()).slice(len(before), len(texts))
    if any(WORTH_A_LOOK.search(text) for text in texts):
        assert may_be_worth_a_look(column)
    assert not may_be_worth_a_look(pa.array(["Jalan 12", None, "F0000001"], pa.string()))


PATTERNS = ("^[0-9A-Za-z][0-9A-Za-z._:/-]{0,3}$", "^[a-z][a-z0-9_]{0,2}$", "^[a-z0-9][a-z]{0,2}$", "^[0-9]{4}$")


@given(st.sampled_from(PATTERNS), st.lists(st.text("a0A_.é\n ", max_size=5), max_size=3), st.integers(0, 1))
def test_texts_that_surely_match_do(pattern: str, texts: list[str], begun: int) -> None:
    column = pa.array(texts, pa.string()).slice(begun)
    if all_match(pattern, column):
        assert all(re.fullmatch(pattern, text) for text in texts[begun:])
    if all_printable(column):
        assert all(text.isascii() and (text.isprintable() or not text) for text in texts[begun:])
    if none_begins_blank(column):
        assert all(text and text[0] != " " for text in texts[begun:])


def test_identifiers_are_decided_whole() -> None:
    column = pa.array(["F0001", "a", "P/1:2"], pa.string())
    assert [all_match(pattern, column) for pattern in PATTERNS] == [False, False, False, False]
    assert all_match("^[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}$", column)
    assert not all_match("^[0-9A-Za-z][0-9A-Za-z._:/-]{0,63}$", pa.array(["F0001", None], pa.string()))
