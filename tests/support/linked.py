"""JSON-LD as a graph, and the official shapes of DCAT-AP 3 that it is held to. Nothing here asks a network."""

from __future__ import annotations

import warnings
from functools import cache
from pathlib import Path

from rdflib import Graph
from rdflib.namespace import SH

SHAPES = Path(__file__).resolve().parents[1] / "fixtures" / "dcat_ap"
BINDING = ("dcat-ap-SHACL.ttl", "shapes.ttl", "range.ttl")
RECOMMENDED = "shapes_recommended.ttl"


@cache
def shapes(name: str) -> Graph:
    """The shapes of one file, without the properties that it names and never says a word of (the file's README counts them)."""
    graph = Graph().parse(SHAPES / name, format="turtle")
    for shape, node in list(graph.subject_objects(SH.property)):
        if (node, None, None) not in graph:
            graph.remove((shape, SH.property, node))
    return graph


def graph_of(text: str | bytes) -> Graph:
    """The triples of a JSON-LD document."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", DeprecationWarning)  # rdflib's own parser uses a class that rdflib deprecates
        return Graph().parse(data=text, format="json-ld")


def breaches(graph: Graph, name: str) -> list[str]:
    """What of a graph breaks the shapes of a file, one line each: path, node, message, whatever the severity."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        from pyshacl import validate

        _, report, _ = validate(graph, shacl_graph=shapes(name), advanced=False, inference="none")
    assert isinstance(report, Graph)
    results = report.subjects(SH.resultSeverity, None)
    members = (SH.resultSeverity, SH.resultPath, SH.focusNode, SH.resultMessage)
    return sorted({" ".join(str(report.value(one, member)) for member in members) for one in results})
