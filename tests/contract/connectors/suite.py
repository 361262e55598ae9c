"""The conformance suite of all connector kinds. A kind's file gives a `Subject`; what it does not declare must raise."""

from __future__ import annotations

import asyncio
import time
import traceback
from collections import Counter
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass, field
from decimal import Decimal
from functools import cmp_to_key
from ipaddress import ip_network
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import HealthCheck, given, note, settings
from hypothesis import strategies as st

from app.connectors.contract import JSON_COLUMN, Aggregation, Connector, CountEstimate, Freshness, RawBatch, RowEstimate
from app.connectors.environment import Environment, Limits, NetworkPolicy
from app.connectors.json_text import parse_json
from app.connectors.registry import open_connector, source_model
from app.connectors.requests import After, AggregateRequest, Measure, Order, ScanRequest, key_chunks
from app.errors import CapabilityUndeclared, SimpulError, SourceError, SourceSchemaMismatch, SourceTimeout
from app.filters.evaluation import compile_predicate
from app.filters.tree import (
    And,
    CaseFold,
    Compare,
    Filter,
    In,
    IsNull,
    Like,
    Literal,
    Not,
    Or,
    Property,
    operators,
)

SECRET = "uji-4f9c1e"
PERSON = "Siti Contoh Pribadi"
COMPARISONS = ("=", "<>", "<", "<=", ">", ">=")
TEXTS = (
    "",
    " ",
    "  ",
    "a",
    "A",
    "á",
    "a\u0301",
    "b ",
    "b",
    "B",
    "ä",
    "ß",
    "SS",
    "ss",
    "Z",
    "z",
    "İ",
    "i",
    "ı",
    "%",
    "_",
    "\\",
    "a%b",
)
TEXTS += (
    "a_b",
    "日本",
    "\U0001f600",
    "\uffff",
    "'",
    '"',
    "\u3000",
    "\xa0x",
    "10",
    "9",
    "Jepara",
    "JEPARA",
    "jepara ",
    "🂡z",
)
_OPERATORS = frozenset({*COMPARISONS, "in", "like", "isnull", "and", "or", "not", "casefold"})


class Secrets:
    """Knows one secret."""

    def __init__(self, secret: str = SECRET) -> None:
        self._secret = secret

    def resolve(self, text: str) -> str:
        return text.replace("${secret:PW}", self._secret)


def environment(root: Path, ca_file: Path | None = None, secret: str = SECRET, **limits: Any) -> Environment:
    """What a connector under test is given; loopback is allowed."""
    cache = root / ".cache"
    cache.mkdir(exist_ok=True)
    policy = NetworkPolicy(networks=(ip_network("127.0.0.0/8"),))
    return Environment("dinkes", "dinkes-uji", root, cache, Secrets(secret), policy, Limits(**limits), ca_file=ca_file)


def opened(root: Path, source: dict[str, Any], **limits: Any) -> Connector:
    """The connector of a `source:` block."""
    return open_connector(source_model(source["kind"]).model_validate(source), environment(root, **limits))


@dataclass
class Fault:
    """A source that is broken in one way, and the error that must say so."""

    name: str
    open: Callable[[], Connector]
    error: type[SimpulError]
    retryable: bool
    columns: tuple[str, ...] | None = None


@dataclass
class Subject:
    """A source with known content. `literals`: values to compare a column with; a column without any is not filtered."""

    connector: Connector
    schema: pa.Schema
    rows: list[tuple[Any, ...]]
    literals: dict[str, Sequence[Any]] = field(default_factory=dict)
    texts: frozenset[str] = frozenset()
    unique: str = ""
    measured: Sequence[str] = ()
    faults: list[Fault] = field(default_factory=list)
    fingerprint: Callable[[], Awaitable[Any]] | None = None
    rejects: int = 0
    missing_column_is_null: bool = False
    cannot: frozenset[str] = frozenset()
    """What the connector does not offer, in the words of `test_what_the_kind_cannot_do_is_declared`."""

    @property
    def names(self) -> list[str]:
        return list(self.schema.names)


async def read(connector: Connector, request: ScanRequest) -> list[tuple[Any, ...]]:
    return [row async for batch in connector.scan(request) for row in held(batch)]


def held(batch: RawBatch) -> list[tuple[Any, ...]]:
    """The rows of a batch in either form, the documents of JSON columns parsed."""
    if batch.arrow is None:
        return [tuple(row) for row in batch.rows or ()]
    columns = [batch.arrow.column(index).to_pylist() for index in range(batch.arrow.num_columns)]
    for index, column in enumerate(batch.schema):
        if column.metadata == JSON_COLUMN:
            columns[index] = [None if cell is None else parse_json(cell) for cell in columns[index]]
    return list(zip(*columns, strict=True))


def plain(value: Any) -> Any:
    """A value as rows are compared: lists and objects by their text."""
    return repr(value) if isinstance(value, dict | list) else value


