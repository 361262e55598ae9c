"""MySQL and MariaDB types as raw columns, and what their catalogue says of a table or query. No column is left out.

Text is compared, ordered and grouped as its UTF-8 bytes, which every version does alike: their collations ignore case,
accents and trailing blanks.
"""

from __future__ import annotations

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from decimal import Decimal
from typing import Any

import pyarrow as pa
from pymysql.constants import FIELD_TYPE

from app.connectors.sql.columns import ARROW_TYPES, Column, Family
from app.connectors.sql.drift import TYPES

_INTEGERS = frozenset({"tinyint", "smallint", "mediumint", "int", "bigint", "year"})
_TEXTS = frozenset({"char", "varchar", "tinytext", "text", "mediumtext", "longtext"})
_BYTES = frozenset({"binary", "varbinary", "tinyblob", "blob", "mediumblob", "longblob"})
_GEOMETRIES = frozenset(
    {
        "geometry",
        "point",
        "linestring",
        "polygon",
        "multipoint",
        "multilinestring",
        "multipolygon",
        "geometrycollection",
    }
)
_BINARY_ORDER = frozenset({"utf8mb4_nopad_bin", "utf8mb4_0900_bin"})
_UTF8 = frozenset({"utf8mb4", "utf8mb3", "utf8", "ascii"})
MAX_PRECISION = 38
_RESULT_TYPES = {
    FIELD_TYPE.TINY: "tinyint",
    FIELD_TYPE.SHORT: "smallint",
    FIELD_TYPE.INT24: "mediumint",
    FIELD_TYPE.LONG: "int",
    FIELD_TYPE.LONGLONG: "bigint",
    FIELD_TYPE.YEAR: "year",
    FIELD_TYPE.BIT: "bit",
    FIELD_TYPE.FLOAT: "float",
    FIELD_TYPE.DOUBLE: "double",
    FIELD_TYPE.DECIMAL: "decimal",
    FIELD_TYPE.NEWDECIMAL: "decimal",
    FIELD_TYPE.DATE: "date",
    FIELD_TYPE.DATETIME: "datetime",
    FIELD_TYPE.TIMESTAMP: "timestamp",
    FIELD_TYPE.TIME: "time",
    FIELD_TYPE.GEOMETRY: "geometry",
    FIELD_TYPE.JSON: "json",
}
_BINARY_CHARSET = 63
DRIVER_TYPES: Mapping[Family, tuple[type, ...]] = {
    **TYPES,
    "decimal": (Decimal, int),
    "text": (str, bytes),
    **dict.fromkeys(("date", "timestamp", "instant"), (date, str)),
}
"""What PyMySQL gives for a family: a date that no calendar has is text, an unsigned BIGINT and BIT whole numbers."""
_UNSIGNED_FLAG = 32

COLUMNS = """
SELECT COLUMN_NAME, LOWER(DATA_TYPE), COLUMN_TYPE, IS_NULLABLE, NUMERIC_PRECISION, NUMERIC_SCALE, CHARACTER_SET_NAME, COLLATION_NAME
FROM information_schema.COLUMNS WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s ORDER BY ORDINAL_POSITION
"""
KEYS = """
SELECT INDEX_NAME, COLUMN_NAME, NULLABLE, SUB_PART FROM information_schema.STATISTICS
WHERE TABLE_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s AND NON_UNIQUE = 0
"""
JSON_CHECKS = """
SELECT CHECK_CLAUSE FROM information_schema.CHECK_CONSTRAINTS WHERE CONSTRAINT_SCHEMA = COALESCE(%s, DATABASE()) AND TABLE_NAME = %s
"""
_JSON_CHECK = re.compile(r"json_valid\(`((?:[^`]|``)+)`\)", re.IGNORECASE)
TABLES = """
SELECT TABLE_SCHEMA, TABLE_NAME, TABLE_SCHEMA = DATABASE() AS own FROM information_schema.TABLES
WHERE TABLE_SCHEMA NOT IN ('information_schema', 'performance_schema', 'mysql', 'sys')
ORDER BY own DESC, TABLE_SCHEMA, TABLE_NAME LIMIT 1000
"""


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column as the catalogue (or a prepared result) describes it."""

    name: str
    base_type: str
    shown_type: str
    nullable: bool = True
    precision: int | None = None
    scale: int | None = None
    charset: str = ""
    collation: str = ""


def quote(name: str) -> str:
    """An identifier in backticks. A percent sign is doubled: the driver puts values in by `%s`."""
    return "`" + name.replace("`", "``").replace("%", "%%") + "`"


def catalog_column(row: Sequence[Any], json: frozenset[str] = frozenset()) -> CatalogColumn:
    """One row of `COLUMNS`; `json`: the text columns that hold JSON."""
    name, base, shown, nullable, precision, scale, charset, collation = row
    if name in json:
        base = shown = "json"
    return CatalogColumn(
        str(name), str(base), str(shown), nullable == "YES", precision, scale, str(charset or ""), str(collation or "")
    )


def json_columns(clauses: Sequence[Sequence[Any]]) -> frozenset[str]:
    """The columns that the rows of `JSON_CHECKS` hold to be JSON: MariaDB's JSON is a LONGTEXT with such a check."""
    found = (_JSON_CHECK.fullmatch(str(clause)) for clause, *_ in clauses)
    return frozenset(match[1].replace("``", "`") for match in found if match)


