"""Parameters and answers that many operations have are components: the document says each once."""

from __future__ import annotations

import json
from collections import Counter
from typing import Any

import pytest

from app.api.shared import named, refer
from app.main import build_openapi
from app.schemas.registry import all_schemas

_LIMIT = {"name": "limit", "in": "query", "schema": {"type": "integer"}}


def document(*parameters: dict[str, Any]) -> dict[str, Any]:
    made = {"paths": {}, "components": {"parameters": {}, "responses": {}}}
    for number, parameter in enumerate(parameters):
        responses = {"200": {"description": "Yes"}, "304": named("Unchanged", {"description": "No"})}
        made["paths"][f"/{number}"] = {"get": {"parameters": [parameter], "responses": responses}}
    return made


def test_a_part_with_a_name_is_a_component_and_stands_as_a_reference() -> None:
    plain = {"name": "q", "in": "query"}
    made = document(named("Limit", _LIMIT), named("Limit", _LIMIT), plain)

    refer(made)

    assert made["components"] == {"parameters": {"Limit": _LIMIT}, "responses": {"Unchanged": {"description": "No"}}}
    operations = [item["get"] for item in made["paths"].values()]
    reference = {"$ref": "#/components/parameters/Limit"}
    assert [one["parameters"] for one in operations] == [[reference], [reference], [plain]]
    assert operations[0]["responses"] == {
        "200": {"description": "Yes"},
        "304": {"$ref": "#/components/responses/Unchanged"},
    }


def test_one_name_is_one_part() -> None:
    with pytest.raises(ValueError, match="two parameters are called Limit"):
        refer(document(named("Limit", _LIMIT), named("Limit", {**_LIMIT, "in": "header"})))


def test_what_ten_operations_have_stands_once() -> None:
    whole = build_openapi()
    fields = {name for schema in all_schemas() for name in schema.fields}
    found = Counter[str]()
    for item in whole["paths"].values():
        for operation in item.values():
            own = [one for one in operation.get("parameters", ()) if one.get("name") not in {*fields, "fields", "sort"}]
            answers = [one for status, one in operation["responses"].items() if status == "202" or status[0] != "2"]
            found.update(json.dumps(one, sort_keys=True) for one in [*own, *answers] if "$ref" not in one)

    assert [part for part, times in found.items() if times >= 10] == []
    assert "x-component" not in json.dumps(whole)
