"""One request of a service: parameters of its address, or members of the JSON that is posted."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, replace
from datetime import date, datetime
from decimal import Decimal
from typing import Any, Self

import orjson

from app.connectors.http import merged
from app.connectors.http_credentials import Request
from app.connectors.json_paths import JsonPath
from app.connectors.rest.source import RestSource
from app.errors import SourceFormatError

Resolve = Callable[[str], str]


@dataclass(frozen=True, slots=True)
class Question:
    """What is asked of every page. References to secrets that the manifest states are resolved; what a caller writes stays text."""

    method: str
    params: Mapping[str, Any]
    body: Mapping[str, Any] | None = None

    @classmethod
    def of(cls, source: RestSource, pushed: Mapping[str, Any], resolve: Resolve) -> Self:
        """The question of a manifest, with the values of pushed parameters."""
        params = {name: resolve(value) for name, value in source.question.items()}
        body = None if source.method == "GET" else _resolved(source.body or {}, resolve)
        return cls(source.method, params, body).with_values(pushed)

    def with_values(self, values: Mapping[str, Any]) -> Self:
        """The question with more parameters: members of the body where one is posted."""
        if self.body is None:
            return replace(self, params={**self.params, **values}) if values else self
        body: Mapping[str, Any] = self.body
        for name, value in values.items():
            steps = JsonPath.in_record(name).steps if name.startswith("$") else (name,)
            body = _put(body, steps, value)
        return replace(self, body=body)

    def alone(self) -> Self:
        """The question without parameters: those of a link count."""
        return replace(self, params={})

    def request(self, url: str) -> Request:
        """What is sent to an address."""
        address = merged(url, {name: _text(value) for name, value in self.params.items()})
        if self.body is None:
            return Request(self.method, address)
        return Request(self.method, address, orjson.dumps(self.body, default=_number))


def _put(body: Any, steps: tuple[Any, ...], value: Any) -> dict[str, Any]:
    """The body with a value at a path; members on the way that are not there are made."""
    if not isinstance(body, Mapping):
        raise SourceFormatError(
            "a parameter's path leads through something in the body that is no object", field="/source/body"
        )
    name, *behind = steps
    return {**body, name: _put(body.get(name, {}), tuple(behind), value) if behind else value}


def _resolved(value: Any, resolve: Resolve) -> Any:
    if isinstance(value, Mapping):
        return {name: _resolved(inside, resolve) for name, inside in value.items()}
    if isinstance(value, list):
        return [_resolved(inside, resolve) for inside in value]
    return resolve(value) if isinstance(value, str) else value


def _number(value: Any) -> Any:
    """A decimal with all its digits."""
    if isinstance(value, Decimal):
        return orjson.Fragment(format(value, "f"))
    raise TypeError


def _text(value: Any) -> str:
    """A value as JSON services write it in a query."""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, datetime):
        return value.isoformat().replace("+00:00", "Z")
    return value.isoformat() if isinstance(value, date) else str(value)
