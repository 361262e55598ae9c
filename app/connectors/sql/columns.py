"""The columns of a SQL source as both dialects see them: how each is read, compared and ordered, and what a cell may be.

Identifiers in generated text come only from here, that is from the source's own catalogue, always quoted.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, replace
from decimal import Decimal
from math import isfinite
from typing import Any, Literal

import pyarrow as pa

from app.connectors.cells import NOT_FINITE, Unreadable
from app.connectors.contract import JSON_COLUMN, RawReject
from app.connectors.json_text import JsonFlaw, parse_json
from app.connectors.personal import key_text
from app.errors import SourceSchemaMismatch

Family = Literal["text", "integer", "float", "decimal", "boolean", "date", "timestamp", "instant", "json"]
ARROW_TYPES: dict[Family, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "float": pa.float64(),
    "decimal": pa.decimal128(38, 20),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "timestamp": pa.timestamp("us"),
    "instant": pa.timestamp("us", tz="UTC"),
    "json": pa.string(),
}


@dataclass(frozen=True, slots=True)
class Column:
    """One raw column. `select` gives the raw value, `equal` and `ordered` stand in predicates (`ordered` in ORDER BY too)."""

    name: str
    source_type: str
    family: Family
    arrow_type: pa.DataType
    select: str
    equal: str
    ordered: str
    nullable: bool = True
    native: str = ""
    """A type whose literals can be compared in the source's own type when that is exact: `uuid`, `bpchar`."""
    filterable: bool = True
    sortable: bool = True

    @property
    def field(self) -> pa.Field[Any]:
        """The Arrow field of the raw schema. Never marked as non-null: a source's promise is not ours."""
        return pa.field(self.name, self.arrow_type, metadata=JSON_COLUMN if self.family == "json" else None)


def documents_of(columns: Iterable[Column], names: Sequence[str]) -> list[Column]:
    """The columns, those of these names as JSON. Raises `SourceSchemaMismatch` for a name that no text column has."""
    found = list(columns)
    indexes = {column.name: index for index, column in enumerate(found)}
    for name in names:
        index = indexes.get(name)
        if index is None or found[index].family not in ("text", "json"):
            raise SourceSchemaMismatch(
                f"there is no text column {name!r} to read as JSON", field="/source/json_columns"
            )
        found[index] = replace(
            found[index], family="json", arrow_type=ARROW_TYPES["json"], filterable=False, sortable=False
        )
    return found


class Table:
    """The readable columns of a source in their order, and the sets of them that identify a row."""

    def __init__(
        self, label: str, columns: Iterable[Column], keys: Iterable[Iterable[str]] = (), named_by: Iterable[str] = ()
    ) -> None:
        """`named_by`: columns that name a row for people where no key is certain (a primary key of SQLite may be null)."""
        self.label = label
        self.columns = tuple(columns)
        self.by_name = {column.name: column for column in self.columns}
        self.keys = tuple(dict.fromkeys(frozenset(key) for key in keys if key))
        self._names = (*self.keys, *(frozenset(part) for part in (tuple(named_by),) if part))
        self.filterable = frozenset(column.name for column in self.columns if column.filterable)
        self.sortable = frozenset(column.name for column in self.columns if column.sortable)

    def location(self, columns: Sequence[Column], cells: Sequence[Any], number: int) -> str:
        """Where a row stands: at its key where the columns that were read have one, else its position in this read."""
        named = {column.name: cell for column, cell in zip(columns, cells, strict=True)}
        key = next((key for key in self._names if key <= named.keys()), frozenset())
        pairs = [(name, named[name]) for name in sorted(key) if not isinstance(named[name], Unreadable | bytes)]
        return self.label + (key_text(pairs) or f", row {number} of this read")

    def choose(self, names: Sequence[str] | None) -> tuple[Column, ...]:
        """The columns of these names in this order; `SourceSchemaMismatch` names those that are gone."""
        if names is None:
            return self.columns
        missing = [name for name in names if name not in self.by_name]
        if missing:
            raise SourceSchemaMismatch(
                f"{self.label} has no column {', '.join(map(repr, missing[:5]))}; it has "
                f"{', '.join(repr(column.name) for column in self.columns[:40])}",
                field="/source/table",
                step="columns",
                missing=tuple(missing),
            )
        return tuple(self.by_name[name] for name in names)


Check = Callable[[Any], Any]
"""A value as the driver gives it -> the value of the Python row, or `Unreadable`."""


def check_of(column: Column) -> Check | None:
    """The check a column's values need; None when every value the driver can give is fine."""
    if column.family == "float":
        return _finite
    if column.family == "decimal":
        return _decimal_check(column.arrow_type)
    if column.family == "json":
        return json_value
    if column.family in ("date", "timestamp", "instant") or (column.family == "text" and not column.filterable):
        return _as_is
    return None


def finish_rows(
    rows: Sequence[Sequence[Any]],
    checks: Sequence[tuple[int, Check]],
    columns: Sequence[Column],
    first: int,
    table: Table,
) -> tuple[list[tuple[Any, ...]], list[RawReject]]:
    """Applies the checks; a row with an unreadable cell becomes a `RawReject` that names its key (or its position), not its values."""
    if not checks:
        return [tuple(row) for row in rows], []
    good: list[tuple[Any, ...]] = []
    rejects: list[RawReject] = []
    for number, row in enumerate(rows, first):
        cells = list(row)
        for position, check in checks:
            value = cells[position]
            if value is not None:
                value = cells[position] = check(value)
                if isinstance(value, Unreadable):
                    name = columns[position].name
                    location = table.location(columns, cells, number)
                    rejects.append(RawReject(location, value.rule, f"column {name!r}: {value.detail}"))
                    break
        else:
            good.append(tuple(cells))
    return good, rejects


def _as_is(value: Any) -> Any:
    return value


def _finite(value: Any) -> Any:
    if isinstance(value, float) and not isfinite(value):
        return NOT_FINITE
    return value


def _decimal_check(arrow_type: Any) -> Check:
    whole_digits, scale = arrow_type.precision - arrow_type.scale, arrow_type.scale

    def check(value: Any) -> Any:
        if not isinstance(value, Decimal):
            return value
        if not value.is_finite():
            return NOT_FINITE
        exponent = value.as_tuple().exponent
        if (value and value.adjusted() >= whole_digits) or (
            isinstance(exponent, int) and -exponent > scale and _cut(value, scale)
        ):
            return Unreadable(
                "decimal_range",
                f"the number needs more than {whole_digits} digits before or {scale} after the point; "
                "round it in a query, or read it as text there",
            )
        return value

    return check


def _cut(value: Decimal, scale: int) -> bool:
    """True when digits other than zero stand behind `scale` places."""
    digits, exponent = value.as_tuple().digits, value.as_tuple().exponent
    surplus = -int(exponent) - scale
    return any(digits[-surplus:]) if surplus <= len(digits) else any(digits)


def json_value(value: Any) -> Any:
    """The document of a JSON text, or `Unreadable`."""
    if isinstance(value, Unreadable):
        return value
    try:
        return parse_json(value)
    except JsonFlaw as flaw:
        return Unreadable(flaw.rule, flaw.detail)
