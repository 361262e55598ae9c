"""`GET /v1/records/{schema}/changes`: upserts, deletions and changes of keys since the last call."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from app.api.layer.bodies import JSON
from app.api.layer.dependencies import exchange, listed, only_parameters, services
from app.api.layer.formats import only_json, prefers
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.records import examples as docs
from app.api.records.wire import ChangesAnswer
from app.api.shared import named
from app.federation.question.binder import RawQuery
from app.federation.writers import record_document, source_documents, write_document
from app.gateway.changes import Change, feed
from app.schemas.registry import SchemaDef, all_schemas

routes = Resource("/v1/records", "records")
_TIME = r"[0-9]{4}-[0-9]{2}-[0-9]{2}[Tt][0-9]{2}:[0-9]{2}:[0-9]{2}(\.[0-9]{1,9})?([Zz]|[+ -][0-9]{2}:[0-9]{2})"
_SINCE = {"type": "string", "maxLength": 8192, "pattern": f"^([A-Za-z0-9_-]+|{_TIME})$"}


def _raw(request: Request) -> RawQuery:
    given = only_parameters(request, "agencies", "limit", "since", "f")
    return RawQuery(
        agencies=listed(given.get("agencies")),
        limit=given.get("limit"),
        cursor=given.get("since"),
        partial="never" if prefers(request, "partial=never") else "allow",
    )


def _document(change: Change) -> dict[str, Any]:
    moved = change.moved
    kind = "upsert" if moved.present else "key_change" if moved.new_key is not None else "delete"
    return {
        "change": kind,
        "id": moved.key,
        "new_id": moved.new_key,
        "agency": change.agency,
        "dataset": change.dataset,
        "record": record_document(change.record) if change.record is not None else None,
    }


def _add_route(schema: SchemaDef) -> None:
    async def list_changes(request: Request) -> Response:
        only_json(request)
        found = await feed(services(request), exchange(request), schema, lambda: _raw(request))
        document = {
            "items": [_document(change) for change in found.items],
            "next_cursor": found.since,
            "has_more": found.more,
            "sources": source_documents(found.sources),
            "complete": found.complete,
            "meta": {"schema": schema.meta.ref},
        }
        headers = {"simpul-complete": "?1" if found.complete else "?0", "vary": "Accept-Language, Authorization"}
        return Response(write_document(document), 200, headers, JSON)

    parameters = [
        named(
            "Since",
            {
                "name": "since",
                "in": "query",
                "required": False,
                "schema": _SINCE,
                "description": "`next_cursor` of the call before, or a time with zone (RFC 3339)",
                "examples": {
                    "cursor": {"summary": "Behind the call before", "value": "b3BhcXVl"},
                    "time": {"summary": "What was found after a time", "value": "2026-11-20T08:00:00Z"},
                },
            },
        ),
        docs.agencies_parameter(),
        docs.paging_parameters()[0],
        *docs.header_parameters("partial=never"),
    ]
    routes.add(
        "GET",
        f"/{schema.meta.slug}/changes",
        Rule("changes", EVERYONE, "outcome", practice=True, told_as="/v1/records/{schema}/changes"),
        list_changes,
        name=f"list_{schema.name}_changes",
        summary=f"Changes of {schema.meta.title_en}",
        description="What moved since the last call, found by comparing each dataset with what it was: upserts with the record, "
        "deletions, and records that go on under another key. Without `since` everything that is there; with a time what readings of "
        "the feed found after it.",
        answer=ChangesAnswer,
        example=docs.change_example(schema),
        openapi_extra={"parameters": parameters},
    )


for _schema in all_schemas():
    if not _schema.meta.lookup_only:
        _add_route(_schema)
