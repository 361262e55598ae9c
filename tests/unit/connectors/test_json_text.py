"""Two readers of JSON are one: what the quick one takes, the exact one takes too, with the same values; what it refuses has its rule."""

from __future__ import annotations

import json
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.connectors import json_text
from app.connectors.json_text import MAX_DEPTH, JsonFlaw, parse_json

NUMBERS = st.from_regex(r"-?(0|[1-9][0-9]{0,420})(\\.[0-9]{1,420})?([eE][+-]?[0-9]{1,4})?", fullmatch=True)
SCALARS = (
    NUMBERS
    | st.text().map(json.dumps)
    | st.sampled_from(["true", "false", "null", "NaN", "-Infinity", "01", "1.", '"\\ud800"', ""])
)
TEXTS = st.recursive(
    SCALARS,
    lambda inner: (
        st.lists(inner, max_size=4).map(lambda items: "[" + ",".join(items) + "]")
        | st.lists(st.tuples(st.sampled_from("abc"), inner), max_size=3).map(
            lambda members: "{" + ",".join(f'"{name}":{value}' for name, value in members) + "}"
        )
    ),
    max_leaves=12,
)


def outcome(read: Any, text: str) -> Any:
    try:
        return shown(read(text))
    except JsonFlaw as flaw:
        return flaw.rule, flaw.detail, flaw.line


def shown(value: Any) -> Any:
    """The value with the types and digits of its numbers."""
    if isinstance(value, dict):
        return {name: shown(member) for name, member in value.items()}
    return [shown(item) for item in value] if isinstance(value, list) else repr(value)


@given(text=TEXTS | st.text(max_size=20))
def test_hostile_48_both_readers_say_the_same(text: str) -> None:
    assert outcome(parse_json, text) == outcome(json_text._parse_slowly, text)


@pytest.mark.parametrize("deep", [MAX_DEPTH - 1, MAX_DEPTH, MAX_DEPTH + 1, 150, 300])
@pytest.mark.parametrize(("opening", "closing"), [("[", "]"), ('{"a":', "}")])
def test_hostile_48_the_depth_is_the_same(deep: int, opening: str, closing: str) -> None:
    text = opening * deep + "1" + closing * deep
    found = outcome(parse_json, text)
    assert found == outcome(json_text._parse_slowly, text)
    assert isinstance(found, tuple) == (deep > MAX_DEPTH)


@pytest.mark.parametrize(
    ("text", "rule"),
    [
        ('{"a": 1, "a": 2}', "json_duplicate_name"),
        ("[NaN]", "json_not_a_number"),
        ("[1e999]", "json_number"),
        ("[" + "9" * 401 + "]", "json_number"),
        ('["\\ud800"]', "lone_surrogate"),
        ("[1,]", "json"),
    ],
)
def test_hostile_48_each_refusal_has_its_rule(text: str, rule: str) -> None:
    assert outcome(parse_json, text)[0] == rule


def test_decimals_stay_as_they_were_written() -> None:
    assert shown(parse_json("[1.10, 1e5, -0.0, 0, 12345678901234567890]")) == [
        "Decimal('1.10')",
        "Decimal('1E+5')",
        "Decimal('0')",
        "0",
        "12345678901234567890",
    ]
    assert type(parse_json("2.50")) is Decimal


def test_ordinary_text_is_read_by_the_quick_one_alone() -> None:
    text = '{"items": [{"lat": -6.5, "n": 3, "x": null, "nama": "RSUD \\u00e9"}]}'
    assert json_text._parse_quickly(text) == [parse_json(text)]
    assert parse_json(text)["items"][0]["n"] == 3
