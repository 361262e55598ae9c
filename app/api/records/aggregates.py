"""`POST /v1/records/{schema}/aggregate`: counts and sums over all agencies, exact or refused."""

from __future__ import annotations

from fastapi import Request, Response

from app.api.layer.bodies import JSON, purpose_in_body, read_json
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.formats import only_json, prefers
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.records import examples as docs
from app.api.records.questions import filter_language, names, question, raw_measures
from app.api.records.wire import AggregateBody, GroupsAnswer
from app.federation.question.aggregate_binder import bind_aggregation
from app.federation.question.binder import RawQuery
from app.federation.writers import overlap_document, source_documents, write_document
from app.gateway.aggregates import AggregateQuestion, add_up
from app.schemas.registry import SchemaDef, all_schemas

routes = Resource("/v1/records", "records")


def _asked(request: Request, schema: SchemaDef) -> AggregateQuestion:
    only_parameters(request, "f")
    body = question(request, AggregateBody, read_json(request))
    raw = RawQuery(
        filter=body.filter,
        filter_lang=filter_language(body.filter),
        agencies=names(body.agencies),
        view=body.view,
        partial="allow" if prefers(request, "partial=allow") else "never",
    )
    aggregation = bind_aggregation(schema, body.group_by or (), raw_measures(body.aggregates), body.having)
    return AggregateQuestion(raw, aggregation, body.overlap)


def _add_route(schema: SchemaDef) -> None:
    async def aggregate_records(request: Request) -> Response:
        only_json(request)
        purpose_in_body(request)
        found = await add_up(services(request), exchange(request), schema, lambda: _asked(request, schema))
        document = {
            "items": found.items,
            "sources": source_documents(found.sources),
            "complete": found.complete,
            "meta": {"schema": schema.meta.ref, **overlap_document(schema, found.overlap)},
        }
        headers = {"simpul-complete": "?1" if found.complete else "?0", "vary": "Accept-Language, Authorization"}
        return Response(write_document(document), 200, headers, JSON)

    routes.add(
        "POST",
        f"/{schema.meta.slug}/aggregate",
        Rule("aggregate", EVERYONE, "outcome", practice=True, public=True, told_as="/v1/records/{schema}/aggregate"),
        aggregate_records,
        name=f"aggregate_{schema.name}",
        summary=f"Aggregate {schema.meta.title_en}",
        description="Counts, sums, averages and extremes by group, over all agencies. A missing agency makes it fail unless "
        "`Prefer: partial=allow` is sent. Sums over mixed levels of regions, mixed units, or keys that several agencies "
        "hold are refused.",
        answer=GroupsAnswer,
        example=docs.aggregate_example(schema),
        body=AggregateBody,
        body_example=docs.aggregate_question(schema),
        openapi_extra={"parameters": docs.header_parameters("partial=allow")},
    )


for _schema in all_schemas():
    if not _schema.meta.lookup_only:
        _add_route(_schema)
