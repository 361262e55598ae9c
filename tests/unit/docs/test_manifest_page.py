"""The manifest page against the code: every key, option and step has its section, every example compiles and maps as shown."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from typing import Any, get_args

import pyarrow as pa
import pytest
from pydantic import BaseModel

from app.connectors.registry import KINDS
from app.connectors.source import SourceBase
from app.datasets.manifest import Freshness, HealthBlock, Manifest, ReadBlock, SnapshotBlock, Unpivot, parse_manifest
from app.datasets.mapping.codes import CROSSWALK_SCHEMA, LEVELS, REGION_SCHEMA, InMemoryCodeBook
from app.datasets.mapping.compile import _BESIDE, _SOURCES
from app.datasets.mapping.mapping import compile_mapping
from app.datasets.mapping.steps import STEPS
from app.datasets.mapping.steps.contract import StepContext
from app.datasets.mapping.steps.coordinates import _HEMISPHERES
from app.datasets.mapping.steps.numbers import _UNITS
from app.datasets.mapping.steps.texts import _TEXT
from app.datasets.mapping.steps.times import _FIELDS, _ZONES
from app.datasets.yaml_text import load_yaml
from app.errors import MappingInvalid
from app.schemas import registry
from tests.support.pages import Section, sections

PAGE = "reference/manifest.md"
NAMED = re.compile(r"(?:(\w+): )?`([^`]+)`")
DEFAULT = re.compile(r"Default:\s`([^`]+)`\.")
SHOWN = re.compile(r"^# (.+) -> (.+)$", re.MULTILINE)
REGIONS = [
    ("33", "Jawa Tengah", "provinsi", None),
    ("33.19", "Kabupaten Kudus", "kabupaten", "33"),
    ("33.20", "Kabupaten Jepara", "kabupaten", "33"),
    ("33.20.06", "Jepara", "kecamatan", "33.20"),
    ("33.20.08", "Bangsri", "kecamatan", "33.20"),
    ("33.20.01", "Kedung", "kecamatan", "33.20"),
    ("33.20.10", "Karimunjawa", "kecamatan", "33.20"),
]
CROSSWALK = [("bps", "3320", "JEPARA", "kabupaten", "33.20"), ("bps", "3320080", "JEPARA", "kecamatan", "33.20.06")]


def book() -> InMemoryCodeBook:
    def table(rows: list[Any], schema: pa.Schema) -> pa.Table:
        return pa.table([pa.array(column, pa.string()) for column in zip(*rows, strict=True)], names=schema.names)

    return InMemoryCodeBook("1", table(REGIONS, REGION_SCHEMA), table(CROSSWALK, CROSSWALK_SCHEMA))


def keys_of(model: type[BaseModel], prefix: str = "") -> dict[str, Any]:
    """Every key of a model with its default, those of the models inside it behind a point."""
    found: dict[str, Any] = {}
    for name, field in model.model_fields.items():
        found[prefix + (field.alias or name)] = None if field.is_required() else field.get_default()
        for inside in (field.annotation, *get_args(field.annotation)):
            if isinstance(inside, type) and issubclass(inside, BaseModel) and inside is not SourceBase and prefix == "":
                found |= keys_of(inside, f"{field.alias or name}.")
    return found


def options_of(step: str) -> list[str]:
    """The options that a step names when it is given another."""
    if step == "each":
        return ["fields"]
    if step == "boolean":
        return ["true", "false"]
    try:
        STEPS[step]({"?": 1}, StepContext("", book(), "Asia/Jakarta"))
    except (MappingInvalid, TypeError) as refused:
        return [name for name in str(refused).partition("known: ")[2].split(", ") if name]
    return []


def wanted() -> set[tuple[str, str, str]]:
    """What must have a section: the part of the page, the kind of the source, the key."""
    found = {("Keys of a manifest", "", name) for name in (*keys_of_only(Manifest), "kind")}
    found |= {("`read`", "", f"read.{name}") for name in ReadBlock.model_fields}
    found |= {("`read`", "", f"read.unpivot.{name}") for name in Unpivot.model_fields}
    found |= {("`freshness`", "", f"freshness.{name}") for name in Freshness.model_fields}
    found |= {("`snapshot`", "", f"snapshot.{name}") for name in SnapshotBlock.model_fields}
    found |= {("`health`", "", f"health.{name}") for name in HealthBlock.model_fields}
    found |= {("Source: every kind", "", name) for name in SourceBase.model_fields}
    for kind in KINDS.values():
        own = set(keys_of(kind.source_model)) - set(SourceBase.model_fields)
        found |= {(f"Source: `{kind.name}`", kind.name, name) for name in own}
    found |= {("A field", "", name) for name in {*_SOURCES, *_BESIDE}}
    for step in (*STEPS, "each"):
        found.add(("Steps", "", step))
        found |= {("Steps", "", f"{step}.{option}") for option in options_of(step)}
    return found


def keys_of_only(model: type[BaseModel]) -> list[str]:
    return [field.alias or name for name, field in model.model_fields.items()]


def named() -> Iterator[tuple[tuple[str, str, str], Section]]:
    for section in sections(PAGE):
        match = NAMED.fullmatch(section.heading)
        if match is not None and section.heading != section.part:
            yield (section.part, match[1] or "", match[2]), section


SECTIONS = list(named())


def test_every_key_has_its_section_and_every_section_its_key() -> None:
    told = [key for key, _ in SECTIONS]

    assert len(told) == len(set(told))
    assert wanted() - set(told) == set()
    assert set(told) - wanted() == set()


def whole(fragment: dict[str, Any], schema: str) -> dict[str, Any]:
    """A fragment of a manifest as a whole one: what is missing of its keys is put in."""
    fields = {name: name for name, spec in registry.get(schema).fields.items() if spec.required}
    fields |= fragment.get("fields", {})
    base = {"connector": "contoh", "agency": "dinkes", "source": {"kind": "file", "location": "inbox/contoh.csv"}}
    return base | fragment | {"schema": registry.get(schema).meta.ref, "fields": fields}


def schema_of(fields: dict[str, Any], example: str) -> str:
    """The first schema that has these fields and takes what is mapped to them."""
    tried = []
    for schema in registry.all_schemas():
        if set(fields) <= set(schema.fields):
            try:
                compile_mapping(parse_manifest(whole({"fields": fields}, schema.name)), schema, book())
            except MappingInvalid as error:
                tried.append(error.detail)
            else:
                return schema.name
    raise AssertionError(f"no schema takes {example}: {tried}")


def at(document: Any, path: str) -> bool:
    """Whether a dotted key stands in a document."""
    for name in path.split("."):
        document = document[0] if isinstance(document, list) and name == "if" else document
        keys = {str(key).lower(): key for key in document} if isinstance(document, dict) else {}
        if name not in keys:
            return False
        document = document[keys[name]]
    return True


@pytest.mark.parametrize(("key", "section"), SECTIONS, ids=["-".join(key) for key, _ in SECTIONS])
def test_the_example_names_the_key_and_compiles(key: tuple[str, str, str], section: Section) -> None:
    part, kind, name = key
    (example,) = section.blocks("yaml")
    given = load_yaml(example)

    assert section.prose.count(".") >= 1
    assert len(example.splitlines()) <= 12
    if part in ("A field", "Steps"):
        (mapping,) = given.values()
        assert at(mapping, name) or at(mapping.get("when", [{}])[0], name)
        assert SHOWN.search(example)
        schema_of(given, example)
        return
    assert at(given if not part.startswith("Source") else given["source"], name)
    assert not kind or given["source"]["kind"] == kind
    schema = str(given.get("schema", "fasilitas_kesehatan")).partition("@")[0]
    if "fields" in given:
        schema = schema_of(given["fields"], example)
    compile_mapping(parse_manifest(whole(given, schema)), registry.get(schema), book())


@pytest.mark.parametrize(("key", "section"), SECTIONS, ids=["-".join(key) for key, _ in SECTIONS])
def test_a_stated_default_is_the_default_and_none_is_left_unsaid(key: tuple[str, str, str], section: Section) -> None:
    part, kind, name = key
    if kind:
        default = keys_of(KINDS[kind].source_model)[name]
    elif part == "`read`":
        default = {f"read.{option}": field.default for option, field in ReadBlock.model_fields.items()}.get(name)
    elif part == "`snapshot`":
        default = {f"snapshot.{option}": field.default for option, field in SnapshotBlock.model_fields.items()}[name]
    else:
        default = timedelta(0) if name == "refresh" else None
    stated = DEFAULT.search(section.prose)
    if default in (None, "") or not isinstance(default, str | int | timedelta):
        assert stated is None
        return
    assert stated is not None, default
    said = load_yaml(stated[1])
    assert said == (default.total_seconds() if isinstance(default, timedelta) else default)


def words_of() -> dict[tuple[str, str, str], list[str]]:
    """The words that a key may be, or that may stand in it, where the code has a list of them."""
    found = {
        ("Steps", "", "text"): list(_TEXT),
        ("Steps", "", "date"): list(_FIELDS),
        ("Steps", "", "datetime"): list(_ZONES),
        ("Steps", "", "unit"): sorted({word for pair in _UNITS for word in pair}),
        ("Steps", "", "hemisphere"): list(_HEMISPHERES),
        ("Steps", "", "lookup.level"): list(LEVELS),
        ("Steps", "", "crosswalk.level"): list(LEVELS),
        ("Source: every kind", "", "kind"): list(KINDS),
    }
    for kind in KINDS.values():
        fields = dict(kind.source_model.model_fields)
        for name in ("auth", "paging"):
            if name in fields:
                fields |= {f"{name}.{key}": field for key, field in fields[name].annotation.model_fields.items()}
        for name, field in fields.items():
            words = [word for part in (field.annotation, *get_args(field.annotation)) for word in get_args(part)]
            if name != "kind" and words and all(isinstance(word, str) for word in words):
                found[f"Source: `{kind.name}`", kind.name, name] = words
    return found


def test_every_word_that_a_key_may_be_is_told() -> None:
    texts = dict(SECTIONS)
    words = words_of()

    assert ("Source: `rest`", "rest", "paging.kind") in words
    assert [
        (key, word) for key, listed in words.items() for word in listed if f"`{word}`" not in texts[key].prose
    ] == []


def lines_of() -> list[tuple[str, str, str]]:
    found = []
    for (part, _, _), section in SECTIONS:
        if part in ("A field", "Steps"):
            for example in section.blocks("yaml"):
                found += [(example, raw, shown) for raw, shown in SHOWN.findall(example)]
    return found


def plain(value: Any) -> Any:
    """A mapped value as JSON shows it, numbers exact."""
    if isinstance(value, dict):
        return {name: plain(part) for name, part in value.items()}
    if isinstance(value, list):
        return [plain(part) for part in value]
    if isinstance(value, bool | str) or value is None:
        return value
    if isinstance(value, date):
        return value.isoformat()
    return Decimal(str(value))


def raw_row(mapping: Any, raw: Any) -> dict[str, Any]:
    """The raw record of an example: an object is the record, any other value stands in the column of `from`."""
    return raw if isinstance(raw, dict) else {mapping["from"]: raw}


@pytest.mark.parametrize(("example", "raw", "shown"), lines_of())
def test_a_value_maps_as_the_example_shows(example: str, raw: str, shown: str) -> None:
    fields = load_yaml(example)
    ((name, mapping),) = fields.items()
    schema = registry.get(schema_of(fields, example))
    manifest = parse_manifest(whole({"fields": fields}, schema.name))
    compiled = compile_mapping(manifest, schema, book())
    others = dict.fromkeys(schema.fields, "x")

    mapped = compiled.map_row(others | raw_row(mapping, json.loads(raw, parse_float=Decimal)))

    rules = [rule for field, rule, _, _ in mapped.rejects if field == name]
    nulled = [rule for field, rule, _, _ in mapped.warnings if field == name]
    if shown.startswith("rejected: "):
        assert rules == [shown.removeprefix("rejected: ")]
    elif shown.startswith("nulled: "):
        assert nulled == [shown.removeprefix("nulled: ")]
        assert mapped.values[name] is None
    else:
        assert rules == []
        assert plain(mapped.values[name]) == plain(json.loads(shown, parse_float=Decimal))