def bag(rows: Sequence[tuple[Any, ...]]) -> Counter[tuple[Any, ...]]:
    return Counter(tuple(map(plain, row)) for row in rows)


def residual(subject: Subject, wanted: Filter, rows: Sequence[tuple[Any, ...]]) -> list[tuple[Any, ...]]:
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
    leaf = st.one_of(leaves)
    joined = [kind for name, kind in (("and", And), ("or", Or)) if name in can]

    def deeper(inner: st.SearchStrategy[Filter]) -> st.SearchStrategy[Filter]:
        several = st.lists(inner, min_size=2, max_size=3).map(tuple)
        options = [several.map(kind) for kind in joined]
        return st.one_of([*options, inner.map(Not)] if "not" in can else options)

    return st.recursive(leaf, deeper, max_leaves=5) if joined else leaf


def ordered(rows: Sequence[tuple[Any, ...]], names: list[str], order: Sequence[Order], *, blank: bool) -> list[Any]:
    """The rows as the contract orders them: binary text order, nulls last in both directions."""
    places = [(names.index(key.column), key.descending) for key in order]

    def compare(one: tuple[Any, ...], other: tuple[Any, ...]) -> int:
        for place, descending in places:
            left, right = (_empty(row[place], blank=blank) for row in (one, other))
            if left != right:
                if left is None or right is None:
                    return 1 if left is None else -1
                return (-1 if left < right else 1) * (-1 if descending else 1)
        return 0

    absent = [names.index(key.column) for key in order if key.nulls == "absent"]
    kept = [row for row in rows if all(_empty(row[place], blank=blank) is not None for place in absent)]
    return sorted(kept, key=cmp_to_key(compare))


def _empty(value: Any, *, blank: bool) -> Any:
    return None if blank and isinstance(value, str) and (not value or value.isspace()) else value


WHOLE_READS = frozenset({"filters", "keys", "order", "keyset", "aggregates"})
"""What nobody offers who reads a source whole."""


