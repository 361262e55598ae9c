"""`GET /v1/records/{schema}/conflicts`: where agencies disagree about one key, field by field."""

from __future__ import annotations

from fastapi import Request, Response

from app.api.layer.bodies import JSON
from app.api.layer.dependencies import exchange, listed, only_parameters, services
from app.api.layer.formats import only_json, prefers
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.records import examples as docs
from app.api.records.wire import ConflictsAnswer
from app.federation.question.binder import RawQuery
from app.federation.writers import source_documents, write_document
from app.gateway.views import conflicts
from app.schemas.registry import SchemaDef, all_schemas

routes = Resource("/v1/records", "records")


def _raw(request: Request) -> RawQuery:
    given = only_parameters(request, "agencies", "limit", "cursor", "f")
    return RawQuery(
        agencies=listed(given.get("agencies")),
        limit=given.get("limit"),
        cursor=given.get("cursor"),
        partial="never" if prefers(request, "partial=never") else "allow",
    )


def _add_route(schema: SchemaDef) -> None:
    async def list_conflicts(request: Request) -> Response:
        only_json(request)
        page, following = await conflicts(services(request), exchange(request), schema, lambda: _raw(request))
        items = [
            {
                "id": key,
                "fields": [
                    {
                        "field": found.field,
                        "values": [
                            {"agency": one.agency, "dataset": one.dataset, "value": value}
                            for one, value in found.values
                        ],
                    }
                    for found in differing
                ],
            }
            for key, differing in page.items
        ]
        document = {
            "items": items,
            "next_cursor": following,
            "sources": source_documents(page.sources),
            "complete": page.complete,
            "meta": {"schema": schema.meta.ref},
        }
        headers = {"simpul-complete": "?1" if page.complete else "?0", "vary": "Accept-Language, Authorization"}
        return Response(write_document(document), 200, headers, JSON)

    routes.add(
        "GET",
        f"/{schema.meta.slug}/conflicts",
        Rule(
            "records.conflicts",
            EVERYONE,
            "outcome",
            practice=True,
            public=True,
            told_as="/v1/records/{schema}/conflicts",
        ),
        list_conflicts,
        name=f"list_{schema.name}_conflicts",
        summary=f"Disagreements about {schema.meta.title_en}",
        description="Keys that several agencies hold and describe differently, in key order, for their owners to settle. Only "
        "fields that you may see; a null is no opinion.",
        answer=ConflictsAnswer,
        example=docs.conflict_example(schema),
        openapi_extra={
            "parameters": [
                docs.agencies_parameter(),
                *docs.paging_parameters(),
                *docs.header_parameters("partial=never"),
            ]
        },
    )


for _schema in all_schemas():
    if not _schema.meta.lookup_only:
        _add_route(_schema)
