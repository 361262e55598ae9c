"""Soft findings of a batch: kernels and distinct values tell which rows may have one; those rows are judged as records are."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.records import RecordWarning
from app.schemas.base import SoftRule, rule_applies
from app.schemas.definition import SchemaDef
from app.schemas.warnings import TEXTS, Surroundings, finders_of, finding_function, within


def findings_of(
    schema: SchemaDef, columns: pa.RecordBatch, around: Surroundings
) -> dict[int, tuple[RecordWarning, ...]]:
    """The findings by row; rows without any are absent. Rows with the same findings share one tuple."""
    found = _of_single_fields(schema, columns, around)
    rows = sorted(_doubtful(schema, columns, around))
    findings = finding_function(schema, schema.fields, around, RecordWarning)
    for row, values in zip(rows, columns.take(pa.array(rows, pa.int64())).to_pylist() if rows else (), strict=True):
        told = findings(values)
        if told:
            found[row] = tuple(told)
    return found


def _of_single_fields(
    schema: SchemaDef, columns: pa.RecordBatch, around: Surroundings
) -> dict[int, tuple[RecordWarning, ...]]:
    """The findings that one field's value makes by itself, asked once per distinct value."""
    kinds: list[tuple[RecordWarning, ...]] = [()]
    found = np.zeros(columns.num_rows, np.int64)  # of each row, as an index into `kinds`
    for name, _, finder in finders_of(schema):
        column = columns.column(name)
        if column.null_count == len(column):
            continue
        distinct: Any = column.dictionary_encode()
        codes = [finder(value, around.regions) for value in distinct.dictionary.to_pylist()]
        named = sorted({code for code in codes if code is not None})
        if not named:
            continue
        numbers = np.array([0 if code is None else 1 + named.index(code) for code in [*codes, None]])
        told = numbers[distinct.indices.fill_null(len(codes)).to_numpy()]
        rows = np.flatnonzero(told)
        both, inverse = np.unique(found[rows] * (1 + len(named)) + told[rows], return_inverse=True)
        found[rows] = len(kinds) + inverse
        for before, number in (divmod(pair, 1 + len(named)) for pair in both.tolist()):
            code = named[number - 1]
            kinds.append((*kinds[before], RecordWarning(name, code, *TEXTS[code])))
    rows = np.flatnonzero(found)
    return dict(zip(rows.tolist(), [kinds[index] for index in found[rows].tolist()], strict=True))


def _doubtful(schema: SchemaDef, columns: pa.RecordBatch, around: Surroundings) -> set[int]:
    """The rows that several fields together may make a finding of."""
    rows: set[int] = set()
    if around.bbox is not None:
        for parts in schema.coordinates.values():
            rows.update(beyond(columns, parts, around.bbox))
    for rule in schema.model.soft_rules:
        asked = _unsure(rule, columns)
        names = sorted({*rule.needs})
        for row, values in zip(asked, _rows(columns.take(pa.array(asked, pa.int64())), names), strict=True):
            if rule_applies(rule, values) and not rule.holds(values):
                rows.add(row)
    return rows


def _unsure(rule: SoftRule, columns: pa.RecordBatch) -> list[int]:
    """The rows that the rule has to be asked about: all needs are given, and not all within the bounds where it surely holds."""
    given: Any = None
    sure: Any = None
    for name in rule.needs:
        valid = columns.column(name).is_valid()
        given = valid if given is None else pc.and_(given, valid)
    for name, (low, high) in rule.sure.items():
        inside = pc.fill_null(_between(columns.column(name), low, high), pa.scalar(False))  # noqa: FBT003 - Arrow's way
        sure = inside if sure is None else pc.and_(sure, inside)
    if sure is not None:
        given = pc.and_not(given, sure)
    return list(range(columns.num_rows)) if given is None else _indexes(given)


def beyond(columns: pa.RecordBatch, parts: tuple[str, ...], box: tuple[float, float, float, float]) -> list[int]:
    """The rows whose place may lie outside the box."""
    if len(parts) == 1:
        return _indexes(columns.column(parts[0]).is_valid())
    west, south, east, north = box
    lng, lat = (columns.column(part).cast(pa.float64()) for part in parts)
    inside = pc.and_(_between(lng, west, east), _between(lat, south, north))
    doubtful = _indexes(pc.fill_null(pc.invert(inside), pa.scalar(False)))  # noqa: FBT003 - Arrow has no other way
    values = _rows(columns.take(pa.array(doubtful, pa.int64())), list(parts)) if doubtful else []
    return [
        row for row, found in zip(doubtful, values, strict=True) if not within(box, [found[part] for part in parts])
    ]


def _between(column: Any, low: float, high: float) -> Any:
    return pc.and_(pc.greater_equal(column, pa.scalar(low)), pc.less_equal(column, pa.scalar(high)))


def _rows(columns: pa.RecordBatch, names: list[str]) -> list[dict[str, Any]]:
    return columns.select(names).to_pylist()


def _indexes(mask: Any) -> list[int]:
    found: list[int] = pc.indices_nonzero(mask).to_pylist()
    return found
