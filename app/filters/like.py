"""LIKE patterns (`%` any run, `_` one character, backslash escapes) as a Python matcher without backtracking.

Lives here: the pattern language only. Folding of case is done by the callers before the text comes here.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from functools import lru_cache

Matcher = Callable[[str], bool]


def split_pattern(pattern: str) -> list[list[str | None]]:
    """The runs between `%`: each a list of characters, None for `_`. A backslash at the very end stands for itself."""
    runs: list[list[str | None]] = [[]]
    position = 0
    while position < len(pattern):
        char = pattern[position]
        if char == "\\" and position + 1 < len(pattern):
            position += 1
            runs[-1].append(pattern[position])
        elif char == "%":
            runs.append([])
        else:
            runs[-1].append(None if char == "_" else char)
        position += 1
    return runs


@lru_cache(maxsize=512)
def compile_like(pattern: str) -> Matcher:
    """A function text -> bool. Runs are found leftmost first, so the work is bounded by text x pattern."""
    runs = split_pattern(pattern)
    if len(runs) == 1:
        whole = _expression(runs[0])
        return lambda text: whole.fullmatch(text) is not None
    head, tail = _expression(runs[0]), _expression(runs[-1])
    tail_length = len(runs[-1])
    middle = [_finder(run) for run in runs[1:-1] if run]

    def matches(text: str) -> bool:
        start = head.match(text)
        if start is None:
            return False
        position = start.end()
        for find in middle:
            position = find(text, position)
            if position < 0:
                return False
        last = len(text) - tail_length
        return last >= position and tail.fullmatch(text, last) is not None

    return matches


def _expression(run: list[str | None]) -> re.Pattern[str]:
    return re.compile("".join("." if char is None else re.escape(char) for char in run), re.DOTALL)


def _finder(run: list[str | None]) -> Callable[[str, int], int]:
    """A function (text, from) -> end of the leftmost find, or -1."""
    if None not in run:
        wanted = "".join(char for char in run if char is not None)
        size = len(wanted)

        def find_text(text: str, start: int) -> int:
            found = text.find(wanted, start)
            return -1 if found < 0 else found + size

        return find_text
    expression = _expression(run)

    def find_expression(text: str, start: int) -> int:
        found = expression.search(text, start)
        return -1 if found is None else found.end()

    return find_expression
