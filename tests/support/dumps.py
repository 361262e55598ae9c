"""SQL dumps of MySQL as SQLite files: the statements are read by a parser, not by patterns."""

from __future__ import annotations

import sqlite3
from pathlib import Path

import sqlglot
from sqlglot import exp


def load_dump(dump: Path, target: Path) -> None:
    """Makes an SQLite file of the CREATE TABLE and INSERT statements of a MySQL dump."""
    connection = sqlite3.connect(target)
    for statement in sqlglot.parse(dump.read_text("utf-8"), dialect="mysql"):
        if isinstance(statement, exp.Create) and statement.kind == "TABLE":
            table = statement.find(exp.Table)
            columns = [part.name for part in statement.find_all(exp.ColumnDef)]
            types = {
                part.name: "REAL" if "DOUBLE" in part.sql() else "TEXT" for part in statement.find_all(exp.ColumnDef)
            }
            shape = ", ".join(f'"{name}" {types[name]}' for name in columns)
            connection.execute(f'CREATE TABLE IF NOT EXISTS "{table.name}" ({shape})')
        elif isinstance(statement, exp.Insert):
            _insert(connection, statement)
    connection.commit()
    connection.close()


def _insert(connection: sqlite3.Connection, statement: exp.Insert) -> None:
    table = statement.find(exp.Table)
    into = statement.this
    names = [part.name for part in into.expressions] if isinstance(into, exp.Schema) else []
    rows = [[_value(cell) for cell in row.expressions] for row in statement.expression.expressions]
    marks = ", ".join("?" for _ in rows[0])
    columns = f" ({', '.join(names)})" if names else ""
    connection.executemany(f'INSERT INTO "{table.name}"{columns} VALUES ({marks})', rows)


def _value(cell: exp.Expression) -> object:
    if isinstance(cell, exp.Neg):
        return -float(cell.this.this)
    if isinstance(cell, exp.Literal):
        return cell.this if cell.is_string else float(cell.this)
    return None
