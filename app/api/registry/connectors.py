"""`/v1/connectors`: register, check, discover, preview, publish, suspend, roll back; quarantine."""

from __future__ import annotations

import json
from dataclasses import asdict
from typing import Annotated, Any

from fastapi import Path, Request, Response

from app.api.layer.bodies import JSON, answer, media_type, raw_body, read_json, validated, written
from app.api.layer.dependencies import condition, exchange, only_parameters, principal, services
from app.api.layer.resource import ADMINS, READ, STEWARDS, Resource, Rule, json_content
from app.api.layer.wire import PublishBody, RollbackBody
from app.api.registry import connectors_wire as wire
from app.api.registry.manifest_document import BODY, MANIFEST
from app.audit.entry.record import DatasetUse
from app.catalog import connectors, quarantine, reports
from app.catalog.connectors import ConnectorRecord, Revision
from app.catalog.quarantine import QuarantinedRecord
from app.conditions import tag_of_bytes
from app.datasets.records import PreviewRow, Reject
from app.errors import LimitOutOfRange, ManifestInvalid, UnsupportedMediaType
from app.gateway import connectors as work
from app.gateway.exchange import ReadOutcome

Revised = Annotated[
    int,
    Path(
        description="Number of a revision, from 1",
        ge=1,
        le=2_147_483_647,
        json_schema_extra={"format": "int32"},
        examples=[2],
    ),
]
routes = Resource("/v1/connectors", "connectors")

_YAML = frozenset({"application/yaml", "application/x-yaml", "text/yaml"})
_PUT: dict[str, Any] = {
    "requestBody": {
        "required": True,
        "content": {
            JSON: {"schema": BODY, "example": MANIFEST},
            "application/yaml": {"schema": {"type": "string", "maxLength": 1_048_576}},
        },
    }
}
_REGISTERED = json_content(wire.PutAnswer, {**wire.DRAFT, "revision": 1, "created": True})
_QUARANTINE_ROWS = 1000


@routes.get("", READ, summary="All connectors", answer=wire.ConnectorsAnswer, example={"items": [wire.PUBLISHED]})
async def list_connectors(request: Request) -> Response:
    """Every connector with its state. Those of the caller's agency in every state (the walidata: all), of others those that answer."""
    only_parameters(request)
    caller = principal(request)
    async with services(request).database.read() as connection:
        found = await connectors.list_connectors(connection)
    shown = [record for record in found if record.known or caller.role == "admin" or caller.agency == record.agency]
    return answer({"items": [_document(record) for record in shown]})


@routes.get(
    "/{connector}",
    Rule("catalogue", STEWARDS),
    summary="One connector",
    answer=wire.ConnectorDetail,
    example=wire.DETAIL,
)
async def get_connector(connector: str, request: Request) -> Response:
    """State, revisions in use, the latest manifest, and the last check. The ETag is for If-Match on a PUT."""
    only_parameters(request)
    state = services(request)
    record = await work.owned(state, principal(request), connector)
    async with state.database.read() as connection:
        revision = await connectors.get_revision(connection, connector, record.latest_revision)
        checked = await reports.read_report(connection, connector, "check")
        found = await reports.read_report(connection, connector, "discovery")
    document = {
        **_document(record),
        "manifest": json.loads(revision.manifest),
        "check": asdict(checked) if checked else None,
        "discovery": asdict(found) if found else None,
    }
    digest = tag_of_bytes(written(document)).strip('"')
    return answer(document, headers={"etag": f'{record.etag[:-1]};{digest}"'})


@routes.put(
    "/{connector}",
    Rule("connector.put", STEWARDS, "admin"),
    summary="Register a manifest",
    openapi_extra=_PUT,
    answer=wire.PutAnswer,
    example={**wire.DRAFT, "revision": 1, "created": False},
    responses={201: {"description": "A new revision.", "content": _REGISTERED}},
)
async def put_connector(connector: str, request: Request) -> Response:
    """A new numbered revision, unless the latest says the same. What is published goes on serving until you publish.

    JSON or YAML. A manifest that has only `connector`, `agency` and `source` is a draft: `discover` then proposes
    the rest. Every fault is told at once, each with its JSON pointer. `GET /v1/manifest-schema` says what may stand in it.
    """
    only_parameters(request)
    if media_type(request) in _YAML:
        document: Any = _text(raw_body(request))
    elif media_type(request) == JSON:
        document = read_json(request)
        if not isinstance(document, dict):
            raise ManifestInvalid("a manifest is an object")
    else:
        raise UnsupportedMediaType("send a manifest as application/json or application/yaml")
    outcome, _ = await work.put(
        services(request), exchange(request), connector, document, condition=condition(request, required=True)
    )
    shown = {**_document(outcome.connector), "revision": outcome.revision, "created": outcome.created}
    return answer(shown, 201 if outcome.created else 200, {"etag": outcome.connector.etag})


