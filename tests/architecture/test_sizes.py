"""The sizes of the house: short files, short functions, few public methods; a docstring at the head of every module."""

from __future__ import annotations

import ast
from functools import cache
from pathlib import Path
from statistics import median, quantiles

APP = Path(__file__).resolve().parents[2] / "app"
BANNED = {"utils", "helpers", "common", "core", "manager", "base_service", "misc", "data", "info", "process"}
DATA_FILES = {"api/layer/problem_types.py"}


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


def test_no_middleware_that_breaks_streams() -> None:
    assert [str(file) for file in APP.rglob("*.py") if "BaseHTTPMiddleware" in file.read_text("utf-8")] == []
