"""How large a statement grows when `*` and USING are written out, counted before it is done."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Final

from sqlglot import exp

from app.federation.sql.refusals import SqlTooComplex
from app.federation.sql.stars import with_query

MOST_WRITTEN_OUT: Final = 2_000
"""Most columns that `*` and USING may stand for in all of a statement."""


def check_expansion(tree: exp.Query, columns: Mapping[str, int]) -> None:
    """Raises `SqlTooComplex`. `columns`: how many columns each schema has here. Each query is counted once, whatever names it."""
    counted: dict[int, int] = {}
    total = 0
    for query in reversed(list(tree.find_all(exp.Query))):  # what stands inside comes before what it stands in
        total += _written(query, columns, counted)
        if total > MOST_WRITTEN_OUT:
            raise SqlTooComplex(
                f"`*` and USING stand for more than {MOST_WRITTEN_OUT} columns here; name the columns",
                limit_columns=MOST_WRITTEN_OUT,
            )


def _written(query: exp.Query, columns: Mapping[str, int], counted: dict[int, int]) -> int:
    """What this query alone adds."""
    if not isinstance(query, exp.Select):
        return 0
    sources = _sources(query)
    width = sum(_width(source, columns, counted) for source in sources)
    names = [len(join.args.get("using") or ()) for join in query.args.get("joins") or ()]
    # each column of a USING stands as a COALESCE over every table joined by it
    folded = sum(names) * (len(names) + 1)
    stars = sum(1 for part in query.expressions if part.is_star)
    merged = sum(names)
    mentioned = sum(1 for _ in query.find_all(exp.Column)) if merged else 0
    return stars * (width + folded) + merged * (len(names) + 1) + mentioned * (len(names) + 1 if merged else 0)


def _sources(query: exp.Select) -> list[exp.Expr]:
    first = query.args.get("from_")
    return [*([first.this] if first is not None else []), *[join.this for join in query.args.get("joins") or ()]]


def _width(source: exp.Expr, columns: Mapping[str, int], counted: dict[int, int]) -> int:
    """How many columns a table, a subquery or a WITH query has; at most what is too many anyway."""
    if isinstance(source, exp.Subquery):
        return _columns(source.this, columns, counted)
    if isinstance(source, exp.Table):
        query = with_query(source)
        return _columns(query.this, columns, counted) if query is not None else columns.get(source.name.lower(), 1)
    return 1


def _columns(query: exp.Expr, columns: Mapping[str, int], counted: dict[int, int]) -> int:
    known = counted.get(id(query))
    if known is not None:
        return known
    counted[id(query)] = 1  # a query that names itself is refused elsewhere
    if isinstance(query, exp.SetOperation):
        found = _columns(query.this, columns, counted)
    elif isinstance(query, exp.Select):
        stars = sum(1 for part in query.expressions if part.is_star)
        found = len(query.expressions) - stars
        if stars:
            found += stars * sum(_width(source, columns, counted) for source in _sources(query))
    else:
        found = 1
    counted[id(query)] = min(found, MOST_WRITTEN_OUT + 1)
    return counted[id(query)]
