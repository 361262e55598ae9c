"""The rows of a batch mapped field by field: what most rows need, in few steps. A row with anything odd in it is left to `map_row`.

Gives the very values that `map_row` gives, or nothing: rejects, nulled fields and turned geometries are its business alone.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import date
from decimal import Decimal
from typing import Any

from app.datasets.mapping.compile import CompiledField
from app.datasets.mapping.rules import StepReject
from app.schemas.definition import SchemaDef

_Column = Callable[[Sequence[Any]], "Sequence[Any] | None"]
_NOTHING = type(None)


class PlainRows:
    """The fields of a mapping, ready for whole batches."""

    def __init__(self, schema: SchemaDef, fields: Sequence[CompiledField]) -> None:
        self._fields = fields
        self._names = tuple(field.name for field in fields)
        self._columns = [_COLUMNS.get(schema.fields[field.name].kind) for field in fields]

    def values(self, names: Sequence[str], rows: Sequence[tuple[Any, ...]]) -> list[dict[str, Any] | None]:
        """The values of each row; None for one that `map_row` has to look at. `names` are those of the raw columns."""
        if not rows or not self._fields:
            return [None] * len(rows)
        raw: list[dict[str, Any]] | None = None
        columns, odd, mapped = list(zip(*rows, strict=True)), set[int](), []
        indexes = {name: index for index, name in enumerate(names)}
        for field, plain in zip(self._fields, self._columns, strict=True):
            found: Sequence[Any] | None = None
            if plain is not None and field.rename in indexes:
                found = plain(columns[indexes[field.rename]])
            if found is None:
                if raw is None:
                    raw = [dict(zip(names, row, strict=True)) for row in rows]
                found = _each(field, raw, odd)
            mapped.append(found)
        made: list[dict[str, Any] | None] = [
            dict(zip(self._names, row, strict=True)) for row in zip(*mapped, strict=True)
        ]
        for index in odd:
            made[index] = None
        return made


def _each(field: CompiledField, rows: Sequence[Mapping[str, Any]], odd: set[int]) -> list[Any]:
    """The field of every row by itself; the indexes of those that reject go to `odd`."""
    value, found = field.value, []
    for index, row in enumerate(rows):
        try:
            found.append(value(row))
        except StepReject:
            odd.add(index)
            found.append(None)
    return found


def _text(column: Sequence[Any]) -> Sequence[Any] | None:
    if not _TEXTS.issuperset(map(type, column)):
        return None
    return [value if value and not value.isspace() else None for value in column]


def _number(column: Sequence[Any]) -> Sequence[Any] | None:
    if not _NUMBERS.issuperset(map(type, column)):
        return None
    try:
        return [None if value is None else float(value) for value in column]
    except OverflowError:
        return None


def _same(kind: type) -> _Column:
    kinds = frozenset({kind, _NOTHING})
    return lambda column: column if kinds.issuperset(map(type, column)) else None


_TEXTS = frozenset({str, _NOTHING})
_NUMBERS = frozenset({float, int, Decimal, _NOTHING})
_COLUMNS: Mapping[str, _Column] = {
    "text": _text,
    "number": _number,
    "integer": _same(int),
    "boolean": _same(bool),
    "date": _same(date),
}
"""By the kind of a field: its column where every raw value is of the plain type, None where it is not."""
