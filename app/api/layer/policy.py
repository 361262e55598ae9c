"""Which route is which operation, who may call it, and how it is recorded. A new route without a rule is refused.

One table instead of marks on each route: the order of checks (401, 403, 404, …) needs the answer before routing, and the
isolation tests read the same table.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal

Role = Literal["client", "steward", "auditor", "supervisor", "admin"]
Recording = Literal["none", "outcome", "admin", "audit_read"]

GOVERNED = ("/v1/", "/v2/", "/log/tile/entries/")
"""Beginnings of the paths that need a token and a rule; all others are public."""

EVERYONE: frozenset[Role] = frozenset({"client", "steward", "auditor", "supervisor", "admin"})
STEWARDS: frozenset[Role] = frozenset({"steward", "admin"})
ADMINS: frozenset[Role] = frozenset({"admin"})
GUARDIANS: frozenset[Role] = frozenset({"steward", "supervisor", "admin"})
AUDITORS: frozenset[Role] = frozenset({"auditor", "supervisor"})


@dataclass(frozen=True, slots=True)
class RouteRule:
    """Method and path template, the operation's name in the log, the roles, and what kind of entry closes it."""

    method: str
    template: str
    op: str
    roles: frozenset[Role]
    recording: Recording
    upload: bool = False
    body_bytes: int = 0
    """Largest body where it is more than the setting's."""

    @property
    def pattern(self) -> re.Pattern[str]:
        """The template as an anchored expression; `{name:path}` takes slashes too."""
        text = re.sub(r"\\\{\w+:path\\\}", ".+", re.escape(self.template))
        return re.compile(re.sub(r"\\\{\w+\\\}", "[^/]+", text) + r"\Z")