@routes.post(
    "/{connector}/check",
    Rule("connector.check", STEWARDS, "admin"),
    summary="Check the source",
    answer=wire.CheckAnswer,
    example=wire.CHECKED,
)
async def check_connector(connector: str, request: Request) -> Response:
    """Goes through dns, tcp, tls, auth, permission, read, columns and map; each fault names the manifest field and what to do.

    The last stage maps the whole source (up to `check_rows` and `check_seconds`, `bounded` says so): records read, mapped, rejected by
    rule with places, the share of nulls of each field, duplicate keys, columns found, paths never found. It fails when everything is
    rejected, or more than the manifest's `accept_rejects`.
    """
    only_parameters(request)
    found = await work.check(services(request), exchange(request), connector)
    steps = [work.step_document(step) for step in found.steps]
    document = {"connector": connector, "revision": found.revision, "passed": found.passed, "steps": steps}
    return answer({**document, "mapping": found.mapping})


@routes.post(
    "/{connector}/preview",
    Rule("preview", STEWARDS, "outcome"),
    summary="Preview the mapping",
    answer=wire.PreviewAnswer,
    example=wire.PREVIEWED,
)
async def preview_connector(connector: str, request: Request) -> Response:
    """Real rows, raw beside mapped, personal fields masked, with the reason of each reject."""
    limit = _rows(only_parameters(request, "limit").get("limit", "20"), most=100)
    rows = await work.preview(services(request), exchange(request), connector, limit)
    rules: dict[str, int] = {}
    for row in rows:
        for reject in row.rejects:
            rules[f"{reject.field}:{reject.rule}"] = rules.get(f"{reject.field}:{reject.rule}", 0) + 1
    mapped = sum(1 for row in rows if row.mapped is not None)
    summary = {"rows": len(rows), "mapped": mapped, "rejected": len(rows) - mapped, "rejects_by_rule": rules}
    return answer({"items": [_preview(row) for row in rows], "summary": summary})


@routes.post(
    "/{connector}/publish",
    Rule("connector.publish", STEWARDS, "admin"),
    summary="Publish a revision",
    body=PublishBody,
    body_example={"revision": 2},
    answer=wire.ConnectorAnswer,
    example=wire.PUBLISHED,
)
async def publish_connector(connector: str, request: Request) -> Response:
    """The revision (default: the latest) answers queries from now on. It needs a passed check unless `unchecked` is true.

    A new dataset answers once the walidata has let it join its schema (`joined`; a walidata that publishes does so with it).
    """
    only_parameters(request)
    body = validated(PublishBody, read_json(request)) if raw_body(request) else PublishBody()
    match, joins = condition(request), principal(request).role == "admin"

    async def change(connection: Any) -> ConnectorRecord:
        return await connectors.publish(
            connection, connector, revision=body.revision, condition=match, unchecked=body.unchecked, join=joins
        )

    return await _moved(request, connector, change)


@routes.post(
    "/{connector}/join",
    Rule("connector.join", ADMINS, "admin"),
    summary="Let a dataset join its schema",
    answer=wire.ConnectorAnswer,
    example=wire.PUBLISHED,
)
async def join_connector(connector: str, request: Request) -> Response:
    """By the walidata, once for each dataset and schema: from now on it is part of everybody's answers."""
    only_parameters(request)
    match = condition(request)

    async def change(connection: Any) -> ConnectorRecord:
        return await connectors.join(connection, connector, condition=match)

    return await _moved(request, connector, change)


@routes.post(
    "/{connector}/suspend",
    Rule("connector.suspend", STEWARDS, "admin"),
    summary="Suspend a connector",
    answer=wire.ConnectorAnswer,
    example={**wire.PUBLISHED, "state": "suspended"},
)
async def suspend_connector(connector: str, request: Request) -> Response:
    """It stops answering at once; publish it again to resume."""
    only_parameters(request)
    match = condition(request)

    async def change(connection: Any) -> ConnectorRecord:
        return await connectors.suspend(connection, connector, condition=match)

    return await _moved(request, connector, change)


@routes.post(
    "/{connector}/retire",
    Rule("connector.retire", STEWARDS, "admin"),
    summary="Retire a connector",
    answer=wire.ConnectorAnswer,
    example={**wire.PUBLISHED, "state": "retired"},
)
async def retire_connector(connector: str, request: Request) -> Response:
    """It ends for good; its revisions stay readable."""
    only_parameters(request)
    match = condition(request)

    async def change(connection: Any) -> ConnectorRecord:
        return await connectors.retire(connection, connector, condition=match)

    return await _moved(request, connector, change)


@routes.post(
    "/{connector}/rollback",
    Rule("connector.rollback", STEWARDS, "admin"),
    summary="Activate an older revision",
    body=RollbackBody,
    body_example={"revision": 1},
    answer=wire.ConnectorAnswer,
    example={**wire.PUBLISHED, "active_revision": 1},
)
async def rollback_connector(connector: str, request: Request) -> Response:
    """A revision that was active before answers again."""
    only_parameters(request)
    body, match = validated(RollbackBody, read_json(request)), condition(request)

    async def change(connection: Any) -> ConnectorRecord:
        return await connectors.rollback(connection, connector, body.revision, condition=match)

    return await _moved(request, connector, change)


