"""Functions of expressions on the values at their edges: what DuckDB computes, in whose dialect an expression is read, is computed here."""

from __future__ import annotations

import itertools
from datetime import UTC, date, datetime
from decimal import Decimal
from typing import Any

import duckdb
import pytest

from app.connectors.cells import LongNumber
from app.datasets.mapping.expression import compile_expression
from app.datasets.mapping.expression.functions import FUNCTIONS
from app.datasets.mapping.expression.refusals import HINTS
from app.datasets.mapping.rules import StepReject
from app.errors import ExpressionForbidden


def computed(text: str, **row: Any) -> Any:
    return compile_expression(text, "/e").value(row)


def rejected(text: str, **row: Any) -> str:
    with pytest.raises(StepReject) as caught:
        computed(text, **row)
    return caught.value.rule


TEXTS = ("", "a", "héllo", "a-b-c", "-a-+-b-")
PLACES = (-10, -7, -6, -5, -2, -1, 0, 1, 2, 5, 6, 10)


def calls() -> list[str]:
    quoted = [f"'{text}'" for text in TEXTS]
    found = [f"{name}({text}, {at})" for name in ("left", "right", "substring") for text in quoted for at in PLACES]
    found += [f"substring({text}, {at}, {size})" for text in quoted for at in PLACES for size in PLACES]
    marks = ("''", "'-'", "'-+-'", "'x'")
    found += [f"split_part({text}, {by}, {at})" for text, by, at in itertools.product(quoted, marks, PLACES)]
    found += [f"lpad({text}, {width}, '*')" for text in quoted for width in PLACES]
    found += [f"replace({text}, {old}, 'yz')" for text in quoted for old in marks]
    found += [f"starts_with({text}, {old})" for text in quoted for old in marks]
    numbers = ("2.5", "-2.5", "2.345", "-2.345", "0.5", "1.5", "1250", "1350", "-1250", "2.449")
    found += [f"round({number}, {digits})" for number in numbers for digits in (0, 1, 2)]
    found += [
        f"nullif({left}, {right})" for left, right in itertools.product(("'0'", "0", "0.0", "'1'", "2"), repeat=2)
    ]
    return found


def test_functions_compute_what_duckdb_computes() -> None:
    asked = calls()
    answers = duckdb.connect().execute(f"SELECT {', '.join(f'({call})' for call in asked)}").fetchone()
    assert answers is not None

    wrong = [
        (call, mine, theirs) for call, theirs in zip(asked, answers, strict=True) if (mine := computed(call)) != theirs
    ]
    assert wrong == []


def test_a_half_is_rounded_away_from_zero_also_of_a_text() -> None:
    assert computed("round(x, 2)", x="2.345") == Decimal("2.35")
    assert computed("round(x)", x=2.5) == 3
    assert computed("round(x)", x="-2.5") == -3
    assert computed("round(x, -2)", x=1250) == 1300


def test_nullif_compares_as_equality_does() -> None:
    assert computed("nullif(x, 0)", x="0") is None
    assert computed("nullif(x, '15000.50')", x=Decimal("15000.5")) is None
    assert computed("nullif(x, 1)", x="2") == "2"
    assert computed("nullif(x, y)", x="2", y=None) == "2"
    assert rejected("nullif(x, 0)", x="tiada") == rejected("x = 0", x="tiada") == "not_a_number"


@pytest.mark.parametrize(
    ("value", "text"),
    [
        (1e16, "10000000000000000"),
        (1.5e-7, "0.00000015"),
        (-2e20, "-200000000000000000000"),
        (15.5, "15.5"),
        (Decimal("1E+3"), "1000"),
        (10**20, "100000000000000000000"),
    ],
)
def test_a_number_is_text_in_plain_notation(value: Any, text: str) -> None:
    assert (
        computed("CAST(x AS TEXT)", x=value) == computed("x || ''", x=value) == computed("concat(x)", x=value) == text
    )


