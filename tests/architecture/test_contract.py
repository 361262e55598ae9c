"""What outsiders rely on: error codes, routes with their rules, the committed OpenAPI document, the documentation."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from pathlib import Path

import pytest
from fastapi import APIRouter
from fastapi.routing import APIRoute
from starlette.routing import BaseRoute

from app.api import pages
from app.api.layer.problems import PROBLEMS
from app.api.layer.resource import GOVERNED, PUBLIC, READ, Resource, RuleTable
from app.api.routes import RESOURCES
from app.cli.main import build
from app.connectors.capabilities import Capabilities
from app.errors import leaves
from app.main import build_openapi, create_app
from app.settings import Settings
from tests.support.documented import parameters_of

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"

CLI = build()


def test_every_error_has_a_code_of_its_own_and_a_problem() -> None:
    codes = [kind.code for kind in leaves()]

    assert len(codes) == len(set(codes))
    assert set(codes) == set(PROBLEMS)


@pytest.mark.parametrize("code", sorted(PROBLEMS))
def test_every_problem_is_documented(code: str) -> None:
    assert f"`{code}`" in (DOCS / "reference" / "problems.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(Settings.model_fields))
def test_every_setting_is_documented(name: str) -> None:
    assert f"`SIMPUL_{name.upper()}`" in (DOCS / "reference" / "settings.md").read_text("utf-8")


def commands() -> list[str]:
    found = [f"simpul {command.name}" for command in CLI.registered_commands]
    for group in CLI.registered_groups:
        inner = group.typer_instance
        found += [f"simpul {group.name} {command.name}" for command in (inner.registered_commands if inner else [])]
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented(command: str) -> None:
    assert f"`{command}`" in (DOCS / "reference" / "cli.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(Capabilities.__dataclass_fields__))
def test_every_capability_is_documented(name: str) -> None:
    assert f"`{name}`" in (DOCS / "reference" / "connectors.md").read_text("utf-8")


def _declared(router: APIRouter) -> set[tuple[str, str]]:
    return {
        (method, str(route.path)) for route in router.routes if isinstance(route, APIRoute) for method in route.methods
    }


def _served() -> Iterator[tuple[str, str]]:
    """Every route of the application, however it came there."""
    waiting: list[BaseRoute] = list(create_app(Settings.model_construct()).routes)
    while waiting:
        route = waiting.pop()
        if isinstance(route, APIRoute):
            yield from ((method, route.path) for method in route.methods)
        else:
            inner = getattr(route, "original_router", None) or route
            waiting += getattr(inner, "routes", [])


def test_every_route_is_declared_by_a_resource() -> None:
    declared = {place for resource in RESOURCES for place in _declared(resource.router)} | _declared(pages.router)
    served = set(_served())

    assert len(served) > 150
    assert served - declared == set()


def test_every_governed_route_has_its_rule_and_no_other() -> None:
    table = RuleTable(RESOURCES)
    governed = {
        place for resource in RESOURCES for place in _declared(resource.router) if place[1].startswith(GOVERNED)
    }

    assert {(rule.method, rule.path) for rule in table.rules} == governed
    for rule in table.rules:
        found = table.find(rule.method, re.sub(r"\{[^}]+\}", "x", rule.path))
        assert found is not None
        assert found.rule.op == rule.rule.op


def test_a_route_without_a_rule_is_refused() -> None:
    resource = Resource("/v1/uji", "catalogue")
    with pytest.raises(ValueError, match="a governed path has a rule"):
        resource.add("GET", "/x", PUBLIC, lambda: None)
    with pytest.raises(ValueError, match="a public one has none"):
        Resource("/uji", "catalogue").add("GET", "/x", READ, lambda: None)


def test_paths_of_nothing_are_recorded_below_what_gives_records() -> None:
    prefixes = RuleTable(RESOURCES).recorded_prefixes
    assert prefixes == ("/v1/exchanges", "/v1/explain", "/v1/jobs", "/v1/queries", "/v1/records")


def test_the_committed_document_is_the_one_that_is_served() -> None:
    committed = json.loads((ROOT / "openapi" / "simpul.json").read_text("utf-8"))

    assert committed == json.loads(json.dumps(build_openapi())), "run: make openapi"


def test_every_operation_is_described() -> None:
    document = build_openapi()
    poor = [
        f"{method} {path}"
        for path, item in document["paths"].items()
        for method, operation in item.items()
        if not operation.get("summary") or not operation.get("description") or not operation.get("tags")
    ]

    assert document["openapi"] == "3.1.0"
    assert poor == []


def test_an_operation_is_open_where_nobody_is_refused_for_want_of_a_token() -> None:
    document = build_openapi()
    operations = {
        (method, path): operation for path, item in document["paths"].items() for method, operation in item.items()
    }
    opened = {place for place, operation in operations.items() if operation.get("security") == []}
    refusing = {place for place, operation in operations.items() if "401" in operation["responses"]}

    own = {("post", f"/oauth/{name}") for name in ("token", "revoke", "enrol")}
    people = {("post", path) for path in ("/sign-in", "/sign-in/account", "/sign-in/account/open")}
    people |= {("get", path) for path in ("/sign-in/oidc", "/sign-in/oidc/callback")}
    assert opened & refusing == own | people, "they take the client's own credential, or what a person proves itself by"
    assert opened | refusing == operations.keys()


def test_a_limit_that_changes_the_answer_has_no_default() -> None:
    """Generated clients send the defaults that the document has: a page instead of the whole answer."""
    document = build_openapi()
    places = {
        f"{path} {one['name']}": one["schema"]
        for path, item in document["paths"].items()
        for one in parameters_of(document, item.get("get", {}))
        if path.startswith("/v1/records/")
    }
    limits = {place: schema for place, schema in places.items() if place.endswith(" limit")}
    bodies = [document["components"]["schemas"][name]["properties"]["limit"] for name in ("SearchBody", "ExplainBody")]

    assert len(limits) > 30
    assert [schema for schema in (*limits.values(), *bodies) if schema.get("default") is not None] == []


def test_every_room_stands_in_the_tour_and_every_file_that_it_names_exists() -> None:
    tour = (DOCS / "explanation" / "directory-tour.md").read_text("utf-8")
    rooms = {
        f"app/{file.parent.relative_to(ROOT / 'app')}/"
        for file in (ROOT / "app").glob("*/**/__init__.py")
        if file.parent.name != "static"
    }
    named = set(re.findall(r"`([a-z0-9_/]+/)`", tour))
    inside = ("app/datasets/mapping/", "app/connectors/", "app/federation/planning/", "app/filters/")
    missing = {room for room in rooms - named if not room.startswith(inside)}
    assert {room for room in missing if not any(other.startswith(room) for other in named - {room})} == set()
    files = {path.name for path in (ROOT / "app").rglob("*.py")}
    assert {name for name in re.findall(r"`(?:[a-z0-9_/]*/)?([a-z0-9_]+\.py)`", tour) if name not in files} == set()
