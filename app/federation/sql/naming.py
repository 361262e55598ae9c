"""The names that the engine gives to columns without one (`count_star()`, `(harga * 2)`), before anything is written anew.

The engine's parser alone is asked, by the text of the column: nothing is bound and nothing runs.
"""

from __future__ import annotations

from functools import lru_cache

import duckdb
from sqlglot import exp

from app.federation.sql.names import LONGEST_NAME
from app.federation.sql.parsing import DIALECT, WRITTEN

_AS_READ = "SELECT json_deserialize_sql(json_serialize_sql(?))"
_HEAD = "SELECT "


def name_columns(tree: exp.Query) -> None:
    """Puts the engine's name behind every column that has none. One longer than a name may be stays without."""
    engine = _parser().cursor()
    known: dict[str, str | None] = {}
    for select in list(tree.find_all(exp.Select)):
        behind = _windows(select)
        for column in list(select.expressions):
            text = column.meta.get(WRITTEN)
            if text is None or isinstance(column, exp.Alias | exp.Column | exp.Star) or column.is_star:
                continue
            text += behind
            if text not in known:
                known[text] = _name(engine, text)
            name = known[text]
            if name is not None and 0 < len(name) <= LONGEST_NAME:
                column.replace(exp.Alias(this=column.copy(), alias=exp.to_identifier(name, quoted=True)))


def _windows(select: exp.Select) -> str:
    """What its columns call windows by: the engine's names say them in full."""
    found = [window.copy() for window in select.args.get("windows") or ()]
    whole = exp.Select(expressions=[exp.Literal.number(1)], windows=found).sql(dialect=DIALECT) if found else ""
    return whole.removeprefix("SELECT 1")


def _name(engine: duckdb.DuckDBPyConnection, text: str) -> str | None:
    try:
        found = engine.execute(_AS_READ, [_HEAD + text]).fetchone()
    except duckdb.Error:
        return None
    return str(found[0]).removeprefix(_HEAD) if found is not None and found[0] is not None else None


@lru_cache(maxsize=1)
def _parser() -> duckdb.DuckDBPyConnection:
    engine = duckdb.connect(":memory:", config={"threads": 1})
    for command in (
        "SET autoinstall_known_extensions = false", "SET autoload_known_extensions = false", "SET enable_external_access = false",
        "SET lock_configuration = true",
    ):  # fmt: skip
        engine.execute(command)
    return engine
