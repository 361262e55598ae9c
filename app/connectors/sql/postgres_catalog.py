"""What PostgreSQL's catalogue says of a table or query: columns, base types, collations. No column is left out."""

from __future__ import annotations

from typing import Any

import asyncpg

from app.connectors.sql.columns import Table, documents_of
from app.connectors.sql.postgres_types import CatalogColumn, column_of
from app.connectors.sql.query import check_query
from app.connectors.sql.render import quote
from app.connectors.sql.source import SqlSource
from app.errors import SourceMissing, SourceRejected

_TABLES = """
SELECT CASE WHEN n.nspname LIKE '%.%' THEN '"' || n.nspname || '"' ELSE n.nspname END || '.' ||
       CASE WHEN c.relname LIKE '%.%' THEN '"' || c.relname || '"' ELSE c.relname END
FROM pg_class c JOIN pg_namespace n ON n.oid = c.relnamespace
WHERE c.relkind IN ('r', 'v', 'm', 'f', 'p') AND n.nspname NOT IN ('pg_catalog', 'information_schema')
  AND n.nspname NOT LIKE 'pg_toast%' AND has_table_privilege(c.oid, 'SELECT') ORDER BY n.nspname, c.relname LIMIT 1000
"""
_COLUMNS = """
WITH RECURSIVE base AS (
  SELECT a.attname, a.attnum, a.atttypid AS type, a.atttypmod AS modifier, a.attnotnull, a.attcollation,
         format_type(a.atttypid, a.atttypmod) AS shown
  FROM pg_attribute a WHERE a.attrelid = $1 AND a.attnum > 0 AND NOT a.attisdropped
  UNION ALL
  SELECT b.attname, b.attnum, t.typbasetype, CASE WHEN t.typtypmod >= 0 THEN t.typtypmod ELSE b.modifier END,
         b.attnotnull, b.attcollation, b.shown
  FROM base b JOIN pg_type t ON t.oid = b.type WHERE t.typtype = 'd'
)
SELECT b.attname, t.typname, b.modifier, b.shown, b.attnotnull,
       coalesce(k.collname IN ('C', 'POSIX', 'ucs_basic'), false)
         OR (coalesce(k.collname, '') = 'default' AND d.datcollate IN ('C', 'POSIX')) AS binary_order,
       coalesce(k.collisdeterministic, true) AS plain_equality
FROM base b JOIN pg_type t ON t.oid = b.type LEFT JOIN pg_collation k ON k.oid = b.attcollation
JOIN pg_database d ON d.datname = current_database()
WHERE t.typtype <> 'd' ORDER BY b.attnum
"""
_KEYS = """
SELECT array_agg(a.attname::text) FROM pg_index i
CROSS JOIN LATERAL unnest(i.indkey::int2[]) WITH ORDINALITY AS k(number, ordinal)
JOIN pg_attribute a ON a.attrelid = i.indrelid AND a.attnum = k.number
WHERE i.indrelid = $1 AND i.indisunique AND i.indisvalid AND i.indpred IS NULL AND i.indexprs IS NULL
  AND k.ordinal <= i.indnkeyatts
GROUP BY i.indexrelid HAVING bool_and(a.attnotnull)
"""


async def load_tables(session: asyncpg.Connection) -> tuple[str, ...]:
    """Tables and views that the user may read."""
    return tuple(row[0] for row in await session.fetch(_TABLES))


async def load_table(session: asyncpg.Connection, source: SqlSource) -> tuple[Table, str]:
    """The readable columns, and the text that stands behind FROM."""
    utf8 = await session.fetchval("SHOW server_encoding") == "UTF8"
    if source.query is not None:
        return await _query(session, source, utf8=utf8)
    schema, name = source.table_parts
    shown = f"{quote(schema)}.{quote(name)}" if schema else quote(name)
    relation = await session.fetchval("SELECT to_regclass($1)::oid", shown)
    if relation is None:
        raise SourceMissing(f"the database has no table {shown}", field="/source/table")
    rows = await session.fetch(_COLUMNS, relation)
    columns = [column_of(_entry(row), zone=source.zone, utf8=utf8) for row in rows]
    keys = [source.key, *(row[0] for row in await session.fetch(_KEYS, relation))]
    return Table(f"table {name}", documents_of(columns, source.json_columns), keys), shown


async def _query(session: asyncpg.Connection, source: SqlSource, *, utf8: bool) -> tuple[Table, str]:
    try:
        query = check_query(source.query or "", "postgres")
    except ValueError as error:
        raise SourceRejected(str(error), field="/source/query") from None
    origin = f"({query}) AS steward_query"
    statement = await session.prepare(f"SELECT * FROM {origin} LIMIT 0")  # noqa: S608 - one checked SELECT
    columns = [
        column_of(
            CatalogColumn(
                part.name, part.type.name, -1, part.type.name, not_null=False, binary_order=False, plain_equality=True
            ),
            zone=source.zone,
            utf8=utf8,
        )
        for part in statement.get_attributes()
    ]
    return Table("the query", documents_of(columns, source.json_columns), [source.key]), origin


def _entry(row: Any) -> CatalogColumn:
    return CatalogColumn(
        name=row["attname"],
        base_type=row["typname"],
        type_modifier=row["modifier"],
        shown_type=row["shown"],
        not_null=row["attnotnull"],
        binary_order=row["binary_order"],
        plain_equality=row["plain_equality"],
    )
