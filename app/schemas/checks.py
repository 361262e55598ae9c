"""The model's rules over whole Arrow batches: the same rows pass, the same (field, rule) pairs fail, many times faster.

Scalar constraints run as kernels (`kernels.py`). What has no kernel (dates in a NIK, geometry, lists with a doubtful
item, rules over several fields) runs the very function that Pydantic runs, per distinct value or row, there alone.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc
from pydantic import TypeAdapter, ValidationError

from app.schemas.base import FieldSpec, RowRule, broken_row_rule
from app.schemas.constraints import ItemsRule
from app.schemas.definition import SchemaDef
from app.schemas.geometry import geometry_value
from app.schemas.kernels import NO, scalar_faults
from app.schemas.validation import failures_of

MOST_LISTED = 1000
"""Failures listed one by one; what is beyond is counted and not listed."""

Masks = list[tuple[str, str, Any]]
"""(field, rule, mask of the rows that break it)."""


@dataclass(frozen=True, slots=True, order=True)
class CheckFailure:
    """Row number in the batch, field, rule code. Never the value."""

    row: int
    field: str
    rule: str


@dataclass(frozen=True, slots=True)
class CheckResult:
    """`valid` says true or false of each row; `counts` is the exact number of rows per (field, rule).

    `failures` lists the first `MOST_LISTED`, by row.
    """

    valid: pa.BooleanArray
    failures: list[CheckFailure] = field(default_factory=list)
    counts: dict[tuple[str, str], int] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Checks:
    """The compiled checks of one schema. Safe to share between threads: it holds no state of a run."""

    schema: SchemaDef
    adapters: Mapping[str, TypeAdapter[Any]]

    def run(self, batch: pa.RecordBatch | pa.Table) -> CheckResult:
        """Check a batch that has the columns of `schema.arrow`; other columns are ignored, an absent one is all null.

        Raises TypeError when a column has another Arrow type: that is a fault of the caller, not of the rows.
        """
        masks: Masks = []
        for name, spec in self.schema.fields.items():
            masks += self._column_masks(spec, self._column(batch, name))
        fallen = _any_of(masks, batch.num_rows)
        masks += self._row_masks(batch, fallen)
        if not masks:
            return CheckResult(pc.invert(fallen))
        counts = {(name, rule): pc.sum(mask).as_py() for name, rule, mask in masks}
        return CheckResult(pc.invert(_any_of(masks, batch.num_rows)), _listed(masks), counts)

    def _column(self, batch: pa.RecordBatch | pa.Table, name: str) -> Any:
        expected = self.schema.arrow.field(name).type
        index = batch.schema.get_field_index(name)
        if index < 0:
            return pa.nulls(batch.num_rows, expected)
        column = batch.column(index)
        if column.type != expected:
            raise TypeError(f"column {name} is {column.type}; {self.schema.meta.ref} has {expected}")
        return column.combine_chunks() if isinstance(column, pa.ChunkedArray) else column

    def _column_masks(self, spec: FieldSpec, column: Any) -> Masks:
        masks: Masks = []
        if spec.required and column.null_count:
            masks.append((spec.name, "missing", column.is_null()))
        if column.null_count == len(column):
            return masks
        if spec.kind in ("list", "object", "geometry"):
            return masks + self._slow_masks(spec, column)
        return masks + [(spec.name, rule, mask) for rule, mask in scalar_faults(spec.rule, column)]

    def _slow_masks(self, spec: FieldSpec, column: Any) -> Masks:
        """Values without a kernel, each through Pydantic; of a list column only the rows that a kernel doubts."""
        doubtful = _doubtful_lists(spec, column) if spec.kind == "list" else column.is_valid()
        rows = pc.indices_nonzero(doubtful)
        found: dict[str, set[int]] = defaultdict(set)
        for row, value in zip(rows.to_pylist(), column.take(rows).to_pylist(), strict=True):
            for rule in self._faults_of(spec, value):
                found[rule].add(row)
        return [(spec.name, rule, _mask(broken, len(column))) for rule, broken in found.items()]

    def _faults_of(self, spec: FieldSpec, value: Any) -> Iterable[str]:
        if spec.kind == "geometry":
            value = geometry_value(value)
            if value is None:
                return ("wrong_type",)
        try:
            self.adapters[spec.name].validate_python(value)
        except ValidationError as fault:
            return [failure.rule for failure in failures_of(fault, spec.name)]
        return ()

    def _row_masks(self, batch: pa.RecordBatch | pa.Table, fallen: Any) -> Masks:
        """Rules over several fields, tried on the rows whose fields are all fine, as Pydantic does."""
        rules: tuple[RowRule, ...] = self.schema.model.row_rules
        if not rules:
            return []
        names = sorted({name for rule in rules for name in rule.needs})
        rows = pc.indices_nonzero(pc.invert(fallen))
        columns = [self._column(batch, name).take(rows).to_pylist() for name in names]
        found: dict[tuple[str, str], set[int]] = defaultdict(set)
        for row, *values in zip(rows.to_pylist(), *columns, strict=True):
            broken = broken_row_rule(rules, dict(zip(names, values, strict=True)))
            if broken is not None:
                found[broken.field, broken.code].add(row)
        return [(name, rule, _mask(broken_rows, batch.num_rows)) for (name, rule), broken_rows in found.items()]


def compile_checks(schema: SchemaDef) -> Checks:
    """The checks of a schema; compile once and keep. Validators are built for lists, objects and geometries alone."""
    slow = [name for name, spec in schema.fields.items() if spec.kind in ("list", "object", "geometry")]
    adapters = {name: TypeAdapter(schema.model.model_fields[name].rebuild_annotation()) for name in slow}
    return Checks(schema, adapters)


def _doubtful_lists(spec: FieldSpec, column: Any) -> Any:
    """Rows whose list is too long, holds a null, or holds an item that no kernel passes."""
    lengths: Any = pc.list_value_length(column)
    most = spec.rule.max_items if isinstance(spec.rule, ItemsRule) else 0
    doubtful = _longer(lengths, most)
    item = spec.item
    if item is None or item.kind in ("list", "object", "geometry"):
        return pc.or_(doubtful, _longer(lengths, 0))
    items = pc.list_flatten(column)
    bad = _any_of([("", rule, mask) for rule, mask in scalar_faults(item.rule, items)], len(items))
    if items.null_count:
        bad = pc.or_(bad, items.is_null())
    if not pc.any(bad, min_count=0).as_py():
        return doubtful
    owners = set(pc.list_parent_indices(column).filter(bad).to_pylist())
    return pc.or_(doubtful, _mask(owners, len(column)))


def _longer(lengths: Any, most: int) -> Any:
    return pc.fill_null(pc.greater(lengths, pa.scalar(most, lengths.type)), NO)


def _mask(rows: set[int], length: int) -> Any:
    flags = [False] * length
    for row in rows:
        flags[row] = True
    return pa.array(flags, pa.bool_())


def _any_of(masks: Masks, length: int) -> Any:
    if not masks:
        return pa.repeat(NO, length)
    whole = masks[0][2]
    for _, _, mask in masks[1:]:
        whole = pc.or_(whole, mask)
    return whole


def _listed(masks: Masks) -> list[CheckFailure]:
    """The first failures by row. Each mask gives at most `MOST_LISTED`, so that listing stays bounded too."""
    found: list[CheckFailure] = []
    for name, rule, mask in masks:
        rows: Any = pc.indices_nonzero(mask).slice(0, MOST_LISTED)
        found += [CheckFailure(row, name, rule) for row in rows.to_pylist()]
    return sorted(found)[:MOST_LISTED]
