"""One bounded value at every door: digits and exponent are looked at before a number is made, texts before they are joined.

The forms here are a little beyond the bounds and harmless; what is shown is that each door refuses them by the same rule.
"""

from __future__ import annotations

import ast
import json
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from app.connectors.json_text import JsonFlaw, parse_json
from app.datasets.manifest import parse_manifest
from app.datasets.mapping.codes import empty_code_book
from app.datasets.mapping.expression import compile_expression
from app.datasets.mapping.fit import fitting
from app.datasets.mapping.rules import StepReject
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.contract import StepContext
from app.errors import (
    ExpressionForbidden,
    FilterMalformed,
    ManifestInvalid,
    MappingInvalid,
    SimpulError,
    TypeMismatch,
)
from app.federation.question.binder import RawQuery, bind
from app.federation.sql.guard import guarded
from app.federation.sql.refusals import SqlMalformed
from app.filters.cql2.parse import parse_filter
from app.schemas import registry
from app.schemas.numbers import MOST_DIGITS, MOST_EXPONENT, NumberBeyond, bounded, exact_number, whole

PRICES = registry.get("harga_komoditas")
BEYOND = [f"1e{MOST_EXPONENT + 1}", f"1E-{MOST_EXPONENT + 1}", f"-7.5e+{MOST_EXPONENT + 1}", "9" * (MOST_DIGITS + 1)]
LARGE = Decimal(f"1e{MOST_EXPONENT + 1}")


@pytest.mark.parametrize("text", BEYOND)
def test_hostile_48_a_number_beyond_the_bounds_is_refused_at_every_door(text: str) -> None:
    refusals: list[type[Exception]] = []

    def door(ask: Any) -> None:
        with pytest.raises((SimpulError, NumberBeyond)) as caught:
            ask()
        refusals.append(caught.type)

    door(lambda: exact_number(text))
    door(lambda: bind(PRICES, RawQuery(equals=(("harga", text),)), 100))
    door(lambda: parse_filter(f"harga > {text}"))
    door(lambda: parse_filter(json.dumps({"op": ">", "args": [{"property": "harga"}, 0]}).replace("0]", f"{text}]")))
    door(lambda: guarded(f"SELECT nama FROM wilayah WHERE luas_km2 > {text}", frozenset({"wilayah"})))
    door(lambda: compile_expression(f"harga * {text}", "/x"))
    door(lambda: STEPS["multiply"](text, StepContext("/x", empty_code_book(), "UTC")))
    assert refusals == [
        NumberBeyond,
        TypeMismatch,
        FilterMalformed,
        FilterMalformed,
        SqlMalformed,
        ExpressionForbidden,
        MappingInvalid,
    ]


@pytest.mark.parametrize("text", BEYOND[:3])
def test_hostile_48_a_cell_beyond_the_bounds_is_a_reject(text: str) -> None:
    for expression in ("harga * 2", "harga > 5", "CAST(harga AS INTEGER)", "round(harga, 2)", "abs(harga)"):
        with pytest.raises(StepReject) as caught:
            compile_expression(expression, "/x").value({"harga": text})
        assert caught.value.rule == "not_a_number"
    with pytest.raises(StepReject):
        compile_expression("harga * 2", "/x").value({"harga": Decimal(text)})
    with pytest.raises(JsonFlaw, match="exponent"):
        parse_json(f'{{"harga": {text}}}')


def test_hostile_48_a_number_of_a_source_beyond_the_bounds_is_a_reject_of_its_field() -> None:
    schema = registry.get("statistik_indikator")
    with pytest.raises(StepReject) as caught:
        fitting(schema.fields["tahun"])(LARGE)
    assert caught.value.rule == "number_out_of_range"
    step = STEPS["as_text"]({}, StepContext("/x", empty_code_book(), "UTC"))
    with pytest.raises(StepReject) as caught:
        step(LARGE, {})
    assert caught.value.rule == "number_out_of_range"


@pytest.mark.parametrize("form", ["json", "yaml"])
def test_hostile_48_a_manifest_beyond_the_bounds_is_refused(form: str) -> None:
    digits = "7" * (MOST_DIGITS + 1)
    text = {
        "json": '{"connector": "a", "agency": "b", "source": {"kind": "file", "location": "a.csv", "skip": %s}}',
        "yaml": "connector: a\nagency: b\nsource: {kind: file, location: a.csv, skip: %s}",
    }[form]
    with pytest.raises(ManifestInvalid, match=f"at most {MOST_DIGITS} digits"):
        parse_manifest(text % digits, draft=True)


