"""The sizes and names of the house: short files and functions, few public methods, a docstring a module, one word for one thing."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from functools import cache
from pathlib import Path
from statistics import median, quantiles

import pytest

APP = Path(__file__).resolve().parents[2] / "app"
BANNED = {"utils", "helpers", "common", "core", "manager", "base_service", "misc", "data", "info", "process"}
DATA_FILES = {"api/layer/problem_types.py"}
AMBIGUOUS = {"place", "places", "shape", "shapes"}
"""Words that meant many things: say index, position, location, slot, pointer, coordinates, structure, geometry (see the glossary)."""
WIRE_NAMES = {
    ("api/governance/erasures.py", "place_hold"),
    ("api/layer/answers.py", "ProblemPlace"),
    ("api/registry/connectors_wire.py", "place"),
    ("api/registry/connectors_wire.py", "places"),
    ("connectors/http_auth.py", "place"),
}
"""Names that callers see in the document or write in a manifest."""


@cache
def sources() -> dict[Path, ast.Module]:
    return {file: ast.parse(file.read_text("utf-8")) for file in sorted(APP.rglob("*.py"))}


def lines(file: Path) -> int:
    return len(file.read_text("utf-8").splitlines())


def test_files_are_short() -> None:
    sizes = {file: lines(file) for file in sources() if str(file.relative_to(APP)) not in DATA_FILES}
    long = {str(file.relative_to(APP)): size for file, size in sizes.items() if size > 500}

    assert long == {}
    assert median(sizes.values()) < 150


def test_functions_are_short() -> None:
    found = {}
    for file, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.FunctionDef | ast.AsyncFunctionDef):
                found[f"{file.relative_to(APP)}:{node.name}"] = (node.end_lineno or 0) - node.lineno + 1
    too_long = {name: size for name, size in found.items() if size > 70}

    assert too_long == {}
    assert quantiles(found.values(), n=10)[8] <= 35


def test_classes_offer_few_methods() -> None:
    crowded = {}
    for file, tree in sources().items():
        for node in ast.walk(tree):
            if isinstance(node, ast.ClassDef):
                public = [
                    part
                    for part in node.body
                    if isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
                    and not part.name.startswith("_")
                    and not any(isinstance(mark, ast.Name) and mark.id == "property" for mark in part.decorator_list)
                ]
                if len(public) > 10:
                    crowded[f"{file.relative_to(APP)}:{node.name}"] = len(public)

    assert crowded == {}


def test_every_module_says_what_lives_in_it() -> None:
    silent = []
    for file, tree in sources().items():
        text = ast.get_docstring(tree)
        if not text or len(text.splitlines()) > 8:
            silent.append(str(file.relative_to(APP)))

    assert silent == []


def test_no_module_has_a_name_without_a_role() -> None:
    assert [str(file.relative_to(APP)) for file in sources() if file.stem in BANNED] == []


def named(node: ast.AST) -> Iterator[str]:
    """The names that one node of a program gives: classes, functions, arguments, variables, attributes, aliases."""
    match node:
        case ast.ClassDef(name=name) | ast.FunctionDef(name=name) | ast.AsyncFunctionDef(name=name):
            yield name
        case ast.Name(id=name, ctx=ast.Store()) | ast.Attribute(attr=name, ctx=ast.Store()) | ast.arg(arg=name):
            yield name
        case ast.alias(asname=str(name)) | ast.MatchAs(name=str(name)) | ast.MatchStar(name=str(name)):
            yield name
        case ast.ExceptHandler(name=str(name)) | ast.MatchMapping(rest=str(name)):
            yield name


def words(name: str) -> set[str]:
    return {part.lower() for part in re.findall(r"[A-Z]+(?![a-z])|[A-Z]?[a-z]+", name)}


@pytest.mark.parametrize(
    "program",
    [
        "class FairPlaces: ...",
        "class Shape: ...",
        "def wait_for_place(): ...",
        "async def _shape(): ...",
        "def f(place): ...",
        "def f(*, places=()): ...",
        "place: int = 1",
        "rows = [row for place, row in enumerate(rows)]",
        "self._place = 1",
        "_MOST_PLACES = 5",
        "import geometry as shapes",
        "match node:\n    case Intersects(place, _): ...",
        "match node:\n    case [*places]: ...",
        "if (place := find()): ...",
        "with file() as place: ...",
    ],
)
def test_a_word_of_many_meanings_is_found_wherever_a_name_is_given(program: str) -> None:
    assert [name for node in ast.walk(ast.parse(program)) for name in named(node) if words(name) & AMBIGUOUS]


def test_no_name_is_a_word_of_many_meanings() -> None:
    found = {
        (str(file.relative_to(APP)), name)
        for file, tree in sources().items()
        for name in [
            *file.relative_to(APP).with_suffix("").parts,
            *(name for node in ast.walk(tree) for name in named(node)),
        ]
        if words(name) & AMBIGUOUS
    }

    assert found == WIRE_NAMES


def test_no_middleware_that_breaks_streams() -> None:
    assert [str(file) for file in APP.rglob("*.py") if "BaseHTTPMiddleware" in file.read_text("utf-8")] == []
