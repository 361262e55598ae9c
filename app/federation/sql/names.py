"""Names of an answer's columns: as the caller wrote them, and distinct, before any engine or writer sees them.

Names of one answer differ whatever their case: the second `nama` becomes `nama_2`, the third `nama_3`, past names that are
there already. A name keeps the case in which it was given: by AS, or by the schema.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, Final

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

LONGEST_NAME: Final = 128
_SAID = "said"


def distinct(names: Sequence[str]) -> tuple[str, ...]:
    """The names in their order, none twice; the first of each keeps its own."""
    given, taken = {name.casefold() for name in names}, set[str]()
    made = []
    for name in names:
        shown, number = name, 1
        while shown.casefold() in taken or (number > 1 and shown.casefold() in given):
            number += 1
            shown = f"{name}_{number}"
        taken.add(shown.casefold())
        made.append(shown)
    return tuple(made)


def note_spelling(tree: exp.Query) -> None:
    """Notes at every column that is given a name how it is spelled: resolving names puts all of them in lower case."""
    for select in tree.find_all(exp.Select):
        for projection in select.expressions:
            found: Any = projection.args.get("alias") if isinstance(projection, exp.Alias) else None
            if isinstance(found, exp.Identifier):
                projection.meta[_SAID] = found.name
    for query in tree.find_all(exp.CTE, exp.Subquery):  # WITH x(a, b), FROM (…) x(a, b)
        alias = query.args.get("alias")
        named = alias.args.get("columns") or () if isinstance(alias, exp.TableAlias) else ()
        below = _first_select(query.this) if named else None
        for projection, found in zip(below.expressions if below is not None else (), named, strict=False):
            projection.meta[_SAID] = found.name


def output_names(whole: exp.Query, scopes: Sequence[Scope]) -> tuple[str, ...]:
    """The distinct names of the columns of a statement whose names are resolved."""
    by_query = {id(scope.expression): scope for scope in scopes}
    first: Any = _first_select(whole)
    found = [_spelling(first, index, by_query) for index in range(len(first.expressions))]
    return distinct([name if len(name) <= LONGEST_NAME else f"_col_{index}" for index, name in enumerate(found)])


def _first_select(query: Any) -> Any:
    """The SELECT that names the columns: of UNION, EXCEPT and INTERSECT the first. VALUES has none."""
    while query is not None and not isinstance(query, exp.Select):
        query = query.this if isinstance(query, exp.Expr) else None
    return query


def _spelling(select: Any, index: int, by_query: dict[int, Scope]) -> str:
    """As it was written there or, where `*` stood, as the subquery behind it wrote it."""
    projection = select.expressions[index]
    inner = projection.unalias()
    name = str(projection.alias_or_name)
    said = projection.meta.get(_SAID) or inner.meta.get(_SAID)
    if said is not None:
        return said if said.lower() == name.lower() else name
    scope = by_query.get(id(select))
    source = scope.sources.get(inner.table) if scope is not None and isinstance(inner, exp.Column) else None
    if not isinstance(source, Scope):
        return name
    below = _first_select(source.expression)
    for number, found in enumerate(below.expressions if below is not None else ()):
        if found.alias_or_name == inner.name:
            return _spelling(below, number, by_query)
    return name
