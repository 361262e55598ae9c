"""What a shared schema is: its model class, its Satu Data metadata, the specification of each field.

Lives here: declaring and reading declarations. What is derived (Arrow, checks, JSON Schema) has its own files.
"""

from __future__ import annotations

import types
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Annotated, Any, ClassVar, Literal, Union, get_args, get_origin

from pydantic import BaseModel, ConfigDict, Field, GetCoreSchemaHandler
from pydantic.config import JsonDict
from pydantic.fields import FieldInfo
from pydantic_core import CoreSchema, PydanticUndefined, core_schema

from app.schemas.constraints import BooleanRule, Kind, TextRule, TypeRule
from app.schemas.rules import rule_error

Pdp = Literal["none", "personal", "sensitive"]
"""Class under UU 27/2022: not personal, personal (general), personal (specific, article 4(2))."""
Akses = Literal["terbuka", "internal", "terbatas"]


@dataclass(frozen=True, slots=True, kw_only=True)
class SchemaMeta:
    """What Satu Data Indonesia (Perpres 39/2019) asks of a data set, and the key of its records."""

    name: str
    version: int
    key: tuple[str, ...]
    title_id: str
    title_en: str
    judul: str
    definisi: str
    definition_en: str
    konsep: str
    ukuran: str
    satuan: str
    klasifikasi: str
    frekuensi: str
    produsen_data: str
    walidata: str = "Dinas Komunikasi dan Informatika"
    pembina: str = "BPS / Bappeda"
    level_penyajian: str
    tingkat_akses: Akses = "terbuka"
    lookup_only: bool = False
    subject: str | None = None
    example_filter: str = ""
    """A question in CQL2 that documentation shows; without one it shows a filter that holds of every record."""

    @property
    def slug(self) -> str:
        """Name in URLs: `fasilitas-kesehatan`."""
        return self.name.replace("_", "-")

    @property
    def ref(self) -> str:
        """Name in manifests: `fasilitas_kesehatan@1`."""
        return f"{self.name}@{self.version}"


@dataclass(frozen=True, slots=True, kw_only=True)
class RowRule:
    """A rule over several fields of one record, tried when all of `needs` are given and valid.

    `holds` gets the values by name and reads nothing but `needs`. The same function runs in Pydantic and in bulk.
    """

    field: str
    code: str
    needs: tuple[str, ...]
    holds: Callable[[Mapping[str, Any]], bool]


@dataclass(frozen=True, slots=True, kw_only=True)
class FieldSpec:
    """One field of a schema. `unit` is None for what has none; `enum` None means the list is open.

    `rule` is the constraint of the value (of the list, for lists), `item` the specification of a list's items,
    `parts` the fields of a nested object.
    """

    name: str
    semantic: str
    kind: Kind
    required: bool
    unit: str | None
    pdp: Pdp
    akses: Akses
    title_id: str
    title_en: str
    description_id: str
    description_en: str
    example: Any
    item_kind: Kind | None = None
    enum: tuple[str, ...] | None = None
    rule: TypeRule = field(default_factory=lambda: BooleanRule(semantic="Benar"))
    item: FieldSpec | None = None
    parts: Mapping[str, FieldSpec] = field(default_factory=dict)


def spec(  # noqa: PLR0913 - one field, told completely, in one place
    title_id: str,
    title_en: str,
    description_id: str,
    description_en: str,
    *,
    example: Any,
    nullable: bool = False,
    unit: str | None = None,
    pdp: Pdp = "none",
    akses: Akses = "terbuka",
) -> Any:
    """What stands behind a field: its titles, description, example and classes.

    As in `nama: Nama = spec("Nama", "Name", "…", "…", example="Puskesmas Jepara")`. `nullable` must agree with the
    annotation (`Nama | None`); reading the model checks that. Semantic type and bounds come from the annotation alone.
    """
    notes: JsonDict = {
        "title_id": title_id,
        "title_en": title_en,
        "description_id": description_id,
        "description_en": description_en,
        "unit": unit,
        "pdp": pdp,
        "akses": akses,
    }
    default = None if nullable else PydanticUndefined
    return Field(default=default, examples=[example], json_schema_extra={"x-simpul": notes})


class SharedPart(BaseModel):
    """An object inside a record (`harga_tiket[]`). Frozen; unknown members are refused."""

    model_config = ConfigDict(frozen=True, extra="forbid")
    row_rules: ClassVar[tuple[RowRule, ...]] = ()

    @classmethod
    def __get_pydantic_core_schema__(cls, source: type[BaseModel], handler: GetCoreSchemaHandler) -> CoreSchema:
        """Pydantic's own schema of the model, then the row rules where there are any."""
        schema = handler(source)
        if not cls.row_rules:
            return schema
        return core_schema.no_info_after_validator_function(hold_row_rules, schema)