def test_hostile_51_numbers_do_not_grow_beyond_the_bounds_inside_an_expression() -> None:
    product = compile_expression(" * ".join(["n"] * 5), "/x").value
    assert product({"n": Decimal("1e50")}) == Decimal("1e250")
    with pytest.raises(StepReject) as caught:
        product({"n": Decimal("1e99")})
    assert caught.value.rule == "number_out_of_range"
    for places in (101, -101):
        with pytest.raises(StepReject) as caught:
            compile_expression(f"round(n, {places})", "/x").value({"n": 1})
        assert caught.value.rule == "number_out_of_range"
    assert compile_expression("round(n, 100)", "/x").value({"n": Decimal("1e300")}) == Decimal("1e300")


@pytest.mark.parametrize(
    "expression", ["replace(t, 'a', t)", "concat(t, t, t)", "t || t || t", "replace(t, 'a', 'bbbb')"]
)
def test_hostile_51_texts_do_not_grow_beyond_the_bounds_inside_an_expression(expression: str) -> None:
    value = compile_expression(expression, "/x").value
    assert len(value({"t": "a" * 20})) <= 400
    with pytest.raises(StepReject) as caught:
        value({"t": "a" * 40_000})
    assert caught.value.rule == "text_too_long"


def test_bounds_let_every_number_pass_that_a_field_can_hold() -> None:
    for text, number in (
        ("0", 0),
        ("-12", -12),
        ("+3.50", Decimal("3.50")),
        (".5", Decimal("0.5")),
        ("1e308", Decimal("1e308")),
        ("5e-324", Decimal("5e-324")),
    ):
        assert exact_number(text) == number
    assert exact_number("0e999999") == 0
    assert whole(Decimal("1e38")) == 10**38
    assert whole(Decimal("1.5")) is None
    for text in ("NaN", "Infinity", "1_0", "", "0x1", "\u0661"):
        with pytest.raises(NumberBeyond):
            exact_number(text)
    with pytest.raises(NumberBeyond):
        bounded(Decimal("Infinity"))


APP = Path(__file__).resolve().parents[2] / "app"
DOORS = [
    APP / "federation",
    APP / "filters",
    APP / "datasets",
    APP / "connectors" / "json_text.py",
]
KNOWN = {
    "datasets/mapping/steps/coordinates.py:step",  # digits that an expression of at most three and a fraction let through
    "datasets/mapping/steps/numbers.py:step",  # a number of the source
    "datasets/mapping/steps/numbers.py:read",  # at most 60 characters of a stated notation
    "datasets/mapping/fit.py:_decimal",  # a number of the source, bounded at once
    "datasets/mapping/expression/functions.py:convert",  # what `as_number` gave
    "federation/question/binder.py:_from_text",  # what `exact_number` gave
    "federation/adding.py:_take",  # sums of values of records, made by the engine
    "federation/adding.py:_floats_of_part",  # how often a value of records stands there
    "federation/adding.py:_measured",  # a count
    "filters/evaluation.py:calculate",  # numbers of records and of literals, bounded where they were read
    "datasets/practice/values.py:_decimal",  # the example that a schema states
    "datasets/mapping/rupiah.py:_value",  # digits that the expression for amounts let through
}


def test_no_other_place_makes_numbers_of_texts_from_outside() -> None:
    """`Decimal(text)` and `float(text)` stand in `schemas/numbers.py`; elsewhere at a door only over constants and numbers."""
    found: set[str] = set()

    def look(node: ast.AST, place: str) -> None:
        for part in ast.iter_child_nodes(node):
            if (
                isinstance(part, ast.Call)
                and isinstance(part.func, ast.Name)
                and part.func.id == "Decimal"
                and _outside(part)
            ):
                found.add(place)
            named = isinstance(part, ast.FunctionDef | ast.AsyncFunctionDef)
            look(part, f"{place.partition(':')[0]}:{part.name}" if named else place)

    for door in DOORS:
        for file in sorted(door.rglob("*.py")) if door.is_dir() else [door]:
            look(ast.parse(file.read_text("utf-8")), f"{file.relative_to(APP)}:")
    assert found == KNOWN


def _outside(node: ast.Call) -> bool:
    """Whether what becomes a Decimal may be a text from outside: no constant, no count, no exact form of a float."""
    given = node.args[0]
    if isinstance(given, ast.IfExp):
        given = given.body
    if isinstance(given, ast.Constant):
        return False
    safe = {"repr", "len", "exact_number", "as_number", "_number"}
    return not (isinstance(given, ast.Call) and isinstance(given.func, ast.Name) and given.func.id in safe)
