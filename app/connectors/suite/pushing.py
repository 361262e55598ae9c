"""What a kind that declares it has to do: filters, order, positions, lists of keys, aggregates, estimates; else to refuse."""

from __future__ import annotations

import time
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import strategies as st

from app.connectors.contract import Aggregation, CountEstimate, RowEstimate
from app.connectors.requests import After, AggregateRequest, Measure, Order, ScanRequest, key_chunks
from app.connectors.suite.questions import computed, emptied, examples_of, filters, ordered, residual
from app.connectors.suite.subject import COMPARISONS, OPERATORS, Subject, bag, held, plain, read
from app.errors import CapabilityUndeclared, SourceTimeout
from app.filters.tree import CaseFold, Compare, Filter, In, IsNull, Like, Literal, Not, Or, Property, operators


class PushingSuite:
    """Every test reads `subject`; what its capabilities do not declare must raise."""

    async def test_pushed_filters_give_what_the_residual_gives(self, subject: Subject) -> None:
        await subject.connector.learn()
        can = subject.connector.capabilities
        if can.filter_exactness == "none":
            assert not can.filter_operators
            return
        assert subject.literals
        strategy = filters(subject)
        refused: list[Filter] = []

        async def same(wanted: Filter) -> None:
            expected = bag(residual(subject, wanted, subject.rows))
            if not subject.connector.takes(wanted):
                with pytest.raises(CapabilityUndeclared):
                    await read(subject.connector, ScanRequest(filter=wanted))
                refused.append(wanted)
                return
            pushed = await read(subject.connector, ScanRequest(filter=wanted))
            assert bag(residual(subject, wanted, pushed)) == expected
            if can.filter_exactness == "exact":
                assert bag(pushed) == expected

        await examples_of(strategy, same, 250)

    async def test_pushed_order_and_limit_give_what_sorting_here_gives(self, subject: Subject) -> None:
        await subject.connector.learn()
        can = subject.connector.capabilities
        if not can.order:
            with pytest.raises(CapabilityUndeclared):
                await read(subject.connector, ScanRequest(order=(Order(subject.names[0]),)))
            return
        columns = [name for name in subject.literals if can.order_columns is None or name in can.order_columns]
        assert columns
        nulls = st.sampled_from(["last", "absent"])
        key = st.builds(Order, st.sampled_from(columns), st.booleans(), nulls)
        orders = st.lists(key, min_size=1, max_size=3, unique_by=lambda order: order.column)

        async def same(case: tuple[list[Order], int | None, bool]) -> None:
            order, limit, blank = case
            full = (*(one for one in order if one.column != subject.unique), Order(subject.unique))
            found = await read(subject.connector, ScanRequest(order=full, limit=limit, blank_is_null=blank))
            expected = ordered(subject.rows, subject.names, full, blank=blank)
            assert [tuple(map(plain, row)) for row in found] == [tuple(map(plain, row)) for row in expected[:limit]]

        await examples_of(st.tuples(orders, st.none() | st.integers(1, 9), st.booleans()), same, 120)

    async def test_pages_behind_a_position_miss_nothing_and_repeat_nothing(self, subject: Subject) -> None:
        await subject.connector.learn()
        can = subject.connector.capabilities
        if not can.keyset:
            with pytest.raises(CapabilityUndeclared):
                await read(subject.connector, ScanRequest(order=(Order(subject.names[0]),), after=After(("x",))))
            return
        columns = [name for name in subject.literals if can.order_columns is None or name in can.order_columns]
        key = st.builds(Order, st.sampled_from(columns), st.booleans(), st.sampled_from(["last", "absent"]))
        orders = st.lists(key, min_size=1, max_size=2, unique_by=lambda order: order.column)

        async def same(case: tuple[list[Order], int, bool]) -> None:
            order, size, blank = case
            full = (*(one for one in order if one.column != subject.unique), Order(subject.unique))
            expected = ordered(subject.rows, subject.names, full, blank=blank)
            indexes = [subject.names.index(one.column) for one in full]
            found: list[tuple[Any, ...]] = []
            after: After | None = None
            while True:
                request = ScanRequest(order=full, after=after, limit=size, blank_is_null=blank)
                page = await read(subject.connector, request)
                found += page
                if len(page) < size:
                    break
                after = After(tuple(emptied(page[-1][index], blank=blank) for index in indexes))
            assert bag(found) == bag(expected)
            assert [plain(row[indexes[-1]]) for row in found] == [plain(row[indexes[-1]]) for row in expected]

        await examples_of(st.tuples(orders, st.integers(3, 40), st.booleans()), same, 40)

    async def test_a_position_of_fewer_keys_leaves_out_or_keeps_its_ties(self, subject: Subject) -> None:
        can = subject.connector.capabilities
        if "keyset" in subject.cannot:
            assert not can.keyset
            return
        for name in subject.literals:
            if can.order_columns is not None and name not in can.order_columns:
                continue
            index = subject.names.index(name)
            for value in {row[index] for row in subject.rows if row[index] is not None}:
                for inclusive in (True, False):
                    order = (Order(name, nulls="absent"), Order(subject.unique))
                    request = ScanRequest(order=order, after=After((value,), inclusive=inclusive))
                    found = await read(subject.connector, request)
                    kept = [row for row in subject.rows if row[index] is not None]
                    assert bag(found) == bag(
                        [row for row in kept if row[index] > value or (inclusive and row[index] == value)]
                    )

    async def test_long_lists_of_keys_go_in_chunks(self, subject: Subject) -> None:
        await subject.connector.learn()
        most = subject.connector.capabilities.most_keys
        assert (most > 0) is ("in" in subject.connector.capabilities.filter_operators)
        if not most:
            return
        keys = [*range(-most, most + 500), 3, 3]
        found = [
            row
            for chunk in key_chunks(subject.unique, keys, most)
            for row in await read(subject.connector, ScanRequest(filter=chunk))
        ]
        assert bag(found) == bag(subject.rows)
        with pytest.raises(CapabilityUndeclared):
            await read(subject.connector, ScanRequest(filter=next(key_chunks(subject.unique, keys, most + 1))))

    async def test_aggregates_are_what_the_rows_give(self, subject: Subject) -> None:
        connector = subject.connector
        if not connector.capabilities.aggregates:
            assert not isinstance(connector, Aggregation)
            return
        assert isinstance(connector, Aggregation)
        assert subject.measured
        numbers = [name for name in subject.measured if not pa.types.is_date(subject.schema.field(name).type)]
        numbers = [name for name in numbers if name not in subject.texts]
        measure = st.one_of(
            st.just(Measure("count")),
            st.builds(Measure, st.sampled_from(["count", "min", "max"]), st.sampled_from(list(subject.measured))),
            st.builds(Measure, st.just("sum"), st.sampled_from(numbers)),
        )
        cases = st.tuples(
            st.lists(measure, min_size=1, max_size=3),
            st.lists(st.sampled_from(list(subject.measured)), max_size=2, unique=True),
            st.none() | filters(subject).filter(connector.takes),
        )
        exact = connector.capabilities.filter_exactness == "exact"

        async def same(case: tuple[list[Measure], list[str], Filter | None]) -> None:
            measures, groups, wanted = case
            sent = wanted if exact else None
            batch = await connector.aggregate(AggregateRequest(tuple(measures), tuple(groups), sent))
            rows = residual(subject, sent, subject.rows) if sent is not None else subject.rows
            assert bag(list(batch.rows or ())) == bag(computed(subject.names, rows, measures, groups))

        await examples_of(cases, same, 60)

    async def test_an_estimate_is_a_number_that_no_filter_raises(self, subject: Subject) -> None:
        connector = subject.connector
        if not isinstance(connector, CountEstimate):
            return
        await connector.learn()
        whole = await connector.estimate(ScanRequest())
        stored = len(subject.rows) + subject.rejects
        assert whole is None or (type(whole.rows) is int and whole.rows >= 0)
        assert whole is None or not whole.sure or stored / 2 <= whole.rows <= stored * 2
        with pytest.raises(SourceTimeout):
            await self._estimated(connector, ScanRequest(deadline=time.monotonic() - 0.01))
        if not subject.literals:
            with pytest.raises(CapabilityUndeclared):
                await connector.estimate(ScanRequest(filter=IsNull(Property(subject.names[0]))))
            return

        async def fewer(wanted: Filter) -> None:
            request = ScanRequest(filter=wanted)
            if not connector.takes(wanted):
                with pytest.raises(CapabilityUndeclared):
                    await connector.estimate(request)
                return
            found = await connector.estimate(request)
            assert found is None or found.rows >= 0
            assert found is None or whole is None or found.rows <= whole.rows
            if found is not None and found.sure:
                assert found.rows == len([row async for batch in connector.scan(request) for row in held(batch)])

        await examples_of(filters(subject), fewer, 60)

    async def _estimated(self, connector: CountEstimate, request: ScanRequest) -> RowEstimate:
        """An estimate that has to be asked for: a source that tells nothing is late at once."""
        found = await connector.estimate(request)
        if found is None:
            raise SourceTimeout("nothing is asked")
        return found

    async def test_undeclared_work_raises(self, subject: Subject) -> None:
        can, name = subject.connector.capabilities, subject.names[0]
        left = Property(name)
        asked: dict[str, Filter] = {op: Compare(op, left, Literal("x")) for op in COMPARISONS}  # type: ignore[arg-type]
        asked |= {"like": Like(left, "%"), "isnull": IsNull(left), "in": In(left, (Literal("x"),))}
        asked |= {"not": Not(asked["="]), "or": Or((asked["="], asked["="]))}
        asked |= {"casefold": Compare("=", CaseFold(left), Literal("x"))}
        for op in sorted(OPERATORS - can.filter_operators - {"and"}):
            assert operators(asked[op]) - can.filter_operators
            with pytest.raises(CapabilityUndeclared):
                await read(subject.connector, ScanRequest(filter=asked[op]))
        if not can.limit:
            with pytest.raises(CapabilityUndeclared):
                await read(subject.connector, ScanRequest(limit=1))
