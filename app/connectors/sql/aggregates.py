"""What comes back from an aggregate: one row a group, in types that hold it exactly. Shared by the dialects."""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from app.connectors.cells import Unreadable
from app.connectors.contract import RawBatch
from app.connectors.requests import AggregateRequest, Measure
from app.connectors.sql.columns import Table
from app.connectors.sql.render import undeclared
from app.errors import SourceTooLarge

AGGREGATES = frozenset({"count", "sum", "min", "max"})
_MOST_DIGITS = 38


def finish_groups(rows: Sequence[Sequence[Any]], request: AggregateRequest, table: Table) -> RawBatch:
    """The groups as a batch: columns of the groups under their names, measures as `function(column)`."""
    if len(rows) > request.limit:
        raise SourceTooLarge(f"more than {request.limit} groups; group by fewer columns", limit_groups=request.limit)
    fields = [table.by_name[name].field for name in request.group_by]
    fields += [_field(measure, table) for measure in request.measures]
    first = len(request.group_by)
    indexes = [index for index, field in enumerate(fields[first:], first) if pa.types.is_decimal(field.type)]
    finished = []
    for row in rows:
        cells = list(row)
        if any(isinstance(cell, Unreadable) for cell in cells):
            raise undeclared("a group or measure is a date that no calendar has; the gateway computes it")
        for index in indexes:
            cells[index] = _exact(cells[index], fields[index])
        finished.append(tuple(cells))
    return RawBatch(pa.schema(fields), rows=finished, location=table.label)


def _field(measure: Measure, table: Table) -> pa.Field[Any]:
    name = f"{measure.function}({measure.column or '*'})"
    if measure.function == "count" or measure.column is None:
        return pa.field(name, pa.int64())
    kind = table.by_name[measure.column].arrow_type
    if measure.function == "sum":
        return pa.field(name, pa.decimal128(_MOST_DIGITS, getattr(kind, "scale", 0)))
    return pa.field(name, kind)


def _exact(value: Any, field: pa.Field[Any]) -> Decimal | None:
    """The number as a Decimal; one that the type cannot hold (NaN, too many digits) is for the gateway to compute."""
    if value is None:
        return None
    number = Decimal(value)
    if not number.is_finite() or number.adjusted() >= _MOST_DIGITS - getattr(field.type, "scale", 0):
        raise undeclared(f"{field.name}: the result is beyond {_MOST_DIGITS} digits, or a value is not finite")
    return number
