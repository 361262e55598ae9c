"""What moved between two looks at a dataset: told by keyed digests alone, field by field, and which record goes on where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.catalog.changes import DIGEST_BYTES, UNNUMBERED, Digests, Seen, _Ahead, _Gone, _Known, _moved, _paired

SECRET = b"s" * 32
Values = Mapping[str, Mapping[str, Any]]


class Memory:
    """What is remembered of one dataset, kept in a dictionary instead of a table."""

    def __init__(self, secret: bytes = SECRET) -> None:
        self.secret = secret
        self.rows: dict[str, dict[str, Any]] = {}

    def look(self, records: Values) -> list[dict[str, Any]]:
        """Compares and remembers; returns what moved."""
        known = {key: _Known(key, 1, row["present"], row["content"], row["fields"]) for key, row in self.rows.items()}
        digests = Digests(self.secret, {"kode"})
        current = {key: digests.seen(key, values) for key, values in records.items()}
        pairs = [(known.get(key), current.get(key)) for key in sorted({*known, *current})]
        gone = _Gone()
        gone.take(pairs)
        gone.count(pairs)
        moved = _moved(pairs, gone.heirs())
        self.rows |= {row["key"]: row for row in moved}
        return moved


def record(kode: str, nama: str = "x", **more: Any) -> dict[str, Any]:
    return {"kode": kode, "nama": nama, **more}


def told(moved: list[dict[str, Any]]) -> list[tuple[str, bool, str | None]]:
    return [(row["key"], row["present"], row["new_key"]) for row in moved]


def test_at_first_everything_is_new_and_then_nothing_moves():
    memory = Memory()
    records = {"1": record("1"), "2": record("2")}

    assert told(memory.look(records)) == [("1", True, None), ("2", True, None)]
    assert memory.look(records) == []


def test_only_the_record_that_changed_moves_and_only_its_changed_field_has_another_digest():
    memory = Memory()
    memory.look({"1": record("1"), "2": record("2")})
    before = memory.rows["1"]["fields"]
    (moved,) = memory.look({"1": record("1", "y"), "2": record("2")})

    assert moved["key"] == "1"
    assert {name for name, digest in moved["fields"].items() if before[name] != digest} == {"nama"}


def test_what_a_broken_comparison_wrote_has_moved_and_older_rows_are_understood():
    new = Digests(SECRET, {"kode"}).seen("1", record("1"))
    older = {name: [digest, 3] for name, digest in new.fields.items()}

    assert _moved([(_Known("1", 3, True, new.content, older), new)], {}) == []
    assert told(_moved([(_Known("1", UNNUMBERED, True, new.content, new.fields), new)], {})) == [("1", True, None)]
    assert told(_moved([(_Known("1", UNNUMBERED, False, new.content, new.fields), None)], {})) == [("1", False, None)]


async def parts_of(items: Sequence[Any], size: int) -> AsyncGenerator[Sequence[Any]]:
    for first in range(0, len(items), size):
        yield items[first : first + size]


@given(
    known=st.sets(st.sampled_from("abcdefghij")),
    now=st.sets(st.sampled_from("abcdefghij")),
    sizes=st.tuples(st.integers(1, 4), st.integers(1, 4)),
)
def test_both_sides_are_paired_whatever_their_pieces(known: set[str], now: set[str], sizes: tuple[int, int]):
    left = _Ahead[_Known](parts_of([_Known(key, 1, True, "", {}) for key in sorted(known)], sizes[0]))
    right = _Ahead[Seen](parts_of([Seen(key, {}, "") for key in sorted(now)], sizes[1]))

    async def pair() -> list[tuple[str | None, str | None]]:
        found = []
        await left.fill()
        await right.fill()
        while left.held or right.held:
            found += _paired(left, right)
            await left.fill()
            await right.fill()
        return [(old.key if old else None, new.key if new else None) for old, new in found]

    assert asyncio.run(pair()) == [
        (key if key in known else None, key if key in now else None) for key in sorted(known | now)
    ]


def test_a_value_that_becomes_null_has_moved():
    memory = Memory()
    memory.look({"1": record("1", harga=Decimal("1.50"))})

    assert told(memory.look({"1": record("1", harga=None)})) == [("1", True, None)]


@pytest.mark.parametrize("value", [Decimal("1.50"), date(2026, 1, 1), [1, 2], {"b": 1, "a": 2}, "é", True, None])
def test_values_of_every_kind_compare_equal_to_themselves(value: Any):
    memory = Memory()
    memory.look({"1": record("1", field=value)})

    assert memory.look({"1": record("1", field=value)}) == []


def test_a_record_that_is_gone_is_told_once_and_told_anew_when_it_comes_back():
    memory = Memory()
    memory.look({"1": record("1", "a"), "2": record("2", "b")})
    assert told(memory.look({"2": record("2", "b")})) == [("1", False, None)]
    assert memory.look({"2": record("2", "b")}) == []
    back = memory.look({"1": record("1", "a"), "2": record("2", "b")})

    assert told(back) == [("1", True, None)]


def test_a_record_under_another_key_with_the_same_content_goes_on_there():
    memory = Memory()
    memory.look({"1": record("1", "Puskesmas Jepara"), "2": record("2", "other")})

    moved = memory.look({"9": record("9", "Puskesmas Jepara"), "2": record("2", "other")})
    assert told(moved) == [("1", False, "9"), ("9", True, None)]


def test_where_several_records_look_alike_nobody_says_which_goes_on_where():
    before, after, gone = Memory(), Memory(), Memory()
    gone.look({"1": record("1"), "2": record("2")})
    assert told(gone.look({"9": record("9")})) == [("1", False, None), ("2", False, None), ("9", True, None)]
    before.look({"1": record("1"), "2": record("2")})
    assert ("1", False, None) in told(before.look({"9": record("9"), "2": record("2")}))
    after.look({"1": record("1")})

    assert ("1", False, None) in told(after.look({"8": record("8"), "9": record("9")}))


def test_a_record_that_was_there_before_is_nobodys_heir():
    memory = Memory()
    memory.look({"1": record("1", "a"), "2": record("2", "b")})

    assert told(memory.look({"2": record("2", "a")})) == [("1", False, None), ("2", True, None)]


def test_a_record_that_comes_back_may_be_an_heir():
    memory = Memory()
    memory.look({"1": record("1", "a"), "2": record("2", "b")})
    memory.look({"1": record("1", "a")})

    assert told(memory.look({"2": record("2", "a")})) == [("1", False, "2"), ("2", True, None)]


def test_a_field_that_a_reader_sees_for_the_first_time_has_moved_and_one_it_lost_has_not():
    memory = Memory()
    memory.look({"1": record("1")})
    assert told(memory.look({"1": record("1", kelas="B")})) == [("1", True, None)]

    assert memory.look({"1": record("1")}) == []


def test_what_is_remembered_holds_no_value_and_tells_nothing_without_the_secret():
    mine, others = Memory(), Memory(b"o" * 32)
    (row,) = mine.look({"1": record("1", "Puskesmas Jepara")})
    (other,) = others.look({"1": record("1", "Puskesmas Jepara")})

    assert "Puskesmas" not in repr(row)
    assert row["fields"]["nama"] != other["fields"]["nama"]
    assert row["content"] != other["content"]
    assert len(bytes.fromhex(row["content"])) == DIGEST_BYTES


def test_one_value_in_two_fields_has_two_digests():
    (row,) = Memory().look({"1": {"kode": "same", "nama": "same"}})

    assert row["fields"]["kode"] != row["fields"]["nama"]


@given(
    st.lists(st.one_of(st.none(), st.booleans(), st.integers(-2, 2), st.floats(), st.decimals(), st.text(max_size=2)))
)
def test_a_value_that_was_digested_before_has_the_digest_that_it_has_alone(values: list[Any]):
    together = Digests(SECRET, {"kode"})
    for value in values:  # 0.0 and -0.0, 1 and True are equal to Python and other values to a reader
        alone = Digests(SECRET, {"kode"}).seen("1", {"nama": value, "kelas": value})
        assert together.seen("1", {"nama": value, "kelas": value}) == alone
