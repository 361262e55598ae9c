"""`/v1/connectors/{connector}/discover` and `/suggest`: what stands at a source, and a manifest that says how to map it."""

from __future__ import annotations

from typing import Any

from fastapi import Request, Response

from app.api.layer.bodies import answer
from app.api.layer.dependencies import exchange, only_parameters, services
from app.api.layer.resource import READ, STEWARDS, Resource, Rule
from app.api.registry import discovery_wire as wire
from app.datasets.manifest_schema import manifest_schema
from app.datasets.suggesting.choosing import Suggestion
from app.datasets.suggesting.document import reason_of
from app.datasets.suggesting.trying import Proposal
from app.gateway import discovering as work
from app.schemas.registry import get

routes = Resource("/v1/connectors", "connectors")

_SCHEMA: dict[str, Any] = {
    "parameters": [
        {
            "name": "schema",
            "in": "query",
            "description": "Propose for this schema instead of the manifest's own, or the one that fits best",
            "schema": {"type": "string", "maxLength": 128},
            "example": "fasilitas_kesehatan@1",
        }
    ]
}


schema_routes = Resource("/v1/manifest-schema", "connectors")


@schema_routes.get(
    "",
    READ,
    summary="JSON Schema of a manifest",
    answer=wire.ManifestSchemaAnswer,
    example=wire.MANIFEST_SCHEMA,
)
async def get_manifest_schema(request: Request) -> Response:
    """What a manifest may hold, in JSON Schema 2020-12: every kind of source, every key, every step with its options.

    It is made of the models that a PUT is read with. Editors complete and check manifests with it; `simpul connector schema` writes it.
    """
    only_parameters(request)
    return answer(manifest_schema())


@routes.post(
    "/{connector}/discover",
    Rule("discover", STEWARDS, "outcome"),
    summary="Look at the source",
    answer=wire.DiscoverAnswer,
    example=wire.DISCOVERED,
    openapi_extra=_SCHEMA,
)
async def discover_connector(connector: str, request: Request) -> Response:
    """Tables, columns, a masked sample, how the source has to be read, and a manifest ready to send. A draft is enough.

    Each guess says what told it. What the manifest states is taken as it is. Nothing is used before you send and publish it.
    """
    found = await _found(connector, request)
    columns = [
        {
            "name": column.name,
            "source_type": column.source_type,
            "type": str(column.arrow_type),
            "nullable": column.nullable,
        }
        for column in found.found.columns
    ]
    guesses = [{"pointer": guess.pointer, "value": guess.value, "why": guess.why} for guess in found.guesses]
    return answer(
        {
            "tables": found.found.tables,
            "columns": columns,
            "sample": found.sample,
            "guesses": guesses,
            "notes": found.notes,
            "schemas": [{"schema": name, "score": score} for name, score in found.schemas],
            "manifest": found.manifest,
        }
    )


@routes.post(
    "/{connector}/suggest",
    Rule("discover", STEWARDS, "outcome"),
    summary="Propose a mapping",
    answer=wire.SuggestAnswer,
    example=wire.SUGGESTED,
    openapi_extra=_SCHEMA,
)
async def suggest_connector(connector: str, request: Request) -> Response:
    """For each field of the schema the columns that it may come from, best first, with scores and reasons.

    A mapping is tried on up to 400 records of the first 20,000: `taken` of `tried` values became valid. The score joins that with how
    alike the names are. `chosen` is what the proposed manifest maps; a steward decides.
    """
    found = await _found(connector, request)
    suggestion = found.suggestion
    fields = _fields(suggestion) if suggestion is not None else []
    return answer(
        {
            "schema": suggestion.schema.meta.ref if suggestion is not None else None,
            "sampled": suggestion.sampled if suggestion is not None else 0,
            "fields": fields,
            "lacking": list(suggestion.lacking) if suggestion is not None else [],
            "unused": list(suggestion.unused) if suggestion is not None else [],
            "manifest": found.manifest,
        }
    )


async def _found(connector: str, request: Request) -> work.Discovered:
    name = only_parameters(request, "schema").get("schema")
    wanted = get(name) if name else None
    return await work.discover(services(request), exchange(request), connector, wanted)


def _fields(found: Suggestion) -> list[dict[str, Any]]:
    return [
        {
            "field": name,
            "required": spec.required,
            "chosen": _proposal(found.chosen[name]) if name in found.chosen else None,
            "others": [_proposal(one) for one in found.others.get(name, ())],
        }
        for name, spec in found.schema.fields.items()
    ]


def _proposal(one: Proposal) -> dict[str, Any]:
    return {
        "mapping": one.mapping,
        "column": one.column or None,
        "score": one.score,
        "taken": one.taken,
        "tried": one.tried,
        "why": reason_of(one),
    }
