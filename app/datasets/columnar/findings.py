"""Soft findings of a batch: kernels and distinct values tell which rows may have one; those rows are judged as records are."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.records import RecordWarning
from app.schemas.base import rule_applies
from app.schemas.definition import SchemaDef
from app.schemas.warnings import Surroundings, finders_of, soft_warnings, within


def findings_of(
    schema: SchemaDef, columns: pa.RecordBatch, around: Surroundings
) -> dict[int, tuple[RecordWarning, ...]]:
    """The findings by row; rows without any are absent."""
    rows = sorted(_doubtful(schema, columns, around))
    found = {}
    for row, values in zip(rows, columns.take(pa.array(rows, pa.int64())).to_pylist() if rows else (), strict=True):
        told = soft_warnings(schema, values, around)
        if told:
            found[row] = tuple(RecordWarning(one.field, one.code, one.detail_id, one.detail_en) for one in told)
    return found


def _doubtful(schema: SchemaDef, columns: pa.RecordBatch, around: Surroundings) -> set[int]:
    rows: set[int] = set()
    for name, _, finder in finders_of(schema):
        column = columns.column(name)
        if column.null_count == len(column):
            continue
        distinct = column.unique().to_pylist()
        told = [value for value in distinct if value is not None and finder(value, around.regions) is not None]
        if told:
            rows.update(_indexes(pc.is_in(column, value_set=pa.array(told, column.type))))
    if around.bbox is not None:
        for parts in schema.coordinates.values():
            rows.update(_beyond(columns, parts, around.bbox))
    for rule in schema.model.soft_rules:
        names = sorted({*rule.needs})
        for row, values in enumerate(_rows(columns, names)):
            if rule_applies(rule, values) and not rule.holds(values):
                rows.add(row)
    return rows


def _beyond(columns: pa.RecordBatch, parts: tuple[str, ...], box: tuple[float, float, float, float]) -> list[int]:
    """The rows whose place may lie outside the box."""
    if len(parts) == 1:
        return _indexes(columns.column(parts[0]).is_valid())
    west, south, east, north = box
    lng, lat = (columns.column(part).cast(pa.float64()) for part in parts)
    inside = pc.and_(_between(lng, west, east), _between(lat, south, north))
    doubtful = _indexes(pc.fill_null(pc.invert(inside), pa.scalar(False)))  # noqa: FBT003 - Arrow has no other way
    values = list(_rows(columns, list(parts)))
    return [row for row in doubtful if not within(box, [values[row][part] for part in parts])]


def _between(column: Any, low: float, high: float) -> Any:
    return pc.and_(pc.greater_equal(column, pa.scalar(low)), pc.less_equal(column, pa.scalar(high)))


def _rows(columns: pa.RecordBatch, names: list[str]) -> list[dict[str, Any]]:
    return columns.select(names).to_pylist()


def _indexes(mask: Any) -> list[int]:
    found: list[int] = pc.indices_nonzero(mask).to_pylist()
    return found
