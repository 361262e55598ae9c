"""A resource declares its routes once: path, who may call it, how it is recorded, what is documented. All else is derived.

`RuleTable` answers the layer before routing: the order of checks (401, 403, 404, …) needs it, and the isolation tests read it.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass
from typing import Any, Final, Literal, TypedDict, TypeVar, Unpack

from fastapi import APIRouter, Request, Response
from pydantic import BaseModel
from starlette.types import ASGIApp, Receive, Scope, Send

Role = Literal["client", "steward", "auditor", "supervisor", "admin"]
Recording = Literal["none", "outcome", "admin", "audit_read"]
Endpoint = Callable[[Request], Awaitable[Response]]
Function = TypeVar("Function", bound=Callable[..., Any])

GOVERNED = ("/v1/", "/v2/", "/log/tile/entries/")
"""Beginnings of the paths that need a token and a rule; all others are public."""

EVERYONE: frozenset[Role] = frozenset({"client", "steward", "auditor", "supervisor", "admin"})
STEWARDS: frozenset[Role] = frozenset({"steward", "admin"})
ADMINS: frozenset[Role] = frozenset({"admin"})
GUARDIANS: frozenset[Role] = frozenset({"steward", "supervisor", "admin"})
AUDITORS: frozenset[Role] = frozenset({"auditor", "supervisor"})
SUPERVISORS: frozenset[Role] = frozenset({"supervisor"})


@dataclass(frozen=True, slots=True)
class Rule:
    """The operation's name in the log, who may call it, and what kind of entry closes it."""

    op: str
    roles: frozenset[Role]
    recording: Recording = "none"
    upload: bool = False
    in_parts: bool = False
    """Of an upload in parts only the request that completes it (`Upload-Complete: ?1`) is an exchange."""
    body_bytes: int = 0
    """Largest body where it is more than the setting's."""
    direct: bool = False
    """Called without the router: its work is less than the way there. Its function takes the request alone."""
    practice: bool = False
    """Also answered with `Simpul-Mode: uji`, from synthetic records."""
    public: bool = False
    """Open fields are read without a token where `SIMPUL_PUBLIC_OPEN_DATA` is on."""
    fresh: str = ""
    """What a person needs a fresh second factor to do (`access/step_up.py`); empty where it needs none at the door."""
    told_as: str = ""
    """Template in entries and metrics, where it is not the path's."""


PUBLIC: Final = None
"""No token, no entry."""
READ: Final = Rule("catalogue", EVERYONE)
"""What everybody with a token may look up, unrecorded."""


class Documented(TypedDict, total=False):
    """What the document says of a route. `answer`: the model of its success, with an example; `body`: that of its JSON body.

    `forms`: the success in other media types, as OpenAPI writes `content`.
    """

    answer: type[BaseModel]
    example: Any
    forms: dict[str, Any]
    body: type[BaseModel]
    body_example: Any
    name: str
    summary: str
    description: str
    status_code: int
    responses: dict[int | str, dict[str, Any]]
    openapi_extra: dict[str, Any]
    response_class: type[Response]
    include_in_schema: bool


@dataclass(frozen=True, slots=True)
class RouteRule:
    """A rule at its path."""

    method: str
    path: str
    rule: Rule
    endpoint: Callable[..., Any]

    @property
    def template(self) -> str:
        """How entries and metrics name the route."""
        return self.rule.told_as or self.path


def json_content(model: type[BaseModel], example: Any) -> dict[str, Any]:
    """`content` of a body or answer that is this model's component."""
    return {"application/json": {"schema": {"$ref": f"#/components/schemas/{model.__name__}"}, "example": example}}


