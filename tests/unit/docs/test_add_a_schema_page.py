"""The page on adding a schema: its model is a schema, its manifest compiles, its raw record becomes the record it shows."""

from __future__ import annotations

import json
import re
import sys
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

from app.datasets.manifest import parse_manifest
from app.datasets.mapping.codes import empty_code_book
from app.datasets.mapping.mapping import compile_mapping
from app.datasets.selection import map_record
from app.schemas import registry
from app.schemas.base import SchemaMeta
from app.schemas.definition import SchemaDef
from app.schemas.wire import wire_value
from tests.support.pages import DOCS, sections, table_rows

PAGE = "how-to/add-a-schema.md"
(SECTION,) = sections(PAGE)
NAME = "ruang_terbuka_hijau"


@pytest.fixture
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SchemaDef:
    """The schema of the page's model, from a file of its name."""
    (code,) = SECTION.blocks("python")
    file, name = tmp_path / f"{NAME}.py", f"app.schemas.{NAME}"
    file.write_text(code, "utf-8")
    spec = spec_from_file_location(name, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    monkeypatch.setitem(sys.modules, name, module)  # where its annotations are looked up
    spec.loader.exec_module(module)
    return registry._defined(module.RuangTerbukaHijau)


def test_the_manifest_makes_of_the_raw_record_what_the_page_shows(schema: SchemaDef) -> None:
    (manifest,) = SECTION.blocks("yaml")
    raw, shown = (json.loads(text) for text in re.findall(r"`(\{\"[^`]+)`", SECTION.text))
    mapping = compile_mapping(
        parse_manifest(manifest, schema_called={schema.meta.ref: schema}.__getitem__), schema, empty_code_book()
    )

    record, rejects = map_record(mapping, schema, raw, "line 2")

    assert rejects == []
    assert record is not None
    assert {name: wire_value(value) for name, value in record.values.items() if value is not None} == shown


def test_the_schema_is_named_and_classed_as_the_page_says(schema: SchemaDef) -> None:
    assert f"`{schema.meta.ref}` in manifests, `/v1/records/{schema.meta.slug}` in addresses" in SECTION.text
    assert "telepon_pengelola" not in schema.open_fields
    assert set(schema.open_fields) == set(schema.fields) - {"telepon_pengelola"}


def test_the_parts_of_the_table_are_parts_of_a_model() -> None:
    known = {*SchemaMeta.__dataclass_fields__, "akses", "pdp", "unit", "example"}
    named = [name for cells in table_rows(SECTION.text) for name in re.findall(r"`(\w+)`", cells[0])]

    assert [name for name in named if name not in known] == []
    assert len(named) > 8


def test_the_places_that_the_page_names_exist() -> None:
    for path in re.findall(r"`((?:app|tests)/[\w/]+\.py)`", SECTION.text):
        assert (DOCS.parent / path).is_file(), path
