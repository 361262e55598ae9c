"""What moved between two looks at a dataset, by keys and digests alone, and which record goes on where."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncGenerator, Mapping

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.gateway.comparing import Ahead, Move, Moves, Piece, moves_of

Records = Mapping[str, str | None]


def content(text: str | None) -> bytes | None:
    return None if text is None else text.encode().ljust(16)


async def parts_of(records: Records, size: int) -> AsyncGenerator[Piece]:
    keys = sorted(records)
    for start in range(0, len(keys), size):
        part = keys[start : start + size]
        yield Piece(part, [content(records[key]) for key in part])


def moves(before: Records, now: Records, sizes: tuple[int, int] = (3, 2)) -> list[Move]:
    async def compare() -> list[Move]:
        known, current = Ahead(parts_of(before, sizes[0])), Ahead(parts_of(now, sizes[1]))
        found: list[Move] = []
        await known.fill()
        await current.fill()
        while known.left or current.left:
            found += moves_of(known, current)
            await known.fill()
            await current.fill()
        return found

    return asyncio.run(compare())


def heirs(before: Records, now: Records, most: int = 100) -> dict[str, str]:
    found = Moves(most)
    found.take(moves(before, now))
    for key, text in now.items():
        if found.gone:
            arrays = [pa.array([key]), pa.array([content(text)], pa.binary(16))]
            found.count(pa.RecordBatch.from_arrays(arrays, ["_id", "_content"]))
    return found.heirs()


KEYS = st.sampled_from([f"{one}{other}" for one in "abcd" for other in "0123456789"])


@given(
    before=st.dictionaries(KEYS, st.sampled_from(["x", "y", None])),
    now=st.dictionaries(KEYS, st.sampled_from(["x", "y"])),
    sizes=st.tuples(st.integers(1, 9), st.integers(1, 9)),
)
def test_whatever_the_pieces_everything_that_differs_has_moved_once(
    before: Records, now: Records, sizes: tuple[int, int]
):
    expected = [
        Move(key, content(before.get(key)), content(now.get(key)))
        for key in sorted({*before, *now})
        if before.get(key) != now.get(key)
    ]

    assert moves(before, now, sizes) == expected


@pytest.mark.parametrize(("removed", "added"), [(0, 0), (256, 1), (700, 255), (1999, 0)])
def test_long_runs_of_the_same_are_passed_over(removed: int, added: int):
    before = {f"{number:05}": "x" for number in range(2000)}
    now = {f"{number:05}": "x" for number in range(removed, 2000 + added)}
    found = moves(before, now, (500, 300))

    assert [one.key for one in found if one.now is None] == [f"{number:05}" for number in range(removed)]
    assert [one.key for one in found if one.before is None] == [f"{number:05}" for number in range(2000, 2000 + added)]


@pytest.mark.parametrize(
    ("before", "now", "expected"),
    [
        ({"1": "a", "2": "b"}, {"9": "a", "2": "b"}, {"1": "9"}),
        ({"1": "a", "2": "a"}, {"9": "a"}, {}),  # two were alike before
        ({"1": "a", "2": "a"}, {"9": "a", "2": "a"}, {}),
        ({"1": "a"}, {"8": "a", "9": "a"}, {}),  # two are alike now
        ({"1": "a", "2": "b"}, {"2": "a"}, {}),  # was there before
        ({"1": "a", "2": None}, {"2": "a"}, {"1": "2"}),  # came back
        ({"1": "a", "2": "b"}, {"3": "b", "4": "a"}, {"1": "4", "2": "3"}),
        ({"1": "a", "2": "a"}, {"2": "b", "3": "a"}, {}),  # the other one of two moved on
        ({"1": "a", "2": "b"}, {"2": "a", "3": "a"}, {}),
        ({"1": "a"}, {}, {}),
    ],
)
def test_a_record_goes_on_where_exactly_one_held_its_content_before_and_a_new_one_does_now(
    before: Records, now: Records, expected: dict[str, str]
):
    assert heirs(before, now) == expected


def test_where_very_many_moved_nobody_says_where_they_go_on():
    before, now = {f"a{at}": str(at) for at in range(4)}, {f"b{at}": str(at) for at in range(4)}
    found = Moves(7)
    found.take(moves(before, now))

    assert heirs(before, now, 8) == {f"a{at}": f"b{at}" for at in range(4)}
    assert found.any
    assert not found.gone
    assert found.heirs() == {}
