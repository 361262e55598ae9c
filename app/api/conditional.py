"""What the document says of conditions and parts (RFC 9110, sections 13 and 14) and of idempotency keys.

What is done: `layer/representation.py`, `layer/idempotency.py`.
"""

from __future__ import annotations

from typing import Any, Final

from app.api.layer.headers import LONGEST
from app.api.layer.idempotency import KEY_PATTERN
from app.api.layer.resource import Rule
from app.api.shared import named


def _parameter(name: str, text: str, example: str, *, required: bool = False) -> dict[str, Any]:
    return {
        "name": name,
        "in": "header",
        "description": text,
        "required": required,
        "schema": {"type": "string", "maxLength": LONGEST[name]},
        "example": example,
    }


_TAG: Final = '"3q2-7wQ0m1nB5vXk9LrT2a"'
_IF_NONE_MATCH = _parameter("If-None-Match", "Tags of what the caller holds: 304 where it still stands", _TAG)
_ONLY_NEW = _parameter("If-None-Match", "`*`: only where there is none yet, else 412", "*")
_IF_MATCH = _parameter(
    "If-Match", "The ETag that was read, or `*` for any state: 412 where it is another one by now", _TAG
)
_WANTED = named("IfMatch", _IF_MATCH)
_HAVE_READ = named("IfMatchNeeded", {**_IF_MATCH, "required": True})
_RANGE = _parameter("Range", "One part of the result, by its first and last byte", "bytes=0-1048575")
_IF_RANGE = _parameter("If-Range", "The tag of what the caller holds a part of: another one is answered whole", _TAG)
_KEY: Final[dict[str, Any]] = {
    "name": "Idempotency-Key",
    "in": "header",
    "description": "One name for one request, kept 24 hours: sent again with it, the request is not done again but answered as it "
    "was (`Idempotency-Replayed`). Here it is heeded where `Prefer: respond-async` makes a job",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": 257, "pattern": KEY_PATTERN},
    "example": "6f1c2b9e-0a54-4a6e-9d3c-7f5f6c1f2a10",
}
_DONE_ONCE = named("IdempotencyKey", {**_KEY, "description": _KEY["description"].partition(". Here")[0]})
_STEPS: Final = frozenset(
    {"agreement.approve", "agreement.end", "agreement.revoke", "client.rotate", "client.enrolment"}
)
"""POSTs that take a condition."""
_PLAIN: Final = frozenset({"API-Version", "Content-Encoding", "ETag"})
_LIMITED: Final = _PLAIN | {"RateLimit", "RateLimit-Policy"}
_RECORDED: Final = _LIMITED | {"Exchange-Id", "Link"}
_UNCHANGED: Final = {
    _PLAIN: "Unchanged",
    _LIMITED: "UnchangedLimited",
    _RECORDED: "UnchangedRecorded",
    _RECORDED | {"Preference-Applied", "Simpul-Complete", "Simpul-Mode", "Sunset"}: "UnchangedRecords",
}
"""The answers 304 that many reads have, by their headers."""
CONTENT_RANGE: Final = {"description": "Which bytes of how many", "schema": {"type": "string", "maxLength": 64}}


def describe(rule: Rule | None, method: str, operation: dict[str, Any]) -> None:
    """Adds parameters and statuses. To be called while the responses hold only successes, with their headers."""
    responses, parameters = operation["responses"], operation.setdefault("parameters", [])
    if method == "get" and "200" in responses:
        kept = {name: header for name, header in responses["200"]["headers"].items() if name != "Content-Digest"}
        unchanged = {"description": "What the caller holds still stands; nothing is sent.", "headers": kept}
        component = _UNCHANGED.get(frozenset(kept))
        responses["304"] = unchanged if component is None else named(component, unchanged)
        parameters.append(named("IfNoneMatch", _IF_NONE_MATCH))
        _problems(responses, "412")
    elif method in {"put", "patch"} and not (rule is not None and rule.in_parts):
        exists = method == "patch" or (rule is not None and rule.op == "client.keys")
        edits = exists or (rule is not None and rule.op == "connector.put")
        parameters.append(_HAVE_READ if exists else _WANTED)
        parameters.extend([] if exists else [_ONLY_NEW])
        _problems(responses, "412", *(["428"] if edits else []))
    elif rule is not None and rule.op in _STEPS:
        parameters.append(_WANTED)
        _problems(responses, "412")
    _describe_keys(rule, method, parameters, responses)
    if rule is not None and rule.op == "job.result":
        parameters.extend([_RANGE, _IF_RANGE])
        headers = {**responses["200"]["headers"], "Content-Range": {"$ref": "#/components/headers/Content-Range"}}
        responses["206"] = {**responses["200"], "description": "The part that was asked for.", "headers": headers}
        _problems(responses, "416")
    if not parameters:
        del operation["parameters"]


def _describe_keys(rule: Rule | None, method: str, parameters: list[dict[str, Any]], responses: dict[str, Any]) -> None:
    acts = rule is not None and rule.recording == "admin" and method == "post"
    makes_jobs = any(given.get("name") == "Prefer" and "respond-async" in given["description"] for given in parameters)
    if not acts and not makes_jobs:
        return
    parameters.append(_DONE_ONCE if acts else named("IdempotencyKeyOfJob", _KEY))
    _problems(responses, "409")
    for status, response in responses.items():
        if status == "202" or (acts and status.startswith("2")):
            response["headers"]["Idempotency-Replayed"] = {"$ref": "#/components/headers/Idempotency-Replayed"}


def _problems(responses: dict[str, Any], *statuses: str) -> None:
    for status in statuses:
        responses[status] = {"$ref": f"#/components/responses/Problem{status}"}
