"""`POST /v1/queries`: read-only SQL over schema names, across agencies."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from fastapi import Request, Response
from pydantic import Field

from app.api.layer.bodies import purpose_given, read_model
from app.api.layer.dependencies import exchange, services
from app.api.layer.formats import VARY, asked_format, prefers
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.layer.wire import Wire
from app.api.records.examples import bulk, format_parameters, header_parameters
from app.api.records.jobs import ACCEPTED, accepted
from app.api.records.spooled import spooled
from app.api.records.wire import QueryAnswer
from app.errors import NotAcceptable
from app.federation.exports import FORMS
from app.federation.question.query import Partial
from app.federation.sql.engine import MOST_ROWS
from app.federation.sql.loading import Loader, merged_statuses
from app.gateway import exports, queries
from app.gateway.answers import AnswerForm, FinishedAnswer
from app.gateway.exchange import Exchange
from app.gateway.jobs import Progress
from app.gateway.spool import Spool

routes = Resource("/v1", "queries")
routes.answers.add(QueryAnswer)

_SQL = (
    "SELECT s.nama, f.nama AS faskes, induk(f.kode_wilayah, 'kecamatan') AS kecamatan, f._agency "
    "FROM fasilitas_kesehatan f JOIN satuan_pendidikan s ON s.kode_wilayah = f.kode_wilayah WHERE f.jenis = 'puskesmas'"
)


class QueryBody(Wire):
    """One SELECT over names of schemas."""

    sql: Annotated[str, Field(min_length=1, max_length=1_048_576)] = Field(
        description="One SELECT, or WITH before it; at most 16,384 bytes", examples=[_SQL]
    )
    limit: Annotated[int, Field(ge=1, le=MOST_ROWS, json_schema_extra={"format": "int32"})] | None = Field(
        default=None, description="Rows wanted; `meta.has_more` says whether there are more", examples=[1000]
    )
    overlap: Literal["refuse", "accept"] = Field(
        default="refuse",
        description="`accept`: sums count a key for each agency that holds it; else they are refused where that happens",
        examples=["accept"],
    )
    purpose: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="Instead of Simpul-Purpose")


_ANSWER: dict[str, Any] = {
    "columns": [{"name": "kecamatan", "type": "VARCHAR"}, {"name": "jumlah", "type": "BIGINT"}],
    "items": [{"kecamatan": "33.20.05", "jumlah": 3}],
    "sources": [],
    "complete": True,
    "meta": {"has_more": False},
}


@routes.post(
    "/queries",
    Rule("sql", EVERYONE, "outcome", practice=True),
    name="query_records",
    summary="Ask in SQL, across agencies",
    responses={
        200: {
            "description": "Finished and recorded before it is released.",
            "content": {
                "application/json": {"schema": {"$ref": "#/components/schemas/QueryAnswer"}, "example": _ANSWER},
                "application/x-ndjson": {"schema": bulk("One row a line", binary=False)},
                "text/csv": {"schema": bulk("One header row, then one row a line", binary=False)},
                **{FORMS[name].media_type: {"schema": bulk("Typed columns")} for name in ("xlsx", "parquet", "arrow")},
            },
        },
        **ACCEPTED,
    },
    body=QueryBody,
    body_example={"sql": _SQL, "limit": 1000},
    openapi_extra={
        "parameters": [*format_parameters(on_a_map=False), *header_parameters("partial=allow", "respond-async")]
    },
)
async def query_records(request: Request) -> Response:
    """One read-only SELECT with joins, WITH, windows and subqueries. Tables are schemas and hold the union of all agencies
    that grant them; `SELECT *` means the granted fields, `_agency` and `_dataset` say who gave a row.
    `induk(kode, 'kecamatan')` and `tingkat(kode)` work on region codes. Strict: when a source does not answer the whole is refused,
    unless `Prefer: partial=allow`. Limits: 100,000 rows, 30 s, 512 MiB.

    Names of columns are distinct whatever their case: the second `nama` is `nama_2`. A quoted alias keeps its case. Whole numbers
    are JSON numbers below 2^53; a column with one beyond is `DECIMAL(38,0)` in `columns` and text as decimals are. Infinity, NaN
    and a division by zero are refused (`sql_value_not_finite`): write `x / nullif(y, 0)`. When several agencies hold the same key,
    an answer that counts carries `meta.overlap`, and one that sums or averages is refused (`overlap_refused`) unless
    `"overlap": "accept"` is given or it is grouped by `_agency`.
    """
    chosen = asked_format(request)
    if chosen == "geojson":
        raise NotAcceptable("rows of a query have no place on a map; ask for another format, or for records")
    state, under_way = services(request), exchange(request)
    under_way.asks(form=chosen)
    body = read_model(request, QueryBody, "f", "csv")
    if body.purpose is not None:
        purpose_given(under_way, body.purpose)
    partial: Partial = "allow" if prefers(request, "partial=allow") else "never"
    statement = await queries.authorise(state, under_way, body.sql, partial=partial, overlap=body.overlap)
    wanted = AnswerForm(chosen, indonesian=request.query_params.get("csv") == "id")
    if prefers(request, "respond-async"):

        async def run(own: Exchange, kept: Spool, progress: Progress) -> FinishedAnswer:
            def show(loader: Loader) -> None:
                progress.rows, progress.sources = loader.rows, merged_statuses(loader.reads)

            return await queries.answer(state, own, statement, wanted, kept, limit=body.limit, progress=show)

        return await accepted(request, chosen, run)
    spool = exports.new_spool(state, under_way.principal.client_id)
    try:
        made = await queries.answer(state, under_way, statement, wanted, spool, limit=body.limit)
    except BaseException:
        spool.close()
        raise
    return spooled(made, under_way, {"vary": VARY, "simpul-complete": "?1" if made.complete else "?0"})
