"""The catalogue as DCAT-AP 3: whatever agencies write, the official shapes hold, and nothing is said that is not known."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime
from typing import Any

import orjson
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from rdflib import RDF, Graph, Literal, URIRef
from rdflib.namespace import DCAT, DCTERMS, FOAF, Namespace

from app.api.registry import dcat
from app.api.registry.dcat_terms import AUTHORITY, THEMES, theme_of
from app.catalog.agencies import Agency
from app.catalog.datasets import DatasetDescription, DatasetQuality
from app.catalog.states import State
from app.schemas import registry
from tests.support.linked import BINDING, RECOMMENDED, breaches, graph_of, shapes

BASE = "https://simpul.jepara.go.id"
HERE = dcat.Instance("ID-JEPARA", BASE, "33.20", "Kabupaten Jepara", (110.15, -6.95, 111.05, -5.7))
DAY = datetime(2026, 11, 20, 3, 15, tzinfo=UTC)
VCARD, HYDRA = Namespace("http://www.w3.org/2006/vcard/ns#"), Namespace("http://www.w3.org/ns/hydra/core#")


def described(schema: str = "fasilitas_kesehatan", **more: Any) -> DatasetDescription:
    found = registry.get(schema)
    plain: dict[str, Any] = {
        "id": "dinkes-faskes",
        "identifier": "dinkes/dinkes-faskes",
        "publisher": Agency("dinkes", "Dinas Kesehatan Kabupaten Jepara", "Health Office", contact="data@jepara.go.id"),
        "schema": found.meta.ref,
        "title": "Daftar fasilitas kesehatan",
        "description": None,
        "kind": "file",
        "state": State.PUBLISHED,
        "revision": 2,
        "licence": "CC-BY-4.0",
        "issued": DAY,
        "modified": DAY,
        "freshness": {"field": "diperbarui_pada", "slo": "P30D"},
        "meta": found.meta,
        "quality": DatasetQuality(None, None, None, None, None),
    }
    return DatasetDescription(**{**plain, **more})


def page(*found: DatasetDescription, newest: datetime | None = DAY) -> Graph:
    part = dcat.Part(
        f"{BASE}/v1/datasets?f=jsonld", f"{BASE}/v1/datasets?f=jsonld", f"{BASE}/v1/datasets?f=jsonld&after=b", 7
    )
    known = {one.id: newest for one in found if newest is not None}
    return graph_of(orjson.dumps(dcat.catalogue_document(HERE, found, known, part)))


def iri(path: str = "/v1/datasets/dinkes-faskes") -> URIRef:
    return URIRef(f"{BASE}{path}")


NOT_KNOWN = {
    "availability", "startDate", "conformsTo", "issued", "license", "type", "centroid", "contactPoint", "theme", "keyword",
}  # fmt: skip
"""What is recommended of distributions, periods, the service and the region, and what a gateway does not know of them."""


@pytest.mark.parametrize("shape", BINDING)
def test_every_schema_is_listed_without_a_breach(shape: str) -> None:
    found = [described(schema.meta.name, id=f"d-{schema.meta.name}") for schema in registry.all_schemas()]
    assert breaches(page(*found), shape) == []


def test_of_what_is_recommended_only_what_is_not_known_is_left_out() -> None:
    found = breaches(page(described()), RECOMMENDED)
    assert {line.split()[0].rpartition("#")[2] for line in found} == {"Warning"}
    assert [line for line in found if line.split()[2] == str(iri())] == []
    assert {line.split()[1].rpartition("/")[2].rpartition("#")[2] for line in found} <= NOT_KNOWN


TEXTS = st.text(st.characters(codec="utf-8", exclude_categories=("Cs", "Cc")), min_size=1, max_size=40)


@settings(max_examples=25, deadline=None, suppress_health_check=list(HealthCheck))
@given(
    title=TEXTS,
    description=st.none() | TEXTS,
    licence=st.none() | TEXTS | st.sampled_from(["CC-BY-4.0", "CC BY 4.0", "https://contoh.id/lisensi", "http://a b"]),
    contact=st.none()
    | TEXTS
    | st.sampled_from(["a@b.id", "0291 591 234", "https://dinkes.id", "Bu Sri <sri@b.go.id>"]),
    slo=st.none() | st.sampled_from(["P1D", "P7D", "P45D", "PT1H", "P366D"]),
    state=st.sampled_from([State.PUBLISHED, State.SUSPENDED]),
    known=st.booleans(),
)
def test_whatever_agencies_write_breaks_no_shape(
    title: str,
    description: str | None,
    licence: str | None,
    contact: str | None,
    slo: str | None,
    state: State,
    known: bool,
) -> None:
    more = {"freshness": None if slo is None else {"field": "diperbarui_pada", "slo": slo}, "state": state}
    dataset = described(title=title, description=description, licence=licence, **more)
    dataset = replace(dataset, publisher=Agency("dinkes", title, contact=contact), meta=dataset.meta if known else None)
    graph = page(dataset, newest=None)
    assert [line for shape in BINDING for line in breaches(graph, shape)] == []
    assert graph.value(iri(), DCTERMS.title) == Literal(title)


def test_the_shapes_find_what_is_missing() -> None:
    """The instrument itself: each of these is told."""
    graph = page(described())
    for gone in (DCTERMS.title, DCTERMS.description):
        broken = Graph() + graph
        broken.remove((iri(), gone, None))
        assert any(str(gone) in line for line in breaches(broken, "shapes.ttl")), gone
    assert len(shapes("dcat-ap-SHACL.ttl")) > 1000
    graph.remove((iri("/v1/agencies/dinkes"), RDF.type, FOAF.Agent))
    assert breaches(graph, "range.ttl")


def test_what_is_known_is_said() -> None:
    graph = page(described())
    dataset = iri()
    assert graph.value(dataset, DCTERMS.identifier) == Literal("dinkes/dinkes-faskes")
    assert graph.value(dataset, DCTERMS.accrualPeriodicity) == URIRef(f"{AUTHORITY}/frequency/MONTHLY")
    assert graph.value(dataset, DCAT.theme) == URIRef(f"{AUTHORITY}/data-theme/HEAL")
    assert graph.value(dataset, DCTERMS.accessRights) == URIRef(f"{AUTHORITY}/access-right/PUBLIC")
    assert graph.value(dataset, DCTERMS.spatial) == iri("/v1/codes/kemendagri/33.20")
    assert graph.value(URIRef(f"{dataset}#temporal"), DCAT.endDate).toPython() == DAY
    contact = graph.value(dataset, DCAT.contactPoint)
    assert graph.value(contact, VCARD.hasEmail) == URIRef("mailto:data@jepara.go.id")
    csv = URIRef(f"{dataset}#csv")
    assert graph.value(csv, DCAT.accessURL) == iri("/v1/records/fasilitas-kesehatan?agencies=dinkes&f=csv")
    assert graph.value(csv, DCTERMS.license) == URIRef("https://creativecommons.org/licenses/by/4.0/")
    assert graph.value(csv, DCAT.accessService) == iri("/v1/records")
    assert {str(one).rpartition("#")[2] for one in graph.objects(dataset, DCAT.distribution)} == {
        "json", "ndjson", "csv", "xlsx", "parquet", "geojson",
    }  # fmt: skip
    (view,) = graph.subjects(RDF.type, HYDRA.PagedCollection)
    assert (graph.value(view, HYDRA.totalItems).toPython(), str(graph.value(view, HYDRA.next))) == (
        7, f"{BASE}/v1/datasets?f=jsonld&after=b",
    )  # fmt: skip


def test_what_is_not_known_is_not_said() -> None:
    unknown = described("pulau", licence=None, freshness=None, publisher=Agency("dinkes", "Dinas Kesehatan"))
    graph = page(unknown, newest=None)
    dataset = iri()
    assert list(graph.objects(None, DCTERMS.license)) == []
    assert list(graph.objects(dataset, DCTERMS.temporal)) == []
    contact = graph.value(dataset, DCAT.contactPoint)
    assert [graph.value(contact, name) for name in (VCARD.hasEmail, VCARD.hasTelephone, VCARD.hasURL)] == [None] * 3


@pytest.mark.parametrize(
    ("schema", "more", "right", "distributions"),
    [
        ("penduduk_verifikasi", {}, "NON_PUBLIC", 0),
        ("fasilitas_kesehatan", {"state": State.SUSPENDED}, "PUBLIC", 0),
        ("realisasi_apbd", {}, "PUBLIC", 5),
    ],
)
def test_persons_and_suspended_datasets_have_no_distribution(
    schema: str, more: dict[str, Any], right: str, distributions: int
) -> None:
    graph = page(described(schema, **more))
    assert graph.value(iri(), DCTERMS.accessRights) == URIRef(f"{AUTHORITY}/access-right/{right}")
    assert len(list(graph.objects(iri(), DCAT.distribution))) == distributions


def test_each_of_our_schemas_has_a_theme_and_a_frequency_that_its_words_mean() -> None:
    assert {schema.meta.name for schema in registry.all_schemas() if theme_of(schema.meta) not in THEMES} == set()
    told = {schema.meta.frekuensi.split(" ")[0] for schema in registry.all_schemas()}
    assert told <= {"Harian", "Mingguan", "Bulanan", "Triwulanan", "Semesteran", "Tahunan", "Saat"}, told
