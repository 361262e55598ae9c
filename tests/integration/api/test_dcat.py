"""The catalogue over HTTP as JSON-LD: negotiated, paged, conditional, and held to the shapes of DCAT-AP 3."""

from __future__ import annotations

import json
from urllib.parse import urlsplit

import pytest
from rdflib import RDF, Graph, URIRef
from rdflib.namespace import DCAT, DCTERMS, Namespace

from tests.support.gateway import RunningGateway
from tests.support.linked import BINDING, breaches, graph_of

HYDRA = Namespace("http://www.w3.org/ns/hydra/core#")
LINKED = "application/ld+json"


def harvested(gateway: RunningGateway, path: str) -> Graph:
    """All pages as one graph, each followed as a harvester does."""
    caller, whole, seen = gateway.client("client", "rsud"), Graph(), 0
    while path:
        answer = caller.get(path, headers={"accept": LINKED})
        assert (answer.status_code, answer.headers["content-type"]) == (200, LINKED), answer.text
        graph = graph_of(answer.content)
        for shape in BINDING:
            assert breaches(graph, shape) == []
        (view,) = graph.subjects(RDF.type, HYDRA.PartialCollectionView)
        following = graph.value(view, HYDRA.next)
        parts = urlsplit(str(following or ""))
        path = f"{parts.path}?{parts.query}" if following is not None else ""
        whole, seen = whole + graph, seen + 1
        assert seen < 20
    return whole


def test_the_pages_hold_what_the_list_holds(gateway: RunningGateway) -> None:
    items = gateway.admin.get("/v1/datasets").json()["items"]
    assert len(items) >= 3
    for path in ("/v1/datasets", "/v1/datasets?limit=1", "/v1/datasets?limit=2&f=jsonld"):
        graph = harvested(gateway, path)
        found = {str(one) for one in graph.subjects(RDF.type, DCAT.Dataset)}
        assert found == {f"{gateway.url}/v1/datasets/{item['id']}" for item in items}
        titles = {str(graph.value(URIRef(one), DCTERMS.title)) for one in found}
        assert titles == {item["title"] for item in items}


def test_pages_of_json_go_on_where_the_last_ended(gateway: RunningGateway) -> None:
    whole = [item["id"] for item in gateway.admin.get("/v1/datasets").json()["items"]]
    first = gateway.admin.get("/v1/datasets", params={"limit": 2}).json()
    assert ([item["id"] for item in first["items"]], first["next_after"]) == (whole[:2], whole[1])
    rest = gateway.admin.get("/v1/datasets", params={"after": first["next_after"]}).json()
    assert ([item["id"] for item in rest["items"]], rest["next_after"]) == (whole[2:], None)


def test_one_dataset_alone_is_the_same_node(gateway: RunningGateway) -> None:
    caller = gateway.client("client", "rsud")
    graph = graph_of(caller.get("/v1/datasets/dinkes-faskes", params={"f": "jsonld"}).content)
    for shape in BINDING:
        assert breaches(graph, shape) == []
    node = URIRef(f"{gateway.url}/v1/datasets/dinkes-faskes")
    listed = harvested(gateway, "/v1/datasets")
    assert set(graph.predicate_objects(node)) == set(listed.predicate_objects(node))
    assert list(graph.subjects(RDF.type, DCAT.Catalog)) == []
    csv = str(graph.value(URIRef(f"{node}#csv"), DCAT.accessURL))
    assert caller.get(csv).headers["content-type"].startswith("text/csv")


def test_the_form_is_negotiated_and_both_are_conditional(gateway: RunningGateway) -> None:
    caller = gateway.client("client", "rsud")
    tags = set()
    for accept, kind in (
        ("application/json", "application/json"), ("*/*", "application/json"), ("text/html, application/*;q=0.5", "application/json"),
        ("application/json;q=0.1, application/ld+json", LINKED), ('application/ld+json;profile="http://www.w3.org/ns/json-ld#compacted"', LINKED),
    ):  # fmt: skip
        answer = caller.get("/v1/datasets", headers={"accept": accept})
        assert answer.headers["content-type"] == kind, accept
        assert "accept" in answer.headers["vary"].lower()
        again = caller.get("/v1/datasets", headers={"accept": accept, "if-none-match": answer.headers["etag"]})
        assert (again.status_code, again.content) == (304, b"")
        tags.add(answer.headers["etag"])
    assert len(tags) == 2


@pytest.mark.parametrize(
    ("path", "headers", "status", "code"),
    [
        ("?f=turtle", {}, 406, "not_acceptable"),
        ("", {"accept": "text/turtle"}, 406, "not_acceptable"),
        ("/dinkes-faskes?f=xml", {}, 406, "not_acceptable"),
        ("?limit=0", {}, 422, "limit_out_of_range"),
        ("?limit=100001", {}, 422, "limit_out_of_range"),
        ("?page=2", {}, 422, "parameter_unknown"),
        ("/tidak-ada?f=jsonld", {}, 404, "not_found"),
    ],
)
def test_what_is_not_offered_is_refused(
    gateway: RunningGateway, path: str, headers: dict[str, str], status: int, code: str
) -> None:
    refused = gateway.admin.get(f"/v1/datasets{path}", headers=headers)
    assert (refused.status_code, refused.json()["code"]) == (status, code), refused.text


def test_without_a_token_nothing_is_told(gateway: RunningGateway) -> None:
    refused = gateway.admin.get("/v1/datasets?f=jsonld", headers={"authorization": ""})
    assert refused.status_code == 401
    assert "@graph" not in json.dumps(refused.json())
