"""Statements put together wrongly: whatever the words, the guard and the names either take them or refuse them by a code."""

from __future__ import annotations

import contextlib
import random

import pytest

from app.errors import RequestError
from app.federation.sql.parsing import words
from tests.integration.federation.sql.running import made
from tests.integration.federation.sql.test_same_answer import TAKEN

SPLIT = [[sql[word.start : word.end + 1] for word in words(sql)] for sql in TAKEN]


def odd(seed: int) -> str:
    """A statement with one word gone, added, changed or moved."""
    chance = random.Random(seed)
    found = list(chance.choice(SPLIT))
    at, other = chance.randrange(len(found)), chance.choice(chance.choice(SPLIT))
    match seed % 4:
        case 0:
            del found[at]
        case 1:
            found.insert(at, other)
        case 2:
            found[at] = other
        case _:
            to = chance.randrange(len(found))
            found[at], found[to] = found[to], found[at]
    return " ".join(found)


@pytest.mark.parametrize("first", range(0, 1_000, 100))
def test_no_statement_is_an_internal_error(first: int) -> None:
    for seed in range(first, first + 100):
        with contextlib.suppress(RequestError):
            made(odd(seed))
