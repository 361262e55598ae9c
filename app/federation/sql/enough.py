"""Of which tables a statement needs no more than some rows, whichever they are: LIMIT without an order, EXISTS, DISTINCT with LIMIT.

Only where that is exactly so: one table by itself, read once in the statement, with a WHERE that its sources and the gateway decide
as the engine would. Nothing is counted, grouped, ordered or numbered there, and no check for keys of several agencies reads it.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Final

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

from app.federation.question.query import Enough
from app.federation.sql.pushed import decides_where
from app.federation.sql.structure import SOURCE_COLUMNS
from app.schemas.registry import SchemaDef

MOST_DISTINCT: Final = 10_000
"""Different rows that are told apart while they are read. For more of them everything is read."""
_AS_THEY_STAND: Final = frozenset({"text", "integer", "decimal", "boolean", "date", "datetime"})
"""Kinds of fields whose values are the same for the engine exactly when they are the same here; floats have two zeros."""
_READS_ALL: Final = ("joins", "laterals", "group", "having", "qualify", "order", "windows", "sample")


def rows_enough(scopes: Sequence[Scope], schemas: Mapping[str, SchemaDef]) -> dict[str, Enough]:
    """By schema. Names are resolved; the last scope is the statement's own."""
    uses = [source.name for scope in scopes for _, source in _taken(scope) if isinstance(source, exp.Table)]
    found = {}
    for scope in scopes:
        table = _only_table(scope)
        if table is None or uses.count(table[1].name) != 1:
            continue
        alias, source = table
        schema = schemas[source.name]
        if not decides_where(scope, alias, schema):
            continue
        enough = _enough(scope, alias, schema, outermost=scope is scopes[-1])
        if enough is not None:
            found[schema.name] = enough
    return found


def _only_table(scope: Scope) -> tuple[str, exp.Table] | None:
    """The table that the query takes row by row."""
    query = scope.expression
    if not isinstance(query, exp.Select) or any(query.args.get(part) for part in _READS_ALL):
        return None
    if any(shown.find(exp.AggFunc, exp.Window, exp.Query) for shown in query.selects) or len(_taken(scope)) != 1:
        return None
    ((alias, source),) = _taken(scope)
    return (alias, source) if isinstance(source, exp.Table) else None


def _taken(scope: Scope) -> list[tuple[str, Any]]:
    """What stands in its own FROM."""
    return [(alias, source) for alias, (_, source) in scope.selected_sources.items()]


def _enough(scope: Scope, alias: str, schema: SchemaDef, *, outermost: bool) -> Enough | None:
    query: Any = scope.expression
    limit, offset, distinct = query.args.get("limit"), _number(query.args.get("offset")), query.args.get("distinct")
    if offset is None:
        return None
    if isinstance(query.parent, exp.Exists) and limit is None and not offset:
        return Enough(1)
    rows = _number(limit)
    if limit is not None and rows is None:
        return None
    if distinct is None:
        if limit is not None:
            return Enough((rows or 0) + offset)
        return Enough(None, offset) if outermost else None
    told_apart = _told_apart(query, alias, schema)
    if limit is None or told_apart is None or distinct.args.get("on") is not None:
        return None
    wanted = (rows or 0) + offset
    return Enough(wanted, distinct=told_apart) if wanted <= MOST_DISTINCT else None


def _number(part: Any) -> int | None:
    """The number of a LIMIT or OFFSET, 0 where there is none; None where it is not simply written."""
    if part is None:
        return 0
    written = part.expression
    plain = isinstance(part, exp.Limit | exp.Offset) and isinstance(written, exp.Literal) and not written.is_string
    return int(written.name) if plain and written.name.isdecimal() else None


def _told_apart(query: exp.Select, alias: str, schema: SchemaDef) -> tuple[str, ...] | None:
    """The fields of a DISTINCT that shows columns as they are. Who gave a row is the same for all of one dataset."""
    names = []
    for shown in (column.unalias() for column in query.selects):
        if not isinstance(shown, exp.Column) or shown.table != alias:
            return None
        if shown.name in SOURCE_COLUMNS:
            continue
        if schema.fields[shown.name].kind not in _AS_THEY_STAND:
            return None
        names.append(shown.name)
    return tuple(dict.fromkeys(names))