@pytest.mark.parametrize(
    ("value", "rule"),
    [
        (float("nan"), "not_finite"),
        (float("-inf"), "not_finite"),
        (Decimal("NaN"), "not_finite"),
        (LongNumber(3.32e16), "digits_lost"),
    ],
)
def test_a_number_that_has_no_plain_notation_is_rejected(value: Any, rule: str) -> None:
    assert rejected("CAST(x AS TEXT)", x=value) == rule


def refusal(text: str) -> str:
    with pytest.raises(ExpressionForbidden) as caught:
        compile_expression(text, "/e")
    return caught.value.errors[0].detail


@pytest.mark.parametrize(
    ("text", "name"),
    [
        ("concat_ws('-', x, y)", "concat_ws"),
        ("least(x, 1)", "least"),
        ("GREATEST(x, 1)", "GREATEST"),
        ("ltrim(x)", "ltrim"),
        ("rpad(x, 3, '0')", "rpad"),
        ("strftime(x, '%Y')", "strftime"),
        ("list(x)", "list"),
        ("upper(initcap(x))", "initcap"),
        ("apa(x)", "apa"),
        ("regexp_replace(x, 'a', 'b')", "regexp_replace"),
    ],
)
def test_a_function_that_is_not_offered_is_named_as_it_was_written(text: str, name: str) -> None:
    found = refusal(text)

    assert found.startswith(f"the function {name} is not on the list; ")
    assert found.endswith(f"functions: {', '.join(sorted(FUNCTIONS))}")


def test_other_refusals_say_what_was_written_and_what_to_write() -> None:
    assert refusal("TRY_CAST(x AS INT)").startswith("TRY_CAST(x AS INT) is not on the list; write CAST: ")
    assert refusal("CAST(x AS DATE)").startswith("CAST(x AS DATE) is not on the list; CAST goes to TEXT, ")
    assert refusal("x ILIKE 'a'").startswith("x ILIKE 'a' is not on the list; write lower(x) LIKE ")
    assert refusal("trim(LEADING FROM x)").endswith(
        "is not computed in this variant; write it with the functions listed"
    )
    assert "an argument of left is missing" in refusal("left(x)")


@pytest.mark.parametrize("name", HINTS)
def test_every_advice_is_shown(name: str) -> None:
    texts = {"trycast": "TRY_CAST(x AS INT)", "ilike": "x ILIKE 'a'", "cast": "x::DATE"}
    found = [texts[name]] if name in texts else [f"{name}(x)", f"{name}(x, 1)", f"{name}(x, 1, 'a')"]

    assert any(f"is not on the list; {HINTS[name]}; functions: " in refusal(text) for text in found)


@pytest.mark.parametrize("text", ["a = {}", "a <> {}", "a < {}", "a IN ({})", "CASE a WHEN {} THEN 1 ELSE 2 END"])
@pytest.mark.parametrize(
    ("value", "other"),
    [
        (date(2020, 1, 1), "'2020-01-01'"),
        (datetime(2020, 1, 1, tzinfo=UTC), "'2020-01-01'"),
        (date(2020, 1, 1), "2020"),
        (True, "'true'"),
        (True, "1"),
        (1, "TRUE"),
        ([1], "1"),
        ({"x": 1}, "'x'"),
    ],
)
def test_values_of_kinds_that_never_are_equal_are_refused(text: str, value: object, other: str) -> None:
    expression = compile_expression(text.format(other), "/fields/nama/expr")

    with pytest.raises(StepReject, match="wrong_type"):
        expression.value({"a": value})


@pytest.mark.parametrize(
    "text",
    ["a = '--'", "a || ' -- ' || a", "replace(a, '/*', '')", "a = ';'", "a = '$$'", "a = 'it''s -- so'", '"a--b" = 1'],
)
def test_a_mark_inside_a_text_is_no_comment(text: str) -> None:
    compile_expression(text, "/fields/nama/expr")


@pytest.mark.parametrize("text", ["a -- b", "a = 'x' -- b", "'a' /* b */", "a; b", "$$a$$", "'a\x00'", "'a''' -- '"])
def test_a_mark_outside_of_a_text_is_refused(text: str) -> None:
    with pytest.raises(ExpressionForbidden):
        compile_expression(text, "/fields/nama/expr")
