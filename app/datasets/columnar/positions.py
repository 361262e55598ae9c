"""Positions of records in an order, over the columns of a batch: as `datasets/selection.py` has them of single records.

Nulls stand last in either direction, text compares by code point, ties are broken by the values of the key.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.columnar.kernels import NO
from app.datasets.selection import LAST_KEY
from app.schemas.definition import SchemaDef


@dataclass(frozen=True, slots=True)
class Ordering:
    """The parts of an order: (field, descending), those of the key behind those that were asked for."""

    parts: tuple[tuple[str, bool], ...]
    asked: int
    """How many of the parts were asked for."""

    @classmethod
    def of(cls, schema: SchemaDef, order: tuple[tuple[str, bool], ...]) -> Ordering:
        """The whole order of a read."""
        return cls((*order, *((name, False) for name in schema.meta.key)), len(order))

    def behind(self, columns: pa.RecordBatch, values: Mapping[str, Any]) -> Any:
        """The mask of the rows that stand behind the record of these values."""
        return _behind(columns, self.parts, [values.get(name) for name, _ in self.parts], NO)

    def behind_position(self, columns: pa.RecordBatch, schema: SchemaDef, after: Sequence[Any]) -> Any:
        """The mask of the rows behind a position of a question: values of the order that was asked for, then a key."""
        values, key = list(after[:-1]), after[-1]
        if key in ("", LAST_KEY):  # before and behind all keys
            equal = pa.repeat(key == "", columns.num_rows)
            return _behind(columns, self.parts[: self.asked], values, equal)
        return _behind(columns, self.parts, [*values, *schema.key_values(key).values()], NO)

    def first(self, columns: pa.RecordBatch, count: int) -> Any:
        """The indexes of the first `count` rows in order."""
        once: dict[str, bool] = {}
        for name, descending in self.parts:
            once.setdefault(name, descending)
        keys: Any = [(name, "descending" if descending else "ascending", "at_end") for name, descending in once.items()]
        return pc.sort_indices(columns.select(list(once)), sort_keys=keys)[:count]


def _behind(columns: pa.RecordBatch, parts: Sequence[tuple[str, bool]], values: Sequence[Any], equal: Any) -> Any:
    """Rows whose parts come behind the values; `equal` says it of rows that have the very values. Raises `pa.ArrowException`."""
    found = equal
    for (name, descending), value in reversed(list(zip(parts, values, strict=True))):
        column = columns.column(name)
        missing = column.is_null()
        if value is None:
            found = pc.and_(missing, found)
            continue
        given = pa.scalar(value, column.type)
        beyond = pc.less(column, given) if descending else pc.greater(column, given)
        same = pc.fill_null(pc.equal(column, given), NO)
        found = pc.or_(pc.or_(missing, pc.fill_null(beyond, NO)), pc.and_(same, found))
    return found
