"""Tests give a class or function what they want of it; none sets an attribute of a module or class of `app`."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from pathlib import Path

TESTS = Path(__file__).resolve().parents[1]
SETTERS = {"setattr", "delattr"}


def names_of_app(tree: ast.Module) -> set[str]:
    """Names that stand for something of `app`: imported, or bound to what is (`for module, name in ((app_module, "x"), …)`)."""
    nodes = list(ast.walk(tree))
    found: set[str] = set()
    for node in nodes:
        if isinstance(node, ast.ImportFrom) and (node.module or "").partition(".")[0] == "app":
            found |= {alias.asname or alias.name for alias in node.names}
        elif isinstance(node, ast.Import):
            found |= {alias.asname or "app" for alias in node.names if alias.name.partition(".")[0] == "app"}
    bindings = [binding for node in nodes for binding in bound(node)]
    while more := {name for names, value in bindings if stands_for(value, found) for name in names} - found:
        found |= more
    return found


def bound(node: ast.AST) -> Iterator[tuple[set[str], ast.expr]]:
    """Names that a statement binds, and the expression that they are bound to."""
    if isinstance(node, ast.For | ast.AsyncFor | ast.comprehension):
        yield names_in(node.target), node.iter
    elif isinstance(node, ast.Assign):
        for target in node.targets:
            yield names_in(target), node.value
    elif isinstance(node, ast.NamedExpr):
        yield names_in(node.target), node.value


def names_in(target: ast.expr) -> set[str]:
    """Names that become new here; `a.b = …` binds none."""
    if isinstance(target, ast.Tuple | ast.List):
        return {name for part in target.elts for name in names_in(part)}
    return {target.id} if isinstance(target, ast.Name) else set()


def stands_for(value: ast.expr, known: set[str]) -> bool:
    """Whether the expression is something of `app` or a tuple with it; what a call gives is an object of the test."""
    if isinstance(value, ast.Tuple | ast.List):
        return any(stands_for(part, known) for part in value.elts)
    while isinstance(value, ast.Attribute):
        value = value.value
    return isinstance(value, ast.Name) and value.id in known


def patched(tree: ast.Module) -> list[int]:
    """Lines that set or delete an attribute of something of `app`, by monkeypatch, `setattr` or an assignment."""
    known = names_of_app(tree)
    lines = []
    for node in ast.walk(tree):
        if isinstance(node, ast.Call) and node.args and name_of(node.func) in SETTERS:
            first = node.args[0]
            text = first.value if isinstance(first, ast.Constant) else None
            if stands_for(first, known) or (isinstance(text, str) and text.startswith("app.")):
                lines.append(node.lineno)
        elif isinstance(node, ast.Attribute) and not isinstance(node.ctx, ast.Load) and stands_for(node.value, known):
            lines.append(node.lineno)
    return sorted(lines)


def name_of(function: ast.expr) -> str:
    if isinstance(function, ast.Attribute):
        return function.attr
    return function.id if isinstance(function, ast.Name) else ""


def test_no_test_sets_an_attribute_of_the_program() -> None:
    found = [
        f"{file.relative_to(TESTS)}:{line}"
        for file in sorted(TESTS.rglob("*.py"))
        for line in patched(ast.parse(file.read_text("utf-8")))
    ]
    assert found == []


BAD = """\
import os, app.schemas
from app.gateway import notes, plans as kept
from app.api.layer.resource import RouteRule
def test(monkeypatch, patched):
    monkeypatch.setattr(notes, "FLUSH_SECONDS", 0.0)
    monkeypatch.setattr("app.access.tokens.REMEMBERED_TOKENS", 3)
    monkeypatch.setattr(app.schemas, "__path__", [])
    patched.setattr(RouteRule, "endpoint", None)
    patched.setattr(kept.PlanCache, "find", None)
    monkeypatch.delattr(kept, "PLANS_KEPT")
    setattr(kept, "PLANS_KEPT", 3)
    kept.PLANS_KEPT = 3
    for module, name in ((os, "getpid"), (notes, "time")):
        monkeypatch.setattr(module, name, None)
    other = notes
    other.FLUSH_SECONDS += 1
"""
GOOD = """\
import os
from app.gateway import notes
def test(monkeypatch, at):
    monkeypatch.setattr(os, "getpid", lambda: 1)
    monkeypatch.setattr("os.environ", {})
    monkeypatch.setitem(os.environ, "a", notes.NAME)
    made = notes.Notes()
    made.shown = 1
    monkeypatch.setattr(at.state.database, "begin", None)
    for module, name in ((os, "getpid"),):
        monkeypatch.setattr(module, name, None)
"""


def test_the_check_sees_every_way_of_setting_one() -> None:
    assert patched(ast.parse(BAD)) == [5, 6, 7, 8, 9, 10, 11, 12, 14, 16]
    assert patched(ast.parse(GOOD)) == []
