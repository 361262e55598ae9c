"""The manifest: the declarative text that a connector is registered with. Read strictly, every fault with its pointer.

Does not live here: what the steps of a field do (`mapping/`), what a kind's `source:` block may hold (each kind).
"""

from __future__ import annotations

import difflib
import hashlib
import json
import math
import re
from collections.abc import Callable, Iterable, Mapping
from dataclasses import replace
from datetime import time, timedelta
from typing import Annotated, Any, Literal, Self, get_args

import orjson
import yaml
from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    Field,
    SerializeAsAny,
    TypeAdapter,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)

from app.connectors.registry import source_model
from app.connectors.source import Duration, SourceBase
from app.datasets.yaml_text import load_yaml
from app.errors import FieldError, ManifestInvalid, SchemaUnknown
from app.faults import fault_code, members_of, model_at
from app.schemas import registry
from app.schemas.numbers import NumberBeyond, exact_number
from app.schemas.registry import SchemaDef

SchemaCalled = Callable[[str], SchemaDef]

MANIFEST_BYTES = 262_144
_DEPTH = 24
_EVERY: TypeAdapter[timedelta] = TypeAdapter(Duration)
_TIME_OF_DAY = re.compile(r"([01][0-9]|2[0-3]):([0-5][0-9])(?::00)?", re.ASCII)
_SLUG = r"^[a-z0-9][a-z0-9-]{1,62}$"


DOCUMENT_KIND = "connector"
_UNORDERED = frozenset({"list", "object", "geometry", "boolean"})


