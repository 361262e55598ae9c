"""What the suite asks, and what the gateway itself computes of the raw rows: filters, orders, aggregates by generated examples."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Sequence
from decimal import Decimal
from functools import cmp_to_key
from typing import Any

from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from app.connectors.requests import Measure, Order
from app.connectors.suite.subject import COMPARISONS, TEXTS, Subject
from app.filters.evaluation import compile_predicate
from app.filters.tree import And, Compare, Filter, In, IsNull, Like, Literal, Not, Or, Property


def residual(subject: Subject, wanted: Filter, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
    """The rows that the gateway's own filter keeps."""
    holds, names = compile_predicate(wanted), subject.names
    return [row for row in rows if holds(dict(zip(names, row, strict=True))) is True]


def filters(subject: Subject) -> st.SearchStrategy[Filter]:
    """Filters over the columns that have literals: every operator, every literal, column against column of one kind."""
    can, columns = subject.connector.capabilities.filter_operators, sorted(subject.literals)
    leaves: list[st.SearchStrategy[Filter]] = []
    for name in columns:
        literal = st.sampled_from(list(subject.literals[name]))
        ops = [op for op in COMPARISONS if op in can]
        leaves.append(st.builds(Compare, st.sampled_from(ops), st.just(Property(name)), literal.map(Literal)))
        leaves.append(st.builds(Compare, st.sampled_from(ops), literal.map(Literal), st.just(Property(name))))
        if "in" in can:
            several = st.lists(literal.map(Literal), min_size=1, max_size=5).map(tuple)
            leaves.append(st.builds(In, st.just(Property(name)), several))
        if "isnull" in can:
            leaves.append(st.just(IsNull(Property(name))))
        if "like" in can and name in subject.texts:
            pattern = st.lists(st.sampled_from(["%", "_", "\\", "\\%", "\\_", *TEXTS]), max_size=4).map("".join)
            leaves.append(st.builds(Like, st.just(Property(name)), pattern))
    leaf: st.SearchStrategy[Filter] = st.one_of(leaves)
    joined = [kind for name, kind in (("and", And), ("or", Or)) if name in can]

    def deeper(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        options: list[st.SearchStrategy[Any]] = [several.map(kind) for kind in joined]
        turned: list[st.SearchStrategy[Any]] = [inner.map(Not)] if "not" in can else []
        return st.one_of([*options, *turned])

    return st.recursive(leaf, deeper, max_leaves=5) if joined else leaf


def ordered(rows: Sequence[tuple[Any, ...]], names: list[str], order: Sequence[Order], *, blank: bool) -> list[Any]:
    """The rows as the contract orders them: binary text order, nulls last in both directions."""
    indexes = [(names.index(key.column), key.descending) for key in order]

    def compare(one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
        for index, descending in indexes:
            left, right = (emptied(row[index], blank=blank) for row in (one, other))
            if left != right:
                if left is None or right is None:
                    return 1 if left is None else -1
                return (-1 if left < right else 1) * (-1 if descending else 1)
        return 0

    absent = [names.index(key.column) for key in order if key.nulls == "absent"]
    kept = [row for row in rows if all(emptied(row[index], blank=blank) is not None for index in absent)]
    return sorted(kept, key=cmp_to_key(compare))


def emptied(value: Any, *, blank: bool) -> Any:
    """A value as it is ordered: with `blank`, a text of blanks is null."""
    return None if blank and isinstance(value, str) and (not value or value.isspace()) else value


def computed(
    names: list[str], rows: Sequence[tuple[Any, ...]], measures: list[Measure], groups: list[str]
) -> list[Any]:
    """The aggregate by hand."""
    indexes = [names.index(name) for name in groups]
    found: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {} if groups else {(): []}
    for row in rows:
        found.setdefault(tuple(row[index] for index in indexes), []).append(row)
    return [(*group, *(_measured(names, inside, measure) for measure in measures)) for group, inside in found.items()]


def _measured(names: list[str], rows: list[tuple[Any, ...]], measure: Measure) -> Any:
    if measure.column is None:
        return len(rows)
    values = [row[names.index(measure.column)] for row in rows if row[names.index(measure.column)] is not None]
    if measure.function == "count":
        return len(values)
    if not values:
        return None
    return (
        sum(map(Decimal, values)) if measure.function == "sum" else (min if measure.function == "min" else max)(values)
    )


async def examples_of(strategy: st.SearchStrategy[Any], holds: Callable[[Any], Awaitable[None]], count: int) -> None:
    """Hypothesis over an async check, on the running loop."""
    loop = asyncio.get_running_loop()

    def run() -> None:
        @settings(max_examples=count, suppress_health_check=list(HealthCheck), deadline=None, database=None)
        @given(strategy)
        def examples(case: Any) -> None:
            note(repr(case))
            asyncio.run_coroutine_threadsafe(holds(case), loop).result(60)  # type: ignore[arg-type]

        examples()

    await asyncio.to_thread(run)
