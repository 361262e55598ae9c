"""A filter over the records of a batch: each condition once per distinct value where it looks at one field, else per row."""

from __future__ import annotations

from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.filters.evaluation import compile_predicate
from app.filters.tree import TRUE, Filter, conjuncts, properties


def rows_that_hold(wanted: Filter, columns: pa.RecordBatch) -> Any:
    """The mask of the rows for which the filter is true; None where all are."""
    if wanted == TRUE:
        return None
    mask: Any = None
    for part in conjuncts(wanted):
        held = _held(part, columns)
        mask = held if mask is None else pc.and_(mask, held)
    return mask


def _held(part: Filter, columns: pa.RecordBatch) -> Any:
    holds, names = compile_predicate(part), sorted(properties(part))
    if not names:
        return pa.repeat(holds({}) is True, columns.num_rows)
    if len(names) == 1:
        name = names[0]
        column = columns.column(name)
        if not pa.types.is_nested(column.type) and not pa.types.is_floating(column.type):
            distinct: Any = column.dictionary_encode()
            values = [*distinct.dictionary.to_pylist(), None]
            held: Any = pa.array([holds({name: value}) is True for value in values], pa.bool_())
            return held.take(distinct.indices.fill_null(len(values) - 1))
    rows = columns.select(names).to_pylist()
    return pa.array([holds(row) is True for row in rows], pa.bool_())
