"""PostgreSQL types as raw columns: which are read as they are, which as lossless text, and what compares exactly.

A type that is not named here is read as its text form; no column is ever left out.
"""

from __future__ import annotations

from dataclasses import dataclass

import pyarrow as pa

from app.connectors.sql.columns import ARROW_TYPES, Column, Family
from app.connectors.sql.render import quote

_PLAIN: dict[str, Family] = {
    "bool": "boolean",
    "int2": "integer",
    "int4": "integer",
    "int8": "integer",
    "float8": "float",
    "date": "date",
    "timestamp": "timestamp",
    "timestamptz": "instant",
    "text": "text",
    "varchar": "text",
}
MAX_PRECISION = 38


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column as PostgreSQL's catalogue describes it; domains are already resolved to their base type."""

    name: str
    base_type: str
    type_modifier: int
    shown_type: str
    not_null: bool
    binary_order: bool
    """The column's own collation orders text byte by byte."""
    plain_equality: bool
    """Equality under the column's collation is equality of bytes."""


def column_of(entry: CatalogColumn, *, zone: str | None, utf8: bool) -> Column:
    """The raw column. `zone`: what timestamps without one mean; `utf8`: the server's encoding orders as UTF-8 does."""
    name = quote(entry.name)
    if entry.base_type == "numeric":
        return _numeric(entry, name)
    if entry.base_type == "float4":
        return _column(entry, "float", f"(({name})::text)::float8")
    if entry.base_type in ("json", "jsonb"):
        return _column(entry, "json", f"({name})::text", filterable=False, sortable=False)
    if entry.base_type == "timestamp" and zone is not None:
        escaped = zone.replace("'", "''")
        return _column(entry, "instant", f"({name} AT TIME ZONE '{escaped}')")
    family = _PLAIN.get(entry.base_type, "text")
    if family != "text":
        return _column(entry, family, name)
    return _text(entry, name, utf8=utf8)


def _text(entry: CatalogColumn, name: str, *, utf8: bool) -> Column:
    """Text of any kind. The cast is lossless for every type: it is the type's own output form."""
    stays = entry.base_type in ("text", "varchar")
    if entry.base_type == "money":
        select = f"(({name})::numeric)::text"
    elif entry.base_type == "bytea":
        select = f"encode({name}, 'hex')"
    else:
        select = name if stays else f"({name})::text"
    compared = f'{select} COLLATE "C"'
    return Column(
        name=entry.name,
        source_type=entry.shown_type,
        family="text",
        arrow_type=ARROW_TYPES["text"],
        select=select,
        equal=select if stays and entry.plain_equality else compared,
        ordered=select if stays and entry.binary_order else compared,
        nullable=not entry.not_null,
        native=entry.base_type if entry.base_type in ("uuid", "bpchar") else "",
        filterable=utf8,
        sortable=utf8,
    )


def _numeric(entry: CatalogColumn, name: str) -> Column:
    """numeric(p,s) as decimal128(p,s); without precision as decimal128(38,20); wider than 38 digits as text."""
    if entry.type_modifier < 0:
        return _column(entry, "decimal", name)
    precision = ((entry.type_modifier - 4) >> 16) & 0xFFFF
    scale = (((entry.type_modifier - 4) & 0x7FF) ^ 1024) - 1024
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    if precision > MAX_PRECISION:
        return _text(entry, name, utf8=True)
    return _column(entry, "decimal", name, arrow_type=pa.decimal128(precision, scale))


def _column(
    entry: CatalogColumn,
    family: Family,
    select: str,
    *,
    arrow_type: pa.DataType | None = None,
    filterable: bool = True,
    sortable: bool = True,
) -> Column:
    return Column(
        name=entry.name,
        source_type=entry.shown_type,
        family=family,
        arrow_type=arrow_type or ARROW_TYPES[family],
        select=select,
        equal=select,
        ordered=select,
        nullable=not entry.not_null,
        filterable=filterable,
        sortable=sortable,
    )
