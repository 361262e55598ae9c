"""`POST /v1/records/{schema}/match`: many keys at once, as JSON or as a CSV upload."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from app.api.layer.bodies import apart, long_list_of, purpose_in_body
from app.api.layer.dependencies import exchange, services
from app.api.layer.formats import VARY, only_json, prefers
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.records import examples as docs
from app.api.records.jobs import ACCEPTED, accepted
from app.api.records.match_body import MatchBody, read_question
from app.api.records.spooled import spooled
from app.api.records.wire import MatchAnswer
from app.federation.reading.whole import WholeRead
from app.gateway import exports, matching
from app.gateway.answers import FinishedAnswer
from app.gateway.exchange import Exchange
from app.gateway.jobs import JOB_SECONDS, Progress
from app.gateway.spool import Spool
from app.schemas.registry import SchemaDef


def match_routes(routes: Resource, schema: SchemaDef) -> None:
    """Adds the match route of one schema."""

    async def match_records(request: Request) -> Response:
        state, under_way = services(request), exchange(request)
        only_json(request)
        long = await long_list_of(request, "keys")
        purpose_in_body(request, long)
        strict = not prefers(request, "partial=allow")
        keys_of = await apart(request, lambda: read_question(request, schema, long))
        asked, keys = matching.authorise(state, under_way, schema, keys_of, "never" if strict else "allow")
        if prefers(request, "respond-async"):

            async def run(own: Exchange, kept: Spool, progress: Progress) -> FinishedAnswer:
                def note(read: WholeRead) -> None:
                    progress.rows, progress.sources = read.rows, list(read.statuses)

                return await matching.match(state, own, asked, keys, kept, seconds=JOB_SECONDS, progress=note)

            return await accepted(request, "json", run)
        spool = exports.new_spool(state, exchange(request).principal.client_id)
        try:
            made = await matching.match(state, under_way, asked, keys, spool, seconds=state.settings.request_seconds)
        except BaseException:
            spool.close()
            raise
        return spooled(made, under_way, {"vary": VARY, "simpul-complete": "?1" if made.complete else "?0"})

    key = docs.example_record(schema)["_source"]["id"]
    example: dict[str, Any] = {
        "items": [{"key": key, "status": "unmatched", "reason": "not_found", "records": []}],
        "counts": {"matched": 0, "unmatched": 1, "unknown": 0, "ambiguous": 0, "invalid": 0},
        "sources": [],
        "complete": True,
    }
    routes.bodies.add(MatchBody)
    routes.add(
        "POST",
        f"/{schema.meta.slug}/match",
        Rule("match", EVERYONE, "outcome", practice=True, body_bytes=67_108_864, told_as="/v1/records/{schema}/match"),
        match_records,
        name=f"match_{schema.name}",
        summary=f"Match keys against {schema.meta.title_en}",
        description="Pemadanan: up to 1,000,000 keys as JSON, or as CSV with a column `key` and columns named as fields, whose values "
        "are compared. Each key is matched, unmatched, ambiguous or invalid, with the reason. Strict: a source that does not "
        "answer refuses the whole, unless `Prefer: partial=allow`; a key that nobody has while somebody did not answer is then "
        "unknown. `Prefer: respond-async` makes a job of it.",
        answer=MatchAnswer,
        example=example,
        responses={**ACCEPTED},
        openapi_extra={
            "parameters": docs.header_parameters("partial=allow", "respond-async"),
            "requestBody": {
                "required": True,
                "content": {
                    "application/json": {
                        "schema": {"$ref": "#/components/schemas/MatchBody"},
                        "example": {"keys": [key]},
                    },
                    "text/csv": {"schema": {"type": "string", "maxLength": 67_108_864}, "example": f"key\r\n{key}\r\n"},
                },
            },
        },
    )
