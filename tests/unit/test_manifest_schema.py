"""The JSON Schema of a manifest fits every manifest that is accepted, and refuses what the structure forbids."""

from __future__ import annotations

import copy
import json
import re
from pathlib import Path
from typing import Any

import pytest
import yaml
from jsonschema_rs import Draft202012Validator

from app.connectors.registry import KINDS
from app.datasets.manifest import Manifest, ReadBlock, parse_manifest
from app.datasets.manifest_schema import manifest_schema
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.contract import StepContext
from app.datasets.mapping.steps.structures import STRUCTURES
from app.datasets.yaml_text import load_all_yaml, load_yaml
from app.errors import ManifestInvalid, MappingInvalid
from app.schemas import registry

ROOT = Path(__file__).resolve().parents[2]
VALIDATOR = Draft202012Validator(json.loads(json.dumps(manifest_schema())))
WHOLE: dict[str, Any] = {
    "connector": "dinkes-faskes",
    "agency": "dinkes",
    "schema": "fasilitas_kesehatan@1",
    "source": {"kind": "file", "location": "inbox/a.csv"},
    "fields": {"kode_faskes": "kode", "nama": {"from": "nama", "text": "squeeze"}},
}


def as_json(document: Any) -> Any:
    """Keys that YAML reads as truth values are the texts that JSON has."""
    if isinstance(document, dict):
        return {
            str(key).lower() if isinstance(key, bool) else str(key): as_json(value) for key, value in document.items()
        }
    return [as_json(one) for one in document] if isinstance(document, list) else document


def written() -> list[tuple[str, dict[str, Any]]]:
    files = [
        *sorted((ROOT / "tests/acceptance/manifests").glob("*.yaml")),
        *sorted((ROOT / "examples").rglob("*.yaml")),
    ]
    found = []
    for file in files:
        text = re.sub(r"\$\{(BASE|REST|CKAN)\}", "http://127.0.0.1:1", file.read_text("utf-8"))
        found += [
            (file.name, one)
            for one in load_all_yaml(text)
            if isinstance(one, dict) and "connector" in one and "source" in one
        ]
    return found


@pytest.mark.parametrize(("name", "document"), written(), ids=lambda value: value if isinstance(value, str) else "")
def test_every_manifest_of_the_project_fits(name: str, document: dict[str, Any]) -> None:
    parse_manifest(copy.deepcopy(document))

    assert [error.message for error in VALIDATOR.iter_errors(as_json(document))] == [], name


def blocks() -> list[dict[str, Any]]:
    """Every field's mapping that the page of manifests shows."""
    page = (ROOT / "docs/reference/manifest.md").read_text("utf-8")
    found = []
    for text in re.findall(r"```yaml\n(.*?)```", page, re.DOTALL):
        shown = load_yaml(text)
        if not shown.keys() & {*Manifest.model_fields, "schema", "read", "source"}:
            found.append(shown)
    return found


def test_every_mapping_of_the_page_fits() -> None:
    shown = blocks()
    assert len(shown) > 50
    for fields in shown:
        document = {**WHOLE, "fields": as_json(fields)}
        assert [error.message for error in VALIDATOR.iter_errors(document)] == [], yaml.safe_dump(fields)


@pytest.mark.parametrize(
    ("change", "value"),
    [
        ("fields.nama.squeze", True),
        ("fields.nama.lookup", {"level": "kecamatan", "parents": "33.20"}),
        ("fields.nama.lookup", {"parent": "33.20"}),
        ("fields.nama.from", 3),
        ("fields.nama.const", "x"),
        ("fields.nama.else", "skip"),
        ("source.delimter", ";"),
        ("source.kind", "ftp"),
        ("source.location", 3),
        ("read", {"skip_blank_row": True}),
        ("read", {"unpivot": {"keep": ["a"]}}),
        ("agency", "Dinas Kesehatan"),
        ("owner", "dinkes"),
    ],
)
def test_what_the_gateway_refuses_for_its_structure_the_schema_refuses(change: str, value: Any) -> None:
    document = copy.deepcopy(WHOLE)
    *steps, last = change.split(".")
    inner = document
    for step in steps:
        inner = inner[step]
    inner[last] = value

    with pytest.raises((ManifestInvalid, MappingInvalid)):
        compile_mapping(parse_manifest(document), registry.get("fasilitas_kesehatan"), empty_code_book())
    assert not VALIDATOR.is_valid(document)


def options_of(schema: Any) -> set[str]:
    """The options of a step by the schema: of its form as an object."""
    forms = schema.get("anyOf", [schema])
    return {name for form in forms for name in form.get("properties", {})}


@pytest.mark.parametrize("name", sorted(STEPS))
def test_a_step_takes_the_options_that_the_schema_names(name: str) -> None:
    known = options_of(STRUCTURES[name])
    context = StepContext(f"/fields/x/{name}", empty_code_book(), "Asia/Jakarta")
    if not known:
        assert name in {"text", "slice", "join", "multiply", "date", "codes", "hemisphere", "felt"}
        return

    with pytest.raises(MappingInvalid) as refused:
        STEPS[name]({"tidak_ada": 1}, context)

    told = re.search(r"known: (.*)$", str(refused.value.detail))
    assert told is not None, refused.value.detail
    assert set(told[1].split(", ")) == known


def test_the_schema_names_what_the_models_name() -> None:
    schema = manifest_schema()
    assert set(schema["properties"]) == {"kind", "schema", *Manifest.model_fields} - {"schema_ref"}
    assert set(schema["$defs"]["ReadBlock"]["properties"]) == set(ReadBlock.model_fields)
    for kind in KINDS.values():
        named = {info.alias or name for name, info in kind.source_model.model_fields.items()}
        assert set(schema["$defs"][f"source_{kind.name}"]["properties"]) == named