@routes.get(
    "/{connector}/revisions",
    Rule("catalogue", STEWARDS),
    summary="Revisions of a connector",
    answer=wire.RevisionsAnswer,
    example={"items": [wire.REVISION]},
)
async def list_revisions(connector: str, request: Request) -> Response:
    """Every accepted manifest, the newest first: number, author, time, digest."""
    only_parameters(request)
    state = services(request)
    await work.owned(state, principal(request), connector)
    async with state.database.read() as connection:
        found = await connectors.list_revisions(connection, connector)
    return answer({"items": [_revision(revision) for revision in found]})


@routes.get(
    "/{connector}/revisions/{revision}",
    Rule("catalogue", STEWARDS),
    summary="One revision",
    answer=wire.RevisionDetail,
    example={**wire.REVISION, "manifest": MANIFEST, "original": json.dumps(MANIFEST)},
)
async def get_revision(connector: str, revision: Revised, request: Request) -> Response:
    """The manifest as it was accepted, and as it was sent."""
    only_parameters(request)
    state = services(request)
    await work.owned(state, principal(request), connector)
    async with state.database.read() as connection:
        found = await connectors.get_revision(connection, connector, revision)
    return answer({**_revision(found), "manifest": json.loads(found.manifest), "original": found.original})


@routes.get(
    "/{connector}/quarantine",
    Rule("quarantine", STEWARDS, "outcome"),
    summary="Rejected records",
    answer=wire.QuarantineAnswer,
    example=wire.QUARANTINED,
)
async def read_quarantine(connector: str, request: Request) -> Response:
    """Where each rejected record stands (file, sheet, line; the key of a database's row), which fields broke which rules, masked values.

    `rejected_rows` and `rules` count what the reads of the current revision and version of the source rejected (`whole`: every record
    was counted); `items` are the kept ones, one a record. A read that rejects nothing clears it. Reading it is an exchange of its own
    in the log.
    """
    given = only_parameters(request, "limit", "after")
    limit, after = _rows(given.get("limit", "100"), most=_QUARANTINE_ROWS), _number(given.get("after", "0"))
    state, under_way = services(request), exchange(request)
    record = await work.owned(state, principal(request), connector)
    under_way.decide(allow=True, rule="role")
    under_way.touches((record.agency,), (DatasetUse(connector, record.active_revision or record.latest_revision),))
    await state.notes.flush()
    async with state.database.read() as connection:
        page = await quarantine.read_quarantine(connection, connector, limit=limit, after=after)
    under_way.answered(ReadOutcome(len(page.items)))
    document = {
        "items": [_as_sent(item) for item in page.items],
        "next_after": page.next_after,
        "rejected_rows": page.rejected_rows,
        "revision": page.revision,
        "at": page.at,
        "whole": page.whole,
        "rules": [asdict(rule) for rule in page.rules],
    }
    return answer(document)


async def _moved(request: Request, connector: str, change: Any) -> Response:
    record = await work.move(services(request), exchange(request), connector, change)
    return answer(_document(record), headers={"etag": record.etag})


def _text(body: bytes) -> str:
    try:
        return body.decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise ManifestInvalid(f"the manifest is not UTF-8: byte {error.start}") from None


def _rows(text: str, *, most: int) -> int:
    number = _number(text)
    if not 1 <= number <= most:
        raise LimitOutOfRange(f"limit is between 1 and {most}", limit_rows=most)
    return number


def _number(text: str) -> int:
    if not text.isascii() or not text.isdigit() or len(text) > 15:
        raise LimitOutOfRange("limit and after are whole numbers")
    return int(text)


def _document(record: ConnectorRecord) -> dict[str, Any]:
    return {
        "connector": record.id,
        "agency": record.agency,
        "state": record.state,
        "latest_revision": record.latest_revision,
        "active_revision": record.active_revision,
        "joined": record.joined,
        "created_at": record.created_at,
        "updated_at": record.updated_at,
    }


def _revision(revision: Revision) -> dict[str, Any]:
    shown = asdict(revision)
    for name in ("manifest", "original"):
        shown.pop(name)
    return shown


def _as_sent(found: QuarantinedRecord | Reject) -> dict[str, Any]:
    """As the document has it: its word for where a record stands at the source is `place`."""
    return {"place" if name == "location" else name: value for name, value in asdict(found).items()}


def _preview(row: PreviewRow) -> dict[str, Any]:
    return {
        "place": row.location,
        "raw": row.raw,
        "mapped": row.mapped,
        "rejects": [_as_sent(reject) for reject in row.rejects],
        "warnings": [{"field": found.field, "code": found.code, "detail": found.detail_en} for found in row.warnings],
    }
