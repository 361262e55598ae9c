"""The columns that `* EXCLUDE (…)` leaves out must be there, as for the engine: a misspelt one would silently be in the answer.

A field that the schema has and the caller is not granted may be named: `*` is without it anyway.
"""

from __future__ import annotations

import difflib
from collections.abc import Mapping
from typing import Any

from sqlglot import exp

from app.errors import FieldError, FieldUnknown
from app.federation.sql.stars import with_query
from app.federation.sql.structure import SOURCE_COLUMNS
from app.schemas.registry import SchemaDef

_Schemas = Mapping[str, SchemaDef]


def check_left_out(tree: exp.Query, schemas: _Schemas) -> None:
    """Raises `FieldUnknown`. `tree`: as the caller wrote it."""
    for select in tree.find_all(exp.Select):
        for column in select.expressions:
            star = column.this if isinstance(column, exp.Column) else column
            named = star.args.get("except_") if isinstance(star, exp.Star) else None
            if named:
                of = column.table.lower() if isinstance(column, exp.Column) else ""
                _check([found.name for found in named], _shown(select, of, schemas))


def _check(named: list[str], there: frozenset[str] | None) -> None:
    for name in named:
        if there is not None and name.lower() not in there:
            near = difflib.get_close_matches(name.lower(), sorted(there), n=3)
            hint = f"did you mean {', '.join(near)}?" if near else "leave it out of EXCLUDE"
            detail = f"EXCLUDE names the column {name[:64]!r}, which is not there; {hint}"
            raise FieldUnknown(detail, errors=[FieldError("/sql", "field_unknown", detail)], closest=near)


def _shown(select: exp.Select, of: str, schemas: _Schemas) -> frozenset[str] | None:
    """The names that `*` may stand for here, those of one source (`of`), or of all; None where they are not plain."""
    first = select.args.get("from_")
    sources: list[Any] = [*([first] if first is not None else []), *(select.args.get("joins") or ())]
    found: set[str] = set()
    for source in (part.this for part in sources):
        if of and source.alias_or_name.lower() != of:
            continue
        names = _names(source, schemas)
        if names is None:
            return None
        found |= names
    return frozenset(found)


def _names(source: Any, schemas: _Schemas) -> set[str] | None:
    alias = source.args.get("alias")
    if alias is not None and alias.args.get("columns"):
        return None
    if isinstance(source, exp.Table):
        query = with_query(source)
        if query is not None:
            renamed = query.args["alias"].args.get("columns")
            return None if renamed else _named(query.this, schemas)
        schema = schemas.get(source.name.lower())
        return None if schema is None else {*(name.lower() for name in schema.fields), *SOURCE_COLUMNS}
    return _named(source.this, schemas) if isinstance(source, exp.Subquery) else None


def _named(query: Any, schemas: _Schemas) -> set[str] | None:
    """The names of a query's columns."""
    while isinstance(query, exp.SetOperation | exp.Subquery):
        query = query.this
    if not isinstance(query, exp.Select):
        return None
    if any(column.is_star for column in query.expressions):
        inner = _shown(query, "", schemas)
        return None if inner is None else {*inner, *(name.lower() for name in query.named_selects)}
    return {name.lower() for name in query.named_selects}
