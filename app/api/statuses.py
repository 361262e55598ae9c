"""Which problems an operation can answer with, derived from how its route is declared. The document lists these and no others.

What an operation has beyond that stands in its own declaration (`responses`). Every answer that tests get is held against it.
"""

from __future__ import annotations

from typing import Any, Final

from app.api.layer.resource import Rule

TEXTS: Final = {
    "400": "The request cannot be read.",
    "401": "No valid token.",
    "403": "Not allowed; `rule` names the rule that denied.",
    "404": "No such thing.",
    "405": "Not for this schema, or not with this method; `detail` says what to use.",
    "406": "The format asked for is not offered.",
    "409": "It does not fit the present state, or the first request with this Idempotency-Key is not settled.",
    "412": "What stands there is not what the request's condition names.",
    "413": "Body or answer larger than a limit.",
    "415": "The content type is not accepted.",
    "416": "The part is behind the end of the result; `Content-Range` tells its size.",
    "422": "The values do not fit; `errors` names each place.",
    "428": "The change does not say with `If-Match` which state it means.",
    "429": "Too many requests; wait for `Retry-After`.",
    "431": "Headers or query larger than a limit.",
    "500": "A fault in the gateway.",
    "502": "The source did not answer as it should.",
    "503": "A source, the log or the store is not available.",
    "504": "Sources or the request ran out of time.",
    "507": "No room to keep the answer or the upload.",
}
_EVERY: Final = ("400", "431", "500")
"""Headers stand there twice or are too large; a fault of the gateway's own."""
_WAITING: Final = ("503", "504")
"""No slot among those that are served at once, the store or the log is away, the time is over."""
_GOVERNED: Final = ("401", "403", "422", "429")
"""A token, the name that its holder gives itself, known parameters, a rate."""
_PROBES: Final = frozenset({"discover", "preview"})
"""One source is asked: its fault is the answer."""
_WHOLE: Final = frozenset({"list", "search", "lookup", "match", "aggregate", "changes", "records.conflicts", "sql"})
"""Answers that say whether they are complete, in a form that the caller chooses."""
_LARGE: Final = _WHOLE | {"job.result", "exchange.search", "quarantine", "log.entries", "subject.usage"} | _PROBES
_CHANGES_STATE: Final = frozenset({"agency.change", "connector.put", "job.result"})
"""Beside POSTs that change something: what does not fit the present state is refused."""
_SELF_GUARDED: Final = "/metrics"
"""Public by its path; the function itself asks for a token."""
_NAMES_AGENCY: Final = frozenset(
    {"access.explain", "agreement.propose", "client.create", "explain", "person.create", "secret.list"}
)
"""Their bodies name things that may not be there."""

_NAMES_SCHEMA: Final = "/v1/datasets"
"""Its parameter names a schema that may not be there."""


def problem(status: int) -> dict[str, Any]:
    """What an operation's own `responses` have where the problem that all share says enough."""
    return {"$ref": f"#/components/responses/Problem{status}"}


def asks_for_token(rule: Rule | None, path: str) -> bool:
    """Whether the operation is answered to nobody without a token."""
    return rule is not None or path == _SELF_GUARDED


def problems_of(rule: Rule | None, path: str, method: str, operation: dict[str, Any]) -> list[str]:
    """The statuses beside those of conditions (`conditional.py`)."""
    found = {*_EVERY, *(() if path == "/health/live" else _WAITING)}
    if "{" in path or path == _NAMES_SCHEMA or (rule is not None and rule.op in _NAMES_AGENCY):
        found.add("404")
    if rule is None:
        return sorted(found | ({"401", "403"} if asks_for_token(rule, path) else set()))
    found.update(_GOVERNED)
    chosen = any(given.get("name") == "f" for given in operation.get("parameters", ()))
    if chosen or rule.op in _WHOLE | {"explain", "verify"}:
        found.add("406")
    if "requestBody" in operation:
        found |= {"413", "415"}
    if (rule.recording == "admin" and method == "post") or rule.op in _CHANGES_STATE:
        found.add("409")
    if rule.op in {"explain", "lookup"}:  # a person; a key that is the word of an operation
        found.add("405")
    if rule.op in _PROBES:
        found |= {"409", "502"}
    if rule.op in _LARGE:
        found |= {"413", "507"}
    if rule.upload:
        found.add("507")
    if rule.in_parts or rule.op in {"file.begin", "file.give_up"}:
        found.add("409")
    return sorted(found)
