"""What the document says of conditional requests and of parts (RFC 9110, sections 13 and 14). What is done: `layer/representation.py`."""

from __future__ import annotations

from typing import Any, Final

from app.api.layer.resource import Rule


def _parameter(name: str, text: str, example: str, *, required: bool = False) -> dict[str, Any]:
    shape = {"type": "string", "minLength": 1, "maxLength": 2000}
    return {
        "name": name,
        "in": "header",
        "description": text,
        "required": required,
        "schema": shape,
        "example": example,
    }


_TAG: Final = '"3q2-7wQ0m1nB5vXk9LrT2a"'
_IF_NONE_MATCH = _parameter("If-None-Match", "Tags of what the caller holds: 304 where it still stands", _TAG)
_ONLY_NEW = _parameter("If-None-Match", "`*`: only where there is none yet, else 412", "*")
_IF_MATCH = _parameter(
    "If-Match", "The ETag that was read, or `*` for any state: 412 where it is another one by now", _TAG
)
_RANGE = _parameter("Range", "One part of the result, by its first and last byte", "bytes=0-1048575")
_IF_RANGE = _parameter("If-Range", "The tag of what the caller holds a part of: another one is answered whole", _TAG)
STATUSES: Final = {
    "412": "What stands there is not what the request's condition names.",
    "416": "The part is behind the end of the result; `Content-Range` tells its size.",
    "428": "The change does not say with `If-Match` which state it means.",
}
"""Problems that only these operations have."""
CONTENT_RANGE: Final = {"description": "Which bytes of how many", "schema": {"type": "string", "maxLength": 64}}


def describe(rule: Rule | None, method: str, operation: dict[str, Any]) -> None:
    """Adds parameters and statuses. To be called while the responses hold only successes, with their headers."""
    responses, parameters = operation["responses"], operation.setdefault("parameters", [])
    if method == "get" and "200" in responses:
        kept = {name: header for name, header in responses["200"]["headers"].items() if name != "Content-Digest"}
        responses["304"] = {"description": "What the caller holds still stands; nothing is sent.", "headers": kept}
        parameters.append(_IF_NONE_MATCH)
        _problems(responses, "412")
    elif method in {"put", "patch"}:
        edits = method == "patch" or (rule is not None and rule.op == "connector.put")
        parameters.append({**_IF_MATCH, "required": method == "patch"})
        parameters.extend([_ONLY_NEW] if method == "put" else [])
        _problems(responses, "412", *(["428"] if edits else []))
    if rule is not None and rule.op == "job.result":
        parameters.extend([_RANGE, _IF_RANGE])
        headers = {**responses["200"]["headers"], "Content-Range": {"$ref": "#/components/headers/Content-Range"}}
        responses["206"] = {**responses["200"], "description": "The part that was asked for.", "headers": headers}
        _problems(responses, "416")
    if not parameters:
        del operation["parameters"]


def _problems(responses: dict[str, Any], *statuses: str) -> None:
    for status in statuses:
        responses[status] = {"$ref": f"#/components/responses/Problem{status}"}
