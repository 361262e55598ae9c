"""The change feed: readers of the same cut share what is remembered, and a cursor of another feed is none."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import pytest

from app.catalog.changes import Position
from app.errors import CursorInvalid
from app.federation.question import cursor
from app.federation.question.query import Grant
from app.filters.tree import Compare, Literal, Property
from app.gateway.changes import _positions, _scope
from tests.support.memory import FACILITIES

ALL = frozenset(FACILITIES.fields)
ONLY = Compare("=", Property("kelas"), Literal("B"))


@dataclass(frozen=True)
class Keyed:
    """Services that hold the key of cursors."""

    cursor_key: bytes = b"k" * 32


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


def test_without_a_cursor_every_dataset_is_read_from_its_start():
    assert _positions(Keyed(), None, "q") == {}  # type: ignore[arg-type]


def test_a_cursor_brings_back_the_position_in_each_dataset():
    token = cursor.make_token(Keyed.cursor_key, "changes", "q", [["a", 3, 5, "P1"], ["b", 0, 0, ""]])

    assert _positions(Keyed(), token, "q") == {"a": Position(3, 5, "P1"), "b": Position()}  # type: ignore[arg-type]


@pytest.mark.parametrize("position", [[["a", 1]], [1, 2], [["a", 1, 2, "k", "more"]]])
def test_a_cursor_that_holds_no_positions_is_refused(position: list[Any]):
    token = cursor.make_token(Keyed.cursor_key, "changes", "q", position)
    with pytest.raises(CursorInvalid):
        _positions(Keyed(), token, "q")  # type: ignore[arg-type]


@pytest.mark.parametrize(("purpose", "bound"), [("records", "q"), ("changes", "another question")])
def test_a_cursor_of_another_route_or_question_is_refused(purpose: str, bound: str):
    token = cursor.make_token(Keyed.cursor_key, purpose, bound, [["a", 3, 5, "P1"]])
    with pytest.raises(CursorInvalid):
        _positions(Keyed(), token, "q")  # type: ignore[arg-type]
