"""The page of expressions against the code: every function and operator is on it, every example gives what is shown."""

from __future__ import annotations

import json
import re
from decimal import Decimal
from typing import Any

import pytest

from app.datasets.mapping.expression import compile_expression
from app.datasets.mapping.expression.evaluate import (
    _ARITHMETIC,
    _CASTS,
    _COMPARE,
    MOST_CHARACTERS,
    MOST_DEPTH,
    MOST_NODES,
)
from app.datasets.mapping.expression.functions import FUNCTIONS, MOST_TEXT
from app.errors import ExpressionForbidden
from tests.support.pages import DOCS, sections, table_rows

PAGE = "reference/expressions.md"
PARTS = {section.heading: section for section in sections(PAGE)}
SIGNATURE = re.compile(r"`(\w+)\((.*)\)`")
OTHERS = {"\\|\\|", "AND", "OR", "NOT", "IS NULL", "IN", "BETWEEN", "LIKE", "CASE", "CASE x", "CAST"}


def code(cell: str) -> str:
    return cell.replace("\\|", "|").strip("`")


def row() -> dict[str, Any]:
    (block,) = PARTS["Expressions"].blocks("json")
    return dict(json.loads(block))


def examples() -> list[tuple[str, str]]:
    found = [table_rows(PARTS[part].text) for part in ("Values", "Operators", "Functions")]
    return [(code(cells[2]), code(cells[3])) for rows in found for cells in rows]


@pytest.mark.parametrize(("text", "shown"), examples())
def test_an_example_gives_what_is_shown(text: str, shown: str) -> None:
    found = compile_expression(text, "/example").value(row())

    wanted = json.loads(shown, parse_float=Decimal)
    assert found == wanted
    assert isinstance(found, bool) == isinstance(wanted, bool)


def test_every_function_is_told_with_its_arguments_and_no_other() -> None:
    told = {}
    for cells in table_rows(PARTS["Functions"].text):
        match = SIGNATURE.fullmatch(cells[0])
        assert match is not None, cells
        needed, _, optional = match[2].partition("[")
        least = len(needed.split(","))
        more = 20 if "…" in optional else least + bool(optional)
        told[match[1]] = tuple(range(least, more + 1))
        assert match[1] in cells[2]

    assert told == {name: counts for name, (_, counts) in FUNCTIONS.items()}


def test_every_operator_is_told_and_no_other() -> None:
    told = {cells[0].strip("`") for cells in table_rows(PARTS["Operators"].text)}
    signs = {
        "EQ": "=",
        "NEQ": "<>",
        "LT": "<",
        "LTE": "<=",
        "GT": ">",
        "GTE": ">=",
        "Add": "+",
        "Sub": "-",
        "Mul": "*",
        "Div": "/",
    }

    assert told == {signs[kind.__name__] for kind in (*_COMPARE, *_ARITHMETIC)} | OTHERS
    (cast,) = [cells[1] for cells in table_rows(PARTS["Operators"].text) if cells[0] == "`CAST`"]
    assert [name for name in _CASTS if f"`{name}`" not in cast] == []


REFUSED = table_rows(PARTS["What is refused, and what to write"].text)


@pytest.mark.parametrize(("refused", "instead"), [(code(cells[0]), code(cells[1])) for cells in REFUSED])
def test_what_is_refused_is_refused_and_what_to_write_is_taken(refused: str, instead: str) -> None:
    with pytest.raises(ExpressionForbidden):
        compile_expression(refused, "/example")

    compile_expression(instead, "/example").value(row())


def test_the_bounds_are_those_of_the_code() -> None:
    page = (DOCS / PAGE).read_text("utf-8")

    assert f"{MOST_CHARACTERS:,} characters, {MOST_NODES} parts, {MOST_DEPTH} brackets deep" in page
    assert f"at most {MOST_TEXT:,} characters" in page
