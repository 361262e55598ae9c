"""`/v1/records/{schema}`: the typed record routes of every shared schema. Answers leave as bytes, made once."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from app.access.decisions import Operation
from app.api.layer.bodies import purpose_in_body, read_json
from app.api.layer.dependencies import exchange, listed, only_parameters, principal, services
from app.api.layer.formats import VARY, asked_format, next_page, prefers
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.records import examples as docs
from app.api.records.jobs import ACCEPTED, accepted
from app.api.records.match import match_routes
from app.api.records.match_persons import person_match_routes
from app.api.records.questions import COUNTS, VIEWS, filter_language, names, question, wrong
from app.api.records.spooled import spooled
from app.api.records.verify import verify_routes
from app.api.records.wire import FeatureCollection, SearchBody
from app.errors import (
    FieldError,
    LookupOnly,
    NotAcceptable,
    ParameterUnknown,
    SchemaUnknown,
    TokenMissing,
    ValidationFailed,
)
from app.federation.question.binder import RawQuery
from app.federation.question.query import Answer
from app.federation.reading.whole import WholeRead
from app.federation.survivorship import MergedAnswer
from app.federation.writers import write_json, write_merged
from app.gateway import exports, records, views
from app.gateway.answers import AnswerForm, FinishedAnswer
from app.gateway.exchange import Exchange
from app.gateway.jobs import JOB_SECONDS, Progress, Run
from app.gateway.lookups import look_up
from app.gateway.spool import Spool
from app.schemas import registry
from app.schemas.registry import SchemaDef, all_schemas

routes = Resource("/v1/records", "records")

_GENERAL = frozenset({"filter", "filter-lang", "fields", "sort", "limit", "cursor", "agencies", "view", "count"})
_PRESENTATION = frozenset({"f", "csv"})
_LOOK_UP = ("agencies", "fields", "f", "csv")


async def _answer(request: Request, result: Answer | MergedAnswer, following: str | None, chosen: str) -> Response:
    state = services(request)
    headers = {"simpul-complete": "?1" if result.complete else "?0", "vary": VARY}
    if following is not None and request.method == "GET":
        headers["link"] = next_page(request, state.settings.base_url, following)
    if isinstance(result, MergedAnswer):
        return Response(write_merged(result, next_cursor=following), 200, headers, "application/json")
    if chosen == "json":
        return Response(write_json(result, next_cursor=following), 200, headers, "application/json")
    made = await exports.write_page(
        exchange(request),
        result,
        _wanted(request, chosen),
        exports.new_spool(state, principal(request).client_id),
    )
    return spooled(made, exchange(request), headers)


def _wanted(request: Request, chosen: str) -> AnswerForm:
    return AnswerForm(chosen, indonesian=request.query_params.get("csv") == "id")


def _run_of(request: Request, asked: records.Authorised, chosen: str) -> Run:
    state, wanted = services(request), _wanted(request, chosen)

    async def run(own: Exchange, spool: Spool, progress: Progress) -> FinishedAnswer:
        def note(read: WholeRead) -> None:
            progress.rows, progress.sources = read.rows, read.statuses

        return await exports.write_whole(
            state, own, asked.query, asked.refs, wanted, spool, seconds=JOB_SECONDS, progress=note
        )

    return run


async def _export(request: Request, asked: records.Authorised, chosen: str) -> Response:
    """The whole answer: an export is not cut at a page."""
    if principal(request).kind == "public":
        detail = "A whole answer needs a token from /oauth/token; without one give a limit, or ask for pages of JSON."
        raise TokenMissing(detail, rule="token_needed")
    state, under_way = services(request), exchange(request)
    if prefers(request, "respond-async"):
        return await accepted(request, chosen, _run_of(request, asked, chosen))
    spool = exports.new_spool(state, principal(request).client_id)
    try:
        made = await exports.write_whole(
            state, under_way, asked.query, asked.refs, _wanted(request, chosen), spool,
            seconds=state.settings.request_seconds,
        )  # fmt: skip
    except BaseException:
        spool.close()
        raise
    return spooled(made, under_way, {"vary": VARY, "simpul-complete": "?1" if made.complete else "?0"})


def _from_parameters(request: Request) -> RawQuery:
    """The question in the URL: general parameters, and `field=value` for the rest."""
    general: dict[str, str] = {}
    equals: list[tuple[str, str]] = []
    for name, value in request.query_params.multi_items():
        if name in _PRESENTATION:
            continue
        if name not in _GENERAL:
            equals.append((name, value))
        elif name in general:
            raise ParameterUnknown(f"the parameter {name} stands twice", parameter=name)
        else:
            general[name] = value
    view = general.get("view", "records")
    if view not in VIEWS:
        raise wrong("view")
    count = next((mode for mode in COUNTS if mode == general.get("count", "none")), None)
    if count is None:
        raise wrong("count")
    return RawQuery(
        view=view,
        count=count,
        filter=general.get("filter"),
        filter_lang=general.get("filter-lang", "cql2-text"),
        fields=listed(general.get("fields")),
        sort=listed(general.get("sort")),
        limit=general.get("limit"),
        cursor=general.get("cursor"),
        agencies=listed(general.get("agencies")),
        equals=tuple(equals),
        partial="never" if prefers(request, "partial=never") else "allow",
    )


def _from_key(request: Request) -> RawQuery:
    """The question for one key. The key is taken as it was sent: its parts are decoded after they are split."""
    path = request.scope["raw_path"].decode("latin-1").partition("?")[0]
    given = only_parameters(request, *_LOOK_UP) if request.scope["query_string"] else {}
    return RawQuery(
        key=path.split("/", 4)[4],
        fields=listed(given.get("fields")),
        agencies=listed(given.get("agencies")),
        partial="never" if prefers(request, "partial=never") else "allow",
    )


def _from_body(request: Request) -> RawQuery:
    """The question in a search body."""
    only_parameters(request, "f", "csv")
    body = question(request, SearchBody, read_json(request))
    return RawQuery(
        filter=body.filter,
        filter_lang=filter_language(body.filter),
        fields=names(body.fields),
        sort=names(body.sort),
        limit=body.limit,
        cursor=body.cursor,
        agencies=names(body.agencies),
        view=body.view,
        count=body.count,
        partial="never" if prefers(request, "partial=never") else "allow",
    )


def _refuse_count(raw: RawQuery, chosen: str) -> None:
    """A count that would not be true, or that the answer has no place for, is refused."""
    if raw.count == "none" or (raw.view == "records" and chosen == "json"):
        return
    if raw.view != "records":
        rule = "a merged view is put together page by page and has no count; POST …/aggregate with view merged counts its records"
    else:
        rule = "the count stands in the meta of a page of JSON; other formats have no place for it"
    raise ValidationFailed(f"count: {rule}", errors=[FieldError("/count", "unsupported", rule)])


async def _read(request: Request, schema: SchemaDef, operation: Operation, raw_of: Any) -> Response:
    chosen = asked_format(request)
    state, under_way = services(request), exchange(request)
    under_way.asks(form=chosen)

    def asked_of() -> RawQuery:
        raw: RawQuery = raw_of(request)
        _refuse_count(raw, chosen)
        return raw

    if chosen != "json" or prefers(request, "respond-async"):
        asked = exports.authorise(state, under_way, schema, asked_of)
        only_page = asked.raw.view != "records" or asked.raw.count != "none"
        if only_page and chosen == "json":  # a page at once: respond-async is a wish, not an order
            under_way.asks(op=operation)
            result, following = await views.read(state, under_way, schema, operation, lambda: asked.raw)
            return await _answer(request, result, following, chosen)
        if asked.raw.view != "records":
            raise NotAcceptable(
                "a merged view is JSON: its provenance has no place in a table", offered=["application/json"]
            )
        if asked.raw.limit is None and asked.raw.cursor is None:
            return await _export(request, asked, chosen)
        page, following = await records.page(state, under_way, asked)
        return await _answer(request, page, following, chosen)
    result, following = await views.read(state, under_way, schema, operation, asked_of)
    return await _answer(request, result, following, chosen)


def _reading(op: str, tail: str) -> Rule:
    told_as = f"/v1/records/{{schema}}{tail}"
    return Rule(op, EVERYONE, "outcome", practice=True, public=True, direct=True, told_as=told_as)


def _add_routes(schema: SchemaDef) -> None:
    slug, name = schema.meta.slug, schema.name

    async def list_records(request: Request) -> Response:
        return await _read(request, schema, "list", _from_parameters)

    async def search_records(request: Request) -> Response:
        purpose_in_body(request)
        return await _read(request, schema, "search", _from_body)

    async def get_record(request: Request) -> Response:
        chosen = asked_format(request)
        exchange(request).asks(form=chosen)
        found = await look_up(services(request), exchange(request), schema, lambda: _from_key(request))
        return await _answer(request, found, None, chosen)

    title = schema.meta.title_en
    routes.answers.add(FeatureCollection)
    responses: dict[int | str, dict[str, Any]] = {200: docs.page_response(schema), **ACCEPTED}
    headers = docs.header_parameters("partial=never", "respond-async")
    routes.add(
        "GET",
        f"/{slug}",
        _reading("list", ""),
        list_records,
        name=f"list_{name}",
        summary=f"List {title}",
        description=f"{schema.meta.definition_en}.\n\nFiltered, globally sorted and paged over all agencies that provide it. "
        "Use `search` when the filter is long.",
        responses=responses,
        openapi_extra={"parameters": docs.query_parameters(schema) + headers},
    )
    routes.add(
        "POST",
        f"/{slug}/search",
        _reading("search", "/search"),
        search_records,
        name=f"search_{name}",
        summary=f"Search {title}",
        description="The same question as the list, as a JSON body: for long filters and CQL2 as JSON.",
        responses=responses,
        body=SearchBody,
        body_example=docs.search_question(schema),
        openapi_extra={"parameters": headers},
    )
    routes.add(
        "GET",
        f"/{slug}/{{key:path}}",
        _reading("lookup", "/{key:path}"),
        get_record,
        name=f"get_{name}",
        summary=f"Look up {title} by key",
        description="Every agency that provides the schema is asked; the answer holds one item an agency that has the key. "
        "404 when all answered and none has it, 503 when nobody has it and one that could did not answer (504 when all were too slow).",
        responses={200: responses[200]},
        openapi_extra={
            "parameters": [
                docs.key_parameter(schema),
                *docs.look_up_parameters(schema),
                *docs.header_parameters("partial=never"),
            ]
        },
    )


for _schema in all_schemas():
    if _schema.meta.lookup_only:
        verify_routes(routes, _schema)
        person_match_routes(routes, _schema)
    else:
        match_routes(routes, _schema)
        _add_routes(_schema)


async def unknown_schema(schema: str) -> Response:
    """What is left: a schema that does not exist, or a personal one that is never listed."""
    found = registry.get(schema)
    if found.meta.lookup_only:
        raise LookupOnly(f"{found.name} is never listed; use POST /v1/records/{found.meta.slug}/verify", allow="POST")
    raise SchemaUnknown(f"this route does not exist for {found.name}; only personal schemas have /verify")


for _method, _tail, _op in (
    ("GET", "", "list"),
    ("POST", "/search", "search"),
    ("POST", "/match", "match"),
    ("POST", "/verify", "verify"),
    ("POST", "/aggregate", "aggregate"),
    ("GET", "/changes", "changes"),
    ("GET", "/conflicts", "records.conflicts"),
    ("GET", "/{key:path}", "lookup"),
):
    _rule = Rule(_op, EVERYONE, "outcome", practice=True, told_as=f"/v1/records/{{schema}}{_tail}")
    routes.add(_method, f"/{{schema}}{_tail}", _rule, unknown_schema, include_in_schema=False)