class ConnectorSuite:
    """Every test reads `subject`, a module fixture of the kind's own file."""

    async def test_the_raw_schema_is_exact(self, subject: Subject) -> None:
        async for batch in subject.connector.scan(ScanRequest()):
            assert batch.schema.equals(subject.schema, check_metadata=True), batch.schema

    async def test_every_row_is_read_as_it_is(self, subject: Subject) -> None:
        assert bag(await read(subject.connector, ScanRequest())) == bag(subject.rows)

    async def test_what_cannot_be_read_is_a_reject_with_its_location(self, subject: Subject) -> None:
        found = [reject async for batch in subject.connector.scan(ScanRequest()) for reject in batch.rejects]

        assert len(found) == subject.rejects
        assert all(reject.location and reject.rule and PERSON not in reject.detail for reject in found)

    async def test_what_the_kind_cannot_do_is_declared(self, subject: Subject) -> None:
        """Tests below prove that what is not offered is refused; which that is does not change unseen."""
        await subject.connector.learn()
        can = subject.connector.capabilities
        offered = {
            "columns": can.columns,
            "filters": can.filter_exactness != "none",
            "keys": can.most_keys > 0,
            "order": can.order,
            "keyset": can.keyset,
            "aggregates": bool(can.aggregates),
            "estimate": isinstance(subject.connector, CountEstimate),
            "fingerprint": subject.fingerprint is not None,
        }
        found = {name for name, offers in offered.items() if not offers}
        assert found == subject.cannot, found

    async def test_columns_come_as_asked(self, subject: Subject) -> None:
        if not subject.connector.capabilities.columns:
            with pytest.raises(CapabilityUndeclared):
                await read(subject.connector, ScanRequest(columns=(subject.names[0],)))
            return
        chosen = tuple(reversed(subject.names))[: max(1, len(subject.names) // 2)]
        places = [subject.names.index(name) for name in chosen]
        expected = bag([tuple(row[place] for place in places) for row in subject.rows])
        found: list[tuple[Any, ...]] = []
        async for batch in subject.connector.scan(ScanRequest(columns=chosen)):
            assert batch.schema.names == list(chosen)
            assert len(batch.rejects) <= subject.rejects
            found += held(batch)

        assert not subject.rejects <= 0 or bag(found) == expected
        assert not expected - bag(found)

    async def test_a_column_that_is_gone_is_named(self, subject: Subject) -> None:
        request = ScanRequest(columns=(subject.names[0], "hilang"))
        if subject.missing_column_is_null:
            assert {row[1] for row in await read(subject.connector, request)} == {None}
            return
        with pytest.raises(SourceSchemaMismatch) as caught:
            await read(subject.connector, request)
        assert "hilang" in caught.value.detail

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

        await _examples(strategy, same, 250)

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

        await _examples(st.tuples(orders, st.none() | st.integers(1, 9), st.booleans()), same, 120)

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
            places = [subject.names.index(one.column) for one in full]
            found: list[tuple[Any, ...]] = []
            after: After | None = None
            while True:
                request = ScanRequest(order=full, after=after, limit=size, blank_is_null=blank)
                page = await read(subject.connector, request)
                found += page
                if len(page) < size:
                    break
                after = After(tuple(_empty(page[-1][place], blank=blank) for place in places))
            assert bag(found) == bag(expected)
            assert [plain(row[places[-1]]) for row in found] == [plain(row[places[-1]]) for row in expected]

        await _examples(st.tuples(orders, st.integers(3, 40), st.booleans()), same, 40)

    async def test_a_position_of_fewer_keys_leaves_out_or_keeps_its_ties(self, subject: Subject) -> None:
        can = subject.connector.capabilities
        if "keyset" in subject.cannot:
            assert not can.keyset
            return
        for name in subject.literals:
            if can.order_columns is not None and name not in can.order_columns:
                continue
            place = subject.names.index(name)
            for value in {row[place] for row in subject.rows if row[place] is not None}:
                for inclusive in (True, False):
                    order = (Order(name, nulls="absent"), Order(subject.unique))
                    request = ScanRequest(order=order, after=After((value,), inclusive=inclusive))
                    found = await read(subject.connector, request)
                    kept = [row for row in subject.rows if row[place] is not None]
                    assert bag(found) == bag(
                        [row for row in kept if row[place] > value or (inclusive and row[place] == value)]
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

        await _examples(cases, same, 60)

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

        await _examples(filters(subject), fewer, 60)

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
        for op in sorted(_OPERATORS - can.filter_operators - {"and"}):
            assert operators(asked[op]) - can.filter_operators
            with pytest.raises(CapabilityUndeclared):
                await read(subject.connector, ScanRequest(filter=asked[op]))
        if not can.limit:
            with pytest.raises(CapabilityUndeclared):
                await read(subject.connector, ScanRequest(limit=1))

    async def test_the_deadline_holds(self, subject: Subject) -> None:
        with pytest.raises(SourceTimeout) as caught:
            await read(subject.connector, ScanRequest(deadline=time.monotonic() - 0.01))
        assert caught.value.retryable

    async def test_leaving_in_the_middle_lets_the_source_go(self, subject: Subject) -> None:
        for _ in range(subject.connector.capabilities.concurrent_scans * 2 + 2):
            batches = subject.connector.scan(ScanRequest())
            async for _batch in batches:
                break
            await batches.aclose()  # type: ignore[attr-defined]

        assert bag(await read(subject.connector, ScanRequest())) == bag(subject.rows)

    async def test_reading_changes_nothing(self, subject: Subject) -> None:
        if subject.fingerprint is None:
            # their servers refuse every method but GET, or what is posted to them is a question
            assert subject.connector.kind in {"rest", "ckan", "gateway", "ogc"}
            return
        before = await subject.fingerprint()
        await subject.connector.check()
        await subject.connector.discover()
        await read(subject.connector, ScanRequest())

        assert await subject.fingerprint() == before
        if isinstance(subject.connector, Freshness):
            assert await subject.connector.version() is not None

    async def test_check_passes_and_discover_shows_the_columns(self, subject: Subject) -> None:
        steps = await subject.connector.check()
        found = await subject.connector.discover(sample_rows=3)

        assert steps
        assert [step.error for step in steps] == [None] * len(steps)
        assert [column.name for column in found.columns] == subject.names
        assert len(found.sample) <= 3

    async def test_faults_become_the_right_error_and_tell_no_secret(self, subject: Subject, caplog, capfd) -> None:
        assert subject.faults
        for fault in subject.faults:
            connector = fault.open()
            try:
                with pytest.raises(SourceError) as caught:
                    await read(connector, ScanRequest(columns=fault.columns))
                error = caught.value
                assert isinstance(error, fault.error), f"{fault.name}: {error!r}"
                assert error.retryable is fault.retryable, fault.name
                steps = await connector.check()
                told = "".join(traceback.format_exception(error)) + repr(error.facts) + error.detail + repr(steps)
            finally:
                await connector.close()
                await connector.close()
            told += caplog.text + "".join(capfd.readouterr())
            assert SECRET not in told, fault.name
            assert PERSON not in told, fault.name


def computed(
    names: list[str], rows: Sequence[tuple[Any, ...]], measures: list[Measure], groups: list[str]
) -> list[Any]:
    """The aggregate by hand."""
    places = [names.index(name) for name in groups]
    found: dict[tuple[Any, ...], list[tuple[Any, ...]]] = {} if groups else {(): []}
    for row in rows:
        found.setdefault(tuple(row[place] for place in places), []).append(row)
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


async def _examples(strategy: st.SearchStrategy[Any], holds: Callable[[Any], Awaitable[None]], count: int) -> None:
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
