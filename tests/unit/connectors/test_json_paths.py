"""The one way in which manifests write paths into JSON, and what stands at them."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors.json_paths import JsonPath, NothingThere

DOCUMENT = {"data": [{"a": 1}, None, 7], "one": {"a": None}, "none": None, "a.b": {"*": ["x", "y"]}, "empty": []}


@pytest.mark.parametrize(
    ("text", "steps"),
    [
        ("$", ()),
        ("$[*]", (None,)),
        ("$[0].data[*]", (0, "data", None)),
        ("$.data.items[12]", ("data", "items", 12)),
        ("$['@odata.nextLink']", ("@odata.nextLink",)),
        ("$.nama lengkap['a.b'].*", ("nama lengkap", "a.b", "*")),
        ("$['*']['0']", ("*", "0")),
    ],
)
def test_a_path_is_members_places_and_every_item(text: str, steps: tuple[Any, ...]) -> None:
    assert JsonPath.parse(text).steps == steps


@pytest.mark.parametrize(
    "text",
    ["", "data", "data.items", "$.", "$..a", "$.a..b", "$a", "$[a]", "$.a[x]", "$['a", "$['']", "$.a[", "$[-1]", " $"],
)
def test_what_is_no_path_is_refused_with_how_one_is_written(text: str) -> None:
    for reads in (JsonPath.parse, JsonPath.in_record):
        with pytest.raises(ValueError, match="a path is written"):
            reads(text)


@pytest.mark.parametrize("text", ["$", "$[0].a", "$[*]", "$.a[*]", "$.a[*].b"])
def test_a_path_in_a_record_begins_with_a_member_and_leads_to_one_value(text: str) -> None:
    JsonPath.parse(text)
    with pytest.raises(ValueError, match="begins with a member"):
        JsonPath.in_record(text)


@pytest.mark.parametrize(
    ("text", "items"),
    [
        ("$", [DOCUMENT]),
        ("$.data", [{"a": 1}, None, 7]),
        ("$.data[*]", [{"a": 1}, None, 7]),
        ("$.data[0].a", [1]),
        ("$.data[1]", [None]),
        ("$.data[3]", []),
        ("$.one", [{"a": None}]),
        ("$.one[*]", [{"a": None}]),
        ("$.one[0]", []),
        ("$['a.b']['*'][1]", ["y"]),
        ("$['a.b'].*", ["x", "y"]),
        ("$.one[*].a", [None]),
        ("$.empty", []),
        ("$.empty[*].a", []),
    ],
)
def test_a_list_gives_its_items_and_all_else_is_one(text: str, items: list[Any]) -> None:
    assert JsonPath.parse(text).items(DOCUMENT) == items


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("$.none", "null where $.none expects records"),
        ("$['none']", "null where"),
        ("$.none[*]", "null where"),
        ("$.one.a", "null where"),
        ("$.nothing", "nothing at $.nothing: no member nothing"),
        ("$.none.a", "no member a"),
        ("$.data.a", "no member a"),
        ("$.data[*].a", "no member a"),
    ],
)
def test_what_is_missing_is_told_and_is_no_empty_list(text: str, said: str) -> None:
    with pytest.raises(NothingThere) as caught:
        JsonPath.parse(text).items(DOCUMENT)
    assert said in str(caught.value)