def result_column(field: Any) -> CatalogColumn:
    """A column of a query's result."""
    base = _RESULT_TYPES.get(field.type_code, "text")
    if base == "text" and field.charsetnr == _BINARY_CHARSET:
        base = "blob"
    shown = f"{base} unsigned" if field.flags & _UNSIGNED_FLAG else base
    return CatalogColumn(field.name, base, shown)


def unique_keys(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Unique sets of whole columns that are never null."""
    found: dict[str, list[str]] = {}
    unsure = {str(index) for index, _, nullable, part in rows if nullable == "YES" or part is not None}
    for index, column, _, _ in rows:
        found.setdefault(str(index), []).append(str(column))
    return [columns for index, columns in found.items() if index not in unsure]


def column_of(entry: CatalogColumn, *, zone: str | None) -> Column:
    """The raw column. A DATETIME with a stated `zone` is read as an instant; the gateway filters and sorts it."""
    name, base = quote(entry.name), entry.base_type
    if base in _INTEGERS:
        if base == "bigint" and "unsigned" in entry.shown_type:
            return _column(entry, "decimal", name, pa.decimal128(20, 0))
        return _column(entry, "integer", name)
    if base == "bit":
        return _column(entry, "decimal", f"({name} + 0)", pa.decimal128(20, 0))
    if base == "decimal":
        return _decimal(entry, name)
    if base == "double":
        return _column(entry, "float", name)
    if base == "float":
        return _column(entry, "float", f"(CAST({name} AS CHAR) + 0.0e0)")
    if base in ("date", "timestamp"):
        return _column(entry, "date" if base == "date" else "instant", name)
    if base == "datetime":
        return _column(entry, "instant" if zone else "timestamp", name, pushed=zone is None)
    if base == "json":
        return _column(entry, "json", f"CAST({name} AS CHAR)", pushed=False)
    return _text(entry, name)


def _decimal(entry: CatalogColumn, name: str) -> Column:
    if entry.precision is None:
        return _column(entry, "decimal", name)
    if entry.precision > MAX_PRECISION:
        return _bytewise(entry, f"CAST({name} AS CHAR)")
    return _column(entry, "decimal", name, pa.decimal128(entry.precision, entry.scale or 0))


def _text(entry: CatalogColumn, name: str) -> Column:
    """Text of any kind; what is none is read in its own text form, bytes as hexadecimal digits."""
    if entry.base_type in _BYTES:
        return _bytewise(entry, f"LOWER(HEX({name}))")
    if entry.base_type in _GEOMETRIES:
        return _bytewise(entry, f"ST_AsText({name})", pushed=False)
    if entry.base_type not in _TEXTS:
        return _bytewise(entry, f"CAST({name} AS CHAR)")
    native = "utf8" if entry.charset in _UTF8 else "other"
    return _bytewise(entry, name, native=native, ordered=name if entry.collation in _BINARY_ORDER else None)


def _bytewise(
    entry: CatalogColumn, select: str, *, native: str = "", ordered: str | None = None, pushed: bool = True
) -> Column:
    compared = ordered or f"CAST(CONVERT({select} USING utf8mb4) AS BINARY)"
    return Column(
        name=entry.name,
        source_type=entry.shown_type,
        family="text",
        arrow_type=ARROW_TYPES["text"],
        select=select,
        equal=compared,
        ordered=compared,
        nullable=entry.nullable,
        native=native,
        filterable=pushed,
        sortable=pushed,
    )


def _column(
    entry: CatalogColumn, family: Family, select: str, arrow_type: pa.DataType | None = None, *, pushed: bool = True
) -> Column:
    return Column(
        name=entry.name,
        source_type=entry.shown_type,
        family=family,
        arrow_type=arrow_type or ARROW_TYPES[family],
        select=select,
        equal=select,
        ordered=select,
        nullable=entry.nullable,
        filterable=pushed,
        sortable=pushed,
    )
