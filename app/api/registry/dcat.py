"""The catalogue as DCAT 3 in JSON-LD, by the profile DCAT-AP 3: what data portals harvest.

Every resource has an address of this gateway as its IRI, so that it stays the same as long as the gateway's address does.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Final
from urllib.parse import quote

from app.api.registry.dcat_terms import (
    AUTHORITY,
    CONTEXT,
    FILE_TYPES,
    THEMES,
    access_of,
    frequency_of,
    licence_of,
    theme_of,
)
from app.catalog.agencies import Agency
from app.catalog.datasets import DatasetDescription
from app.catalog.states import State
from app.datasets.manifest import Freshness
from app.federation.exports import FORMS
from app.schemas.registry import SchemaDef, get

MEDIA_TYPE: Final = "application/ld+json"
PAGE: Final = 100
"""Datasets on a page where nobody says how many."""
_IANA: Final = "https://www.iana.org/assignments/media-types"
_EMAIL: Final = re.compile(r"[^\s@,;<>\"]+@[^\s@,;<>\"]+\.[^\s@,;<>\".]+")
_PHONE: Final = re.compile(r"\+?[0-9][0-9 ().-]{5,20}")
Node = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Instance:
    """What the catalogue says of the gateway itself. `bbox`: west, south, east, north (CRS84)."""

    name: str
    base_url: str
    region: str
    region_name: str | None
    bbox: tuple[float, float, float, float]

    def at(self, path: str) -> str:
        """The IRI of what stands at a path."""
        return f"{self.base_url.rstrip('/')}{path}"


@dataclass(frozen=True, slots=True)
class Part:
    """A page of the catalogue: its address, that of the first page and of the next, how many datasets there are on all."""

    address: str
    first: str
    following: str | None
    total: int


def dataset_document(instance: Instance, dataset: DatasetDescription, newest: datetime | None) -> Node:
    """One dataset with what it refers to."""
    return _document([*_dataset(instance, dataset, newest), *_shared(instance, [dataset])])


def catalogue_document(
    instance: Instance, page: Sequence[DatasetDescription], newest: Mapping[str, datetime], part: Part
) -> Node:
    """A page of the catalogue: datasets, their distributions and publishers, the service that gives the records."""
    nodes = [_catalogue(instance, page), _collection(part)]
    for dataset in page:
        nodes += _dataset(instance, dataset, newest.get(dataset.id))
    return _document([*nodes, *_shared(instance, page)])


def _document(nodes: Iterable[Node]) -> Node:
    """Each node once."""
    return {"@context": CONTEXT, "@graph": list({node["@id"]: node for node in nodes}.values())}


def _catalogue(instance: Instance, page: Sequence[DatasetDescription]) -> Node:
    changed = [dataset.modified for dataset in page]
    return {
        "@id": instance.at("/v1/datasets"),
        "@type": "dcat:Catalog",
        "dct:title": [_text(f"Katalog data {instance.name}", "id"), _text(f"Data catalogue {instance.name}", "en")],
        "dct:description": [
            _text("Dataset yang dipublikasikan perangkat daerah melalui Simpul", "id"),
            _text("Datasets that agencies publish through Simpul", "en"),
        ],
        "dct:publisher": _ref(instance.at("/#walidata")),
        "dct:language": _ref(f"{AUTHORITY}/language/IND"),
        "dct:spatial": _ref(_region(instance)),
        "dcat:themeTaxonomy": _ref(f"{AUTHORITY}/data-theme"),
        "foaf:homepage": _ref(instance.at("/")),
        **({"dct:modified": _moment(max(changed))} if changed else {}),
        "dcat:service": _ref(_service_iri(instance)),
        "dcat:dataset": [_ref(_iri(instance, dataset)) for dataset in page],
    }


def _collection(part: Part) -> Node:
    """The page as harvesters follow it (Hydra); CKAN knows both types."""
    following = {} if part.following is None else {"hydra:next": _ref(part.following)}
    return {
        "@id": part.address,
        "@type": ["hydra:PartialCollectionView", "hydra:PagedCollection"],
        "hydra:totalItems": {"@value": str(part.total), "@type": "xsd:integer"},
        "hydra:first": _ref(part.first),
        **following,
    }


def _dataset(instance: Instance, dataset: DatasetDescription, newest: datetime | None) -> Iterator[Node]:
    """The dataset and its distributions. One that is suspended has none, as one about persons has none: it is not read as a list."""
    iri, meta = _iri(instance, dataset), dataset.meta
    schema = get(dataset.schema) if meta is not None else None
    parts: list[Node] = []
    if schema is not None and dataset.state is State.PUBLISHED and not schema.meta.lookup_only:
        parts = list(_distributions(instance, dataset, schema))
    frequency, theme = frequency_of(_freshness(dataset), meta), theme_of(meta)
    described: Any = dataset.description or dataset.title
    if dataset.description is None and meta is not None:
        described = [_text(meta.definisi, "id"), _text(meta.definition_en, "en")]
    yield {
        "@id": iri,
        "@type": "dcat:Dataset",
        "dct:identifier": dataset.identifier,
        "dct:title": dataset.title,
        "dct:description": described,
        "dct:publisher": _ref(_agent_iri(instance, dataset.publisher)),
        "dcat:contactPoint": _ref(f"{_agent_iri(instance, dataset.publisher)}#contact"),
        "dct:issued": _moment(dataset.issued),
        "dct:modified": _moment(dataset.modified),
        "dcat:version": str(dataset.revision),
        "dct:language": _ref(f"{AUTHORITY}/language/IND"),
        "dct:spatial": _ref(_region(instance)),
        "dct:accessRights": _ref(f"{AUTHORITY}/access-right/{access_of(meta)}"),
        **({"dct:temporal": _ref(f"{iri}#temporal")} if newest is not None else {}),
        **({"dct:accrualPeriodicity": _ref(f"{AUTHORITY}/frequency/{frequency}")} if frequency else {}),
        **({"dcat:theme": _ref(f"{AUTHORITY}/data-theme/{theme}")} if theme else {}),
        **(
            {"dct:conformsTo": _ref(_schema_iri(instance, meta.name)), "dcat:keyword": _keywords(schema)}
            if meta and schema
            else {}
        ),
        **({"dcat:distribution": [_ref(part["@id"]) for part in parts]} if parts else {}),
    }
    if newest is not None:
        yield {"@id": f"{iri}#temporal", "@type": "dct:PeriodOfTime", "dcat:endDate": _moment(newest)}
    yield from parts


def _distributions(instance: Instance, dataset: DatasetDescription, schema: SchemaDef) -> Iterator[Node]:
    """One for each format of answers that is a file type of the list; GeoJSON where records have a position."""
    records = instance.at(f"/v1/records/{schema.meta.slug}?agencies={dataset.publisher.id}")
    for name, file_type in FILE_TYPES.items():
        if name == "geojson" and not (
            schema.coordinates or any(spec.kind == "geometry" for spec in schema.fields.values())
        ):
            continue
        licence = None if dataset.licence is None else _licence_iri(instance, dataset)
        yield {
            "@id": f"{_iri(instance, dataset)}#{name}",
            "@type": "dcat:Distribution",
            "dct:title": f"{dataset.title} ({file_type})",
            "dct:description": [
                _text(f"Data {dataset.publisher.name} sebagai {file_type}, melalui API dengan token", "id"),
                _text(
                    f"Records of {dataset.publisher.name_en or dataset.publisher.name} as {file_type}, by the API with a token",
                    "en",
                ),
            ],
            "dcat:accessURL": _ref(f"{records}&f={name}"),
            "dcat:accessService": _ref(_service_iri(instance)),
            "dct:format": _ref(f"{AUTHORITY}/file-type/{file_type}"),
            "dcat:mediaType": _ref(f"{_IANA}/{FORMS[name].media_type}"),
            "dct:modified": _moment(dataset.modified),
            **({"dct:license": _ref(licence)} if licence is not None else {}),
        }


def _shared(instance: Instance, page: Sequence[DatasetDescription]) -> Iterator[Node]:
    """What datasets refer to: agents, contacts, the service, the region, terms of vocabularies with their types."""
    yield from _service(instance, page)
    yield {"@id": instance.at("/"), "@type": "foaf:Document"}
    yield {
        "@id": _region(instance),
        "@type": "dct:Location",
        "dct:identifier": instance.region,
        **({"skos:prefLabel": _text(instance.region_name, "id")} if instance.region_name else {}),
        "dcat:bbox": {"@value": _polygon(instance.bbox), "@type": "geosparql:wktLiteral"},
    }
    yield {"@id": f"{AUTHORITY}/language/IND", "@type": "dct:LinguisticSystem"}
    yield {"@id": f"{AUTHORITY}/data-theme", "@type": "skos:ConceptScheme", "dct:title": _text("Data theme", "en")}
    yield {"@id": instance.at("/#walidata"), "@type": "foaf:Agent", "foaf:name": f"Walidata {instance.name}"}
    for dataset in page:
        yield from _of_agency(instance, dataset.publisher)
        yield from _of_terms(instance, dataset)


def _service(instance: Instance, page: Sequence[DatasetDescription]) -> Iterator[Node]:
    yield {
        "@id": _service_iri(instance),
        "@type": "dcat:DataService",
        "dct:title": _text(f"Simpul {instance.name}", "id"),
        "dct:publisher": _ref(instance.at("/#walidata")),
        "dcat:endpointURL": _ref(instance.at("/v1/records")),
        "dcat:endpointDescription": _ref(instance.at("/openapi.json")),
        "dcat:servesDataset": [_ref(_iri(instance, dataset)) for dataset in page],
    }


def _of_agency(instance: Instance, agency: Agency) -> Iterator[Node]:
    iri = _agent_iri(instance, agency)
    names: list[Any] = [_text(agency.name, "id"), *([_text(agency.name_en, "en")] if agency.name_en else [])]
    yield {"@id": iri, "@type": "foaf:Agent", "foaf:name": names, "dct:identifier": agency.id}
    contact = agency.contact or ""
    email, phone = _EMAIL.search(contact), _PHONE.fullmatch(contact.strip())
    yield {
        "@id": f"{iri}#contact",
        "@type": ["vcard:Organization", "vcard:Kind"],
        "vcard:fn": agency.name,
        **({"vcard:hasEmail": _ref(f"mailto:{email[0]}")} if email else {}),
        **({"vcard:hasTelephone": _ref("tel:" + re.sub(r"[^0-9+]", "", phone[0]))} if phone else {}),
        **(
            {"vcard:hasURL": _ref(contact)}
            if contact.startswith(("http://", "https://")) and " " not in contact
            else {}
        ),
        **({"vcard:note": contact} if contact and not email and not phone else {}),
    }


def _of_terms(instance: Instance, dataset: DatasetDescription) -> Iterator[Node]:
    meta = dataset.meta
    frequency, theme = frequency_of(_freshness(dataset), meta), theme_of(meta)
    yield {"@id": f"{AUTHORITY}/access-right/{access_of(meta)}", "@type": "dct:RightsStatement"}
    if frequency is not None:
        yield {"@id": f"{AUTHORITY}/frequency/{frequency}", "@type": "dct:Frequency"}
    if theme is not None:
        yield {
            "@id": f"{AUTHORITY}/data-theme/{theme}",
            "@type": "skos:Concept",
            "skos:prefLabel": _text(THEMES[theme], "en"),
            "skos:inScheme": _ref(f"{AUTHORITY}/data-theme"),
        }
    if meta is not None:
        title = [_text(meta.title_id, "id"), _text(meta.title_en, "en")]
        yield {"@id": _schema_iri(instance, meta.name), "@type": "dct:Standard", "dct:title": title}
    if dataset.licence is not None:
        known = licence_of(dataset.licence)
        yield {
            "@id": _licence_iri(instance, dataset),
            "@type": "dct:LicenseDocument",
            **({} if known else {"dct:title": dataset.licence}),
        }
    for name, file_type in FILE_TYPES.items():
        yield {"@id": f"{AUTHORITY}/file-type/{file_type}", "@type": "dct:MediaTypeOrExtent"}
        yield {"@id": f"{_IANA}/{FORMS[name].media_type}", "@type": "dct:MediaType"}


def _keywords(schema: SchemaDef) -> list[Any]:
    return [_text(schema.meta.title_id, "id"), _text(schema.meta.title_en, "en")]


def _freshness(dataset: DatasetDescription) -> Freshness | None:
    return None if dataset.freshness is None else Freshness.model_validate(dataset.freshness)


def _iri(instance: Instance, dataset: DatasetDescription) -> str:
    return instance.at(f"/v1/datasets/{dataset.id}")


def _agent_iri(instance: Instance, agency: Agency) -> str:
    return instance.at(f"/v1/agencies/{agency.id}")


def _schema_iri(instance: Instance, name: str) -> str:
    return instance.at(f"/v1/schemas/{name}")


def _service_iri(instance: Instance) -> str:
    return instance.at("/v1/records")


def _region(instance: Instance) -> str:
    return instance.at(f"/v1/codes/kemendagri/{quote(instance.region, safe='.')}")


def _licence_iri(instance: Instance, dataset: DatasetDescription) -> str:
    """That of a licence that is known; else a node of the dataset's own that holds the licence's words."""
    return licence_of(dataset.licence or "") or f"{_iri(instance, dataset)}#licence"


def _polygon(bbox: tuple[float, float, float, float]) -> str:
    west, south, east, north = bbox
    corners = ((west, south), (east, south), (east, north), (west, north), (west, south))
    return f"POLYGON(({', '.join(f'{x} {y}' for x, y in corners)}))"


def _ref(iri: str) -> Node:
    return {"@id": iri}


def _text(text: str, language: str) -> Node:
    return {"@value": text, "@language": language}


def _moment(moment: datetime) -> Node:
    return {"@value": moment.isoformat().replace("+00:00", "Z"), "@type": "xsd:dateTime"}
