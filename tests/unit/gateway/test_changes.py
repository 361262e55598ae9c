"""The change feed: readers of the same cut share what is remembered; a cursor of another feed is none; times have zones."""

from __future__ import annotations

import secrets
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from app.catalog.changes import Moved, Position
from app.errors import CursorInvalid, ValidationFailed
from app.federation.question import cursor
from app.federation.question.cursor import CursorTooLong
from app.federation.question.query import Grant
from app.filters.tree import Compare, Literal, Property
from app.gateway.changes import (
    _PURPOSE,
    _scope,
    cursor_positions,
    known_of,
    moment_of,
    packed_positions,
    short_name,
)
from tests.support.memory import FACILITIES

ALL = frozenset(FACILITIES.fields)
ONLY = Compare("=", Property("kelas"), Literal("B"))
KEY = b"k" * 32
NOW = datetime(2026, 11, 20, 8, tzinfo=UTC)


def test_readers_of_everything_share_one_memory_whatever_their_agreement():
    assert _scope(FACILITIES, Grant(ALL)) == "open"
    assert _scope(FACILITIES, Grant(ALL, agreement="pks-1")) == "open"


def test_readers_of_the_same_cut_share_and_others_do_not():
    cuts = [
        Grant(ALL - {"telepon"}),
        Grant(ALL - {"alamat"}),
        Grant(ALL, row_filter=ONLY),
        Grant(ALL, masks={"alamat": "hash"}),
        Grant(ALL, masks={"alamat": "hide"}),
    ]

    assert len({_scope(FACILITIES, cut) for cut in cuts} | {"open"}) == len(cuts) + 1
    assert _scope(FACILITIES, cuts[0]) == _scope(FACILITIES, Grant(ALL - {"telepon"}, agreement="pks-1"))


def test_masked_values_differ_by_agreement_and_so_does_what_is_remembered_of_them():
    masks = {"alamat": "hash"}
    first, second = (Grant(ALL, masks=masks, agreement=name) for name in ("pks-1", "pks-2"))

    assert _scope(FACILITIES, first) != _scope(FACILITIES, second)


def token(position: list[Any], purpose: str = _PURPOSE, bound: str = "q") -> str:
    return cursor.make_token(KEY, purpose, bound, position)


def test_a_cursor_brings_back_the_position_in_each_dataset():
    found = cursor_positions(KEY, token([["a", 3, 5, "P1"], ["b", 0, 0, ""]]), "q")

    assert found == {"a": Position(3, 5, "P1"), "b": Position()}


def test_positions_come_back_and_those_of_500_datasets_fit_into_a_cursor():
    names = [short_name(f"dinas-perhubungan-dan-perumahan-{number}-data") for number in range(500)]
    positions = {name: Position(90_000 + index, 90_000 + index) for index, name in enumerate(names)}
    positions[names[7]] = Position(3, 5, "K" * 2000)

    assert len(positions) == 500
    found = token(packed_positions(positions))
    assert len(found) <= 8192
    assert cursor_positions(KEY, found, "q") == positions


def test_a_position_that_no_cursor_can_hold_is_refused():
    keys = {short_name(f"d-{number}"): Position(0, 1, secrets.token_hex(900)) for number in range(8)}
    with pytest.raises(CursorTooLong, match="at most 8192 characters"):
        token(packed_positions(keys))


@pytest.mark.parametrize("position", [[["a"]], [1, 2], [["a", 1, 2, "k", "more"]]])
def test_a_cursor_that_holds_no_positions_is_refused(position: list[Any]):
    with pytest.raises(CursorInvalid):
        cursor_positions(KEY, token(position), "q")


@pytest.mark.parametrize(
    ("purpose", "bound"), [("records", "q"), ("changes", "q"), ("changes/1", "q"), (_PURPOSE, "another question")]
)
def test_a_cursor_of_another_route_question_or_kind_of_digest_is_refused(purpose: str, bound: str):
    with pytest.raises(CursorInvalid):
        cursor_positions(KEY, token([["a", 3, 5, "P1"]], purpose, bound), "q")


def test_what_another_reading_found_is_not_told_without_its_record():
    gone, here, other = Moved("a", 2, False, None), Moved("b", 2, True, None), Moved("c", 2, True, None)

    assert known_of([gone, here, other], {"b", "c"}) == [gone, here, other]
    assert known_of([gone, here, other], {"c"}) == [gone]
    assert known_of([here, gone], {}) == []


@pytest.mark.parametrize(
    ("text", "microseconds"),
    [
        ("2026-11-20T08:00:00Z", 0),
        ("2026-11-20t08:00:00z", 0),
        ("2026-11-20T15:00:00+07:00", 0),
        ("2026-11-20T15:00:00 07:00", 0),  # the + of an address
        ("2026-11-20T08:00:00.25-00:00", 250_000),
        ("2026-11-20T08:00:00.000001999Z", 1),  # never later than what was said
        ("2026-11-20T08:05:00Z", 300_000_000),
    ],
)
def test_a_time_is_read_with_its_zone(text: str, microseconds: int):
    assert moment_of(text, NOW) == NOW + timedelta(microseconds=microseconds)


@pytest.mark.parametrize(
    ("text", "code"),
    [
        ("2026-11-20T08:00:00", "since_malformed"),
        ("2026-13-20T08:00:00Z", "since_malformed"),
        ("08:00:00Z", "since_malformed"),
        (":", "since_malformed"),
        ("2026-11-20T08:05:01Z", "since_ahead"),
        ("9999-12-31T23:59:59-12:00", "since_ahead"),
    ],
)
def test_what_is_no_time_or_still_to_come_is_refused(text: str, code: str):
    with pytest.raises(ValidationFailed) as refused:
        moment_of(text, NOW)

    assert [(one.pointer, one.code) for one in refused.value.errors] == [("since", code)]
