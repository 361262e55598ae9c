"""`POST /v1/explain`: what a question would send to each agency, what would stay here, and why. No record is read."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from app.access.principals import Principal
from app.api.layer.bodies import answer, purpose_faults, purpose_in_body, read_json
from app.api.layer.dependencies import exchange, only_parameters, principal, services
from app.api.layer.formats import only_json
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.records import examples as docs
from app.api.records.wire import ExplainBody, Explanation
from app.errors import FieldError, ValidationFailed
from app.federation.question.aggregate_binder import bind_aggregation
from app.federation.question.binder import RawQuery
from app.gateway.aggregates import MOST_RECORDS
from app.gateway.explaining import Explained, explain
from app.schemas import registry
from app.schemas.registry import SchemaDef

routes = Resource("/v1", "records")

_LISTS = ("fields", "sort", "agencies", "group_by")
_MEMBERS = frozenset({"schema", "filter", "limit", "aggregates", "purpose", *_LISTS})
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
            "why": [],
            "row_filter": False,
            "masked": [],
            "withheld": [],
            "problem": None,
        }
    ]
}


def _body(request: Request) -> dict[str, Any]:
    body = read_json(request)
    if not isinstance(body, dict) or not isinstance(body.get("schema"), str):
        raise ValidationFailed("name the schema", errors=[FieldError("/schema", "missing", "the name of a schema")])
    return body


def _raw(request: Request, body: dict[str, Any], schema: SchemaDef) -> RawQuery:
    only_parameters(request, "f")
    if "sql" in body:
        rule = "SQL is not explained: it reads whole tables of the granted fields; name the schema, and put its WHERE into filter"
        raise ValidationFailed(rule, errors=[FieldError("/sql", "unsupported", rule)])
    known = ", ".join(sorted(_MEMBERS))
    errors = [FieldError(f"/{name}", "unknown", f"known: {known}") for name in sorted(set(body) - _MEMBERS)]
    errors += purpose_faults(body)
    for name in _LISTS:
        value = body.get(name)
        if value is not None and not (isinstance(value, list) and all(isinstance(one, str) for one in value)):
            errors.append(FieldError(f"/{name}", "type", "a list of texts"))
    wanted = body.get("filter")
    if not isinstance(wanted, str | dict | None):
        errors.append(FieldError("/filter", "type", "CQL2 as text or as a JSON object"))
    if errors:
        raise ValidationFailed("the question does not fit", errors=errors)
    needed: frozenset[str] = frozenset()
    fields = _names(body, "fields")
    if body.get("aggregates") is not None or body.get("group_by") is not None:
        needed, fields = _read_for_groups(body, schema)
    return RawQuery(
        filter=wanted,
        filter_lang="cql2-json" if isinstance(wanted, dict) else "cql2-text",
        fields=fields,
        sort=_names(body, "sort"),
        limit=body.get("limit"),
        agencies=_names(body, "agencies"),
        needed=needed,
    )


def _read_for_groups(body: dict[str, Any], schema: SchemaDef) -> tuple[frozenset[str], tuple[str, ...]]:
    """What an aggregate reads: its groups and measures with the key, every record; a page's members have no place there."""
    errors = [
        FieldError(f"/{name}", "unsupported", "an aggregate reads every record of its groups and measures")
        for name in ("fields", "sort", "limit")
        if body.get(name) is not None
    ]
    if errors:
        raise ValidationFailed("this is no aggregate", errors=errors)
    needed = bind_aggregation(schema, body.get("group_by"), body.get("aggregates"), None).fields
    return needed, tuple({*needed, *schema.meta.key})


def _names(body: dict[str, Any], name: str) -> tuple[str, ...] | None:
    return tuple(body[name]) if body.get(name) else None


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
        "why": why,
        "row_filter": scan.row_filter is not None,
        "masked": sorted(scan.masks),
        "withheld": scan.withheld,
        "problem": {"code": problem.code, "detail": problem.detail} if problem is not None else None,
    }


@routes.post(
    "/explain",
    Rule("explain", EVERYONE, "outcome"),
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
    body = _body(request)
    schema = registry.get(body["schema"])
    aggregated = body.get("aggregates") is not None or body.get("group_by") is not None
    rows = MOST_RECORDS if aggregated else None
    found = await explain(services(request), exchange(request), schema, rows, lambda: _raw(request, body, schema))
    return answer({"sources": [_document(one, principal(request)) for one in found]})
