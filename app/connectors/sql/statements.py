"""Order, position and aggregates as SQL text around a renderer's conditions; the same in every dialect.

A position is a row comparison where all keys go one way, else a bound on the first key and a chain of ties.
"""

from __future__ import annotations

from typing import Any

from app.connectors.requests import After, AggregateRequest, Measure, Order, ScanRequest
from app.connectors.sql.columns import Column
from app.connectors.sql.render import Renderer, fit, named, sortable, undeclared
from app.filters.tree import Literal

_EXTREMES = ("integer", "decimal", "text", "date", "timestamp", "instant")


def tail(renderer: Renderer, request: ScanRequest) -> str:
    """WHERE, ORDER BY and LIMIT of a request."""
    text = where(renderer, request)
    if request.order:
        keys = [_order(renderer, sortable(renderer.columns, order.column), order) for order in request.order]
        text += " ORDER BY " + ", ".join(keys)
    if request.limit is not None:
        text += renderer.limit.format(int(request.limit))
    return text


def where(renderer: Renderer, request: ScanRequest) -> str:
    """WHERE of a request: its filter, its rows without a value left out, its position."""
    wanted = [renderer.condition(request.filter)] if request.filter is not None else []
    keys = [(sortable(renderer.columns, order.column), order) for order in request.order]
    wanted += [
        f"(NOT {renderer.null(column)})"
        for column, order in keys
        if order.nulls == "absent" and _may_null(renderer, column)
    ]
    if request.after is not None:
        wanted.append(_behind(renderer, keys, request.after))
    return f" WHERE {' AND '.join(wanted)}" if wanted else ""


def aggregate(renderer: Renderer, request: AggregateRequest, origin: str, *more: str) -> str:
    """The whole statement of an aggregate; one group more than the limit is asked for."""
    groups = [sortable(renderer.columns, name).ordered for name in request.group_by]
    names = ", ".join([*groups, *(_measure(renderer, measure) for measure in request.measures), *more])
    wanted = f" WHERE {renderer.condition(request.filter)}" if request.filter is not None else ""
    grouped = f" GROUP BY {', '.join(groups)}" if groups else ""
    return f"SELECT {names} FROM {origin}{wanted}{grouped} LIMIT {int(request.limit) + 1}"  # noqa: S608 - quoted names, bound values


def _measure(renderer: Renderer, measure: Measure) -> str:
    """One measure; sums and extremes only where every dialect computes them exactly."""
    if measure.column is None:
        if measure.function != "count":
            raise undeclared(f"`{measure.function}` without a column")
        return "COUNT(*)"
    column = named(renderer.columns, measure.column)
    if measure.function == "count":
        return f"COUNT({column.select})"
    families = ("integer", "decimal") if measure.function == "sum" else _EXTREMES
    if column.family not in families or not column.sortable:
        raise undeclared(f"`{measure.function}` of {column.name!r} ({column.source_type})")
    return f"{measure.function.upper()}({column.ordered})"


def _behind(renderer: Renderer, keys: list[tuple[Column, Order]], after: After) -> str:
    """The rows behind a position: a row comparison where all keys go one way, else a bound on the first key and a chain."""
    if not 0 < len(after.values) <= len(keys):
        raise undeclared("a position that is not one of the order")
    chosen = keys[: len(after.values)]
    first = chosen[0][1].descending
    if all(order.descending == first and not _last(renderer, column, order) for column, order in chosen):
        pairs = zip(chosen, after.values, strict=True)
        bound = [renderer.placeholder(column, fit(column, Literal(value))) for (column, _), value in pairs]
        if None not in bound:
            op = ("<" if first else ">") + ("=" if after.inclusive else "")
            left = ", ".join(column.ordered for column, _ in chosen)
            return f"(({left}) {op} ({', '.join(map(str, bound))}))"
        del renderer.parameters[len(renderer.parameters) - sum(part is not None for part in bound) :]
    return _chain(renderer, chosen, after.values, inclusive=after.inclusive)


def _chain(renderer: Renderer, keys: list[tuple[Column, Order]], values: tuple[Any, ...], *, inclusive: bool) -> str:
    (column, order), value = keys[0], values[0]
    if len(keys) == 1:
        return _from(renderer, column, order, value, "=" if inclusive else "")
    bound = _from(renderer, column, order, value, "=")
    strict = _from(renderer, column, order, value, "")
    at = renderer.null(column) if value is None else renderer.compare_literal("=", column, fit(column, Literal(value)))
    return f"({bound} AND ({strict} OR ({at} AND {_chain(renderer, keys[1:], values[1:], inclusive=inclusive)})))"


def _from(renderer: Renderer, column: Column, order: Order, value: Any, equal: str) -> str:
    """Behind (or, with `equal`, at) one value of one key."""
    if value is None:
        return renderer.null(column) if equal else "(1 = 0)"
    op = ("<" if order.descending else ">") + equal
    text = renderer.compare_literal(op, column, fit(column, Literal(value)))
    return f"({text} OR {renderer.null(column)})" if _last(renderer, column, order) else text


def _may_null(renderer: Renderer, column: Column) -> bool:
    return column.nullable or (renderer.blank_is_null and column.family == "text")


def _last(renderer: Renderer, column: Column, order: Order) -> bool:
    return order.nulls == "last" and _may_null(renderer, column)


def _order(renderer: Renderer, column: Column, order: Order) -> str:
    nulls = _last(renderer, column, order)
    if not nulls or not renderer.blank_is_null or column.family != "text":
        return renderer.order_key(column, order.descending, nulls)
    first, again = renderer.null(column), renderer.null(column)  # all blanks and nulls are one tie
    return f"{first}, CASE WHEN {again} THEN NULL ELSE {column.ordered} END {'DESC' if order.descending else 'ASC'}"
