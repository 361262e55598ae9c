"""The process that runs one query and writes its result, row by row, to a file. It reads what to do from standard input.

The session at the database is read-only. Drivers stand here alone, so that the agent itself stays small.
"""

from __future__ import annotations

import contextlib
import json
import math
import sys
from collections.abc import Iterator, Sequence
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from pathlib import Path
from typing import IO, Any
from urllib.parse import unquote, urlsplit

_ROWS = 1000
_Rows = Iterator[Sequence[Any]]


class QueryFault(Exception):
    """What is wrong, and what to do."""

    def __init__(self, code: str, detail: str, advice: str) -> None:
        super().__init__(detail)
        self.code = code
        self.advice = advice


@contextlib.contextmanager
def opened(database: str, password: str | None, query: str) -> Iterator[tuple[list[str], _Rows]]:
    """Names of the columns, and the rows as they arrive."""
    url = urlsplit(database)
    if url.scheme == "sqlite":
        import sqlite3  # noqa: PLC0415 - one driver a process

        file = Path(url.path.removeprefix("/"))
        if not file.is_file():
            raise QueryFault("database_missing", f"{file} does not exist", "check the schedule's database")
        with contextlib.closing(sqlite3.connect(f"{file.resolve().as_uri()}?mode=ro", uri=True)) as connection:
            cursor = connection.execute(query)
            yield _columns(cursor.description), _fetched(cursor)
        return
    host, user = url.hostname or "localhost", unquote(url.username or "")
    name = unquote(url.path.removeprefix("/"))
    if url.scheme == "postgresql":
        import psycopg  # noqa: PLC0415 - one driver a process

        with psycopg.connect(
            host=host, user=user, password=password or None, dbname=name, port=url.port or 5432, connect_timeout=15
        ) as session:
            session.read_only = True
            with session.cursor(name="simpul_agent") as rows:
                rows.itersize = _ROWS
                rows.execute(query.encode())
                yield _columns(rows.description), iter(rows)
        return
    import pymysql  # noqa: PLC0415 - one driver a process
    from pymysql.cursors import SSCursor  # noqa: PLC0415 - as above

    with (
        contextlib.closing(
            pymysql.connect(
                host=host,
                user=user,
                password=password or "",
                database=name,
                port=url.port or 3306,
                connect_timeout=15,
                charset="utf8mb4",
                cursorclass=SSCursor,
            )
        ) as read_only,
        read_only.cursor() as found,
    ):
        found.execute("SET SESSION TRANSACTION READ ONLY")
        found.execute("START TRANSACTION READ ONLY")
        found.execute(query)
        yield _columns(found.description), _fetched(found)


def _columns(description: Any) -> list[str]:
    if not description:
        raise QueryFault("query_no_rows", "the statement gives no rows", "write one SELECT")
    names = [str(column[0]) for column in description]
    for name in names:
        if names.count(name) > 1:
            raise QueryFault("query_columns", f"two columns are named {name!r}", "give each a name with AS")
    return names


def _fetched(cursor: Any) -> _Rows:
    while rows := cursor.fetchmany(_ROWS):
        yield from rows


def plain(value: Any, column: str) -> Any:
    """A value as text, number, truth value or None; decimals and dates as exact text. Raises `QueryFault` for what is none of these."""
    if value is None or isinstance(value, str | bool | int):
        return value
    if isinstance(value, float):
        if not math.isfinite(value):
            raise QueryFault(
                "query_value", f"column {column}: {value} is no number", "replace it in the SELECT, as with NULLIF"
            )
        return value
    if isinstance(value, Decimal):
        if not value.is_finite():
            raise QueryFault("query_value", f"column {column}: {value} is no number", "replace it in the SELECT")
        return value
    if isinstance(value, datetime | date | time):
        return value.isoformat()
    if isinstance(value, timedelta):  # how MySQL gives a time of day
        return str(value)
    if isinstance(value, dict | list):
        return json.dumps(value, ensure_ascii=False)
    text = str(value)
    if isinstance(value, bytes | bytearray | memoryview):
        raise QueryFault(
            "query_value", f"column {column}: it holds bytes", "write it as text in the SELECT, or leave it out"
        )
    return text


def csv_cell(value: Any, column: str) -> str:
    """RFC 4180; what is absent is empty, an empty text is `""`."""
    found = plain(value, column)
    if found is None:
        return ""
    if isinstance(found, bool):
        return "true" if found else "false"
    if isinstance(found, Decimal):
        return format(found, "f")
    text = repr(found) if isinstance(found, float) else str(found)
    if text == "" or text != text.strip() or any(sign in text for sign in ',"\r\n'):
        return '"' + text.replace('"', '""') + '"'
    return text


def json_token(value: Any, column: str) -> str:
    """A JSON value; decimals with all their digits."""
    found = plain(value, column)
    if isinstance(value, dict | list):
        return str(found)
    return format(found, "f") if isinstance(found, Decimal) else json.dumps(found, ensure_ascii=False)


def write(out: IO[str], form: str, columns: list[str], rows: _Rows, most: int | None) -> int:
    """Writes the rows (at most so many); how many there were."""
    count = 0
    if form == "csv":
        out.write(",".join(csv_cell(name, name) for name in columns) + "\n")
    keys = [json.dumps(name, ensure_ascii=False) for name in columns]
    for row in rows:
        if form == "csv":
            line = ",".join(map(csv_cell, row, columns))
            out.write(('""' if line == "" and len(columns) == 1 else line) + "\n")
        else:
            tokens = map(json_token, row, columns)
            out.write("{" + ",".join(f"{key}:{token}" for key, token in zip(keys, tokens, strict=True)) + "}\n")
        count += 1
        if count == most:
            break
    return count


def main() -> int:
    """One query: `{"database", "password", "query", "format", "target", "most"}` in, what came of it out, as JSON."""
    asked = json.load(sys.stdin)
    try:
        with opened(asked["database"], asked["password"], asked["query"]) as (columns, rows):
            partial = Path(asked["target"] + ".new")
            with partial.open("w", encoding="utf-8", newline="") as out:
                count = write(out, asked["format"], columns, rows, asked["most"])
            partial.replace(asked["target"])
    except QueryFault as fault:
        print(json.dumps({"code": fault.code, "detail": str(fault), "advice": fault.advice}))  # noqa: T201 - to its parent
        return 1
    except Exception as error:  # noqa: BLE001 - whatever a driver raises is told to the parent
        detail = " ".join(str(error).split())[:300]
        print(  # noqa: T201 - to its parent
            json.dumps(
                {
                    "code": "query_failed",
                    "detail": f"{type(error).__name__}: {detail}",
                    "advice": "try the query by hand with the same user; check database, password and rights",
                }
            )
        )
        return 1
    print(json.dumps({"rows": count}))  # noqa: T201 - to its parent
    return 0


if __name__ == "__main__":
    sys.exit(main())
