"""`/v1/schemas`, `/v1/datasets`, `/v1/codes`: what there is to ask for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import Request, Response

from app.api.layer.bodies import answer
from app.api.layer.dependencies import only_parameters, services
from app.api.layer.resource import READ, Resource
from app.catalog import datasets
from app.catalog.datasets import DatasetDescription
from app.errors import NotFound
from app.schemas import registry
from app.schemas.json_schema import wire_json_schema
from app.schemas.registry import SchemaDef

routes = Resource("/v1", "catalogue")


@routes.get("/schemas", READ, summary="All shared schemas")
async def list_schemas(request: Request) -> Response:
    """Each with its key, access class and the agencies that provide it."""
    only_parameters(request)
    served = services(request).catalog.datasets
    items = []
    for schema in registry.all_schemas():
        providers = sorted({found.agency for found in served.get(schema.name, ())})
        items.append({**_summary(schema), "providers": providers})
    return answer({"items": items})


@routes.get("/schemas/{schema}", READ, summary="One shared schema")
async def get_schema(schema: str, request: Request) -> Response:
    """Satu Data metadata, and every field with type, unit, classification, title and description (id and en)."""
    only_parameters(request)
    found = registry.get(schema)
    fields = [
        {
            "name": spec.name,
            "semantic": spec.semantic,
            "kind": spec.kind,
            "required": spec.required,
            "unit": spec.unit,
            "pdp": spec.pdp,
            "akses": spec.akses,
            "title_id": spec.title_id,
            "title_en": spec.title_en,
            "description_id": spec.description_id,
            "description_en": spec.description_en,
            "enum": spec.enum,
        }
        for spec in found.fields.values()
    ]
    document = {
        **_summary(found),
        "metadata": asdict(found.meta),
        "fields": fields,
        "json_schema": wire_json_schema(found),
    }
    return answer(document)


@routes.get("/schemas/{schema}/queryables", READ, summary="Queryables of a schema")
async def get_queryables(schema: str, request: Request) -> Response:
    """The fields that `filter` and `field=value` may name, as JSON Schema (OGC API Features, part 3)."""
    only_parameters(request)
    return answer(registry.get(schema).queryables)


@routes.get("/datasets", READ, summary="All datasets")
async def list_datasets(request: Request) -> Response:
    """What agencies publish, in DCAT terms: publisher, schema, freshness, quality. Narrow by `schema` or `agency`."""
    given = only_parameters(request, "schema", "agency")
    name = registry.get(given["schema"]).name if "schema" in given else None
    async with services(request).database.read() as connection:
        found = await datasets.list_datasets(connection, schema=name, agency=given.get("agency"))
    return answer({"items": [_dataset(dataset) for dataset in found]})


@routes.get("/datasets/{dataset}", READ, summary="One dataset")
async def get_dataset(dataset: str, request: Request) -> Response:
    """Definition, concept, unit, classification, producer, freshness and quality of one dataset."""
    only_parameters(request)
    async with services(request).database.read() as connection:
        return answer(_dataset(await datasets.get_dataset(connection, dataset)))


@routes.get("/codes/{system}/{code}", READ, summary="Look up a code")
async def get_code(system: str, code: str, request: Request) -> Response:
    """A region code (`kemendagri`), or the Kemendagri code of another system's (`bps`). Not loaded means not found."""
    only_parameters(request)
    book = services(request).codes
    if system == "kemendagri":
        found = book.region(code)
        if found is not None:
            return answer(
                {
                    "system": system,
                    "code": code,
                    "kode_wilayah": found.kode,
                    "nama": found.nama,
                    "tingkat": found.tingkat,
                }
            )
    else:
        for level in ("provinsi", "kabupaten", "kecamatan", "desa"):
            target = book.crosswalk(system, code, level)
            if target is not None:
                return answer({"system": system, "code": code, "tingkat": level, "kode_wilayah": target})
    raise NotFound("this code is not in the loaded lists; a look-alike prefix is never guessed", system=system)


def _summary(schema: SchemaDef) -> dict[str, Any]:
    meta = schema.meta
    return {
        "name": meta.name,
        "version": meta.version,
        "path": f"/v1/records/{meta.slug}",
        "key": meta.key,
        "title_id": meta.title_id,
        "title_en": meta.title_en,
        "definisi": meta.definisi,
        "tingkat_akses": meta.tingkat_akses,
        "lookup_only": meta.lookup_only,
        "subject": meta.subject,
    }


def _dataset(dataset: DatasetDescription) -> dict[str, Any]:
    shown = asdict(dataset)
    shown["publisher"] = {"id": dataset.publisher.id, "name": dataset.publisher.name}
    return shown
