"""The document breaks no caller of the last release, but where `openapi/breaking.md` says why. Every kind of break is found."""

from __future__ import annotations

import copy
import importlib.util
import json
from collections.abc import Callable
from pathlib import Path
from types import ModuleType
from typing import Any

import pytest

ROOT = Path(__file__).resolve().parents[3]
OPENAPI = ROOT / "openapi"


def _loaded() -> ModuleType:
    spec = importlib.util.spec_from_file_location("compatibility", ROOT / "tools" / "contract" / "compatibility.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


TOOL = _loaded()
SMALL: dict[str, Any] = {
    "security": [{"bearer": []}],
    "paths": {
        "/open": {"get": {"operationId": "open", "security": [], "responses": {"200": {}}}},
        "/things": {
            "get": {
                "operationId": "list_things",
                "parameters": [
                    {"name": "limit", "in": "query", "schema": {"type": "integer", "minimum": 1, "maximum": 1000}},
                    {"name": "kind", "in": "query", "schema": {"type": "string", "enum": ["a", "b"]}},
                ],
                "responses": {
                    "200": {
                        "headers": {"ETag": {}, "Link": {}},
                        "content": {
                            "application/json": {"schema": {"$ref": "#/components/schemas/Things"}},
                            "text/csv": {"schema": {"type": "string"}},
                        },
                    },
                    "202": {"content": {}},
                },
            },
            "post": {
                "operationId": "make_thing",
                "requestBody": {
                    "content": {
                        "application/json": {"schema": {"$ref": "#/components/schemas/Thing"}},
                        "text/csv": {"schema": {"type": "string"}},
                    }
                },
                "responses": {"201": {"content": {}}},
            },
        },
    },
    "components": {
        "schemas": {
            "Things": {
                "type": "object",
                "required": ["items"],
                "properties": {
                    "items": {"type": "array", "items": {"$ref": "#/components/schemas/Told"}},
                    "next": {"type": "string"},
                },
            },
            "Told": {
                "type": "object",
                "required": ["state", "parts"],
                "properties": {
                    "state": {"type": "string", "enum": ["draft", "done"]},
                    "count": {"type": "integer"},
                    "note": {"anyOf": [{"type": "string"}, {"type": "null"}]},
                    "parts": {"type": "array", "items": {"$ref": "#/components/schemas/Told"}},
                    "more": {"type": "object", "additionalProperties": {"type": "integer"}},
                },
            },
            "Thing": {
                "type": "object",
                "required": ["id"],
                "properties": {
                    "id": {"type": "string", "maxLength": 63},
                    "size": {"type": "number"},
                    "fields": {"anyOf": [{"type": "array", "items": {"type": "string"}}, {"type": "null"}]},
                    "part": {"$ref": "#/components/schemas/Thing"},
                },
            },
        }
    },
}
Change = Callable[[dict[str, Any]], object]


def at(document: dict[str, Any], path: str) -> Any:
    """A place, by names with dots between them; `things.get` is an operation."""
    found: Any = document["components"]["schemas"]
    names = path.split(".")
    if names[0] == "things":
        found, names = document["paths"]["/things"], names[1:]
    for name in names:
        found = found[int(name)] if isinstance(found, list) else found[name]
    return found


def put(path: str, name: str, value: Any) -> Change:
    return lambda document: at(document, path).__setitem__(name, value)


def drop(path: str, name: str) -> Change:
    return lambda document: at(document, path).pop(name)


def add(path: str, value: Any) -> Change:
    return lambda document: at(document, path).append(value)


OPTIONAL = {"name": "new", "in": "query", "schema": {"type": "string"}}
BREAKS: list[tuple[Change, list[str]]] = [
    (lambda document: document["paths"].pop("/open"), ["GET /open: removed"]),
    (drop("things", "post"), ["POST /things: removed"]),
    (put("things.get", "operationId", "things"), ["GET /things: operationId: list_things -> things"]),
    (lambda document: document["paths"]["/open"]["get"].pop("security"), ["GET /open: security: needs a token"]),
    (lambda document: at(document, "things.get.parameters").pop(0), ["GET /things: query parameter limit: removed"]),
    (put("things.get.parameters.0", "required", True), ["GET /things: query parameter limit: required"]),
    (
        add("things.get.parameters", {**OPTIONAL, "required": True}),
        ["GET /things: query parameter new: new and required"],
    ),
    (
        put("things.get.parameters.0.schema", "maximum", 100),
        ["GET /things: query parameter limit: maximum 1000 -> 100"],
    ),
    (put("things.get.parameters.0.schema", "minimum", 2), ["GET /things: query parameter limit: minimum 1 -> 2"]),
    (
        put("things.get.parameters.0.schema", "type", "string"),
        ["GET /things: query parameter limit: type integer -> string"],
    ),
    (
        put("things.get.parameters.1.schema", "enum", ["a"]),
        ['GET /things: query parameter kind: value "b" is taken no more'],
    ),
    (
        put("things.get.parameters.1.schema", "pattern", "^a$"),
        ["GET /things: query parameter kind: pattern None -> ^a$"],
    ),
    (put("things.post.requestBody", "required", True), ["POST /things: body: required"]),
    (drop("things.post", "requestBody"), ["POST /things: body: removed"]),
    (drop("things.post.requestBody.content", "text/csv"), ["POST /things: body text/csv: removed"]),
    (
        put("Thing", "required", ["id", "size"]),
        ["POST /things: body application/json /size: required"],
    ),
    (drop("Thing.properties", "size"), ["POST /things: body application/json /size: removed"]),
    (put("Thing", "additionalProperties", False), ["POST /things: body application/json: takes no other members any more"]),
    (put("Thing.properties.size", "type", "integer"), ["POST /things: body application/json /size: type integer/number -> integer"]),
    (put("Thing.properties.id", "enum", ["x"]), ["POST /things: body application/json /id: only listed values are taken now"]),
    (
        lambda document: at(document, "Thing.properties.fields.anyOf").pop(),
        ["POST /things: body application/json /fields: a form (null) is taken no more"],
    ),
    (
        put("Thing.properties.fields.anyOf.0", "items", {"type": "string", "maxLength": 9}),
        ["POST /things: body application/json /fields/*: maxLength None -> 9"],
    ),
    (drop("things.get.responses", "202"), ["GET /things: 202: removed"]),
    (drop("things.get.responses.200.content", "text/csv"), ["GET /things: 200 text/csv: removed"]),
    (drop("things.get.responses.200.headers", "Link"), ["GET /things: 200 header Link: removed"]),
    (drop("Things.properties", "next"), ["GET /things: 200 application/json /next: removed"]),
    (put("Things", "required", []), ["GET /things: 200 application/json /items: not always there any more"]),
    (drop("Told.properties", "count"), ["GET /things: 200 application/json /items/*/count: removed"]),
    (
        put("Told.properties.count", "type", "number"),
        ["GET /things: 200 application/json /items/*/count: type integer -> integer/number"],
    ),
    (
        put("Told.properties.state", "enum", ["draft", "done", "lost"]),
        ['GET /things: 200 application/json /items/*/state: value "lost" is new'],
    ),
    (
        drop("Told.properties.state", "enum"),
        ["GET /things: 200 application/json /items/*/state: no longer one of the listed values"],
    ),
    (
        add("Told.properties.note.anyOf", {"type": "integer"}),
        ["GET /things: 200 application/json /items/*/note: a form (integer) is new"],
    ),
    (
        put("Told.properties.more", "additionalProperties", {"type": "string"}),
        ["GET /things: 200 application/json /items/*/more/*: type integer -> string"],
    ),
]  # fmt: skip
HARMLESS: list[Change] = [
    put("things", "delete", {"responses": {"204": {}}}),
    add("things.get.parameters", OPTIONAL),
    put("things.get.parameters.0.schema", "maximum", 5000),
    put("things.get.parameters.1.schema", "enum", ["a", "b", "c"]),
    put("Thing.properties", "colour", {"type": "string"}),
    put("Thing", "required", []),
    put("Thing.properties.id", "type", ["string", "null"]),
    put("Told.properties", "colour", {"type": "string"}),
    put("Told", "required", ["state", "parts", "count"]),
    put("Told.properties.state", "enum", ["done"]),
    put("Told.properties.note", "anyOf", [{"type": "string"}]),
    put("things.get.responses", "206", {}),
    put("things.get.responses.200.content", "application/x-ndjson", {}),
]


@pytest.mark.parametrize(("change", "lines"), BREAKS, ids=[lines[0] for _, lines in BREAKS])
def test_each_kind_of_break_is_found(change: Change, lines: list[str]) -> None:
    changed = copy.deepcopy(SMALL)
    change(changed)
    assert TOOL.breaking(SMALL, changed) == lines


@pytest.mark.parametrize("change", HARMLESS)
def test_what_only_adds_breaks_nothing(change: Change) -> None:
    changed = copy.deepcopy(SMALL)
    change(changed)
    assert changed != SMALL
    assert TOOL.breaking(SMALL, changed) == []


@pytest.mark.parametrize(
    ("before", "after", "lines"),
    [
        ("^a+$", "^(a+|b)$", []),
        ("^a+$", "^(a|b)$", ["GET /things: query parameter kind: pattern ^a+$ -> ^(a|b)$"]),
        ("^(a+|b)$", "^a+$", ["GET /things: query parameter kind: pattern ^(a+|b)$ -> ^a+$"]),
    ],
)
def test_pattern_with_the_former_one_among_its_alternatives_breaks_nothing(
    before: str, after: str, lines: list[str]
) -> None:
    old, new = copy.deepcopy(SMALL), copy.deepcopy(SMALL)
    put("things.get.parameters.1.schema", "pattern", before)(old)
    put("things.get.parameters.1.schema", "pattern", after)(new)
    assert TOOL.breaking(old, new) == lines


def test_a_list_is_read_with_its_reasons() -> None:
    text = "# Title\n\n- `GET /a: removed`: nobody asked for it\n- `GET /b: removed`:\n    - `GET /c: removed`: an example\n"
    assert TOOL.accepted(text) == {"GET /a: removed": "nobody asked for it"}


def test_the_document_breaks_nothing_but_what_is_listed() -> None:
    old, new = (json.loads((OPENAPI / name).read_text("utf-8")) for name in ("released.json", "simpul.json"))
    listed = TOOL.accepted((OPENAPI / "breaking.md").read_text("utf-8"))
    found = TOOL.breaking(old, new)
    assert [line for line in found if line not in listed] == []
    assert [line for line in listed if line not in found] == []
