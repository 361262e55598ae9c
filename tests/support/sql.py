"""Statements of tests about the engine, which read no schema by themselves."""

from __future__ import annotations

from app.schemas import registry

_READ = "baca AS (SELECT kode_faskes FROM fasilitas_kesehatan WHERE kode_faskes = 'tidak ada')"


def governed(sql: str) -> str:
    """The statement with a WITH query that reads a schema, as every statement must; one that does already stays as it is."""
    if any(schema.name in sql for schema in registry.all_schemas()):
        return sql
    return f"WITH {_READ}, {sql[5:]}" if sql.upper().startswith("WITH ") else f"WITH {_READ} {sql}"
