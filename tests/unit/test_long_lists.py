"""A long list of a JSON body, parted: together the parts are what a reader of the whole body gives, or the body is not parted."""

from __future__ import annotations

import json
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.api.layer.long_lists import long_list

TEXTS = st.one_of(
    st.text(max_size=6), st.sampled_from(['"', "\\", '\\"', "keys", '"keys"', "],", "}{", "é", "\U0001f600", "\x00"])
)
SCALARS = st.one_of(TEXTS, st.integers(), st.floats(allow_nan=False, allow_infinity=False), st.booleans(), st.none())
ITEMS = st.one_of(
    TEXTS,
    SCALARS,
    st.fixed_dictionaries({"key": SCALARS}, optional={"values": st.dictionaries(TEXTS, SCALARS, max_size=2)}),
    st.recursive(
        SCALARS, lambda inner: st.lists(inner, max_size=2) | st.dictionaries(TEXTS, inner, max_size=2), max_leaves=4
    ),
)
OTHERS = st.dictionaries(
    st.sampled_from(["fields", "purpose", "x"]), st.one_of(SCALARS, st.lists(TEXTS, max_size=2), ITEMS)
)


def parted(body: bytes, most: int = 3) -> tuple[Any, list[Any]] | None:
    """The document with an empty list, and the items; None where it is not parted or a part is no JSON."""
    found = long_list(body, "keys")
    if found is None:
        return None
    try:
        parts = list(found.parts(most))
        document = orjson.loads(found.rest)
    except orjson.JSONDecodeError:
        return None
    assert all(len(part) <= most + 1 for part in parts)
    return document, [item for part in parts for item in part]


@given(st.lists(ITEMS, max_size=9), OTHERS, OTHERS, st.sampled_from([None, 1]), st.booleans())
def test_parts_are_together_what_the_whole_is(
    items: list[Any], before: dict[str, Any], after: dict[str, Any], indent: int | None, ascii_only: bool
):
    body = json.dumps(
        {**before, "keys": items, **{f"{name}2": value for name, value in after.items()}},
        indent=indent,
        ensure_ascii=ascii_only,
    ).encode()
    whole = orjson.loads(body)  # as bodies that are not parted are read: integers beyond 64 bits become floats
    found = parted(body)
    if found is None:
        return
    assert found[1] == whole["keys"]
    assert found[0] == {**whole, "keys": []}


@given(st.binary(max_size=30), st.integers(0, 60), st.lists(st.text(max_size=3), min_size=1, max_size=4))
def test_what_is_no_json_is_not_made_one(noise: bytes, position: int, items: list[str]):
    body = json.dumps({"fields": ["a"], "keys": items, "purpose": "p"}).encode()
    broken = body[:position] + noise + body[position:]
    found = parted(broken)
    if found is not None:
        whole = json.loads(broken)
        assert found == ({**whole, "keys": []}, whole["keys"])


@pytest.mark.parametrize(
    "items", [["a", "b"], [{"key": "a", "values": {"nama": 'x"]}'}}, "b"], [1, None, True, {"key": {}}], ["a"]]
)
def test_the_plain_form_is_parted(items: list[Any]):
    assert parted(json.dumps({"fields": ["n"], "keys": items}, indent=2).encode()) == (
        {"fields": ["n"], "keys": []},
        items,
    )


@pytest.mark.parametrize(
    "text", ['{"keys": []}', '{"keys": ["a"], "keys": ["b"]}', '{"x": {"keys": ["a"]}}', '["a"]', "{", ""]
)
def test_what_is_not_plain_is_left_whole(text: str):
    assert parted(text.encode()) is None
