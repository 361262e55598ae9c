"""`POST /v1/records/{schema}/match`: many keys at once, as JSON or as a CSV upload."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from typing import Annotated, Any

from fastapi import Request, Response
from pydantic import Field, SkipValidation

from app.api.layer.bodies import apart, media_type, purpose_in_body, read_model, read_text
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.formats import VARY, only_json, prefers
from app.api.layer.resource import EVERYONE, Resource, Rule
from app.api.layer.wire import Wire
from app.api.records import examples as docs
from app.api.records.jobs import ACCEPTED, accepted
from app.api.records.spooled import spooled
from app.api.records.wire import MatchAnswer
from app.errors import FieldError, ValidationFailed
from app.federation.match import MatchKey
from app.federation.question.binder import unknown_field
from app.federation.reading.whole import WholeRead
from app.federation.sql.loading import merged_statuses
from app.gateway import exports, matching
from app.gateway.answers import FinishedAnswer
from app.gateway.exchange import Exchange
from app.gateway.jobs import JOB_SECONDS, Progress
from app.gateway.matching import Keys
from app.gateway.spool import Spool
from app.schemas.registry import SchemaDef

MOST_KEYS = 1_000_000
_MOST_CHARACTERS = 2000
_MOST_NAME = 100
_Key = Annotated[str, Field(max_length=_MOST_CHARACTERS)]


class MatchItem(Wire):
    """One key, and values that its record should have."""

    key: _Key = Field(description="Key of the record", examples=["P3320010101"])
    values: dict[Annotated[str, Field(max_length=_MOST_NAME)], _Key] = Field(
        default_factory=dict,
        description="Field to value, compared exactly and normalised",
        examples=[{"nama": "Puskesmas Jepara"}],
    )


_Given = SkipValidation[_Key | MatchItem]
"""One key as it was sent. One that does not fit is answered as invalid; it does not refuse the others."""


class MatchBody(Wire):
    """Keys to look for."""

    keys: list[_Given] = Field(min_length=1, max_length=MOST_KEYS, examples=[["P3320010101", "P3320010102"]])
    fields: list[_Key] | None = Field(
        default=None, max_length=200, description="Fields to show; only the key when absent"
    )
    purpose: Annotated[str, Field(max_length=64)] | None = Field(default=None, description="Instead of Simpul-Purpose")


def match_routes(routes: Resource, schema: SchemaDef) -> None:
    """Adds the match route of one schema."""

    async def match_records(request: Request) -> Response:
        state, under_way = services(request), exchange(request)
        only_json(request)
        purpose_in_body(request)
        strict = not prefers(request, "partial=allow")
        keys_of = await apart(request, lambda: _keys(request, schema))
        asked, keys = matching.authorise(state, under_way, schema, keys_of, "never" if strict else "allow")
        if prefers(request, "respond-async"):

            async def run(own: Exchange, kept: Spool, progress: Progress) -> FinishedAnswer:
                def note(reads: Sequence[WholeRead]) -> None:
                    progress.rows = sum(read.rows for read in reads)
                    progress.sources = list(merged_statuses(reads))

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
        Rule("match", EVERYONE, "outcome", body_bytes=67_108_864, told_as="/v1/records/{schema}/match"),
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


def _keys(request: Request, schema: SchemaDef) -> Keys:
    only_parameters(request, "f", "fields")
    if media_type(request) == "text/csv":
        shown = request.query_params.get("fields")
        wanted, compared = _from_csv(read_text(request), schema)
        fields = tuple(shown.split(",")) if shown else schema.meta.key
    else:
        body = read_model(request, MatchBody)
        wanted = [_wanted(item) for item in body.keys]
        compared = tuple(dict.fromkeys(name for item in wanted for name in item.values))
        fields = tuple(body.fields) if body.fields is not None else schema.meta.key
    for name in (*fields, *compared):
        if name not in schema.fields:
            raise unknown_field(schema, name, f"/{name[:64]}")
    return Keys(wanted, fields, compared)


def _wanted(item: Any) -> MatchKey:
    """One key; what does not fit is told beside it. Written out: a model of each of a million keys would take seconds."""
    if isinstance(item, str) and len(item) <= _MOST_CHARACTERS:
        return MatchKey(item)
    if not isinstance(item, dict):
        rule = f"a key is a text of at most {_MOST_CHARACTERS} characters, or an object of key and values"
        return MatchKey(item, problem=rule)
    key, values = item.get("key"), item.get("values", {})
    problem = None
    if not isinstance(key, str) or len(key) > _MOST_CHARACTERS:
        problem = f"/key: a text of at most {_MOST_CHARACTERS} characters is needed"
    elif not isinstance(values, dict):
        problem = "/values: an object of field to text is needed"
    elif unknown := next((name for name in item if name not in ("key", "values")), None):
        problem = f"/{unknown[:_MOST_NAME]}: only key and values are known"
    elif wrong := next((name for name, value in values.items() if not _fits(name, value)), None):
        problem = f"/values/{wrong[:_MOST_NAME]}: a text of at most {_MOST_CHARACTERS} characters is needed"
    return MatchKey(key, problem=problem) if problem else MatchKey(key, values)


def _fits(name: str, value: Any) -> bool:
    return len(name) <= _MOST_NAME and isinstance(value, str) and len(value) <= _MOST_CHARACTERS


def _from_csv(text: str, schema: SchemaDef) -> tuple[list[MatchKey], tuple[str, ...]]:
    """The rows of an upload: `key`, or the field of a simple key; every other column is compared."""
    head = text.partition("\n")[0]
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=";" if ";" in head and "," not in head else ",")
    names = [name.strip() for name in next(rows, [])]
    column = "key" if "key" in names else schema.meta.key[0]
    if column not in names or (column != "key" and len(schema.meta.key) > 1):
        raise ValidationFailed("the CSV needs a column `key`", errors=[FieldError("line 1", "missing", "key")])
    index = names.index(column)
    compared = tuple(name for name in names if name != column)
    wanted: list[MatchKey] = []
    for number, row in enumerate(rows, 2):
        if not row:
            continue
        if len(row) != len(names):
            detail = f"line {number} has {len(row)} cells, the header {len(names)}"
            raise ValidationFailed(detail, errors=[FieldError(f"line {number}", "ragged", detail)])
        if len(wanted) >= MOST_KEYS:
            raise ValidationFailed(
                f"at most {MOST_KEYS} keys", errors=[FieldError(f"line {number}", "too_long", "keys")]
            )
        values = {name: cell for name, cell in zip(names, row, strict=True) if name != column and cell != ""}
        wanted.append(MatchKey(row[index].strip(), values))
    return wanted, compared