class _Part(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Unpivot(_Part):
    """Columns become rows: all columns but `keep` give one row each, their name in `name`, their cell in `value`."""

    keep: tuple[str, ...]
    name: str = Field(min_length=1)
    value: str = Field(min_length=1)

    @field_validator("name", "value")
    @classmethod
    def _distinct(cls, made: str, info: ValidationInfo) -> str:
        if made in info.data.get("keep", ()) or made == info.data.get("name"):
            raise ValueError(f"{made} is the name of another column of the row; one of them would be lost")
        return made


class ReadBlock(_Part):
    """What is done to the raw records before any field is mapped."""

    record_path: str | None = Field(default=None, max_length=500)
    skip_blank_rows: bool = False
    rows_without: tuple[Annotated[str, Field(min_length=1)], ...] = Field(
        default=(),
        max_length=20,
        description="Columns: a row that is blank in all of them heads a section and is left out",
    )
    unpivot: Unpivot | None = None
    where: str | None = Field(default=None, max_length=2048)
    missing: tuple[Annotated[str, Field(min_length=1, max_length=40)], ...] = Field(
        default=(), max_length=50, description='Texts that mean "no value" in every column, e.g. ["-", "–", "..."]'
    )


class Freshness(_Part):
    """Which field tells when a record was last changed, and how old it may be."""

    field: str
    slo: Duration


def _every(value: Any) -> Any:
    """A duration, or a time of the day such as `02:00`."""
    written = _TIME_OF_DAY.fullmatch(value) if isinstance(value, str) else None
    if written is not None:
        return time(int(written[1]), int(written[2]))
    return _EVERY.validate_python(value)


def _often(value: timedelta | time) -> timedelta | time:
    if isinstance(value, timedelta) and value < timedelta(seconds=1):
        raise ValueError("a snapshot is taken every second at most; write 1s, 15m, 1h or a time such as 02:00")
    return value


Every = Annotated[timedelta | time, BeforeValidator(_every, json_schema_input_type=str | int), AfterValidator(_often)]


class SnapshotBlock(_Part):
    """A sealed copy of the whole dataset from which reads are answered, so that its source is asked once for all of them."""

    every: Every = Field(
        description="Time between two snapshots, such as 1h, or the time of the day of one, such as 02:00"
    )
    max_stale: Duration | None = Field(
        default=None, description="Age up to which one stands in for a source that fails; none given: twice `every`"
    )
    on_error: Literal["serve_stale", "fail"] = Field(
        default="serve_stale", description="What becomes of reads while no new one can be taken"
    )

    @model_validator(mode="after")
    def _ages(self) -> Self:
        step = self.every if isinstance(self.every, timedelta) else timedelta(days=1)
        if self.max_stale is not None and self.max_stale < step:
            raise ValueError("max_stale is the age of a snapshot that was not replaced in time: not less than `every`")
        if self.max_stale is not None and self.on_error == "fail":
            raise ValueError("with on_error: fail no snapshot is given beyond its time; leave max_stale out")
        return self


class HealthBlock(_Part):
    """How often the gateway looks whether the source answers."""

    every: Duration | None = Field(
        default=None, description="Time between two looks; 0: none; as the gateway has it where it is not stated"
    )

    @field_validator("every")
    @classmethod
    def _seldom(cls, every: timedelta | None) -> timedelta | None:
        if every is not None and timedelta(0) < every < timedelta(seconds=1):
            raise ValueError("a source is looked at once in a second at most; 0 turns it off")
        return every


class Manifest(_Part):
    """A connector as an agency declares it. `fields` holds each field's mapping as written; a draft has none."""

    connector: str = Field(pattern=_SLUG)
    agency: str = Field(pattern=_SLUG)
    schema_ref: str | None = Field(default=None, alias="schema")
    title: str = Field(default="", max_length=300)
    description: str | None = Field(default=None, max_length=4000)
    licence: str | None = Field(default=None, max_length=200)
    source: SerializeAsAny[SourceBase]
    read: ReadBlock = ReadBlock()
    fields: Mapping[str, Any] = Field(default_factory=dict)
    freshness: Freshness | None = None
    snapshot: SnapshotBlock | None = None
    health: HealthBlock = HealthBlock()
    accept_rejects: float | None = Field(
        default=None, ge=0, lt=1, description="Share of rejected records with which a check still passes, e.g. 0.3"
    )


def parse_manifest(
    document: str | Mapping[str, Any], *, draft: bool = False, schema_called: SchemaCalled = registry.get
) -> Manifest:
    """The manifest of a YAML or JSON text, or of a parsed document.

    Raises `ManifestInvalid` with one pointer a fault: unknown key with the nearest known one, wrong type, unknown schema.
    `draft`: a source alone is enough. `schema_called`: the schema of a name, or `SchemaUnknown`.
    """
    written = load_manifest(document) if isinstance(document, str) else dict(document)
    given, moved = _with_record_path(_of_its_schema(written, schema_called))
    if given.get("kind") == DOCUMENT_KIND:  # as it stands among the documents of `simpul apply`
        del given["kind"]
    faults: list[FieldError] = []
    source = _source(given.get("source"), faults)
    if moved:
        faults = [_moved_back(fault, given["source"].get("kind")) for fault in faults]
    manifest: Manifest | None = None
    try:
        manifest = Manifest.model_validate({**given, "source": source or SourceBase(kind="unknown")})
    except ValidationError as error:
        faults += _faults(error, Manifest)
    if manifest is not None:
        faults += _check_schema(manifest, schema_called, draft=draft)
    faults = list(dict.fromkeys(faults))
    if faults or manifest is None:
        raise ManifestInvalid(
            f"the manifest has {len(faults)} faults" if len(faults) > 1 else faults[0].detail, errors=faults
        )
    return manifest


def _of_its_schema(given: Mapping[str, Any], schema_called: SchemaCalled) -> dict[str, Any]:
    """Of a source that gives records of a shared schema: its schema is the manifest's, and each field is itself, where none is stated."""
    source, ref = given.get("source"), given.get("schema")
    if not isinstance(source, Mapping) or not isinstance(ref, str) or not _gives_records(source.get("kind")):
        return dict(given)
    whole = {**given, "source": {"schema": ref, **source}}
    if given.get("fields"):
        return whole
    try:
        return {**whole, "fields": {name: name for name in schema_called(ref).fields}}
    except SchemaUnknown:
        return whole


def _gives_records(kind: Any) -> bool:
    try:
        return isinstance(kind, str) and source_model(kind).of_schema
    except ManifestInvalid:
        return False


def _with_record_path(given: dict[str, Any]) -> tuple[dict[str, Any], bool]:
    """`read.record_path` is where a kind finds its records; it stands in the source for the kinds that read JSON. Whether it was moved."""
    read, source = given.get("read"), given.get("source")
    if (
        isinstance(read, Mapping)
        and isinstance(source, Mapping)
        and read.get("record_path") is not None
        and "record_path" not in source
    ):
        return {**given, "source": {**source, "record_path": read["record_path"]}}, True
    return dict(given), False


def _moved_back(fault: FieldError, kind: Any) -> FieldError:
    """A fault of `source.record_path` that was written as `read.record_path`."""
    if fault.pointer != "/source/record_path":
        return fault
    unknown = f"a source of kind {str(kind)[:40]} has no path to its records; leave record_path out"
    detail = unknown if fault.code == "unknown" else fault.detail
    return replace(fault, pointer="/read/record_path", detail=detail)


def canonical_manifest(manifest: Manifest) -> str:
    """The manifest as JSON text: what is stored. The order of `fields` and of their steps is kept, it has meaning."""
    document = manifest.model_dump(mode="json", by_alias=True, exclude_defaults=True)
    document["source"] = {"kind": manifest.source.kind, **document["source"]}
    return orjson.dumps(document).decode()


def manifest_digest(manifest: Manifest) -> str:
    """SHA-256 (hex) of the canonical text: two manifests with the same digest mean the same."""
    return hashlib.sha256(canonical_manifest(manifest).encode()).hexdigest()


def load_manifest(text: str) -> dict[str, Any]:
    """The document of a YAML or JSON text, bounded in bytes and depth. Raises `ManifestInvalid`."""
    if len(text.encode("utf-8", "surrogatepass")) > MANIFEST_BYTES:
        raise ManifestInvalid(f"a manifest has at most {MANIFEST_BYTES} bytes", limit_bytes=MANIFEST_BYTES)
    try:
        found = json.loads(text, parse_int=exact_number) if text.lstrip().startswith("{") else load_yaml(text)
    except NumberBeyond as beyond:
        raise ManifestInvalid(str(beyond), errors=[FieldError("", "malformed", str(beyond))]) from None
    except (yaml.YAMLError, json.JSONDecodeError, RecursionError) as error:
        mark = getattr(error, "problem_mark", None)
        line = mark.line + 1 if mark is not None else getattr(error, "lineno", 0)
        problem = getattr(error, "problem", None) or getattr(error, "msg", None) or "nested too deeply"
        detail = f"line {line}: {problem}" if line else str(problem)
        raise ManifestInvalid(detail, errors=[FieldError(f"line {line}", "malformed", detail)]) from None
    if not isinstance(found, dict):
        raise ManifestInvalid("a manifest is a mapping with connector, agency, schema, source and fields")
    _check_depth(found, 0, "")
    return found


def _check_depth(value: Any, depth: int, pointer: str) -> None:
    if depth > _DEPTH:
        raise ManifestInvalid(
            f"nested deeper than {_DEPTH} levels", errors=[FieldError(pointer, "too_deep", "flatten it")]
        )
    if isinstance(value, float) and not math.isfinite(value):
        raise ManifestInvalid(
            "NaN and infinity are no values", errors=[FieldError(pointer, "not_finite", "a finite number")]
        )
    items = value.items() if isinstance(value, dict) else enumerate(value) if isinstance(value, list) else ()
    for name, item in items:
        _check_depth(item, depth + 1, f"{pointer}/{name}")


def _source(given: Any, faults: list[FieldError]) -> SourceBase | None:
    if not isinstance(given, Mapping):
        faults.append(FieldError("/source", "missing", "a manifest needs a source with its kind"))
        return None
    try:
        model = source_model(str(given.get("kind", "")))
        return model.model_validate(dict(given))
    except ManifestInvalid as error:
        faults.append(FieldError("/source/kind", "unknown", error.detail))
    except ValidationError as error:
        faults += _faults(error, model, "/source")
    return None


def _faults(error: ValidationError, model: type[BaseModel], prefix: str = "") -> list[FieldError]:
    """Pydantic's findings with pointers; an unknown key is told with the nearest known one.

    Of a key that may take several forms only the findings on the form that was written count.
    """
    found = []
    faults = error.errors(include_input=False, include_url=False, include_context=False)
    paths = [_written_path(model, [str(step) for step in fault["loc"]]) for fault in faults]
    for fault, path in zip(faults, paths, strict=True):
        if path[:1] == ["source"] and not prefix:
            continue
        if len(path) < len(fault["loc"]) and any(other[: len(path)] == path and other != path for other in paths):
            continue
        detail = fault["msg"].removeprefix("Value error, ")
        code = fault_code(fault["type"])
        if code == "unknown":
            known = members_of(model_at(model, path[:-1]))
            near = difflib.get_close_matches(path[-1], known, n=1)
            detail = f"unknown key {path[-1]}; " + (
                f"did you mean {near[0]}?" if near else f"known: {', '.join(known)}"
            )
        found.append(FieldError(prefix + "".join(f"/{step}" for step in path), code, detail))
    return found


def _written_path(model: type[BaseModel], path: list[str]) -> list[str]:
    """The path as it stands in the manifest: pydantic puts the name of a form (`bool`, `HeaderRows`) behind a key that takes several."""
    made: list[str] = []
    for step in path:
        info = model_at(model, made[:-1]).model_fields.get(made[-1]) if made else None
        forms = get_args(info.annotation) if info is not None else ()
        if step not in {getattr(form, "__name__", "") for form in forms}:
            made.append(step)
    return made


def _check_schema(manifest: Manifest, schema_called: SchemaCalled, *, draft: bool) -> list[FieldError]:
    if manifest.schema_ref is None or not manifest.fields:
        if draft:
            return []
        missing = "/schema" if manifest.schema_ref is None else "/fields"
        return [FieldError(missing, "missing", f"a manifest that is to be published needs {missing[1:]}")]
    try:
        schema = schema_called(manifest.schema_ref)
    except SchemaUnknown as error:
        return [FieldError("/schema", "schema_unknown", error.detail)]
    if manifest.schema_ref != schema.meta.ref:
        return [FieldError("/schema", "version", f"write the version: {schema.meta.ref}")]
    faults = []
    for name in manifest.fields:
        if name not in schema.fields:
            near = difflib.get_close_matches(name, schema.fields, n=1)
            hint = f"did you mean {near[0]}?" if near else f"fields: {', '.join(schema.fields)}"
            faults.append(FieldError(f"/fields/{name}", "field_unknown", f"{schema.name} has no field {name}; {hint}"))
    for name, spec in schema.fields.items():
        if spec.required and name not in manifest.fields:
            faults.append(FieldError("/fields", "required", f"{name} must be mapped: {schema.name} needs it"))
    return faults + _check_freshness(manifest, schema) + _check_snapshot(manifest, schema)


def is_personal(schema: SchemaDef, fields: Iterable[str]) -> bool:
    """Whether a dataset that maps these fields gives personal data: a field that is not mapped holds none."""
    return schema.meta.lookup_only or any(schema.fields[name].pdp != "none" for name in fields if name in schema.fields)


def _check_snapshot(manifest: Manifest, schema: SchemaDef) -> list[FieldError]:
    """What is personal is not copied, nor what each record says of other gateways; a dataset is kept in one way."""
    if manifest.snapshot is None:
        return []
    if type(manifest.source).of_schema:
        detail = (
            "another gateway says with each record where it is from, which a snapshot does not keep; leave snapshot out"
        )
        return [FieldError("/snapshot", "gateway", detail)]
    fields = [name for name in manifest.fields if name in schema.fields and schema.fields[name].pdp != "none"]
    if schema.meta.lookup_only or fields:
        what = "records of persons" if schema.meta.lookup_only else f"{', '.join(fields)}, which is personal"
        detail = (
            f"a snapshot would keep {what}: leave that out of fields, or leave snapshot out so that the source is asked"
        )
        return [FieldError("/snapshot", "personal", detail)]
    if manifest.source.refresh:
        detail = "refresh keeps records in memory, snapshot on disk; state one of the two"
        return [FieldError("/source/refresh", "with_snapshot", detail)]
    return []


def _check_freshness(manifest: Manifest, schema: SchemaDef) -> list[FieldError]:
    """The field must hold a value, and one that is earlier or later than another."""
    if manifest.freshness is None:
        return []
    name = manifest.freshness.field
    spec = schema.fields.get(name)
    if spec is None:
        detail = f"{schema.name} has no field {name[:64]}; write one that tells when a record was last changed"
    elif name not in manifest.fields:
        detail = f"{name} is not mapped in fields, so that no record would tell when it was last changed"
    elif spec.kind in _UNORDERED:
        detail = f"{name} is of kind {spec.kind}; write a field that tells when a record was last changed"
    else:
        return []
    return [FieldError("/freshness/field", "field_unknown", detail)]