RULES: tuple[RouteRule, ...] = (
    # records
    RouteRule("GET", "/v1/records/{schema}", "list", EVERYONE, "outcome"),
    RouteRule("POST", "/v1/records/{schema}/search", "search", EVERYONE, "outcome"),
    RouteRule("POST", "/v1/records/{schema}/match", "match", EVERYONE, "outcome", body_bytes=67_108_864),
    RouteRule("POST", "/v1/records/{schema}/verify", "verify", EVERYONE, "outcome"),
    RouteRule("POST", "/v1/records/{schema}/aggregate", "aggregate", EVERYONE, "outcome"),
    RouteRule("GET", "/v1/records/{schema}/changes", "changes", EVERYONE, "outcome"),
    RouteRule("GET", "/v1/records/{schema}/conflicts", "records.conflicts", EVERYONE, "outcome"),
    RouteRule("GET", "/v1/records/{schema}/{key:path}", "lookup", EVERYONE, "outcome"),
    RouteRule("POST", "/v1/explain", "explain", EVERYONE, "outcome"),
    RouteRule("POST", "/v1/queries", "sql", EVERYONE, "outcome"),
    RouteRule("GET", "/v1/jobs/{job}", "job.read", EVERYONE, "none"),
    RouteRule("DELETE", "/v1/jobs/{job}", "job.cancel", EVERYONE, "outcome"),
    RouteRule("GET", "/v1/jobs/{job}/result", "job.result", EVERYONE, "outcome"),
    # catalogue
    RouteRule("GET", "/v1/schemas", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/schemas/{schema}", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/schemas/{schema}/queryables", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/datasets", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/datasets/{dataset}", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/agencies", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/agencies/{agency}", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/purposes", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/access", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/codes/{system}/{code}", "catalogue", EVERYONE, "none"),
    RouteRule("GET", "/v1/connectors", "catalogue", EVERYONE, "none"),
    # providers
    RouteRule("POST", "/v1/agencies", "agency.create", ADMINS, "admin"),
    RouteRule("PATCH", "/v1/agencies/{agency}", "agency.change", ADMINS, "admin"),
    RouteRule("PUT", "/v1/agencies/{agency}/files/{path:path}", "file.upload", STEWARDS, "admin", upload=True),
    RouteRule("GET", "/v1/agencies/{agency}/files", "catalogue", STEWARDS, "none"),
    RouteRule("GET", "/v1/connectors/{connector}", "catalogue", STEWARDS, "none"),
    RouteRule("PUT", "/v1/connectors/{connector}", "connector.put", STEWARDS, "admin"),
    RouteRule("POST", "/v1/connectors/{connector}/check", "connector.check", STEWARDS, "admin"),
    RouteRule("POST", "/v1/connectors/{connector}/discover", "discover", STEWARDS, "outcome"),
    RouteRule("POST", "/v1/connectors/{connector}/preview", "preview", STEWARDS, "outcome"),
    RouteRule("POST", "/v1/connectors/{connector}/publish", "connector.publish", STEWARDS, "admin"),
    RouteRule("POST", "/v1/connectors/{connector}/join", "connector.join", ADMINS, "admin"),
    RouteRule("POST", "/v1/connectors/{connector}/suspend", "connector.suspend", STEWARDS, "admin"),
    RouteRule("POST", "/v1/connectors/{connector}/rollback", "connector.rollback", STEWARDS, "admin"),
    RouteRule("POST", "/v1/connectors/{connector}/retire", "connector.retire", STEWARDS, "admin"),
    RouteRule("GET", "/v1/connectors/{connector}/revisions", "catalogue", STEWARDS, "none"),
    RouteRule("GET", "/v1/connectors/{connector}/revisions/{revision}", "catalogue", STEWARDS, "none"),
    RouteRule("GET", "/v1/connectors/{connector}/quarantine", "quarantine", STEWARDS, "outcome"),
    RouteRule("GET", "/v1/connectors/{connector}/health", "catalogue", STEWARDS, "none"),
    RouteRule("GET", "/v1/secrets", "catalogue", STEWARDS, "none"),
    RouteRule("PUT", "/v1/secrets/{name}", "secret.put", STEWARDS, "admin"),
    RouteRule("DELETE", "/v1/secrets/{name}", "secret.delete", STEWARDS, "admin"),
    RouteRule("GET", "/v1/clients", "catalogue", ADMINS, "none"),
    RouteRule("POST", "/v1/clients", "client.create", ADMINS, "admin"),
    RouteRule("GET", "/v1/clients/{client}", "catalogue", ADMINS, "none"),
    RouteRule("PATCH", "/v1/clients/{client}", "client.change", ADMINS, "admin"),
    RouteRule("POST", "/v1/clients/{client}/rotate", "client.rotate", ADMINS, "admin"),
    # governance
    RouteRule("GET", "/v1/agreements", "catalogue", EVERYONE, "none"),
    RouteRule("POST", "/v1/agreements", "agreement.propose", STEWARDS, "admin"),
    RouteRule("GET", "/v1/agreements/{agreement}", "catalogue", EVERYONE, "none"),
    RouteRule("POST", "/v1/agreements/{agreement}/approve", "agreement.approve", STEWARDS, "admin"),
    RouteRule("POST", "/v1/agreements/{agreement}/end", "agreement.end", STEWARDS, "admin"),
    RouteRule("POST", "/v1/agreements/{agreement}/revoke", "agreement.revoke", STEWARDS, "admin"),
    RouteRule("GET", "/v1/erasures", "erasure.list", GUARDIANS, "audit_read"),
    RouteRule("POST", "/v1/erasures", "erasure.propose", GUARDIANS, "admin"),
    RouteRule("GET", "/v1/erasures/{erasure}", "erasure.read", GUARDIANS, "audit_read"),
    RouteRule("POST", "/v1/erasures/{erasure}/approve", "erasure.approve", GUARDIANS, "admin"),
    RouteRule("POST", "/v1/erasures/{erasure}/refuse", "erasure.refuse", GUARDIANS, "admin"),
    RouteRule("GET", "/v1/legal-holds", "hold.list", GUARDIANS, "audit_read"),
    RouteRule("POST", "/v1/legal-holds", "hold.place", GUARDIANS, "admin"),
    RouteRule("POST", "/v1/legal-holds/{hold}/release", "hold.release", GUARDIANS, "admin"),
    # audit
    RouteRule("POST", "/v1/subject-usage", "subject.usage", AUDITORS, "audit_read"),
    RouteRule("GET", "/v1/incident-scope", "incident.list", GUARDIANS, "audit_read"),
    RouteRule("POST", "/v1/incident-scope", "incident.open", GUARDIANS - {"steward"}, "admin"),
    RouteRule("GET", "/v1/incident-scope/{incident}", "incident.read", GUARDIANS, "audit_read"),
    RouteRule("PATCH", "/v1/incident-scope/{incident}", "incident.change", GUARDIANS - {"steward"}, "admin"),
    RouteRule("POST", "/v1/incident-scope/{incident}/resolve", "incident.resolve", STEWARDS, "outcome"),
    RouteRule("GET", "/v2/heartbeat", "tracker.heartbeat", AUDITORS, "audit_read"),
    RouteRule("GET", "/v2/usagePeriod", "tracker.period", AUDITORS, "audit_read"),
    RouteRule("GET", "/v2/findUsage", "tracker.usage", AUDITORS, "audit_read"),
    RouteRule("GET", "/v1/exchanges", "exchange.search", AUDITORS, "audit_read"),
    RouteRule("GET", "/v1/exchanges/summary", "exchange.summary", AUDITORS, "audit_read"),
    RouteRule("GET", "/v1/exchanges/{exchange}", "exchange.read", AUDITORS, "audit_read"),
    RouteRule("GET", "/v1/exchanges/{exchange}/receipt", "exchange.receipt", EVERYONE, "audit_read"),
    RouteRule("GET", "/log/tile/entries/{path:path}", "log.entries", AUDITORS, "audit_read"),
)

_MATCHERS = tuple((rule.method, rule.pattern, rule) for rule in RULES)
_BY_START: dict[tuple[str, str], list[tuple[re.Pattern[str], RouteRule]]] = {}
for _rule in RULES:
    _BY_START.setdefault((_rule.method, _rule.template.split("/")[2]), []).append((_rule.pattern, _rule))


def rule_for(method: str, path: str) -> RouteRule | None:
    """The rule of a request, None when no governed route has this path and method."""
    parts = path.split("/", 3)
    for pattern, rule in _BY_START.get((method, parts[2] if len(parts) > 2 else ""), ()):
        if pattern.match(path):
            return rule
    return None


def methods_of(path: str) -> frozenset[str]:
    """The methods that some route offers on this path."""
    return frozenset(method for method, pattern, _ in _MATCHERS if pattern.match(path))
