"""Cursors: what goes in comes out, for this question only."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import CursorInvalid
from app.federation.question import cursor
from app.federation.question.query import Answer, Query, SortKey
from tests.support.memory import FACILITIES

KEY = b"k" * 32
QUERY = Query(FACILITIES, sort=(SortKey("nama"),))
VALUES = (
    st.none()
    | st.text(max_size=40)
    | st.booleans()
    | st.integers(-(2**62), 2**62)
    | st.decimals(allow_nan=False, allow_infinity=False)
    | st.floats(allow_nan=False)
    | st.dates()
    | st.datetimes(timezones=st.just(UTC))
)


def answer(after: tuple[Any, ...] | None, **owed: Any) -> Answer:
    return Answer(FACILITIES, (), [], [], complete=True, after=after, owed=owed)


@given(value=VALUES, owed=VALUES)
def test_every_kind_of_value_survives_the_way_through_a_cursor(value: Any, owed: Any) -> None:
    token = cursor.following(KEY, answer((value, "dinkes", "dinkes-set", "K1"), rsud=(owed, "K0"), bps=None), "q")

    again = cursor.resume(KEY, token, QUERY, "q")

    assert again.after == (value, "dinkes", "dinkes-set", "K1")
    assert type(again.after[0]) is type(value)
    assert again.owed == {"rsud": (owed, "K0"), "bps": None}


def test_token_is_made_of_letters_that_need_no_escaping() -> None:
    token = cursor.following(KEY, answer(("Ä/+=", "a", "b", "c")), "q")

    assert token is not None
    assert set(token) <= set("ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_")


def test_last_page_has_no_cursor() -> None:
    assert cursor.following(KEY, answer(None), "q") is None


def test_no_cursor_is_the_first_page() -> None:
    assert cursor.resume(KEY, None, QUERY, "q") is QUERY


@pytest.mark.parametrize("index", range(0, 60, 7))
def test_changed_character_is_refused(index: int) -> None:
    token = cursor.following(KEY, answer(("a", "dinkes", "dinkes-set", "K1")), "q") or ""
    changed = token[:index] + ("A" if token[index] != "A" else "B") + token[index + 1 :]

    with pytest.raises(CursorInvalid):
        cursor.resume(KEY, changed, QUERY, "q")


@pytest.mark.parametrize("text", ["", "A", "AAAA", "%%%", "é", "A" * 9000])
def test_anything_else_is_refused(text: str) -> None:
    with pytest.raises(CursorInvalid):
        cursor.resume(KEY, text, QUERY, "q")


def test_cursor_fits_neither_another_question_nor_key_nor_sort() -> None:
    token = cursor.following(KEY, answer(("a", "dinkes", "dinkes-set", "K1")), "q")

    for key, query, bound in [
        (KEY, QUERY, "other"),
        (b"x" * 32, QUERY, "q"),
        (KEY, replace(QUERY, sort=()), "q"),
    ]:
        with pytest.raises(CursorInvalid):
            cursor.resume(key, token, query, bound)


def test_token_of_another_purpose_is_no_cursor_of_records() -> None:
    token = cursor.make_token(KEY, "exchanges", "q", [["a", "dinkes", "dinkes-set", "K1"]])

    with pytest.raises(CursorInvalid):
        cursor.resume(KEY, token, QUERY, "q")


def test_values_keep_their_exact_form() -> None:
    position = [Decimal("1.10"), 0.1, date(2026, 11, 20), datetime(2026, 11, 20, 3, tzinfo=UTC)]

    again = cursor.open_token(KEY, "p", "q", cursor.make_token(KEY, "p", "q", position))

    assert [str(value) for value in again] == [str(value) for value in position]
