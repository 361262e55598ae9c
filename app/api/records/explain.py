"""`POST /v1/explain`: what a question would send to each agency, what would stay here, and why. No record is read."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from app.access.principals import Principal
from app.api.layer.bodies import answer, purpose_in_body, read_json
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.formats import only_json
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.records import examples as docs
from app.api.records.questions import filter_language, names, question, raw_measures
from app.api.records.wire import ExplainBody, Explanation
from app.errors import FieldError, ValidationFailed
from app.federation.question.aggregate_binder import bind_aggregation
from app.federation.question.binder import RawQuery
from app.gateway.explaining import Explained, explain
from app.schemas import registry
from app.schemas.registry import SchemaDef

routes = Resource("/v1", "records")

_EXAMPLE = {"schema": "fasilitas_kesehatan", "filter": "jenis = 'puskesmas'", "sort": ["nama"], "limit": 50}
_ANSWER = {
    "sources": [
        {
            "agency": "dinkes",
            "dataset": "dinkes-faskes",
            "status": "ok",
            "text": 'SELECT "jenis", "kode", "nama" FROM "faskes" WHERE ("jenis" = $1::text) ORDER BY "nama" COLLATE "C" ASC LIMIT 57',
            "pushed": ["columns", "filter", "order", "limit"],
            "residual": [],
            "exact": True,
            "rows_estimated": 21,
            "why": [],
            "row_filter": False,
            "masked": [],
            "withheld": [],
            "problem": None,
        }
    ]
}


def _named(request: Request) -> dict[str, Any]:
    """The document, of which so much is read before access is decided: that it names a schema."""
    document = read_json(request)
    if not isinstance(document, dict) or not isinstance(document.get("schema"), str):
        raise ValidationFailed("name the schema", errors=[FieldError("/schema", "missing", "the name of a schema")])
    return document


def _raw(request: Request, document: dict[str, Any], schema: SchemaDef) -> RawQuery:
    only_parameters(request, "f")
    if "sql" in document:
        rule = "SQL is not explained: it reads whole tables of the granted fields; name the schema, and put its WHERE into filter"
        raise ValidationFailed(rule, errors=[FieldError("/sql", "unsupported", rule)])
    body = question(request, ExplainBody, document)
    needed: frozenset[str] = frozenset()
    fields = names(body.fields)
    if _adds_up(document):
        needed, fields = _read_for_groups(body, schema)
    return RawQuery(
        filter=body.filter,
        filter_lang=filter_language(body.filter),
        fields=fields,
        sort=names(body.sort),
        limit=body.limit,
        agencies=names(body.agencies),
        needed=needed,
    )


def _adds_up(document: dict[str, Any]) -> bool:
    return document.get("aggregates") is not None or document.get("group_by") is not None


def _read_for_groups(body: ExplainBody, schema: SchemaDef) -> tuple[frozenset[str], tuple[str, ...]]:
    """What an aggregate reads: its groups and measures with the key, every record; a page's members have no place there."""
    errors = [
        FieldError(f"/{name}", "unsupported", "an aggregate reads every record of its groups and measures")
        for name, given in (("fields", body.fields), ("sort", body.sort), ("limit", body.limit))
        if given is not None
    ]
    if errors:
        raise ValidationFailed("this is no aggregate", errors=errors)
    needed = bind_aggregation(schema, body.group_by or (), raw_measures(body.aggregates or ()), None).fields
    return needed, tuple({*needed, *schema.meta.key})


def _document(found: Explained, caller: Principal) -> dict[str, Any]:
    scan, shown, problem = found.scan, found.outline, found.problem
    steward = caller.role == "admin" or (caller.role == "steward" and caller.agency == scan.ref.agency)
    hidden = shown is not None and shown.own_text and not steward
    why = [*scan.why, *(shown.why if shown is not None else ())]
    if hidden:
        why.append(f"the text stands on a SELECT of {scan.ref.agency}, which its stewards see")
    return {
        "agency": scan.ref.agency,
        "dataset": scan.ref.dataset,
        "status": scan.left_out or ("ok" if shown is not None else "unavailable"),
        "text": "\n".join(shown.texts) if shown is not None and not hidden else None,
        "pushed": shown.pushed if shown is not None else (),
        "residual": shown.residual if shown is not None else (),
        "exact": shown is not None and shown.exact,
        "rows_estimated": found.rows,
        "why": why,
        "row_filter": scan.row_filter is not None,
        "masked": sorted(scan.masks),
        "withheld": scan.withheld,
        "problem": {"code": problem.code, "detail": problem.detail} if problem is not None else None,
    }


@routes.post(
    "/explain",
    Rule("explain", EVERYONE, "outcome", practice=True),
    summary="Explain a question",
    answer=Explanation,
    example=_ANSWER,
    body=ExplainBody,
    body_example=_EXAMPLE,
    openapi_extra={"parameters": docs.header_parameters()},
)
async def explain_question(request: Request) -> Response:
    """Decided and planned as a real read; per dataset the text sent, what the source does, what stays here, and why.

    A SELECT that a provider wrote itself (`query:` of its manifest) is shown to its stewards alone.
    """
    only_json(request)
    purpose_in_body(request)
    document = _named(request)
    schema = registry.get(document["schema"])
    asked, whole = exchange(request), _adds_up(document)
    found = await explain(services(request), asked, schema, lambda: _raw(request, document, schema), whole=whole)
    return answer({"sources": [_document(one, principal(request)) for one in found]})
