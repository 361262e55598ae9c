"""A manifest's whole mapping, compiled: raw rows in, values or rejects out, and what of a filter can go to the source."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from app.connectors.contract import ABSENT_COLUMN, RawBatch
from app.connectors.masking import mask
from app.connectors.personal import key_text
from app.datasets.manifest import Manifest, Unpivot
from app.datasets.mapping.codes import CodeBook
from app.datasets.mapping.compile import CompiledField, compile_field
from app.datasets.mapping.expression import Expression, compile_expression
from app.datasets.mapping.plain import PlainRows
from app.datasets.mapping.rules import Nulled, StepReject, detail_en, null_warning
from app.datasets.mapping.steps.contract import StepContext
from app.datasets.mapping.text import is_blank
from app.datasets.records import RecordWarning
from app.schemas.registry import SchemaDef
from app.schemas.warnings import NOWHERE, Box, Surroundings, finding_function

DEFAULT_ZONE = "Asia/Jakarta"


@dataclass(slots=True)
class MappedRow:
    """What became of one raw row: `values`, or the rejects as (field, rule, detail, masked value)."""

    values: dict[str, Any]
    rejects: list[tuple[str, str, str, str]] = field(default_factory=list)
    warnings: list[tuple[str, str, str, str]] = field(default_factory=list)
    """(field, code, detail in Indonesian, detail in English) of fields that the manifest lets be null."""


@dataclass(frozen=True, slots=True)
class RowPreparation:
    """`read:` of the manifest, compiled: rows to rows, before any field is mapped."""

    skip_blank_rows: bool
    unpivot: Unpivot | None
    where: Expression | None
    rows_without: tuple[str, ...] = ()

    @property
    def none(self) -> bool:
        """Whether rows are mapped as they are."""
        return self.unpivot is None and self.where is None and not self.skip_blank_rows and not self.rows_without

    def leaves_out(self, row: Mapping[str, Any]) -> bool:
        """Whether a row says nothing, or heads a section: blank in every cell, or in all columns of `rows_without`."""
        if self.rows_without and all(_says_nothing(row.get(name)) for name in self.rows_without):
            return True
        return self.skip_blank_rows and all(map(_says_nothing, row.values()))

    def rows(self, row: Mapping[str, Any], location: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        """The rows that one raw row becomes, each with its location; none where `where` is not true."""
        for where, found in self._unpivoted(row, location):
            if self.where is None or self.where.value(found) is True:
                yield where, found

    def _unpivoted(self, row: Mapping[str, Any], location: str) -> Iterator[tuple[str, Mapping[str, Any]]]:
        if self.unpivot is None:
            yield location, row
            return
        kept = {name: row.get(name) for name in self.unpivot.keep}
        for name, value in row.items():
            if name not in kept:
                yield f"{location}, column {name}", {**kept, self.unpivot.name: name, self.unpivot.value: value}


@dataclass(frozen=True, slots=True)
class CompiledMapping:
    """The mapping of one manifest to one schema under one code book. Safe to share: it holds no state of a read."""

    schema: SchemaDef
    fields: tuple[CompiledField, ...]
    preparation: RowPreparation
    raw_columns: frozenset[str]
    renames: Mapping[str, str]
    around: Surroundings = NOWHERE
    """What warnings about the records are judged by."""
    geometries: tuple[str, ...] = ()
    """The mapped fields that hold a geometry."""
    plain: PlainRows | None = field(init=False, repr=False, compare=False)
    """Maps whole batches of rows; None where rows are prepared first or have to be looked at one by one."""
    findings: Callable[[Mapping[str, Any]], Sequence[RecordWarning]] = field(init=False, repr=False, compare=False)
    """The soft findings about the values of a valid record of this mapping."""

    def __post_init__(self) -> None:
        """What is made once, for all reads."""
        plain = PlainRows(self.schema, self.fields) if self.preparation.none and not self.geometries else None
        object.__setattr__(self, "plain", plain)
        names = {compiled.name for compiled in self.fields}
        findings = finding_function(self.schema, names, self.around, RecordWarning)
        object.__setattr__(self, "findings", findings)

    @property
    def all_columns(self) -> bool:
        """Whether every raw column is needed (their names become values)."""
        return self.preparation.unpivot is not None

    def location_of(self, row: Mapping[str, Any], location: str, *, keyed: bool) -> str:
        """Where a rejected row stands: at its line; where the source has none (`keyed`) at its key, masked where that is personal."""
        if not keyed:
            return location
        columns = [(name, self.renames.get(name)) for name in self.schema.meta.key]
        known = [(name, column, row.get(column)) for name, column in columns if column is not None]
        personal = {name for name, _ in columns if self.schema.fields[name].pdp != "none"}
        return location + key_text(
            (column, mask(value) if name in personal else value) for name, column, value in known
        )

    def check_columns(self, names: Iterable[str]) -> list[str]:
        """The raw columns that the mapping needs and the source does not have."""
        return sorted(self.raw_columns - set(names))

    def absent_keys(self, batch: RawBatch) -> list[str]:
        """The columns of the key that no record of a part has. A member may be missing where it is null; a key never is."""
        if not (len(batch) or batch.rejects):
            return []
        keys = {self.renames.get(name) for name in self.schema.meta.key}
        return sorted(found.name for found in batch.schema if found.name in keys and found.metadata == ABSENT_COLUMN)

    def map_row(self, row: Mapping[str, Any]) -> MappedRow:
        """The values of one prepared row. Every field that rejects is told, not only the first.

        A part of the key is never nulled: records of different keys would become one.
        """
        mapped = MappedRow({})
        values = mapped.values
        for compiled in self.fields:
            try:
                values[compiled.name] = compiled.value(row)
            except StepReject as reject:
                if (compiled.nulls or isinstance(reject, Nulled)) and compiled.name not in self.schema.meta.key:
                    values[compiled.name] = None
                    mapped.warnings.append(null_warning(compiled.name, reject.rule))
                else:
                    shown = mask(row.get(compiled.rename)) if compiled.rename else ""
                    mapped.rejects.append((compiled.name, reject.rule, detail_en(reject.rule), shown))
        return mapped


def compile_mapping(
    manifest: Manifest, schema: SchemaDef, codes: CodeBook, *, zone: str = DEFAULT_ZONE, bbox: Box | None = None
) -> CompiledMapping:
    """The compiled mapping; raises `MappingInvalid` or `ExpressionForbidden` with the pointer in the manifest.

    `bbox`: the region of the instance; coordinates outside it are warned of.
    """
    columns: set[str] = set()
    fields = []
    missing = frozenset(manifest.read.missing)
    for name, given in manifest.fields.items():
        spec = schema.fields[name]
        compiled = compile_field(
            name, given, spec, StepContext(f"/fields/{name}", codes, zone, spec=spec, missing=missing)
        )
        columns |= compiled.columns
        fields.append(compiled)
    read = manifest.read
    columns.update(read.rows_without)
    where = compile_expression(read.where, "/read/where") if read.where is not None else None
    made: set[str] = set()
    if read.unpivot is not None:
        made = {read.unpivot.name, read.unpivot.value}
        columns.update(read.unpivot.keep)
    if where is not None:
        columns.update(where.columns)
    return CompiledMapping(
        schema=schema,
        fields=tuple(fields),
        preparation=RowPreparation(read.skip_blank_rows, read.unpivot, where, read.rows_without),
        raw_columns=frozenset(columns - made),
        renames={field.name: field.rename for field in fields if field.rename is not None},
        around=Surroundings(codes.known_regions() or None, bbox),
        geometries=tuple(field.name for field in fields if schema.fields[field.name].kind == "geometry"),
    )


def _says_nothing(value: Any) -> bool:
    return value is None or (isinstance(value, str) and is_blank(value))
