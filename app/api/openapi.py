"""The OpenAPI 3.1.0 document: what FastAPI derives from the routes, completed with problems, security and components."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from app.api.conditional import CONTENT_RANGE
from app.api.conditional import describe as describe_conditions
from app.api.layer.answers import ANSWERS
from app.api.layer.problems import PROBLEMS
from app.api.layer.resource import Resource, Rule
from app.api.layer.wire import documents
from app.api.records.examples import record_components, shared_parameters
from app.api.registry.manifest_document import components as manifest_components
from app.api.shared import named, refer
from app.api.statuses import TEXTS, asks_for_token, problems_of
from app.schemas.registry import all_schemas

VERSION = "1.0.0"
_METHODS = ("get", "post", "put", "patch", "delete")
_WHOLE = {"list", "search", "lookup", "match", "aggregate", "changes", "records.conflicts", "sql", "job.result"}
"""Operations whose answers say whether they are complete."""


def _header(text: str, most: int) -> dict[str, Any]:
    return {"description": text, "schema": {"type": "string", "maxLength": most}}


_PATH_PARAMETERS: dict[str, tuple[str, int, str]] = {
    "agency": ("Id of an agency", 63, "dlh"),
    "agreement": ("Id of an agreement", 100, "pks-dukcapil-rsud"),
    "client": ("Id of a client", 63, "rsud-simrs"),
    "code": ("A code of the system", 100, "33.20.05.2001"),
    "connector": ("Id of a connector", 100, "dinkes-puskesmas"),
    "dataset": ("Id of a dataset", 100, "dinkes-puskesmas"),
    "erasure": ("Id of an erasure", 64, "era-019aa1b2"),
    "exchange_id": ("Id of an exchange, from its header Exchange-Id", 36, "019aa1b2-0000-7000-8000-000000000001"),
    "hold": ("Id of a legal hold", 64, "hold-019aa1b2"),
    "incident": ("Id of an incident", 64, "inc-019aa1b2"),
    "name": ("Name of a secret", 100, "faskes-db"),
    "person": ("Id of a person", 16, "3f9a1c0be2d47788"),
    "session": ("Id of a session", 64, "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"),
    "path": ("Path of the file in the inbox", 255, "faskes.csv"),
    "upload": ("Id of an upload in parts", 32, "4f1d2c3b5a69788796a5b4c3d2e1f001"),
    "schema": ("Name of a shared schema", 100, "fasilitas_kesehatan"),
    "system": ("Code system", 100, "kemendagri"),
}
"""Description, longest value and example of parameters in paths, by name. The examples are of the demo."""
_HEADERS: dict[str, dict[str, Any]] = {
    "RateLimit": _header(
        "Requests left, and seconds until all are there again (draft-ietf-httpapi-ratelimit-headers)", 100
    ),
    "RateLimit-Policy": _header("Requests allowed, and the window in seconds", 100),
    "Retry-After": {
        "description": "Seconds to wait",
        "schema": {"type": "integer", "format": "int32", "minimum": 0, "maximum": 86400},
    },
    "API-Version": _header("Version of this API", 32),
    "Exchange-Id": _header("The exchange that this answer closed", 36),
    "Content-Digest": _header("SHA-256 of the bytes (RFC 9530)", 100),
    "ETag": _header("Entity tag: send it in If-None-Match to read again, in If-Match to change", 200),
    "Content-Encoding": _header("`gzip` or `br` where Accept-Encoding asks for it", 10),
    "Accept-Ranges": _header("`bytes`: parts can be asked for with Range", 10),
    "Content-Range": CONTENT_RANGE,
    "Idempotency-Replayed": _header("`true`: answered as the first request with this Idempotency-Key was", 4),
    "Link": _header("The next page (`next`) and the receipt of the exchange (`receipt`)", 10_000),
    "Location": _header("Where what was made is", 2000),
    "Preference-Applied": _header("The preferences of `Prefer` that were applied (RFC 7240)", 100),
    "Upload-Complete": _header("`?1` when the upload is complete, else `?0`", 2),
    "Upload-Limit": _header("`max-size`: bytes of the largest file; `max-age`: seconds that the upload has left", 200),
    "Upload-Offset": _header("Bytes that are stored: the next part begins here", 15),
    "Sunset": _header("When the agreement ends that the answer rests on, from 60 days before (RFC 8594)", 40),
    "Simpul-Mode": _header("`uji`: the answer is practice, made of synthetic records", 3),
    "Simpul-Complete": _header("`?1` when every source that this caller may ask answered, else `?0`", 2),
}

_MODE = {"type": "string", "enum": ["uji"], "description": "Only in practice (`Simpul-Mode: uji`)"}
SENT_HEADERS = tuple(_HEADERS)
"""What a page of another origin may read."""


def complete(app: FastAPI, resources: Sequence[Resource]) -> dict[str, Any]:
    """The whole document; FastAPI calls this once and keeps it."""
    if app.openapi_schema is None:
        document = get_openapi(
            title=app.title,
            version=app.version,
            openapi_version="3.1.0",
            summary=app.summary,
            description=app.description,
            routes=app.routes,
            tags=app.openapi_tags,
            servers=app.servers,
            contact=app.contact,
            license_info=app.license_info,
        )
        document["info"] |= {"x-api-id": "simpul-gateway-api", "x-audience": "external-partner"}
        document["info"]["contact"]["email"] = "walidata@jepara.example"
        _add_components(document, resources)
        governed = {(rule.method.lower(), _plain(rule.path)): rule.rule for one in resources for rule in one.rules}
        practised = []
        for path, item in document["paths"].items():
            for method in (name for name in _METHODS if name in item):
                rule = governed.get((method, path))
                _complete_operation(rule, path, method, item[method])
                practised += [item[method]] if rule is not None and rule.practice else []
        for one in resources:
            _restore_examples(document, one)
        _tell_practice(document, practised)
        refer(document)
        app.openapi_schema = document
    return app.openapi_schema


def _plain(path: str) -> str:
    return path.replace(":path}", "}")


def _add_components(document: dict[str, Any], resources: Sequence[Resource]) -> None:
    components = document.setdefault("components", {})
    schemas = components.setdefault("schemas", {})
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas.update(documents({model for one in resources for model in one.bodies}))
    schemas.update(documents({*ANSWERS, *(model for one in resources for model in one.answers)}, "serialization"))
    schemas.update(manifest_components())
    for schema in all_schemas():
        if not schema.meta.lookup_only:
            schemas.update(record_components(schema))
    components["headers"] = _HEADERS
    components["parameters"] = shared_parameters()
    components["responses"] = {f"Problem{status}": _problem_response(status, text) for status, text in TEXTS.items()}
    components["responses"]["ProblemDefault"] = _problem_response("500", "Any other problem.")
    components["securitySchemes"] = {
        "oauth2": {
            "type": "oauth2",
            "description": "Client credentials; tokens are at+jwt (EdDSA, RFC8725) and live 15 minutes at most.",
            "flows": {"clientCredentials": {"tokenUrl": "/oauth/token", "scopes": {}}},
        },
        "bearer": {
            "type": "http",
            "scheme": "bearer",
            "bearerFormat": "JWT",
            "description": "The token itself, checked as RFC8725 asks for.",
        },
        "session": {
            "type": "apiKey",
            "in": "cookie",
            "name": "__Host-simpul-session",
            "description": "A person's session (POST /sign-in); changes carry its token in `Simpul-Csrf-Token` too.",
        },
    }
    document["security"] = [{"oauth2": []}, {"bearer": []}, {"session": []}]


def _problem_response(status: str, text: str) -> dict[str, Any]:
    kind = next(kind for kind in PROBLEMS.values() if str(kind.status) == status)
    example = {
        "type": f"http://127.0.0.1:8000/problems/{kind.slug}",
        "title": kind.title_en,
        "status": kind.status,
        "detail": kind.advice_en,
        "code": kind.code,
        "trace_id": "4bf92f3577b34da6a3ce929d0e0e4736",
        "retryable": False,
    }
    content = {"schema": {"$ref": "#/components/schemas/Problem"}, "example": example}
    names = ["API-Version", "RateLimit", "RateLimit-Policy", *(["Retry-After"] if status in {"429", "503"} else [])]
    return {"description": text, "headers": _sent(names), "content": {"application/problem+json": content}}


def _sent(names: Iterable[str]) -> dict[str, Any]:
    return {name: {"$ref": f"#/components/headers/{name}"} for name in names}


def _describe_path(operation: dict[str, Any]) -> None:
    for parameter in operation.get("parameters", ()):
        if parameter.get("in") == "path" and "description" not in parameter and parameter["name"] in _PATH_PARAMETERS:
            text, most, example = _PATH_PARAMETERS[parameter["name"]]
            json_schema = {"type": "string", "minLength": 1, "maxLength": most}
            parameter |= {"description": text, "schema": json_schema, "example": example}
            component = "".join(word.capitalize() for word in parameter["name"].split("_"))
            parameter.update(named(component, parameter))


def _tag(rule: Rule | None, method: str) -> tuple[str, ...]:
    """Reads have a tag, and changes that answer with what a read answers from then on."""
    acts = rule is not None and rule.recording == "admin"
    return ("ETag",) if method in {"get", "put", "patch"} or (method == "post" and acts) else ()


def _headers_of(rule: Rule | None) -> list[str]:
    """What a governed operation sends beside what all send."""
    if rule is None:
        return []
    headers = ["RateLimit", "RateLimit-Policy"]
    if rule.recording != "none":
        headers += ["Exchange-Id", "Content-Digest", "Link"]
    if rule.recording == "outcome":
        headers.append("Sunset")
    if rule.op == "job.result":
        headers.append("Accept-Ranges")
    if rule.practice:
        headers.append("Simpul-Mode")
    if rule.op in _WHOLE:
        headers.append("Simpul-Complete")
    return headers


def _tell_practice(document: dict[str, Any], operations: Iterable[dict[str, Any]]) -> None:
    """`mode` in the answers of operations that have practice, and in problems."""
    schemas, found = document["components"]["schemas"], {"Problem"}
    for operation in operations:
        for status, response in operation["responses"].items():
            for media, form in response.get("content", {}).items():
                name = form["schema"].get("$ref", "").rpartition("/")[2]
                if status.startswith("2") and media.endswith("json") and name:
                    found.add(name)
    for name in sorted(found):
        if "properties" in schemas[name]:
            schemas[name]["properties"] = {**schemas[name]["properties"], "mode": _MODE}


def _complete_operation(rule: Rule | None, path: str, method: str, operation: dict[str, Any]) -> None:
    responses = operation.setdefault("responses", {})
    if "HTTPValidationError" in str(responses.get("422", {})):
        responses.pop("422")
    # The framework writes a description beside each reference.
    responses.update({status: {"$ref": one["$ref"]} for status, one in responses.items() if "$ref" in one})
    _describe_path(operation)
    headers = ["API-Version", "Content-Encoding", *_tag(rule, method), *_headers_of(rule)]
    if not asks_for_token(rule, path):
        operation["security"] = []
    if any(parameter.get("name") == "Prefer" for parameter in operation.get("parameters", ())):
        headers.append("Preference-Applied")
    for status, response in responses.items():
        if status.startswith("2"):
            more = ["Location", "Retry-After"] if status == "202" else []
            response.setdefault("headers", {}).update(_sent([*headers, *more]))
            responses[status] = named(f"JobMadeBy{method.capitalize()}", response) if status == "202" else response
    describe_conditions(rule, method, operation)
    for status in problems_of(rule, path, method, operation):
        responses.setdefault(status, {"$ref": f"#/components/responses/Problem{status}"})
    responses.setdefault("default", {"$ref": "#/components/responses/ProblemDefault"})


def with_public(document: dict[str, Any], resources: Sequence[Resource]) -> dict[str, Any]:
    """The document of a gateway that answers open data without a token: where it does, a token is a choice."""
    opened = {(rule.method.lower(), _plain(rule.path)) for one in resources for rule in one.rules if rule.rule.public}
    paths = {
        path: {
            name: {**part, "security": [*document["security"], {}]} if (name, path) in opened else part
            for name, part in item.items()
        }
        for path, item in document["paths"].items()
    }
    return {**document, "paths": paths}


def _restore_examples(document: dict[str, Any], resource: Resource) -> None:
    """Members that are null stand in examples too: the framework leaves them out when it writes a document."""
    for route in resource.router.routes:
        if not isinstance(route, APIRoute) or not route.include_in_schema:
            continue
        for method in route.methods or ():
            operation = document["paths"][_plain(route.path)].get(method.lower())
            for status, declared in route.responses.items():
                if "content" in declared:
                    operation["responses"][str(status)]["content"] = declared["content"]
            body = (route.openapi_extra or {}).get("requestBody")
            if body is not None:
                operation["requestBody"] = body


def ordered(document: dict[str, Any]) -> dict[str, Any]:
    """The document with sorted members, but JSON first among the forms of an answer: generated clients take the first."""

    def sort(value: Any, *, forms: bool = False) -> Any:
        if isinstance(value, dict):
            names = sorted(value, key=lambda name: (forms and name != "application/json", name))
            return {name: sort(value[name], forms=name == "content") for name in names}
        return [sort(item) for item in value] if isinstance(value, list) else value

    found: dict[str, Any] = sort(document)
    return found
