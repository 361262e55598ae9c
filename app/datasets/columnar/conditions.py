"""A filter over the records of a batch: each condition once per distinct value where it looks at one field, else per row."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.columnar.kernels import NO
from app.filters.evaluation import Predicate, compile_predicate
from app.filters.tree import TRUE, Compare, Filter, Literal, Property, conjuncts, properties


class Conditions:
    """A filter, made ready once for all batches of a read."""

    def __init__(self, wanted: Filter) -> None:
        parts = () if wanted == TRUE else conjuncts(wanted)
        self._parts = [(compile_predicate(part), sorted(properties(part)), _same_text(part)) for part in parts]

    def hold(self, columns: pa.RecordBatch) -> Any:
        """The mask of the rows for which the filter is true; None where all are."""
        mask: Any = None
        for holds, names, text in self._parts:
            if text is not None and pa.types.is_string(columns.column(names[0]).type):
                held = pc.fill_null(pc.equal(columns.column(names[0]), text), NO)
            else:
                held = _held(holds, names, columns)
            mask = held if mask is None else pc.and_(mask, held)
        return mask


def _same_text(part: Filter) -> Any:
    """The text that a field has to be equal to, where that is the whole condition."""
    if not isinstance(part, Compare) or part.op != "=" or not isinstance(part.left, Property):
        return None
    given = part.right.value if isinstance(part.right, Literal) else None
    try:
        return pa.scalar(given) if isinstance(given, str) else None
    except UnicodeEncodeError:  # half a surrogate
        return None


def _held(holds: Predicate, names: Sequence[str], columns: pa.RecordBatch) -> Any:
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
    rows = columns.select(list(names)).to_pylist()
    return pa.array([holds(row) is True for row in rows], pa.bool_())
