"""Oracle types as raw columns, and what the catalogue says of a table or query. No column is left out: one that is not read is refused.

Dates and times are read as texts of a stated form, since Oracle knows years that Python does not; a DATE has a time of day.
An empty text is null in Oracle, and a CHAR is read without the blanks that fill it up.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from typing import Any
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa

from app.connectors.cells import DATE_BEYOND, TIME_TOO_FINE, Unreadable
from app.connectors.sql.columns import ARROW_TYPES, Check, Column, Family, check_of
from app.connectors.sql.drift import TYPES
from app.connectors.sql.render import quote
from app.errors import SourceRejected

UNICODE = "AL32UTF8"
"""The character set whose bytes are UTF-8: texts are ordered as here, and every text can be asked for."""
MAX_PRECISION = 38
_LONGEST_INT = 18
_VARYING = frozenset({"VARCHAR2", "NVARCHAR2", "VARCHAR"})
_PADDED = frozenset({"CHAR", "NCHAR"})
_LARGE = frozenset({"CLOB", "NCLOB", "LONG"})
_BYTES = frozenset({"RAW", "BLOB", "LONG RAW"})
_DAY = 'SYYYY-MM-DD"T"HH24:MI:SS'
_MOMENT = f"{_DAY}.FF9"
_PLAIN_COLLATIONS = frozenset({"", "USING_NLS_COMP", "BINARY"})
DRIVER_TYPES: Mapping[Family, tuple[type, ...]] = {
    **TYPES,
    "integer": (Decimal, int),
    "text": (str, bytes),
    **dict.fromkeys(("timestamp", "instant"), (str,)),
}
"""What the driver gives for a family, with `fetch_decimals` and without LOBs."""
_RESULT_TYPES = {
    "DB_TYPE_VARCHAR": "VARCHAR2",
    "DB_TYPE_NVARCHAR": "NVARCHAR2",
    "DB_TYPE_CHAR": "CHAR",
    "DB_TYPE_NCHAR": "NCHAR",
    "DB_TYPE_CLOB": "CLOB",
    "DB_TYPE_NCLOB": "NCLOB",
    "DB_TYPE_LONG": "LONG",
    "DB_TYPE_NUMBER": "NUMBER",
    "DB_TYPE_BINARY_DOUBLE": "BINARY_DOUBLE",
    "DB_TYPE_BINARY_FLOAT": "BINARY_FLOAT",
    "DB_TYPE_DATE": "DATE",
    "DB_TYPE_TIMESTAMP": "TIMESTAMP(6)",
    "DB_TYPE_TIMESTAMP_TZ": "TIMESTAMP(6) WITH TIME ZONE",
    "DB_TYPE_TIMESTAMP_LTZ": "TIMESTAMP(6) WITH LOCAL TIME ZONE",
    "DB_TYPE_RAW": "RAW",
    "DB_TYPE_BLOB": "BLOB",
    "DB_TYPE_LONG_RAW": "LONG RAW",
    "DB_TYPE_ROWID": "ROWID",
    "DB_TYPE_UROWID": "UROWID",
    "DB_TYPE_INTERVAL_DS": "INTERVAL DAY TO SECOND",
    "DB_TYPE_INTERVAL_YM": "INTERVAL YEAR TO MONTH",
    "DB_TYPE_JSON": "JSON",
    "DB_TYPE_BOOLEAN": "BOOLEAN",
}

_COLUMNS = """
SELECT COLUMN_NAME, DATA_TYPE, NULLABLE, DATA_PRECISION, DATA_SCALE, {collation}
FROM ALL_TAB_COLUMNS WHERE OWNER = NVL(:p1, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND TABLE_NAME = :p2 ORDER BY COLUMN_ID
"""
KEYS = """
SELECT K.CONSTRAINT_NAME, C.COLUMN_NAME, T.NULLABLE
FROM ALL_CONSTRAINTS K
JOIN ALL_CONS_COLUMNS C ON C.OWNER = K.OWNER AND C.CONSTRAINT_NAME = K.CONSTRAINT_NAME
JOIN ALL_TAB_COLUMNS T ON T.OWNER = C.OWNER AND T.TABLE_NAME = C.TABLE_NAME AND T.COLUMN_NAME = C.COLUMN_NAME
WHERE K.OWNER = NVL(:p1, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND K.TABLE_NAME = :p2
AND K.CONSTRAINT_TYPE IN ('P', 'U') AND K.STATUS = 'ENABLED' AND K.VALIDATED = 'VALIDATED'
"""
TABLES = """
SELECT OWNER, NAME, OWN FROM (
SELECT OWNER, TABLE_NAME AS NAME, CASE WHEN OWNER = SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') THEN 1 ELSE 0 END AS OWN FROM ALL_TABLES
UNION ALL
SELECT OWNER, VIEW_NAME, CASE WHEN OWNER = SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA') THEN 1 ELSE 0 END FROM ALL_VIEWS)
WHERE OWNER NOT IN (SELECT USERNAME FROM ALL_USERS WHERE ORACLE_MAINTAINED = 'Y')
ORDER BY OWN DESC, OWNER, NAME FETCH FIRST 1000 ROWS ONLY
"""
COUNTED = """
SELECT NUM_ROWS FROM ALL_TABLES WHERE OWNER = NVL(:p1, SYS_CONTEXT('USERENV', 'CURRENT_SCHEMA')) AND TABLE_NAME = :p2
"""
CHARSET = "SELECT VALUE FROM NLS_DATABASE_PARAMETERS WHERE PARAMETER = 'NLS_CHARACTERSET'"
RIGHTS = """
SELECT PRIVILEGE FROM SESSION_PRIVS WHERE PRIVILEGE NOT IN ('CREATE SESSION', 'SELECT ANY TABLE', 'READ ANY TABLE', 'SELECT ANY DICTIONARY')
UNION
SELECT PRIVILEGE || ' ON ' || OWNER || '.' || TABLE_NAME FROM USER_TAB_PRIVS_RECD WHERE PRIVILEGE NOT IN ('SELECT', 'READ')
AND OWNER <> 'SYS'
UNION
SELECT PRIVILEGE || ' ON ' || OWNER || '.' || TABLE_NAME FROM ROLE_TAB_PRIVS WHERE PRIVILEGE NOT IN ('SELECT', 'READ') AND OWNER <> 'SYS'
UNION
SELECT 'OWNER OF ' || TABLE_NAME FROM USER_TABLES
ORDER BY 1 FETCH FIRST 20 ROWS ONLY
"""
"""What the user may do beyond reading: by its own rights, by its roles, as the owner of a table."""


@dataclass(frozen=True, slots=True)
class CatalogColumn:
    """A column as the catalogue (or the result of a query) describes it. `scale` None with `precision` None: any number."""

    name: str
    base_type: str
    nullable: bool = True
    precision: int | None = None
    scale: int | None = None
    collation: str = ""


def columns_query(version: tuple[int, int]) -> str:
    """The catalogue's columns; collations of columns are known from 12.2 on."""
    return _COLUMNS.format(collation="COLLATION" if version >= (12, 2) else "NULL")


def catalog_column(row: Sequence[Any]) -> CatalogColumn:
    """One row of `columns_query`."""
    name, base, nullable, precision, scale, collation = row
    return CatalogColumn(str(name), str(base), nullable == "Y", _whole(precision), _whole(scale), str(collation or ""))


def result_column(told: Any) -> CatalogColumn:
    """A column of a query's result, as the driver tells it. Collations are not told: its texts are not filtered at the server."""
    kind = str(told.type.name)
    precision, scale = _whole(told.precision), _whole(told.scale)
    if kind == "DB_TYPE_NUMBER" and (not precision or scale == -127):  # an expression, or FLOAT
        precision = scale = None
    return CatalogColumn(
        str(told.name),
        _RESULT_TYPES.get(kind, kind.removeprefix("DB_TYPE_")),
        bool(told.null_ok),
        precision,
        scale,
        "?",
    )


def unique_keys(rows: Sequence[Sequence[Any]]) -> list[list[str]]:
    """Unique sets of columns that are never null, by the rows of `KEYS`."""
    found: dict[str, list[str]] = {}
    unsure = {str(name) for name, _, nullable in rows if nullable != "N"}
    for name, column, _ in rows:
        found.setdefault(str(name), []).append(str(column))
    return [columns for name, columns in found.items() if name not in unsure]


def column_of(entry: CatalogColumn, *, charset: str, zone: str | None) -> Column:
    """The raw column. Raises `SourceRejected` for a type that is not read; a DATE with a stated `zone` is an instant, filtered here."""
    name, base = quote(entry.name), entry.base_type
    if base in ("NUMBER", "FLOAT"):
        return _number(entry, name)
    if base in ("BINARY_DOUBLE", "BINARY_FLOAT"):
        return _column(entry, "float", name, pushed=False)
    if base == "BOOLEAN":
        return _column(entry, "boolean", name, pushed=False)
    if base == "JSON":
        return _column(entry, "json", f"JSON_SERIALIZE({name} RETURNING CLOB)", pushed=False)
    if base == "DATE" or base.startswith("TIMESTAMP"):
        return _time(entry, name, zone)
    if base in _VARYING | _PADDED:
        return _text(entry, name, charset)
    if base in _LARGE | _BYTES:
        return _column(entry, "text", name, pushed=False)
    if base in ("ROWID", "UROWID"):
        return _column(entry, "text", f"ROWIDTOCHAR({name})", pushed=False)
    if base.startswith("INTERVAL"):
        return _column(entry, "text", f"TO_CHAR({name})", pushed=False)
    detail = f"the column {entry.name!r} is of type {base[:60]}, which is not read; leave it out or convert it to text in a query"
    raise SourceRejected(detail, field="/source/table")


def cell_check(column: Column, zone: str | None) -> Check | None:
    """What makes a value of the driver one of the raw type; None where it is one."""
    if column.family == "integer":
        return int
    if column.family in ("timestamp", "instant"):
        stated = zone if column.family == "instant" and not column.sortable else None
        return partial(_moment_of, ZoneInfo(stated) if stated else UTC if column.family == "instant" else None)
    if column.source_type in _BYTES:
        return _hexadecimal
    found = check_of(column)
    if column.source_type == "BINARY_FLOAT" and found is not None:
        return partial(_single, found)
    return found


def _number(entry: CatalogColumn, name: str) -> Column:
    """NUMBER(p,s) as decimal128(p,s), whole up to 18 digits as integers; without precision as decimal128(38,20)."""
    if entry.base_type == "FLOAT" or (entry.precision is None and entry.scale is None):
        return _column(entry, "decimal", name)
    precision, scale = entry.precision or MAX_PRECISION, entry.scale or 0
    if scale < 0:
        precision, scale = precision - scale, 0
    precision = max(precision, scale)
    if precision > MAX_PRECISION:
        return _column(entry, "decimal", name)
    if scale == 0 and precision <= _LONGEST_INT:
        return _column(entry, "integer", name)
    return _column(entry, "decimal", name, pa.decimal128(precision, scale))


def _time(entry: CatalogColumn, name: str, zone: str | None) -> Column:
    if "TIME ZONE" in entry.base_type:
        moment = f"SYS_EXTRACT_UTC(CAST({name} AS TIMESTAMP WITH TIME ZONE))"
        return _column(entry, "instant", f"TO_CHAR({moment}, '{_MOMENT}')", compared=name)
    form = _DAY if entry.base_type == "DATE" else _MOMENT
    family: Family = "instant" if zone else "timestamp"
    return _column(entry, family, f"TO_CHAR({name}, '{form}')", compared=name, pushed=zone is None)


def _text(entry: CatalogColumn, name: str, charset: str) -> Column:
    """Text under the binary comparison of the session, which a collation of the column itself would change."""
    select = f"RTRIM({name})" if entry.base_type in _PADDED else name
    plain = entry.collation in _PLAIN_COLLATIONS
    national = entry.base_type.startswith("N")
    return Column(
        name=entry.name,
        source_type=entry.base_type,
        family="text",
        arrow_type=ARROW_TYPES["text"],
        select=select,
        equal=select,
        ordered=select,
        nullable=entry.nullable,
        native="unicode" if charset == UNICODE else "ascii",
        filterable=plain,
        sortable=plain and charset == UNICODE and not national,
    )


def _column(
    entry: CatalogColumn,
    family: Family,
    select: str,
    arrow_type: pa.DataType | None = None,
    *,
    compared: str | None = None,
    pushed: bool = True,
) -> Column:
    return Column(
        name=entry.name,
        source_type=entry.base_type,
        family=family,
        arrow_type=arrow_type or ARROW_TYPES[family],
        select=select,
        equal=compared or select,
        ordered=compared or select,
        nullable=entry.nullable,
        filterable=pushed,
        sortable=pushed,
    )


def _moment_of(zone: Any, value: str) -> Any:
    """A moment out of ` 2024-02-29T23:59:58.123456789`; with a zone as a moment of UTC."""
    text = value.strip()
    whole, _, fraction = text.partition(".")
    if text.startswith("-") or len(whole) != len("2024-02-29T23:59:58") or whole.startswith("0000"):
        return DATE_BEYOND
    if fraction[6:].strip("0"):
        return TIME_TOO_FINE
    try:
        moment = datetime.fromisoformat(f"{whole}.{fraction[:6]}" if fraction else whole)
        return moment.replace(tzinfo=zone).astimezone(UTC) if zone is not None else moment
    except (ValueError, OverflowError):
        return DATE_BEYOND


def _hexadecimal(value: Any) -> Any:
    return value.hex() if isinstance(value, bytes) else value


def _single(check: Callable[[Any], Any], value: Any) -> Any:
    """A number of 32 bits as its shortest digits."""
    found = check(value)
    return found if isinstance(found, Unreadable) else float(str(np.float32(found)))


def _whole(value: Any) -> int | None:
    return None if value is None else int(value)
