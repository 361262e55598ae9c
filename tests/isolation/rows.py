"""What is expected of every route: who passes its door, and what everybody else is told. A route without a row fails the matrix.

A row speaks of a matter of the agency `penyedia` (its files, its connector, its agreement with `pemakai`). Questions that change something
are asked in a way that ends behind the door (no `If-Match`, no body): the answer shows who came that far, and nothing is changed.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from importlib.resources import files
from typing import Any, Final

from tests.isolation.world import CONSUMER, INSPECTORATE, NOBODY, PROVIDER, SOURCE_SECRET, Caller, terms

EVERYONE: Final = frozenset({"client", "steward", "auditor", "supervisor", "admin"})
STEWARDS: Final = frozenset({"steward", "admin"})
ADMINS: Final = frozenset({"admin"})
GUARDIANS: Final = frozenset({"steward", "supervisor", "admin"})
AUDITORS: Final = frozenset({"auditor", "supervisor"})
SUPERVISORS: Final = frozenset({"supervisor"})

UNAUTHORISED: Final = (401, "token_missing", None)
WRONG_ROLE: Final = (403, "role_forbidden", "role")
OTHERS: Final = (403, "agency_forbidden", "other_agency")

Told = tuple[int, str | None, str | None]
"""Status, code and rule of an answer."""


@dataclass(frozen=True)
class Row:
    """`roles` pass the door; of those only the ones of `agencies` (any where None) or with a role of `over` pass the matter.

    `passed`: the status behind both, with its code; `stranger`: what a right role of a wrong agency is told. No roles: public.
    """

    passed: Told
    roles: frozenset[str] = frozenset()
    agencies: frozenset[str] | None = None
    over: frozenset[str] = frozenset({"admin"})
    stranger: Told = OTHERS
    body: Any = None
    content: bytes | None = None
    headers: Mapping[str, str] = field(default_factory=dict)
    names: Mapping[str, str] = field(default_factory=dict)
    told: Mapping[Caller, Told] = field(default_factory=dict)
    """Single callers of whom something else is expected."""

    def expected(self, caller: Caller) -> Told:
        """What this caller is answered."""
        if caller in self.told:
            return self.told[caller]
        if not self.roles:
            return self.passed
        if caller == NOBODY:
            return UNAUTHORISED
        if caller.role not in self.roles:
            return WRONG_ROLE
        if self.agencies is None or caller.agency in self.agencies or caller.role in self.over:
            return self.passed
        return self.stranger


def _of(code: str, status: int = 404) -> Told:
    return (status, code, None)


OK: Final[Told] = (200, None, None)
UNKNOWN: Final = _of("not_found")
NO_MATCH: Final = _of("precondition_required", 428)
NO_BODY: Final = _of("validation_failed", 422)
OWN: Final = frozenset({PROVIDER})
PARTIES: Final = frozenset({PROVIDER, CONSUMER})
SEES_ALL: Final = frozenset({"admin", "supervisor"})
NO_SESSION: Final[Told] = (403, "access_denied", "session_needed")
NO_PROVIDER: Final = _of("not_found")
NO_PERSON: Final = {"person": "tidak-ada"}
CONFLICT: Final = _of("state_conflict", 409)
CHANGED: Final = _of("precondition_failed", 412)
STALE: Final = {"If-Match": '"tidak-lagi"'}
REASON: Final = {"reason": "uji"}
NOT_PROVIDER: Final = {Caller("steward", CONSUMER): OTHERS}
DRAFT: Final[dict[str, Any]] = {"names": {"connector": "draf"}, "stranger": _of("connector_unknown")}
ASSET: Final = min(found.name for found in files("app.api").joinpath("static").iterdir() if found.name.endswith(".css"))
WITH_RECEIPT: Final = {
    NOBODY: UNAUTHORISED,
    Caller("client", CONSUMER): OK,
    Caller("auditor", CONSUMER): OK,
    Caller("auditor", PROVIDER): OK,
    Caller("supervisor", INSPECTORATE): OK,
}
"""The client that made the exchange, and auditors of both sides."""
PUBLIC: Final = Row(OK)
LOOK_UP: Final = Row(OK, EVERYONE)

ROWS: Final[Mapping[str, Row]] = {
    # Without a token
    "POST /oauth/token": Row(_of("unsupported_media_type", 415), content=b""),
    "POST /oauth/revoke": Row(_of("unsupported_media_type", 415), content=b""),
    "POST /oauth/enrol": Row(NO_BODY, body={}),
    "POST /sign-in": Row(NO_BODY, body={}),
    "POST /sign-in/account": Row(NO_BODY, body={}),
    "POST /sign-in/account/open": Row(NO_BODY, body={}),
    "GET /sign-in/oidc": Row(NO_PROVIDER),
    "GET /sign-in/oidc/callback": Row(NO_PROVIDER),
    "GET /.well-known/jwks.json": PUBLIC,
    "GET /.well-known/oauth-authorization-server": PUBLIC,
    "GET /.well-known/oauth-protected-resource": PUBLIC,
    "GET /.well-known/api-catalog": PUBLIC,
    "GET /.well-known/security.txt": PUBLIC,
    "GET /health/live": PUBLIC,
    "GET /health/ready": PUBLIC,
    "GET /status": PUBLIC,
    "GET /problems": PUBLIC,
    "GET /problems/{slug}": Row(OK, names={"slug": "not-found"}),
    "GET /openapi.json": PUBLIC,
    "GET /docs": PUBLIC,
    "GET /redoc": PUBLIC,
    "GET /": Row((302, None, None)),
    "GET /favicon.ico": PUBLIC,
    "GET /static/{name}": Row(OK, names={"name": ASSET}),
    "GET /log/checkpoint": PUBLIC,
    "GET /log/tile/{path:path}": Row(OK, names={"path": "0/000"}),
    "GET /metrics": Row(OK, SEES_ALL),
    # What everybody with a token may look up
    "GET /v1/schemas": LOOK_UP,
    "GET /v1/schemas/{schema}": LOOK_UP,
    "GET /v1/schemas/{schema}/queryables": LOOK_UP,
    "GET /v1/datasets": LOOK_UP,
    "GET /v1/datasets/{dataset}": LOOK_UP,
    "GET /v1/codes/{system}": LOOK_UP,
    "GET /v1/codes/{system}/lookup": Row(NO_BODY, EVERYONE),
    "GET /v1/codes/{system}/{code}": Row(UNKNOWN, EVERYONE),
    "GET /v1/codes/{system}/{code}/crosswalk": Row(UNKNOWN, EVERYONE),
    "GET /v1/agencies": LOOK_UP,
    "GET /v1/agencies/{agency}": LOOK_UP,
    "GET /v1/connectors": LOOK_UP,
    "GET /v1/manifest-schema": LOOK_UP,
    "GET /v1/purposes": LOOK_UP,
    "GET /v1/agreements": LOOK_UP,
    "GET /v1/access": LOOK_UP,
    "POST /v1/access/explain": Row(NO_BODY, EVERYONE, body={}),
    # Agencies, files, clients, secrets
    "POST /v1/agencies": Row(NO_BODY, ADMINS, body={}),
    "PATCH /v1/agencies/{agency}": Row(NO_MATCH, ADMINS, body={}),
    "GET /v1/agencies/{agency}/files": Row(OK, STEWARDS, OWN),
    "PUT /v1/agencies/{agency}/files/{path:path}": Row(
        NO_BODY, STEWARDS, OWN, content=b"x", headers={"upload-complete": "?0"}
    ),
    "POST /v1/agencies/{agency}/files/{path:path}": Row(NO_BODY, STEWARDS, OWN, content=b""),
    "GET /v1/agencies/{agency}/uploads": Row(OK, STEWARDS, OWN),
    "GET /v1/agencies/{agency}/uploads/{upload}": Row(_of("upload_unknown"), STEWARDS, OWN),
    "PATCH /v1/agencies/{agency}/uploads/{upload}": Row(_of("unsupported_media_type", 415), STEWARDS, OWN, content=b""),
    "DELETE /v1/agencies/{agency}/uploads/{upload}": Row(_of("upload_unknown"), STEWARDS, OWN),
    "GET /v1/clients": Row(OK, ADMINS),
    "POST /v1/clients": Row(NO_BODY, ADMINS, body={}),
    "GET /v1/clients/{client}": Row(OK, ADMINS),
    "PATCH /v1/clients/{client}": Row(NO_BODY, ADMINS, body={}),
    "PUT /v1/clients/{client}/keys": Row(NO_BODY, ADMINS, body={}),
    "POST /v1/clients/{client}/rotate": Row(OK, ADMINS),
    "POST /v1/clients/{client}/enrolment": Row((201, None, None), ADMINS),
    "GET /v1/secrets": Row(OK, STEWARDS),
    "PUT /v1/secrets/{name}": Row(NO_BODY, STEWARDS, body={}),
    "DELETE /v1/secrets/{name}": Row(UNKNOWN, STEWARDS, names={"name": "tidak-ada"}),
    # People; none of these callers has a session
    "GET /v1/people": Row(OK, ADMINS),
    "POST /v1/people": Row(NO_BODY, ADMINS, body={}),
    "GET /v1/people/{person}": Row(UNKNOWN, ADMINS, names=NO_PERSON),
    "PATCH /v1/people/{person}": Row(UNKNOWN, ADMINS, names=NO_PERSON, body={}),
    "POST /v1/people/{person}/reset": Row(UNKNOWN, ADMINS, names=NO_PERSON),
    "GET /v1/session": Row(NO_SESSION, EVERYONE),
    "DELETE /v1/session": Row(NO_SESSION, EVERYONE),
    "POST /v1/session/step-up": Row(NO_SESSION, EVERYONE, body={}),
    "GET /v1/sessions": Row(NO_SESSION, EVERYONE),
    "DELETE /v1/sessions/{session}": Row(NO_SESSION, EVERYONE, names={"session": "tidak-ada"}),
    # Connectors
    "GET /v1/connectors/{connector}": Row(OK, STEWARDS, OWN),
    "PUT /v1/connectors/{connector}": Row(_of("manifest_invalid", 422), STEWARDS, body={}),
    "POST /v1/connectors/{connector}/check": Row(OK, STEWARDS, OWN),
    "POST /v1/connectors/{connector}/preview": Row(OK, STEWARDS, OWN),
    "POST /v1/connectors/{connector}/publish": Row(OK, STEWARDS, OWN),
    "POST /v1/connectors/{connector}/join": Row(OK, ADMINS),
    "POST /v1/connectors/{connector}/suspend": Row(CONFLICT, STEWARDS, OWN, **DRAFT),
    "POST /v1/connectors/{connector}/retire": Row(
        OK,
        STEWARDS,
        OWN,
        stranger=_of("connector_unknown"),
        names={"connector": "draf-lama"},
        told={Caller("admin", "diskominfo"): CONFLICT},
    ),
    "POST /v1/connectors/{connector}/rollback": Row(UNKNOWN, STEWARDS, OWN, body={"revision": 9}),
    "GET /v1/connectors/{connector}/revisions": Row(OK, STEWARDS, OWN),
    "GET /v1/connectors/{connector}/revisions/{revision}": Row(OK, STEWARDS, OWN),
    "GET /v1/connectors/{connector}/quarantine": Row(OK, STEWARDS, OWN),
    "GET /v1/connectors/{connector}/quarantine/template": Row(OK, STEWARDS, OWN),
    "POST /v1/connectors/{connector}/discover": Row(OK, STEWARDS, OWN),
    "POST /v1/connectors/{connector}/suggest": Row(OK, STEWARDS, OWN),
    "GET /v1/connectors/{connector}/quality": Row(OK, STEWARDS, OWN),
    "GET /v1/connectors/{connector}/health": Row(OK, STEWARDS, OWN),
    "DELETE /v1/connectors/{connector}/snapshot": Row(OK, STEWARDS, OWN),
    # Agreements
    "POST /v1/agreements": Row(NO_BODY, STEWARDS, body={}),
    "GET /v1/agreements/{agreement}": Row(OK, EVERYONE, PARTIES, SEES_ALL, UNKNOWN),
    "POST /v1/agreements/{agreement}/approve": Row(
        CHANGED, STEWARDS, OWN, stranger=UNKNOWN, headers=STALE, told=NOT_PROVIDER
    ),
    "POST /v1/agreements/{agreement}/end": Row(
        CHANGED, STEWARDS, PARTIES, stranger=UNKNOWN, headers=STALE, body=REASON
    ),
    "POST /v1/agreements/{agreement}/revoke": Row(
        CHANGED, STEWARDS, OWN, stranger=UNKNOWN, headers=STALE, body=REASON, told=NOT_PROVIDER
    ),
    # Erasing and holding
    "GET /v1/erasures": Row(OK, GUARDIANS),
    "POST /v1/erasures": Row(NO_BODY, GUARDIANS, body={}),
    "GET /v1/erasures/{erasure}": Row(UNKNOWN, GUARDIANS),
    "POST /v1/erasures/{erasure}/approve": Row(UNKNOWN, GUARDIANS),
    "POST /v1/erasures/{erasure}/refuse": Row(UNKNOWN, GUARDIANS, body={"reason": "uji"}),
    "GET /v1/legal-holds": Row(OK, GUARDIANS),
    "POST /v1/legal-holds": Row(NO_BODY, GUARDIANS, body={}),
    "POST /v1/legal-holds/{hold}/release": Row(UNKNOWN, GUARDIANS, body={"reason": "uji"}),
    # The log
    "POST /v1/subject-usage": Row(NO_BODY, AUDITORS, body={}, headers={"X-Road-Issue": "RM-1"}),
    "POST /v1/incident-scope": Row(NO_BODY, SEES_ALL, body={}),
    "GET /v1/incident-scope": Row(OK, GUARDIANS),
    "GET /v1/incident-scope/{incident}": Row(UNKNOWN, GUARDIANS),
    "PATCH /v1/incident-scope/{incident}": Row(NO_BODY, SEES_ALL, body={}),
    "POST /v1/incident-scope/{incident}/resolve": Row(UNKNOWN, STEWARDS, body={}),
    "GET /v2/heartbeat": Row(UNKNOWN, AUDITORS),
    "GET /v2/usagePeriod": Row(UNKNOWN, AUDITORS),
    "GET /v2/findUsage": Row(UNKNOWN, AUDITORS),
    "GET /v1/exchanges/summary": Row(OK, AUDITORS),
    "GET /v1/exchanges": Row(OK, AUDITORS),
    "GET /v1/exchanges/{exchange_id}": Row(OK, AUDITORS, PARTIES, frozenset({"supervisor"}), _of("exchange_unknown")),
    "GET /v1/exchanges/{exchange_id}/receipt": Row(_of("exchange_unknown"), EVERYONE, told=WITH_RECEIPT),
    "GET /log/tile/entries/{path:path}": Row(OK, SUPERVISORS, names={"path": "000"}),
    # Jobs: none of theirs has this id
    "GET /v1/jobs/{job}": Row(_of("job_unknown"), EVERYONE),
    "DELETE /v1/jobs/{job}": Row(_of("job_unknown"), EVERYONE),
    "GET /v1/jobs/{job}/result": Row(_of("job_unknown"), EVERYONE),
}

OF_OTHERS: Final[Mapping[str, Row]] = {
    # The same routes with bodies and parameters that name the provider or the consumer: only they pass.
    "GET /v1/secrets?agency=penyedia": Row(OK, STEWARDS, OWN),
    "PUT /v1/secrets/sandi": Row(OK, STEWARDS, OWN, body={"agency": PROVIDER, "value": SOURCE_SECRET}),
    "DELETE /v1/secrets/tidak-ada?agency=penyedia": Row(UNKNOWN, STEWARDS, OWN),
    "POST /v1/agreements": Row(
        NO_BODY,
        STEWARDS,
        frozenset({CONSUMER}),
        frozenset(),
        body=terms("pks-baru", valid_until="2026-01-02"),
        told={Caller("admin", "diskominfo"): (403, "role_forbidden", "role_not_allowed")},
    ),
    "GET /v1/connectors/draf": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
    "POST /v1/connectors/draf/check": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
    "POST /v1/connectors/draf/preview": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
    "POST /v1/connectors/draf/discover": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
    "POST /v1/connectors/draf/suggest": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
    "GET /v1/connectors/draf/quality": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
    "GET /v1/connectors/draf/health": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
    "GET /v1/connectors/draf/quarantine": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
    "GET /v1/connectors/draf/revisions": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
    "GET /v1/connectors/draf/revisions/1": Row(OK, STEWARDS, OWN, stranger=_of("connector_unknown")),
}
