"""`/v1/schemas`, `/v1/datasets`: what there is to ask for."""

from __future__ import annotations

from dataclasses import asdict
from typing import Annotated, Any, Final, Literal
from urllib.parse import urlencode

from fastapi import Request, Response
from pydantic import Field

from app.api.layer.answers import Answer, Free, Id, Moment, Name, Numbered, Whole
from app.api.layer.bodies import answer, written
from app.api.layer.dependencies import only_parameters, services
from app.api.layer.formats import one_of
from app.api.layer.resource import READ, Resource
from app.api.registry import dcat
from app.catalog import datasets, quality
from app.catalog.datasets import DatasetDescription
from app.errors import LimitOutOfRange
from app.gateway.services import Services
from app.lanes import in_bulk
from app.schemas import registry
from app.schemas.base import Akses, FieldSpec, Pdp, SchemaMeta
from app.schemas.constraints import Kind
from app.schemas.json_schema import wire_json_schema
from app.schemas.registry import SchemaDef

routes = Resource("/v1", "catalogue")
MOST_DATASETS: Final = 100_000


Line = Annotated[str, Field(max_length=300)]
Prose = Annotated[str, Field(max_length=2000)]
Short = Annotated[list[Name], Field(max_length=500)]


class SchemaSummary(Answer):
    """A shared schema: its key, access class and where its records are."""

    name: Name
    version: Numbered
    path: Line = Field(description="Where its records are asked for")
    key: Annotated[list[Name], Field(max_length=20)]
    title_id: Line
    title_en: Line
    definisi: Prose
    definition_en: Prose
    tingkat_akses: Akses
    lookup_only: bool = Field(description="Persons: they are verified one by one, never listed")
    subject: Name | None = Field(description="Field that names the person, where the schema is about persons")


class SchemaItem(SchemaSummary):
    """A shared schema, and who provides it."""

    providers: Annotated[list[Id], Field(max_length=10_000)]


class SchemasAnswer(Answer):
    """All shared schemas."""

    items: list[SchemaItem] = Field(max_length=1000)


class SchemaMetadata(Answer):
    """What Satu Data Indonesia (Perpres 39/2019) asks of a data set."""

    name: Name
    version: Numbered
    key: Annotated[list[Name], Field(max_length=20)]
    title_id: Line
    title_en: Line
    judul: Line
    definisi: Prose
    definition_en: Prose
    konsep: Prose
    ukuran: Line
    satuan: Line
    klasifikasi: Prose
    frekuensi: Line
    produsen_data: Line
    walidata: Line
    pembina: Line
    level_penyajian: Line
    tingkat_akses: Akses
    lookup_only: bool
    subject: Name | None


class SchemaField(Answer):
    """One field of a shared schema."""

    name: Name
    semantic: Name
    kind: Kind
    required: bool
    unit: Name | None
    pdp: Pdp
    akses: Akses
    title_id: Line
    title_en: Line
    description_id: Prose
    description_en: Prose
    enum: Short | None = Field(description="The only values; null: any that its type allows")


class SchemaAnswer(SchemaSummary):
    """A shared schema with its metadata, its fields, and the JSON Schema of its records."""

    metadata: SchemaMetadata
    fields: list[SchemaField] = Field(max_length=500)
    json_schema: Free = Field(description="JSON Schema 2020-12 of a record in an answer")


class QueryablesAnswer(Answer):
    """The fields that a filter may name, as JSON Schema."""

    schema_uri: Line = Field(alias="$schema")
    type: Literal["object"]
    title: Line
    description: Prose
    additional_properties: bool = Field(
        alias="additionalProperties", description="False: no other name may stand in a filter"
    )
    properties: dict[Name, Free] = Field(max_length=500)


class Publisher(Answer):
    """The agency that publishes a dataset."""

    id: Id
    name: Line


class DatasetFreshness(Answer):
    """Which field tells when a record was last changed, and how old it may be."""

    field: Name
    slo: Annotated[str, Field(max_length=64, description="ISO 8601 duration")]


class QualityAnswer(Answer):
    """What the last reads showed; null where nothing was read yet."""

    last_success_at: Moment | None
    last_error: Id | None
    last_error_at: Moment | None
    rejected_rows: Whole | None
    counted_at: Moment | None


class DatasetAnswer(Answer):
    """One dataset, in the terms of DCAT 3 and Satu Data."""

    id: Id
    identifier: Annotated[str, Field(max_length=128)]
    publisher: Publisher
    schema_ref: Annotated[str, Field(max_length=128)] = Field(alias="schema", description="Name and version")
    title: Line
    description: Annotated[str, Field(max_length=4000)] | None
    kind: Annotated[str, Field(max_length=32, description="Kind of its source")]
    state: Literal["published", "suspended"]
    revision: Numbered
    licence: Line | None
    issued: Moment
    modified: Moment
    freshness: DatasetFreshness | None
    meta: SchemaMetadata | None
    quality: QualityAnswer


