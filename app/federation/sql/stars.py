"""`*` by scope: over a schema it is the granted fields, over a subquery or a WITH query all that it names.

The engine's tables also hold `_agency` and `_dataset`, which are there when they are named.
"""

from __future__ import annotations

from typing import Any

from sqlglot import exp

from app.federation.sql.refusals import SqlConstructForbidden
from app.federation.sql.structure import SOURCE_COLUMNS


def write_stars(tree: exp.Query, schemas: frozenset[str]) -> None:
    """Changes every `*` of the tree so that it stands for what it means. No WITH query is called like a schema."""
    for select in tree.find_all(exp.Select):
        if any(column.is_star for column in select.expressions):
            sources = _sources(select)
            made: list[exp.Expr] = []
            for column in select.expressions:
                made += _written(column, select, sources, schemas)
            select.set("expressions", made)


def _sources(select: exp.Select) -> dict[str, Any]:
    """What the query reads and `*` shows, by its name in the query."""
    first = select.args.get("from_")
    shown = [join.this for join in select.args.get("joins") or () if join.kind.upper() not in {"SEMI", "ANTI"}]
    return {source.alias_or_name.lower(): source for source in [*([first.this] if first is not None else []), *shown]}


def _written(column: Any, select: exp.Select, sources: dict[str, Any], schemas: frozenset[str]) -> list[exp.Expr]:
    if isinstance(column, exp.Column) and isinstance(column.this, exp.Star):
        if _governed(sources.get(column.table.lower()), schemas):
            _leave_out(column.this)
        return [column]
    if not isinstance(column, exp.Star):
        return [column]
    governed = {name: _governed(source, schemas) for name, source in sources.items()}
    if not any(governed.values()):
        return [column]
    if all(governed.values()) or not any(_tells_source(sources[name]) for name in sources if not governed[name]):
        _leave_out(column)
        return [column]
    if any(join.args.get("using") for join in select.args.get("joins") or ()) or "" in sources:
        raise SqlConstructForbidden(
            "* over a schema and a query that names _agency or _dataset is not taken beside USING; name the columns",
            construct="star using",
        )
    made: list[exp.Expr] = []
    for name, has_sources in governed.items():
        star = column.copy()
        if has_sources:
            _leave_out(star)
        made.append(exp.Column(this=star, table=exp.to_identifier(name, quoted=True)))
    return made


def _governed(source: Any, schemas: frozenset[str]) -> bool:
    return isinstance(source, exp.Table) and source.name.lower() in schemas


def _tells_source(source: exp.Expr) -> bool:
    """Whether a subquery or WITH query may name a column `_agency` or `_dataset`: by its text, or that of what it reads."""
    waiting, seen = [source], set[int]()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if any(found.name.lower() in SOURCE_COLUMNS for found in part.find_all(exp.Identifier)):
            return True
        for table in part.find_all(exp.Table):
            query = with_query(table)
            if query is not None:
                waiting.append(query)
    return False


def with_query(table: exp.Table) -> exp.Expr | None:
    """The WITH query that a table names, by the nearest scope; inside a WITH only those written before."""
    name, part, inside = table.name.lower(), table.parent, None
    while part is not None:
        if isinstance(part, exp.CTE):
            inside = part
        elif isinstance(part, exp.Query):
            for found in part.ctes:
                if found is inside:
                    break
                if found.alias.lower() == name:
                    return found
        part = part.parent
    return None


def _leave_out(star: exp.Star) -> None:
    left_out = {found.name.lower(): found for found in star.args.get("except_") or ()}
    for name in SOURCE_COLUMNS:
        left_out.setdefault(name, exp.to_identifier(name))
    star.set("except_", list(left_out.values()))
