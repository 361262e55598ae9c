"""Bodies take what the document says that they take, member by member; what they refuse is told in the API's own codes."""

from __future__ import annotations

from typing import Any

import pytest
from pydantic import BaseModel, ValidationError

from app.api.governance.access import RevokeBody, TokenBody
from app.api.layer.bodies import field_errors, validated
from app.api.layer.wire import AgencyChange, ClientBody, PublishBody, documents
from app.api.records.match_persons import PersonMatchBody
from app.api.records.verify import VerifyBody
from app.api.routes import RESOURCES
from app.datasets.manifest import parse_manifest
from app.errors import ManifestInvalid, ValidationFailed
from app.faults import CODES

BODIES = sorted(
    {model for one in RESOURCES for model in one.bodies} - {RevokeBody, TokenBody},
    key=lambda one: one.__name__,
)
"""A token is asked for by a form."""
OTHERS: dict[str, tuple[Any, ...]] = {
    "string": (5, True, 1.5, ["a"], {}),
    "integer": ("5", True, 1.0, 1.5, [1], {}),
    "boolean": ("true", 1, 0, [], {}),
    "array": ("a", 5, {}, {"0": "a"}),
    "object": ("a", 5, []),
}


def members() -> list[Any]:
    made = documents(BODIES)
    return [
        pytest.param(model, name, schema, id=f"{model.__name__}.{name}")
        for model in BODIES
        for name, schema in made[model.__name__]["properties"].items()
    ]


def forms(schema: dict[str, Any]) -> list[dict[str, Any]]:
    """The alternatives of a member."""
    return list(schema.get("anyOf", [schema]))


def refused(model: type[BaseModel], name: str, value: Any) -> list[str]:
    """The codes of what is wrong with a member."""
    try:
        model.model_validate({name: value})
    except ValidationError as error:
        found = field_errors(error, model, {name: value})
        assert {one.code for one in found} <= CODES.keys()
        return [one.code for one in found if one.pointer.startswith(f"/{name}") and one.code != "missing"]
    return []


@pytest.mark.parametrize(("model", "name", "schema"), members())
def test_null_is_taken_where_the_document_says_so_and_nowhere_else(
    model: type[BaseModel], name: str, schema: dict[str, Any]
) -> None:
    anything = not schema.keys() & {"type", "anyOf", "$ref", "enum", "const"}
    nullable = any(form.get("type") == "null" for form in forms(schema)) or anything
    assert bool(refused(model, name, None)) is not nullable


@pytest.mark.parametrize(("model", "name", "schema"), members())
def test_a_value_of_another_type_is_refused_and_not_converted(
    model: type[BaseModel], name: str, schema: dict[str, Any]
) -> None:
    types = {form.get("type") for form in forms(schema)} - {"null", None}
    if len(types) == 1 and not any("$ref" in form for form in forms(schema)):
        for value in OTHERS[types.pop()]:
            assert refused(model, name, value), value


def told(model: type[BaseModel], document: Any) -> list[tuple[str, str, str]]:
    with pytest.raises(ValidationFailed) as caught:
        validated(model, document)
    return [(one.pointer, one.code, one.detail) for one in caught.value.errors]


def test_an_unknown_member_is_told_those_that_stand_there() -> None:
    person = {"key": "1", "values": {"nama": "A", "alamat": "B"}}
    assert told(PersonMatchBody, {"keys": [person]}) == [
        ("/keys/0/values/alamat", "unknown", "known: nama, tanggal_lahir")
    ]
    assert told(VerifyBody, {"nik": "1", "a/b": 1}) == [
        ("/a~1b", "unknown", "known: nama, nik, purpose, tanggal_lahir")
    ]


@pytest.mark.parametrize(
    ("model", "document", "pointer", "code"),
    [
        (ClientBody, [], "", "type"),
        (ClientBody, {"agency": "rsud", "role": "client"}, "/name", "missing"),
        (ClientBody, {"agency": "rsud", "role": "x", "name": "a"}, "/role", "choice"),
        (ClientBody, {"agency": "RSUD!", "role": "client", "name": "a"}, "/agency", "pattern"),
        (ClientBody, {"agency": "rsud", "role": "client", "name": ""}, "/name", "length"),
        (PublishBody, {"revision": 0}, "/revision", "range"),
        (PublishBody, {"unchecked": None}, "/unchecked", "type"),
        (AgencyChange, {"name": None}, "/name", "type"),
        (AgencyChange, {"env_allow": ["A"] * 101}, "/env_allow", "count"),
        (VerifyBody, {"nik": "1", "tanggal_lahir": 0}, "/tanggal_lahir", "type"),
        (VerifyBody, {"nik": "1", "tanggal_lahir": "0"}, "/tanggal_lahir", "type"),
        (VerifyBody, {"nik": "1", "tanggal_lahir": "1990-02-30"}, "/tanggal_lahir", "type"),
        (VerifyBody, {"nik": "1", "tanggal_lahir": "1990-01-01T00:00:00"}, "/tanggal_lahir", "type"),
    ],
)
def test_each_kind_of_fault_has_its_code(model: type[BaseModel], document: Any, pointer: str, code: str) -> None:
    assert [(place, found) for place, found, _ in told(model, document)] == [(pointer, code)]


def test_a_manifest_is_told_in_the_same_codes() -> None:
    document = {"connector": "a-b", "agency": "A!", "schema": "wilayah/1", "source": {"kind": "file"}, "titel": 1}
    with pytest.raises(ManifestInvalid) as caught:
        parse_manifest(document)
    found = {one.pointer: one.code for one in caught.value.errors}
    assert found["/titel"] == "unknown"
    assert found["/source/location"] == "missing"
    assert found["/agency"] == "pattern"


def test_a_whole_number_may_be_written_with_a_fraction_of_nothing() -> None:
    assert validated(PublishBody, {"revision": 3.0}).revision == 3
    with pytest.raises(ValidationFailed) as refused:
        validated(PublishBody, {"revision": 3.5})
    assert [(fault.pointer, fault.code) for fault in refused.value.errors] == [("/revision", "type")]
