"""Which fields of each schema decide what an answer holds: filtered, joined, grouped, ordered or told apart by, however it is written.

A dataset that masks or withholds one of them cannot answer: its masked values would be compared, or its source asked for the
true ones. The planner leaves it out and says so (`planning/rules/predicates.py`), whether or not the source is asked for anything.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any, Final

from sqlglot import exp
from sqlglot.optimizer.scope import Scope

_Field = tuple[str, str]
_WHOLE: Final = (exp.Where, exp.Having, exp.Qualify, exp.Group, exp.Order)
_PARTS: Final = {
    exp.Join: frozenset({"on", "using"}),
    exp.Window: frozenset({"partition_by", "order"}),
    exp.Filter: frozenset({"expression"}),
}


def deciding_fields(scopes: Sequence[Scope]) -> frozenset[_Field]:
    """Schema and field of all of them, in a statement whose names are resolved."""
    return _Lineage(scopes).deciding()


class _Lineage:
    """Where the columns of a statement come from."""

    def __init__(self, scopes: Sequence[Scope]) -> None:
        self._scopes = scopes
        self._owner = {id(column): scope for scope in scopes for column in scope.find_all(exp.Column)}
        self._known: dict[tuple[int, str], frozenset[_Field]] = {}

    def deciding(self) -> frozenset[_Field]:
        found: set[_Field] = set()
        for scope in self._scopes:
            for column in scope.find_all(exp.Column):
                if _decides(column):
                    found |= self._bases(column, scope)
            query: Any = scope.expression
            if _tells_apart(query):
                for name in query.named_selects:
                    found |= self._output(scope, name)
        return frozenset(found)

    def _bases(self, column: exp.Column, scope: Scope) -> frozenset[_Field]:
        if not column.table:
            return self._output(scope, column.name)  # a name of the query's own columns
        within: Any = scope
        while within is not None and column.table not in within.sources:
            within = within.parent
        source = within.sources[column.table] if within is not None else None
        if isinstance(source, exp.Table):
            return frozenset({(source.name, column.name)})
        return self._output(source, column.name) if isinstance(source, Scope) else frozenset()

    def _output(self, scope: Scope, name: str) -> frozenset[_Field]:
        """The fields that a column of a query is made of."""
        mark = (id(scope), name)
        if mark not in self._known:
            self._known[mark] = frozenset()  # a query that names itself is refused elsewhere
            made = [self._bases(found, self._owner.get(id(found), scope)) for found in _made_of(scope.expression, name)]
            self._known[mark] = frozenset[_Field]().union(*made)
        return self._known[mark]


def _made_of(query: Any, name: str) -> Iterator[exp.Column]:
    """The columns in the expression that gives this column of a query; of UNION and the like in each branch."""
    names = query.named_selects
    if name not in names:
        return
    for select in _branches(query):
        chosen = select.expressions[names.index(name) : names.index(name) + 1]
        for projection in chosen:
            for column in projection.find_all(exp.Column):
                if column.table:
                    yield column


def _branches(query: Any) -> Iterator[exp.Select]:
    while isinstance(query, exp.Subquery | exp.Paren):
        query = query.this
    if isinstance(query, exp.SetOperation):
        yield from _branches(query.left)
        yield from _branches(query.right)
    elif isinstance(query, exp.Select):
        yield query


def _decides(column: exp.Expr) -> bool:
    """Whether it stands where rows are chosen, put together or ordered, in its own query or one around it."""
    part: exp.Expr = column
    while part.parent is not None:
        above = part.parent
        if isinstance(above, _WHOLE) or any(
            isinstance(above, kind) and part.arg_key in roles for kind, roles in _PARTS.items()
        ):
            return True
        if isinstance(above, exp.Distinct) and above.args.get("on") is not None and part.arg_key == "on":
            return True
        part = above
    return False


def _tells_apart(query: Any) -> bool:
    """Whether all of its columns decide which rows stay: DISTINCT, UNION without ALL, GROUP BY ALL, ORDER BY ALL."""
    if isinstance(query, exp.SetOperation):
        return bool(query.args.get("distinct")) or not isinstance(query, exp.Union) or _orders_by_all(query)
    if not isinstance(query, exp.Select):
        return False
    distinct, group = query.args.get("distinct"), query.args.get("group")
    whole = distinct is not None and distinct.args.get("on") is None
    return whole or (group is not None and bool(group.args.get("all"))) or _orders_by_all(query)


def _orders_by_all(query: Any) -> bool:
    order = query.args.get("order")
    return order is not None and any(orders_by_all(found.this) for found in order.expressions)


def orders_by_all(key: exp.Expr) -> bool:
    """Whether it is the ALL of ORDER BY ALL, which the parser takes for a name."""
    return key.sql().strip('"').upper() == "ALL"
