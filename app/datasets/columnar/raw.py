"""Raw columns of a batch in the form that is cheapest for what is asked of them: Arrow, or Python values.

A value keeps its Python type: a column becomes Arrow only where nothing of a value is lost by it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import replace
from datetime import date
from typing import Any

import pyarrow as pa

from app.connectors.contract import RawBatch
from app.connectors.raw_values import is_json, python_values

_SAME: Mapping[pa.DataType, type] = {
    pa.string(): str,
    pa.int64(): int,
    pa.bool_(): bool,
    pa.date32(): date,
    pa.float64(): float,
}
"""Arrow types that hold every value of a Python type as it is, and nothing else."""


class RawColumns:
    """The columns of one batch by name. A column that is asked for twice is converted once."""

    def __init__(self, batch: RawBatch) -> None:
        self.batch = batch
        self.rows = len(batch)
        self._indexes = {name: index for index, name in enumerate(batch.schema.names)}
        self._values: dict[str, Sequence[Any]] = {}
        self._arrow: dict[str, Any] = {}
        self._turned: list[Sequence[Any]] | None = None

    def values(self, name: str) -> Sequence[Any]:
        """The values as the row form has them; an absent column is all null."""
        found = self._values.get(name)
        if found is None:
            found = self._values[name] = self._read(name)
        return found

    def arrow(self, name: str) -> Any:
        """The column in Arrow; None where that would change a value, or where its values are no scalars."""
        if name not in self._arrow:
            self._arrow[name] = self._as_arrow(name)
        return self._arrow[name]

    def select(self, indexes: Sequence[int]) -> RawBatch:
        """These rows alone, without the rejects and counts of the batch."""
        batch = self.batch
        numbers = None if batch.numbers is None else [batch.numbers[index] for index in indexes]
        rows = None if batch.rows is None else [batch.rows[index] for index in indexes]
        arrow = None if batch.arrow is None else batch.arrow.take(pa.array(indexes, pa.int64()))
        return replace(batch, rows=rows, arrow=arrow, numbers=numbers, rejects=[], skipped_blank=0)

    def _read(self, name: str) -> Sequence[Any]:
        index = self._indexes.get(name)
        if index is None:
            return [None] * self.rows
        if self.batch.arrow is not None:
            return python_values(self.batch.arrow.schema.field(index), self.batch.arrow.column(index))
        if self._turned is None:
            self._turned = list(zip(*(self.batch.rows or ()), strict=True))
        return self._turned[index] if self._turned else []

    def _as_arrow(self, name: str) -> Any:
        index = self._indexes.get(name)
        if index is None:
            return pa.nulls(self.rows)
        field = self.batch.schema.field(index)
        if is_json(field):
            return None
        if self.batch.arrow is not None:
            column = self.batch.arrow.column(index)
            return None if pa.types.is_nested(column.type) else column
        kinds = set(map(type, self.values(name))) - {type(None)}
        for arrow_type, kind in _SAME.items():
            if kinds <= {kind}:
                try:
                    return pa.array(self.values(name), arrow_type)
                except (pa.ArrowInvalid, OverflowError, UnicodeEncodeError):
                    return None
        return None
