"""Holds the status of every answer against those that the document lists for its operation."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

DOCUMENT = Path(__file__).resolve().parents[2] / "openapi" / "simpul.json"
METHODS = ("get", "post", "put", "patch", "delete")


def parameters_of(document: Mapping[str, Any], operation: Mapping[str, Any]) -> list[dict[str, Any]]:
    """The parameters of an operation, also those that it refers to."""
    shared = document["components"]["parameters"]
    return [shared[one["$ref"].rpartition("/")[2]] if "$ref" in one else one for one in operation.get("parameters", ())]


def answer_of(document: Mapping[str, Any], response: dict[str, Any]) -> dict[str, Any]:
    """The answer of an operation, also where it refers to one."""
    found: dict[str, Any] = document["components"]["responses"].get(
        response.get("$ref", "").rpartition("/")[2], response
    )
    return found


@cache
def operations() -> tuple[tuple[str, re.Pattern[str], str, frozenset[str]], ...]:
    """Method, expression, template and statuses of every operation; plain paths stand before those with parameters."""
    paths = json.loads(DOCUMENT.read_text("utf-8"))["paths"]
    found = []
    for path in sorted(paths, key=lambda path: path.count("{")):
        for method in METHODS:
            if method in paths[path]:
                statuses = frozenset(paths[path][method]["responses"]) - {"default"}
                found.append((method.upper(), _pattern(path), path, statuses))
    return tuple(found)


def _pattern(path: str) -> re.Pattern[str]:
    many = path.endswith(("/{path}", "/{key}"))
    text = re.sub(r"\\\{\w+\\\}", "[^/]+", re.escape(path))
    return re.compile(text.removesuffix("[^/]+") + ".+" if many else text)


def statuses_of(method: str, path: str) -> tuple[str, frozenset[str]] | None:
    """The operation of a request and what may be answered; None for what the document does not have."""
    plain = path.partition("?")[0]
    for other, pattern, template, statuses in operations():
        if other == ("GET" if method == "HEAD" else method) and pattern.fullmatch(plain):
            return f"{other} {template}", statuses
    return None


def check(method: str, path: str, status: int) -> None:
    """Raises where the operation's list lacks this status."""
    found = statuses_of(method, path)
    assert found is None or str(status) in found[1], (
        f"{found[0]} answers {status}, which its list lacks: {sorted(found[1])}"
    )