class DatasetsAnswer(Answer):
    """What agencies publish."""

    items: list[DatasetAnswer] = Field(max_length=MOST_DATASETS)
    next_after: Id | None = Field(description="`after` of the next page; null: this is the last")


def _summary(schema: SchemaDef) -> dict[str, Any]:
    meta = schema.meta
    return {
        "name": meta.name,
        "version": meta.version,
        "path": f"/v1/records/{meta.slug}",
        "key": list(meta.key),
        "title_id": meta.title_id,
        "title_en": meta.title_en,
        "definisi": meta.definisi,
        "definition_en": meta.definition_en,
        "tingkat_akses": meta.tingkat_akses,
        "lookup_only": meta.lookup_only,
        "subject": meta.subject,
    }


def _field(spec: FieldSpec) -> dict[str, Any]:
    return {
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
        "enum": None if spec.enum is None else list(spec.enum),
    }


def _metadata(meta: SchemaMeta) -> dict[str, Any]:
    shown = {**asdict(meta), "key": list(meta.key)}
    del shown["example_filter"]
    return shown


def _shown_queryables(schema: SchemaDef) -> dict[str, Any]:
    """The first two of them."""
    found = schema.queryables
    return {**found, "properties": dict(list(found["properties"].items())[:2])}


_FACILITIES = registry.get("fasilitas_kesehatan")
_DATASET = {
    "id": "dinkes-faskes",
    "identifier": "dinkes/dinkes-faskes",
    "publisher": {"id": "dinkes", "name": "Dinas Kesehatan Kabupaten Jepara"},
    "schema": "fasilitas_kesehatan@1",
    "title": "Daftar fasilitas kesehatan",
    "description": None,
    "kind": "file",
    "state": "published",
    "revision": 2,
    "licence": "CC-BY-4.0",
    "issued": "2026-01-05T02:00:00Z",
    "modified": "2026-11-20T03:15:00Z",
    "freshness": {"field": "diperbarui_pada", "slo": "P30D"},
    "meta": _metadata(_FACILITIES.meta),
    "quality": {
        "last_success_at": "2026-11-20T04:00:00Z",
        "last_error": None,
        "last_error_at": None,
        "rejected_rows": 0,
        "counted_at": "2026-11-20T04:00:00Z",
    },
}
_SCHEMA = {
    **_summary(_FACILITIES),
    "metadata": _metadata(_FACILITIES.meta),
    "fields": [_field(spec) for spec in list(_FACILITIES.fields.values())[:3]],
    "json_schema": {"type": "object", "title": _FACILITIES.meta.title_en},
}


_VARIES = {"vary": "Accept, Authorization"}
_FORMS = {"json": "application/json", "jsonld": dcat.MEDIA_TYPE}
_FORM: dict[str, Any] = {
    "name": "f",
    "in": "query",
    "description": "Format, instead of the Accept header",
    "schema": {"type": "string", "enum": list(_FORMS)},
    "example": "jsonld",
}
_LINKED: dict[str, Any] = {
    dcat.MEDIA_TYPE: {
        "schema": {
            "type": "object",
            "description": "DCAT 3 by the profile DCAT-AP 3: `@context` and `@graph`, an object for each thing",
        },
        "example": {
            "@context": {"dcat": "http://www.w3.org/ns/dcat#", "dct": "http://purl.org/dc/terms/"},
            "@graph": [
                {
                    "@id": "https://simpul.jepara.example/v1/datasets/dinkes-faskes",
                    "@type": "dcat:Dataset",
                    "dct:identifier": "dinkes/dinkes-faskes",
                    "dct:title": "Daftar fasilitas kesehatan",
                    "dct:publisher": {"@id": "https://simpul.jepara.example/v1/agencies/dinkes"},
                }
            ],
        },
    }
}


def _parameter(name: str, text: str, example: str) -> dict[str, Any]:
    schema = {"type": "string", "minLength": 1, "maxLength": 128}
    return {"name": name, "in": "query", "description": text, "schema": schema, "example": example}


_LIST = [
    _parameter("schema", "Only datasets of this schema", "fasilitas_kesehatan"),
    _parameter("agency", "Only datasets of this agency", "dinkes"),
    {
        "name": "limit",
        "in": "query",
        "description": "Datasets on the page: all where nothing is stated, 100 as JSON-LD",
        "schema": {"type": "integer", "format": "int32", "minimum": 1, "maximum": MOST_DATASETS},
        "example": 100,
    },
    _parameter("after", "`next_after` of the page before", "dinkes-faskes"),
    _FORM,
]


@routes.get(
    "/schemas",
    READ,
    summary="All shared schemas",
    answer=SchemasAnswer,
    example={"items": [{**_summary(_FACILITIES), "providers": ["dinkes", "rsud-kartini"]}]},
)
async def list_schemas(request: Request) -> Response:
    """Each with its key, access class and the agencies that provide it."""
    only_parameters(request)
    served = services(request).catalog.datasets
    items = []
    for schema in registry.all_schemas():
        providers = sorted({found.agency for found in served.get(schema.name, ())})
        items.append({**_summary(schema), "providers": providers})
    return answer({"items": items})


