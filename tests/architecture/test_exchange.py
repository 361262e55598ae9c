"""An exchange takes results whole: nobody sets its facts from outside."""

from __future__ import annotations

import ast
from collections.abc import Iterator
from dataclasses import fields
from pathlib import Path

from app.gateway.exchange import Exchange

APP = Path(__file__).resolve().parents[2] / "app"
FACTS = {field.name for field in fields(Exchange)}
NAMES = {"exchange", "under_way", "own"}


def _targets(tree: ast.AST) -> Iterator[ast.expr]:
    for node in ast.walk(tree):
        given = (
            node.targets
            if isinstance(node, ast.Assign)
            else [node.target]
            if isinstance(node, ast.AugAssign | ast.AnnAssign)
            else []
        )
        for target in given:
            yield from target.elts if isinstance(target, ast.Tuple) else [target]


def _fact_set(target: ast.expr) -> bool:
    """`exchange.rows = …`, `exchange.detail["x"] = …`."""
    if isinstance(target, ast.Subscript):
        target = target.value
    return (
        isinstance(target, ast.Attribute)
        and target.attr in FACTS
        and isinstance(target.value, ast.Name)
        and target.value.id in NAMES
    )


def test_nobody_sets_the_facts_of_an_exchange() -> None:
    found = [
        f"{file.relative_to(APP)}:{target.lineno}"
        for file in sorted(APP.rglob("*.py"))
        for target in _targets(ast.parse(file.read_text("utf-8")))
        if _fact_set(target)
    ]
    assert found == []


def test_the_check_sees_a_fact_that_is_set() -> None:
    tree = ast.parse("exchange.rows = 1\nunder_way.detail['a'], x = 1, 2\nother.rows = 3\nown.fault['e'] += 'x'\n")
    assert [target.lineno for target in _targets(tree) if _fact_set(target)] == [1, 2, 4]