class SharedSchema(SharedPart):
    """A record of a shared schema. The model is the only definition of validity."""

    meta: ClassVar[SchemaMeta]
    soft_rules: ClassVar[tuple[SoftRule, ...]] = ()
    contract: ClassVar[int | None] = None
    """Of a schema in a package of its own: the version of the contract that it was written against."""


@dataclass(frozen=True, slots=True, kw_only=True)
class SoftRule(RowRule):
    """A row rule whose breach is a warning on the record and never a rejection."""

    detail_id: str
    detail_en: str
    sure: Mapping[str, tuple[float, float]] = field(default_factory=dict)
    """Bounds (both included) of numbers among `needs`: within all of them the rule surely holds, and need not be asked."""


def broken_row_rule(rules: tuple[RowRule, ...], values: Mapping[str, Any]) -> RowRule | None:
    """The first rule that the values break, or None. A rule with a null among its needs is not tried."""
    for rule in rules:
        if rule_applies(rule, values) and not rule.holds(values):
            return rule
    return None


def rule_applies(rule: RowRule, values: Mapping[str, Any]) -> bool:
    """Whether all fields that the rule needs are given."""
    for name in rule.needs:  # noqa: SIM110 - a plain loop is faster, and this runs for each record of a page
        if values.get(name) is None:
            return False
    return True


def hold_row_rules(part: SharedPart) -> SharedPart:
    """The record itself, or the Pydantic error of the first row rule that it breaks."""
    broken = broken_row_rule(type(part).row_rules, part.__dict__)
    if broken is not None:
        raise rule_error(broken.code, broken.field)
    return part


@dataclass(frozen=True, slots=True)
class _FieldType:
    """What an annotation says: nullable or not, its rule, and what lies inside."""

    nullable: bool
    rule: TypeRule
    item: Any = None
    part: type[SharedPart] | None = None


def field_specs(model: type[SharedPart]) -> dict[str, FieldSpec]:
    """The specification of each field in declaration order. Raises TypeError where a declaration contradicts itself."""
    return {name: _field_spec(name, info) for name, info in model.model_fields.items()}


def _field_spec(name: str, info: FieldInfo) -> FieldSpec:
    extra = info.json_schema_extra
    if not isinstance(extra, dict) or "x-simpul" not in extra:
        raise TypeError(f"{name}: declare the field with spec(...)")
    notes: Any = extra["x-simpul"]
    field_type = _field_type(info.annotation, tuple(info.metadata), name)
    if field_type.nullable is info.is_required():
        raise TypeError(f"{name}: nullable= and the annotation disagree")
    example = info.examples[0] if info.examples else None
    return _spec_of(name, field_type, notes, example)


def _spec_of(name: str, field_type: _FieldType, notes: Mapping[str, Any], example: Any) -> FieldSpec:
    rule = field_type.rule
    item = None
    if field_type.item is not None:
        inner = _field_type(field_type.item, (), name)
        first = example[0] if isinstance(example, list) and example else None
        item = _spec_of(name, inner, notes, first)
    return FieldSpec(
        name=name,
        semantic=rule.semantic,
        kind=rule.kind,
        required=not field_type.nullable,
        example=example,
        item_kind=item.kind if item else None,
        enum=rule.enum if isinstance(rule, TextRule) else None,
        rule=rule,
        item=item,
        parts=field_specs(field_type.part) if field_type.part else {},
        **notes,
    )


@dataclass(frozen=True, slots=True, kw_only=True)
class ObjectRule(TypeRule):
    """A nested object; its fields say what it holds."""

    kind: Kind = "object"

    def json_schema(self) -> dict[str, Any]:
        """An object without other members; the members are put in by `wire.py`."""
        return {"type": "object", "additionalProperties": False}


def _field_type(annotation: Any, metadata: tuple[Any, ...], name: str) -> _FieldType:
    nullable = False
    while True:
        origin = get_origin(annotation)
        if origin in (Union, types.UnionType):
            members = [member for member in get_args(annotation) if member is not type(None)]
            if len(members) != 1:
                raise TypeError(f"{name}: a field is of one type, or that type and None")
            nullable, annotation = True, members[0]
        elif origin is Annotated:
            annotation, *more = get_args(annotation)
            metadata += tuple(more)
        else:
            break
    if isinstance(annotation, type) and issubclass(annotation, SharedPart):
        return _FieldType(nullable, ObjectRule(semantic=annotation.__name__), part=annotation)
    rule = next((found for found in metadata if isinstance(found, TypeRule)), None)
    if rule is None:
        raise TypeError(f"{name}: annotate the field with a semantic type")
    return _FieldType(nullable, rule, item=get_args(annotation)[0] if origin is list else None)