@routes.get("/schemas/{schema}", READ, summary="One shared schema", answer=SchemaAnswer, example=_SCHEMA)
async def get_schema(schema: str, request: Request) -> Response:
    """Satu Data metadata, and every field with type, unit, classification, title and description (id and en)."""
    only_parameters(request)
    found = registry.get(schema)
    document = {
        **_summary(found),
        "metadata": _metadata(found.meta),
        "fields": [_field(spec) for spec in found.fields.values()],
        "json_schema": wire_json_schema(found),
    }
    return answer(document)


@routes.get(
    "/schemas/{schema}/queryables",
    READ,
    summary="Queryables of a schema",
    answer=QueryablesAnswer,
    example=_shown_queryables(_FACILITIES),
)
async def get_queryables(schema: str, request: Request) -> Response:
    """The fields that `filter` and `field=value` may name, as JSON Schema (OGC API Features, part 3)."""
    only_parameters(request)
    return answer(registry.get(schema).queryables)


@routes.get(
    "/datasets",
    READ,
    summary="All datasets",
    answer=DatasetsAnswer,
    example={"items": [_DATASET], "next_after": None},
    forms=_LINKED,
    openapi_extra={"parameters": _LIST},
)
async def list_datasets(request: Request) -> Response:
    """What agencies publish, in DCAT terms: publisher, schema, freshness, quality. Narrow by `schema` or `agency`.

    As JSON-LD (`f=jsonld`, or `Accept: application/ld+json`) it is a catalogue by DCAT-AP 3 for data portals, in pages of 100.
    """
    given = only_parameters(request, "schema", "agency", "limit", "after", "f")
    form, state = one_of(request, _FORMS), services(request)
    name = registry.get(given["schema"]).name if "schema" in given else None
    limit = _limit(given.get("limit", str(dcat.PAGE if form == "jsonld" else MOST_DATASETS)))
    async with state.database.read() as connection:
        found = await datasets.list_datasets(connection, schema=name, agency=given.get("agency"))
        behind = [dataset for dataset in found if dataset.id > given.get("after", "")]
        page, following = behind[:limit], behind[limit - 1].id if len(behind) > limit else None
        if form == "json":
            return answer({"items": [_dataset(dataset) for dataset in page], "next_after": following}, headers=_VARIES)
        newest = await quality.newest_records(connection, [dataset.id for dataset in page])
    part = _part(request, following, len(found))
    return _linked(await in_bulk(lambda: written(dcat.catalogue_document(_instance(state), page, newest, part))))


@routes.get(
    "/datasets/{dataset}",
    READ,
    summary="One dataset",
    answer=DatasetAnswer,
    example=_DATASET,
    forms=_LINKED,
    openapi_extra={"parameters": [_FORM]},
)
async def get_dataset(dataset: str, request: Request) -> Response:
    """Definition, concept, unit, classification, producer, freshness and quality of one dataset; as JSON-LD by DCAT-AP 3."""
    only_parameters(request, "f")
    form, state = one_of(request, _FORMS), services(request)
    async with state.database.read() as connection:
        found = await datasets.get_dataset(connection, dataset)
        if form == "json":
            return answer(_dataset(found), headers=_VARIES)
        newest = await quality.newest_records(connection, [found.id])
    return _linked(written(dcat.dataset_document(_instance(state), found, newest.get(found.id))))


def _linked(document: bytes) -> Response:
    return Response(document, 200, dict(_VARIES), dcat.MEDIA_TYPE)


def _instance(state: Services) -> dcat.Instance:
    settings = state.settings
    region = state.codes.region(settings.region)
    name = region.nama if region is not None else None
    return dcat.Instance(settings.instance, settings.base_url, settings.region, name, settings.bbox)


def _part(request: Request, following: str | None, total: int) -> dcat.Part:
    """The page's address and those of its neighbours: the same question, which names its form, so that any client gets it."""
    asked = {name: value for name, value in request.query_params.items() if name not in {"f", "after"}}
    address = f"{services(request).settings.base_url.rstrip('/')}{request.url.path}?"

    def at(**more: str) -> str:
        return address + urlencode({**asked, "f": "jsonld", **more})

    after = request.query_params.get("after")
    here = at() if after is None else at(after=after)
    return dcat.Part(here, at(), None if following is None else at(after=following), total)


def _limit(text: str) -> int:
    if not (text.isascii() and text.isdigit() and len(text) <= 9 and 1 <= int(text) <= MOST_DATASETS):
        raise LimitOutOfRange(f"limit is between 1 and {MOST_DATASETS}", limit_rows=MOST_DATASETS)
    return int(text)


def _dataset(dataset: DatasetDescription) -> dict[str, Any]:
    shown = asdict(dataset)
    shown["meta"] = None if dataset.meta is None else _metadata(dataset.meta)
    shown["publisher"] = {"id": dataset.publisher.id, "name": dataset.publisher.name}
    return shown
