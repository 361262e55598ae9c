"""The yardstick of aggregates: what `app/federation/adding.py` computes, record by record in Python and exact by its arithmetic."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from decimal import Context, Decimal
from typing import Any

from app.datasets.selection import comparable
from app.errors import AggregateTooLarge, MixedLevels, MixedUnits
from app.federation.adding import MOST_GROUPS, MOST_INTEGER
from app.federation.question.aggregation import Aggregation, Measure
from app.federation.question.query import AnswerRecord
from app.filters.evaluation import compile_predicate
from app.schemas.registry import SchemaDef

_EXACT = Context(prec=60)
_AVERAGE = Context(prec=18)
_REGION_CODES = frozenset({"KodeWilayah", "KodeWilayahAtauAsal"})
_UNIT_FIELDS = ("satuan", "pengali")


def aggregate(schema: SchemaDef, records: Sequence[AnswerRecord], asked: Aggregation) -> list[dict[str, Any]]:
    """One item a group, in the order of the groups' values; without groups exactly one."""
    groups: dict[tuple[Any, ...], list[Mapping[str, Any]]] = {} if asked.group_by else {(): []}
    for found in records:
        values = found.record.values
        groups.setdefault(tuple([values.get(name) for name in asked.group_by]), []).append(values)
        if len(groups) > MOST_GROUPS:
            detail = f"more than {MOST_GROUPS} groups; group by fewer fields or narrow the filter"
            raise AggregateTooLarge(detail, limit_groups=MOST_GROUPS)
    if asked.adds_up:
        for rows in groups.values():
            _one_level(schema, rows)
            _one_unit(schema, rows)
    items = []
    for group in sorted(groups, key=lambda found: [comparable(value, descending=False) for value in found]):
        item = dict(zip(asked.group_by, group, strict=True))
        for measure in asked.measures:
            item[measure.name] = _measured(schema, measure, groups[group])
        items.append(item)
    if asked.having is not None:
        holds = compile_predicate(asked.having)
        items = [item for item in items if holds(item) is True]
    return items


def _measured(schema: SchemaDef, measure: Measure, rows: Sequence[Mapping[str, Any]]) -> Any:
    if measure.field is None:
        return len(rows)
    values = [value for row in rows if (value := row.get(measure.field)) is not None]
    if measure.function == "count":
        return len(values)
    if measure.function == "count_distinct":
        return len(set(values))
    if not values:
        return None
    return _REDUCERS[measure.function](values, schema.fields[measure.field].kind)


def _exact_sum(values: Sequence[Any]) -> Decimal:
    total = Decimal(0)
    for value in values:
        total = _EXACT.add(total, Decimal(repr(value)) if isinstance(value, float) else Decimal(value))
    return total


def _sum(values: Sequence[Any], kind: str) -> Any:
    total = _exact_sum(values)
    if kind == "number":
        return float(total)
    if kind == "integer" and abs(total) <= MOST_INTEGER:
        return int(total)
    return total


def _avg(values: Sequence[Any], kind: str) -> Any:
    mean = _AVERAGE.divide(_exact_sum(values), Decimal(len(values)))
    return float(mean) if kind == "number" else mean


_REDUCERS: dict[str, Callable[[Sequence[Any], str], Any]] = {
    "sum": _sum,
    "avg": _avg,
    "min": lambda values, _kind: min(values),
    "max": lambda values, _kind: max(values),
}


def _one_level(schema: SchemaDef, rows: Sequence[Mapping[str, Any]]) -> None:
    """A province holds its regencies: adding both counts the people twice."""
    for name in schema.meta.key:
        if schema.fields[name].semantic not in _REGION_CODES:
            continue
        levels = {min(str(row[name]).count("."), 3) for row in rows if row.get(name) is not None}
        if len(levels) > 1:
            raise MixedLevels(
                f"{name} holds regions of {len(levels)} levels in one group, and a region contains those below it; "
                f"filter to one level or group by {name}",
                field=name,
            )


def _one_unit(schema: SchemaDef, rows: Sequence[Mapping[str, Any]]) -> None:
    names = [name for name in _UNIT_FIELDS if name in schema.fields]
    if names and len({tuple([row.get(name) for name in names]) for row in rows}) > 1:
        listed = " and ".join(names)
        raise MixedUnits(f"{listed} differ within one group; filter to one or group by {listed}", fields=names)
