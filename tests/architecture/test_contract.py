"""What outsiders rely on: error codes, routes with their rules, the committed OpenAPI document, the documentation."""

from __future__ import annotations

import json
import re
from pathlib import Path

import pytest
from starlette.routing import BaseRoute

from app.api.layer.policy import GOVERNED, RULES, rule_for
from app.api.layer.problems import PROBLEMS
from app.api.routes import ROUTERS
from app.cli.main import app as cli
from app.connectors.capabilities import Capabilities
from app.errors import leaves
from app.main import build_openapi
from app.settings import Settings

ROOT = Path(__file__).resolve().parents[2]
DOCS = ROOT / "docs"


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
    found = [f"simpul {command.name}" for command in cli.registered_commands]
    for group in cli.registered_groups:
        inner = group.typer_instance
        found += [f"simpul {group.name} {command.name}" for command in (inner.registered_commands if inner else [])]
    return sorted(found)


@pytest.mark.parametrize("command", commands())
def test_every_command_is_documented(command: str) -> None:
    assert f"`{command}`" in (DOCS / "reference" / "cli.md").read_text("utf-8")


@pytest.mark.parametrize("name", sorted(Capabilities.__dataclass_fields__))
def test_every_capability_is_documented(name: str) -> None:
    assert f"`{name}`" in (DOCS / "reference" / "connectors.md").read_text("utf-8")


def api_routes() -> list[tuple[str, str]]:
    found: list[tuple[str, str]] = []
    for router in ROUTERS:
        for route in router.routes:
            found += _methods(route)
    return found


def _methods(route: BaseRoute) -> list[tuple[str, str]]:
    path = str(getattr(route, "path", ""))
    methods: set[str] = getattr(route, "methods", None) or set()
    return [(method, path) for method in sorted(methods - {"HEAD"}) if path.startswith(GOVERNED)]


@pytest.mark.parametrize(("method", "path"), api_routes())
def test_every_route_has_a_rule(method: str, path: str) -> None:
    example = re.sub(r"\{[^}]+\}", "x", path)

    assert rule_for(method, example) is not None


def test_every_rule_has_a_route() -> None:
    served = {(method, re.sub(r"\{[^}]+\}", "x", path)) for method, path in api_routes()}
    named = {(rule.method, re.sub(r"\{[^}]+\}", "x", rule.template)) for rule in RULES}

    assert {rule for rule in named if rule not in served} == set()


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