class Resource:
    """The routes of one resource. A rule of None makes a route public: no token, no entry."""

    def __init__(self, prefix: str, tag: str, *, in_document: bool = True) -> None:
        """`prefix`: beginning of every path; `tag`: where the document lists it."""
        self.router = APIRouter(prefix=prefix, tags=[tag], include_in_schema=in_document)
        self.rules: list[RouteRule] = []
        self.paths: list[tuple[str, str]] = []
        """Method and path of every route, also of public ones."""
        self.direct: dict[tuple[str, str], ASGIApp] = {}
        """Public routes that are called without the router, as `Rule.direct` says it of others."""
        self.answers: set[type[BaseModel]] = set()
        self.bodies: set[type[BaseModel]] = set()
        self._prefix = prefix

    def add(
        self, method: str, path: str, rule: Rule | None, endpoint: Callable[..., Any], **documented: Unpack[Documented]
    ) -> None:
        """Declares a route."""
        whole = self._prefix + path
        if (rule is None) == whole.startswith(GOVERNED):
            raise ValueError(f"{method} {whole}: a governed path has a rule, a public one has none")
        self.router.add_api_route(path, endpoint, methods=[method], **self._written(documented))
        self.paths.append((method, whole))
        if rule is not None:
            self.rules.append(RouteRule(method, whole, rule, endpoint))

    def direct_post(self, path: str, **documented: Unpack[Documented]) -> Callable[[Endpoint], Endpoint]:
        """Declares the decorated function as the answer to POST of a public path, to be called without the router."""

        def declare(function: Endpoint) -> Endpoint:
            self.add("POST", path, PUBLIC, function, **documented)
            self.direct["POST", self._prefix + path] = _called(function)
            return function

        return declare

    def get(self, path: str, rule: Rule | None, **documented: Unpack[Documented]) -> Callable[[Function], Function]:
        """Declares the decorated function as the answer to GET."""
        return self._declared("GET", path, rule, documented)

    def post(self, path: str, rule: Rule | None, **documented: Unpack[Documented]) -> Callable[[Function], Function]:
        """The same for POST."""
        return self._declared("POST", path, rule, documented)

    def put(self, path: str, rule: Rule | None, **documented: Unpack[Documented]) -> Callable[[Function], Function]:
        """The same for PUT."""
        return self._declared("PUT", path, rule, documented)

    def patch(self, path: str, rule: Rule | None, **documented: Unpack[Documented]) -> Callable[[Function], Function]:
        """The same for PATCH."""
        return self._declared("PATCH", path, rule, documented)

    def delete(self, path: str, rule: Rule | None, **documented: Unpack[Documented]) -> Callable[[Function], Function]:
        """The same for DELETE."""
        return self._declared("DELETE", path, rule, documented)

    def _written(self, documented: Documented) -> dict[str, Any]:
        """The models as components that the document refers to."""
        written: dict[str, Any] = dict(documented)
        answer, example = written.pop("answer", None), written.pop("example", None)
        forms = written.pop("forms", {})
        if answer is not None:
            self.answers.add(answer)
            content = {**json_content(answer, example), **forms}
            shown = {"description": (answer.__doc__ or "").partition("\n")[0], "content": content}
            written.setdefault("responses", {})[written.get("status_code", 200)] = shown
        body, given = written.pop("body", None), written.pop("body_example", None)
        if body is not None:
            self.bodies.add(body)
            extra = written.setdefault("openapi_extra", {})
            extra["requestBody"] = {"required": True, "content": json_content(body, given)}
        return written

    def _declared(
        self, method: str, path: str, rule: Rule | None, documented: Documented
    ) -> Callable[[Function], Function]:
        def declare(function: Function) -> Function:
            self.add(method, path, rule, function, **documented)
            return function

        return declare


def _called(endpoint: Endpoint) -> ASGIApp:
    async def app(scope: Scope, receive: Receive, send: Send) -> None:
        response = await endpoint(Request(scope, receive))
        await response(scope, receive, send)

    return app


class RuleTable:
    """The rules of all resources, found by method and path."""

    def __init__(self, resources: Iterable[Resource]) -> None:
        given = tuple(resources)
        self.rules = tuple(rule for resource in given for rule in resource.rules)
        self.direct = {path: app for resource in given for path, app in resource.direct.items()}
        """Public routes by method and path that are called without the router."""
        self._methods = tuple(
            (method, _pattern(path), path.count("{")) for resource in given for method, path in resource.paths
        )
        self._literal: dict[str, set[str]] = {}
        """Paths without parameters, and the methods that they take: none of them is a key, whatever the method."""
        for resource in given:
            for method, path in resource.paths:
                if "{" not in path:
                    self._literal.setdefault(path, set()).add(method)
        self._by_start: dict[tuple[str, str, str], list[tuple[re.Pattern[str], RouteRule]]] = {}
        for rule in self.rules:
            first, second = _start(rule.path)
            start = (rule.method, first, "" if second.startswith("{") else second)
            self._by_start.setdefault(start, []).append((_pattern(rule.path), rule))
        self.recorded_prefixes = tuple(
            sorted({"/".join(rule.path.split("/")[:3]) for rule in self.rules if _exchanges(rule.rule)})
        )
        """Beginnings below which a path that no route has is recorded too: whoever tries them asks for records."""

    def find(self, method: str, path: str) -> RouteRule | None:
        """The rule of a request, None when no governed route has this path and method."""
        methods = self._literal.get(path)
        if methods is not None and method not in methods:
            return None
        first, second = _start(path)
        for start in ((method, first, second), (method, first, "")):
            for pattern, rule in self._by_start.get(start, ()):
                if pattern.match(path):
                    return rule
        return None

    def methods_of(self, path: str) -> frozenset[str]:
        """The methods that this path takes, none when no route has it. Whoever answers GET answers HEAD too.

        Of a path that a route has literally it is that route's alone, as the document has it: `…/search` is no key.
        """
        matching = [(method, parameters) for method, pattern, parameters in self._methods if pattern.match(path)]
        fewest = min((parameters for _, parameters in matching), default=0)
        found = {method for method, parameters in matching if parameters == fewest}
        return frozenset(found | ({"HEAD"} if "GET" in found else set()) | ({"OPTIONS"} if found else set()))


def _pattern(path: str) -> re.Pattern[str]:
    """The path as an anchored expression; `{name:path}` takes slashes too."""
    text = re.sub(r"\\\{\w+:path\\\}", ".+", re.escape(path))
    return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", text) + r"\Z")


def _start(path: str) -> tuple[str, str]:
    """The second and third segment."""
    parts = path.split("/", 4)
    return (parts[2] if len(parts) > 2 else "", parts[3] if len(parts) > 3 else "")


def _exchanges(rule: Rule) -> bool:
    return rule.recording not in {"none", "admin"} and rule.roles == EVERYONE
