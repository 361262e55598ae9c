"""Every numbered case (1 to 60) has tests that carry its number, in every run, and the list beside says where they stand."""

from __future__ import annotations

import ast
import re
from collections import defaultdict
from pathlib import Path

import pytest

TESTS = Path(__file__).resolve().parents[1]
CASES = range(1, 61)
_NOT_ALWAYS = {"slow", "external", "skip", "skipif", "xfail"}
_NUMBERED = re.compile(r"test_hostile((?:_\d\d)+)_\w+")
_ROW = re.compile(r"\| (\d+) \| [^|]+ \| ([^|]+) \|")

Function = ast.FunctionDef | ast.AsyncFunctionDef


def marks(decorators: list[ast.expr]) -> set[str]:
    """Names of marks that stand on a function or class as a whole; those of single parameters keep the others running."""
    heads = [found.func if isinstance(found, ast.Call) else found for found in decorators]
    return {head.attr for head in heads if isinstance(head, ast.Attribute)}


def cases_of(text: str) -> tuple[set[int], set[int]]:
    """The numbers of a file's tests, and those whose tests are part of every run."""
    numbers: set[int] = set()
    always: set[int] = set()
    tree = ast.parse(text)
    whole = "pytestmark" in text and any(f"pytestmark = pytest.mark.{mark}" in text for mark in _NOT_ALWAYS)
    classes = [(node, node.body) for node in tree.body if isinstance(node, ast.ClassDef)]
    for decorators, body in [([], tree.body), *((node.decorator_list, inner) for node, inner in classes)]:
        for function in body:
            if not isinstance(function, Function) or (named := _NUMBERED.fullmatch(function.name)) is None:
                continue
            found = {int(number) for number in named[1].strip("_").split("_")}
            numbers |= found
            if not whole and not (marks(decorators) | marks(function.decorator_list)) & _NOT_ALWAYS:
                always |= found
    return numbers, always


def missing(always: set[int]) -> list[int]:
    return [case for case in CASES if case not in always]


def test_every_case_is_there_in_every_run_and_stands_in_the_list() -> None:
    where: dict[int, set[str]] = defaultdict(set)
    run: set[int] = set()
    for file in sorted(TESTS.rglob("test_*.py")):
        numbers, always = cases_of(file.read_text("utf-8"))
        run |= always
        for number in numbers:
            where[number].add(file.relative_to(TESTS).as_posix())
    assert missing(run) == []
    assert set(where) == set(CASES)
    listed = {
        int(row[1]): set(re.findall(r"`([^`]+)`", row[2]))
        for row in _ROW.finditer((TESTS / "hostile/README.md").read_text("utf-8"))
    }
    assert listed == dict(sorted(where.items()))


@pytest.mark.parametrize(
    ("text", "numbers", "always"),
    [
        ("def test_hostile_01_02_a(): ...", {1, 2}, {1, 2}),
        ("class TestA:\n  async def test_hostile_60_a(self): ...", {60}, {60}),
        ("@pytest.mark.slow\ndef test_hostile_07_a(): ...", {7}, set()),
        ("@pytest.mark.skipif(True, reason='x')\ndef test_hostile_07_a(): ...", {7}, set()),
        ("pytestmark = pytest.mark.external\ndef test_hostile_07_a(): ...", {7}, set()),
        ("# def test_hostile_07_a(): ...\n'def test_hostile_08_b(): ...'", set(), set()),
        ("def hostile_07_a(): ...", set(), set()),
    ],
)
def test_what_counts_as_a_case(text: str, numbers: set[int], always: set[int]) -> None:
    assert cases_of(text) == (numbers, always)


def test_a_case_that_is_not_there_is_named() -> None:
    assert missing(set(CASES) - {33}) == [33]
    assert missing(set()) == list(CASES)
