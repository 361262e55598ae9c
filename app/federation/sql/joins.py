"""Whether what a SELECT reads is put together by equalities: without them an answer is as large as the product of its tables.

Every table is tied to another one by `a.x = b.y` (in ON or WHERE, beside other conditions by AND) or by USING, or is one row.
Columns without a prefix are taken for either table by the guard; `bound` asks again when every column has its table.
"""

from __future__ import annotations

from collections.abc import Iterator
from typing import Any, Final

from sqlglot import exp

from app.federation.sql.refusals import SqlJoinUnbounded
from app.federation.sql.stars import with_query

_NEUTRAL: Final = frozenset({"", "INNER", "CROSS"})


def check_joins(select: exp.Select) -> None:
    """Raises `SqlJoinUnbounded`."""
    joins = select.args.get("joins") or ()
    first = select.args.get("from_")
    if not joins or first is None:
        return
    tied = _Ties([first.this, *[join.this for join in joins]])
    for index, join in enumerate(joins, 1):
        if join.args.get("using"):
            tied.join(0, index)
        for condition in _conjuncts(join.args.get("on")):
            tied.take(condition)
    where = select.args.get("where")
    if where is not None and all(not join.side and join.kind.upper() in _NEUTRAL for join in joins):
        for condition in _conjuncts(where.this):
            tied.take(condition)
    if not tied.whole():
        raise SqlJoinUnbounded(
            "a join needs an equality of columns of both tables: write JOIN b ON a.x = b.y, or JOIN b USING (x), or WHERE a.x = b.y; "
            "only a query of one row (SELECT avg(x) AS rata FROM …) is joined without"
        )


class _Ties:
    """Which sources of a SELECT hang together."""

    def __init__(self, sources: list[Any]) -> None:
        self._of = list(range(len(sources)))
        self._names = {source.alias_or_name.lower(): index for index, source in enumerate(sources)}
        self._single = [_one_row(source) or _lateral_tied(source) for source in sources]

    def join(self, one: int, other: int) -> None:
        """Both are one part from here on."""
        old, new = self._of[one], self._of[other]
        self._of = [new if part == old else part for part in self._of]

    def take(self, condition: exp.Expr) -> None:
        """An equality of columns of two sources ties them."""
        if not isinstance(condition, exp.EQ | exp.NullSafeEQ) or condition.find(exp.Query):
            return
        left, right = (self._sources(side) for side in (condition.left, condition.right))
        if not left or not right or (left == right and None not in left):
            return
        touched = [self._names[name] for name in (left | right) if name is not None and name in self._names]
        if None in left | right:  # a column without a prefix may be of any source: asked again when it is known
            touched += range(len(self._of))
        for other in touched[1:]:
            self.join(touched[0], other)

    def whole(self) -> bool:
        """Whether all that are more than one row hang together."""
        return len({part for part, single in zip(self._of, self._single, strict=True) if not single}) <= 1

    def _sources(self, side: exp.Expr) -> set[str | None]:
        return {column.table.lower() or None for column in side.find_all(exp.Column)}


def _conjuncts(condition: Any) -> Iterator[Any]:
    while isinstance(condition, exp.Paren):
        condition = condition.this
    if isinstance(condition, exp.And):
        for part in condition.flatten():
            yield from _conjuncts(part)
    elif condition is not None:
        yield condition


def _one_row(source: Any) -> bool:
    """Whether it is at most one row: a total, LIMIT 1, or no table at all."""
    query = with_query(source) if isinstance(source, exp.Table) else source
    while isinstance(query, exp.CTE | exp.Subquery | exp.Lateral | exp.Paren):
        query = query.this
    if isinstance(query, exp.Values):
        return len(query.expressions) == 1
    if not isinstance(query, exp.Select):
        return False
    limit = query.args.get("limit")
    if (
        isinstance(limit, exp.Limit)
        and isinstance(limit.expression, exp.Literal)
        and limit.expression.name in {"0", "1"}
    ):
        return True
    first = query.args.get("from_")
    if first is None or (not query.args.get("joins") and _one_row(first.this)):
        return True
    return query.args.get("group") is None and any(_totals(column) for column in query.expressions)


def _totals(column: exp.Expr) -> bool:
    """Whether an aggregate of the query itself stands in the column."""
    for found in column.find_all(exp.AggFunc):
        above = found.parent
        while isinstance(above, exp.Filter | exp.WithinGroup | exp.IgnoreNulls | exp.RespectNulls):
            above = above.parent
        if not isinstance(above, exp.Window) and not _inside_query(found, column):
            return True
    return False


def _inside_query(node: exp.Expr, top: exp.Expr) -> bool:
    part: Any = node
    while part is not None:
        if isinstance(part, exp.Query):
            return True
        if part is top:
            return False
        part = part.parent
    return False


def _lateral_tied(source: Any) -> bool:
    """A LATERAL query whose own WHERE equates a column of its tables with one of the query around it."""
    query = source.this if isinstance(source, exp.Lateral) else None
    while isinstance(query, exp.Subquery | exp.Paren):
        query = query.this
    where = query.args.get("where") if isinstance(query, exp.Select) else None
    for condition in _conjuncts(where.this if where is not None else None):
        if isinstance(condition, exp.EQ):
            sides = [
                {column.table for column in side.find_all(exp.Column)} for side in (condition.left, condition.right)
            ]
            if all(sides) and sides[0] != sides[1]:
                return True
    return False
