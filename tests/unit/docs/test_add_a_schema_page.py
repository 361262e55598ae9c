"""The page on adding a schema: its model is a schema, its manifest compiles, its raw record becomes the record it shows."""

from __future__ import annotations

import importlib
import json
import re
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

import app.schemas
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
def schema(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[SchemaDef]:
    """The page's model, from a folder that counts as part of `app/schemas`, in the registry."""
    (code,) = SECTION.blocks("python")
    (tmp_path / f"{NAME}.py").write_text(code, "utf-8")
    monkeypatch.setattr(app.schemas, "__path__", [*app.schemas.__path__, str(tmp_path)])
    made = registry._defined(importlib.import_module(f"app.schemas.{NAME}").RuangTerbukaHijau)
    monkeypatch.setattr(registry, "_SCHEMAS", {**registry._SCHEMAS, made.name: made})
    yield made
    del sys.modules[f"app.schemas.{NAME}"]


def test_the_manifest_makes_of_the_raw_record_what_the_page_shows(schema: SchemaDef) -> None:
    (manifest,) = SECTION.blocks("yaml")
    raw, shown = (json.loads(text) for text in re.findall(r"`(\{\"[^`]+)`", SECTION.text))
    mapping = compile_mapping(parse_manifest(manifest), schema, empty_code_book())

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
