"""The OpenAPI document for one caller (`/openapi.json?as=me`): the operations of its role, and of records what it may use today."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import orjson

from app.access.agreements import ALL_RIGHTS
from app.access.principals import Role
from app.api.layer.resource import RouteRule
from app.api.records.examples import component_name
from app.gateway.entitlements import Usable
from app.schemas.registry import SchemaDef, all_schemas

_RECORDS = "/v1/records/"
_REFERENCE = "#/components/"
_RIGHTS = frozenset(ALL_RIGHTS)


@dataclass(slots=True)
class _Granted:
    """What may be used of one schema, of whichever provider."""

    fields: set[str] = field(default_factory=set)
    rights: set[str] = field(default_factory=set)


def narrowed(
    document: Mapping[str, Any], rules: Iterable[RouteRule], role: Role, usable: Iterable[Usable]
) -> dict[str, Any]:
    """A copy without what the caller may not use: operations, fields, parameters, and components that nothing names any more."""
    copy: dict[str, Any] = orjson.loads(orjson.dumps(document))
    operations = {(rule.method.lower(), rule.path.replace(":path}", "}")): rule.rule for rule in rules}
    granted = _granted(usable)
    by_slug = {schema.meta.slug: schema for schema in all_schemas()}
    for path, methods in list(copy["paths"].items()):
        schema = by_slug.get(path.removeprefix(_RECORDS).partition("/")[0]) if path.startswith(_RECORDS) else None
        for method in list(methods):
            rule = operations.get((method, path))
            if rule is None:
                continue
            if role not in rule.roles or (schema is not None and not _offered(schema, rule.op, granted)):
                del methods[method]
            elif schema is not None:
                _cut_operation(methods[method], _hidden(schema, granted))
        if not any(isinstance(methods.get(method), dict) for method in ("get", "post", "put", "patch", "delete")):
            del copy["paths"][path]
    components = copy["components"]["schemas"]
    for schema in all_schemas():
        hidden = _hidden(schema, granted)
        for name in (component_name(schema), f"{component_name(schema)}Page"):
            if hidden and name in components:
                _cut_component(components[name], hidden)
    _prune(copy)
    return copy


def _granted(usable: Iterable[Usable]) -> dict[str, _Granted]:
    found: dict[str, _Granted] = {}
    for one in usable:
        at = found.setdefault(one.schema.name, _Granted())
        terms = one.agreement.terms if one.agreement is not None else None
        hidden = {name for name, mask in terms.masks.items() if mask == "hide"} if terms is not None else set()
        at.fields |= one.fields - hidden
        at.rights |= {*terms.rights_in(lookup_only=one.schema.meta.lookup_only)} if terms is not None else _RIGHTS
    return found


def _offered(schema: SchemaDef, op: str, granted: Mapping[str, _Granted]) -> bool:
    at = granted.get(schema.name)
    return at is not None and (op not in _RIGHTS or op in at.rights)


def _hidden(schema: SchemaDef, granted: Mapping[str, _Granted]) -> frozenset[str]:
    at = granted.get(schema.name)
    return frozenset(schema.fields) - (at.fields if at is not None else frozenset())


def _cut_operation(operation: dict[str, Any], hidden: frozenset[str]) -> None:
    if "parameters" in operation:
        given = operation["parameters"]
        operation["parameters"] = [one for one in given if one.get("in") != "query" or one.get("name") not in hidden]
    for answer in operation.get("responses", {}).values():
        for form in answer.get("content", {}).values():
            if "example" in form:
                form["example"] = _without(form["example"], hidden)


def _cut_component(component: dict[str, Any], hidden: frozenset[str]) -> None:
    for name in hidden:
        component.get("properties", {}).pop(name, None)
    if "required" in component:
        component["required"] = [name for name in component["required"] if name not in hidden]
    if "example" in component:
        component["example"] = _without(component["example"], hidden)


def _without(value: Any, hidden: frozenset[str]) -> Any:
    if isinstance(value, dict):
        return {name: _without(part, hidden) for name, part in value.items() if name not in hidden}
    return [_without(part, hidden) for part in value] if isinstance(value, list) else value


def _prune(document: dict[str, Any]) -> None:
    """Keeps the components that paths lead to; the ways to authenticate stay."""
    components = document["components"]
    kept, waiting = set[tuple[str, str]](), list(_references(document["paths"]))
    while waiting:
        found = waiting.pop()
        if found not in kept:
            kept.add(found)
            waiting.extend(_references(components[found[0]][found[1]]))
    for kind in components:
        if kind != "securitySchemes":
            components[kind] = {name: part for name, part in components[kind].items() if (kind, name) in kept}
    used = {tag for methods in document["paths"].values() for one in methods.values() for tag in one.get("tags", ())}
    document["tags"] = [tag for tag in document.get("tags", ()) if tag["name"] in used]


def _references(value: Any) -> Iterable[tuple[str, str]]:
    if isinstance(value, dict):
        for name, part in value.items():
            if name == "$ref" and isinstance(part, str) and part.startswith(_REFERENCE):
                kind, _, found = part.removeprefix(_REFERENCE).partition("/")
                yield kind, found
            else:
                yield from _references(part)
    elif isinstance(value, list):
        for part in value:
            yield from _references(part)
