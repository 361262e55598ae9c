"""The manifest's JSON Schema and a PUT agree: the schema fits all that is taken, and what it refuses is refused at the same place."""

from __future__ import annotations

import copy
import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from jsonschema import Draft202012Validator
from jsonschema.exceptions import ValidationError

from app.api.registry.manifest_document import components
from app.connectors.registry import kinds
from app.datasets.manifest import parse_manifest
from app.datasets.manifest_schema import manifest_schema
from app.datasets.manifest_structure import as_json, require_structure
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.errors import ManifestInvalid
from app.main import build_openapi
from app.schemas import registry
from tests.unit.test_manifest_schema import WHOLE, written

ROOT = Path(__file__).resolve().parents[2]
SCHEMA = json.loads(json.dumps(manifest_schema()))
VALIDATOR = Draft202012Validator(SCHEMA)
FREE = {"#/$defs/source_rest/properties/body/anyOf/0", "#/$defs/step_codes"}
"""Objects whose members are the source's own: the question that a service is asked, the values that it uses."""
SOURCES: list[dict[str, Any]] = [
    {"kind": "file", "location": "inbox/a.xlsx", "sheet": "Data", "header": {"rows": [3, 4]}, "stop_at": "JUMLAH"},
    {"kind": "rest", "url": "https://x.example/a", "paging": {"kind": "page", "size": 100}, "headers": {"X-A": "b"}},
    {"kind": "sql", "url": "sqlite:register.db", "table": "warga", "key": ["id"], "deadline": "30s", "concurrency": 2},
    {"kind": "ckan", "url": "https://data.example", "resource": "abc"},
    {"kind": "ogc", "url": "https://peta.example/ogc", "collection": "batas", "bbox": [110.0, -7.0, 111.0, -6.0]},
]
FIELDS: dict[str, Any] = {
    "kode_faskes": "kode",
    "nama": {"from": ["nama", "gelar"], "join": " ", "text": ["squeeze", "title"], "else": "null"},
    "jenis": {"from": "jenis", "codes": {"RS": "rumah_sakit"}},
    "kode_wilayah": {"from": "desa", "lookup": {"level": "desa", "parent": "'33.20'", "blanks": "ignore"}},
    "lat": {"when": [{"if": "lat IS NOT NULL", "from": "lat", "number": {"decimal": ","}}, {"const": 1.5}]},
}
READ = {"skip_blank_rows": True, "missing": ["-"], "unpivot": {"keep": ["a"], "name": "n", "value": "v"}}
ODD = st.one_of(
    st.none(), st.booleans(), st.integers(-(10**12), 10**12), st.floats(allow_nan=False, allow_infinity=False),
    st.sampled_from(["", "yes", "1", "true", "12", "x" * 400, "30s", "reject", "trim", "$.a", "2026-01-01"]),
    st.lists(st.sampled_from(["a", 1, None, True]), max_size=3),
    st.dictionaries(st.sampled_from(["from", "kind", "text", "unknown", "level"]), st.sampled_from(["a", 1, None]), max_size=2),
)  # fmt: skip


def sent(document: Any) -> None:
    """What PUT does with a document, up to what only a gateway knows; raises `ManifestInvalid`."""
    try:
        manifest = parse_manifest(copy.deepcopy(document), draft="fields" not in document)
        if manifest.schema_ref is not None and manifest.fields:
            compile_mapping(manifest, registry.get(manifest.schema_ref), empty_code_book())
    except ManifestInvalid as error:
        require_structure(document, error)
    require_structure(document)


def put(document: Any) -> set[str]:
    """The pointers of the faults, none when it is taken."""
    try:
        sent(document)
    except ManifestInvalid as error:
        return {fault.pointer for fault in error.errors} or {""}
    return set()


def places(error: ValidationError) -> Iterator[tuple[str | int, ...]]:
    """Where a fault of the schema is: a member that lacks or is too many has its own place."""
    at = tuple(error.absolute_path)
    if error.validator == "required":
        yield from ((*at, name) for name in error.validator_value if name not in error.instance)
    elif error.validator == "additionalProperties":
        yield from ((*at, name) for name in error.instance if name not in error.schema.get("properties", {}))
    else:
        yield at


def pointer(place: tuple[str | int, ...]) -> str:
    return "".join("/" + str(step).replace("~", "~0").replace("/", "~1") for step in place)


def along(one: str, other: str) -> bool:
    """The same place, or one inside the other (a form that fits nothing is told as a whole or by what is wrong in it)."""
    return one == other or one.startswith(other + "/") or other.startswith(one + "/")


def inner(value: Any, place: tuple[Any, ...] = ()) -> Iterator[tuple[Any, ...]]:
    yield place
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        yield from inner(item, (*place, name))


