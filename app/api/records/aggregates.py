"""`POST /v1/records/{schema}/aggregate`: counts and sums over all agencies, exact or refused."""

from __future__ import annotations

from fastapi import Request, Response

from app.api.layer.bodies import JSON, purpose_faults, purpose_in_body, read_json
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.formats import only_json, prefers
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.records import examples as docs
from app.api.records.wire import AggregateBody, GroupsAnswer
from app.errors import FieldError, ValidationFailed
from app.federation.question.aggregate_binder import bind_aggregation
from app.federation.question.binder import RawQuery
from app.federation.writers import overlap_document, source_documents, write_document
from app.gateway.aggregates import AggregateQuestion, add_up
from app.schemas.registry import SchemaDef, all_schemas

routes = Resource("/v1/records", "records")

_MEMBERS = frozenset({"filter", "group_by", "aggregates", "having", "agencies", "view", "overlap", "purpose"})
_CHOICES = {"view": ("records", "merged"), "overlap": ("refuse", "accept")}


def _asked(request: Request, schema: SchemaDef) -> AggregateQuestion:
    only_parameters(request, "f")
    body = read_json(request)
    if not isinstance(body, dict):
        raise ValidationFailed("an aggregate is an object", errors=[FieldError("", "type", "object")])
    known = ", ".join(sorted(_MEMBERS))
    errors = [FieldError(f"/{name}", "unknown", f"known: {known}") for name in sorted(set(body) - _MEMBERS)]
    errors += purpose_faults(body)
    for name, choices in _CHOICES.items():
        if body.get(name, choices[0]) not in choices:
            errors.append(FieldError(f"/{name}", "choice", " or ".join(choices)))
    agencies, wanted = body.get("agencies"), body.get("filter")
    if agencies is not None and not (isinstance(agencies, list) and all(isinstance(one, str) for one in agencies)):
        errors.append(FieldError("/agencies", "type", "a list of texts"))
    if not isinstance(wanted, str | dict | None):
        errors.append(FieldError("/filter", "type", "CQL2 as text or as a JSON object"))
    if errors:
        raise ValidationFailed("the aggregate does not fit", errors=errors)
    raw = RawQuery(
        filter=wanted,
        filter_lang="cql2-json" if isinstance(wanted, dict) else "cql2-text",
        agencies=tuple(agencies) if agencies else None,
        view=body.get("view", "records"),
        partial="allow" if prefers(request, "partial=allow") else "never",
    )
    aggregation = bind_aggregation(schema, body.get("group_by"), body.get("aggregates"), body.get("having"))
    return AggregateQuestion(raw, aggregation, body.get("overlap", "refuse"))


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
        Rule("aggregate", EVERYONE, "outcome", told_as="/v1/records/{schema}/aggregate"),
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