@st.composite
def documents(draw: Any) -> Any:
    """A manifest with one or two things changed: a value put in the place of another, a member taken away or added."""
    document: dict[str, Any] = {**copy.deepcopy(WHOLE), "source": copy.deepcopy(draw(st.sampled_from(SOURCES)))}
    document |= draw(st.sampled_from([{}, {"read": copy.deepcopy(READ)}, {"snapshot": {"every": "1h"}}]))
    document["fields"] = copy.deepcopy(FIELDS)
    for _ in range(draw(st.integers(1, 2))):
        *above, last = draw(st.sampled_from([place for place in inner(document) if place]))
        holder: Any = document
        for step in above:
            holder = holder[step]
        how = draw(st.sampled_from(["put", "put", "take", "add"]))
        if how == "put":
            holder[last] = draw(ODD)
        elif how == "take":
            del holder[last]
        elif isinstance(holder, dict):
            holder[draw(st.sampled_from(["unknown", "squeze", "else", "kind", "title"]))] = draw(ODD)
    return document


@settings(max_examples=300, deadline=None)
@given(documents())
def test_a_put_and_the_schema_agree(document: Any) -> None:
    faults = list(VALIDATOR.iter_errors(as_json(document)))
    told = put(document)

    if not told:
        assert [error.message for error in faults] == []
    for error in faults:
        for place in places(error):
            assert any(along(pointer(place), one) for one in told), (pointer(place), error.message, told)


@pytest.mark.parametrize(("name", "document"), written(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_manifest_of_the_project_is_taken_by_both(name: str, document: dict[str, Any]) -> None:
    assert [error.message for error in VALIDATOR.iter_errors(as_json(document))] == [], name
    require_structure(document)


@pytest.mark.parametrize(
    ("place", "value", "code"),
    [
        (("read", "skip_blank_rows"), "yes", "type"),
        (("source", "concurrency"), "4", "type"),
        (("source", "header", "rows", 0), "3", "type"),
        (("fields", "lat", "when", 0, "number", "decimal"), ",,", None),
        (("accept_rejects",), "0.3", "type"),
        (("fields", "kode_wilayah", "lookup", "blanks"), "both", None),
    ],
)
def test_nothing_is_converted_in_silence(place: tuple[Any, ...], value: Any, code: str | None) -> None:
    document = {**copy.deepcopy(WHOLE), "source": copy.deepcopy(SOURCES[0]), "read": copy.deepcopy(READ)}
    document["fields"] = copy.deepcopy(FIELDS)
    holder: Any = document
    for step in place[:-1]:
        holder = holder[step]
    holder[place[-1]] = value

    with pytest.raises(ManifestInvalid) as refused:
        sent(document)
    faults = {fault.pointer: fault.code for fault in refused.value.errors}
    assert any(along(pointer(place), one) for one in faults)
    assert code is None or faults[pointer(place)] == code


def objects(schema: Any, place: str) -> Iterator[tuple[str, dict[str, Any]]]:
    if isinstance(schema, dict):
        if schema.get("type") == "object":
            yield place, schema
        for name, value in schema.items():
            yield from objects(value, f"{place}/{name}")
    elif isinstance(schema, list):
        for number, value in enumerate(schema):
            yield from objects(value, f"{place}/{number}")


def test_every_object_is_closed_or_says_what_its_members_are() -> None:
    open_ones = {place for place, schema in objects(SCHEMA, "#") if schema.get("additionalProperties", True) is True}

    assert open_ones == FREE


def test_the_document_shows_the_same_schema_as_the_body() -> None:
    """Its references put back, the body of the PUT is what `/v1/manifest-schema` serves."""
    document = build_openapi()
    body = document["paths"]["/v1/connectors/{connector}"]["put"]["requestBody"]["content"]["application/json"][
        "schema"
    ]
    assert body == {"$ref": "#/components/schemas/ManifestBody"}
    shown = document["components"]["schemas"]
    assert all(shown[name] == part for name, part in components().items())
    assert set(shown["ManifestSource"]["discriminator"]["mapping"]) == set(kinds())
    assert len(shown["ManifestSource"]["oneOf"]) == len(kinds())
    text = json.dumps({**shown["ManifestBody"], "$defs": {name: shown[name] for name in components()}})
    moved = json.loads(text.replace("#/components/schemas/", "#/$defs/"))
    Draft202012Validator.check_schema(moved)
    moved_validator = Draft202012Validator(moved)
    for name, one in written():
        assert moved_validator.is_valid(as_json(one)), name
    assert not moved_validator.is_valid({**WHOLE, "source": {**WHOLE["source"], "delimter": ";"}})
    assert re.search(r'"\$defs/', json.dumps(shown["ManifestBody"])) is None


@pytest.mark.parametrize("source", SOURCES, ids=lambda source: source["kind"])
def test_what_is_changed_above_was_taken_before(source: dict[str, Any]) -> None:
    for more in ({}, {"read": READ}, {"snapshot": {"every": "1h"}}):
        assert put({**WHOLE, "source": source, **more, "fields": FIELDS}) == set()
