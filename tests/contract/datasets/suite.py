"""The conformance suite of all datasets: what `app/datasets/contract.py` promises. A dataset's file gives a `Subject`."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Mapping, Sequence
from contextlib import aclosing, suppress
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from typing import Any

import pytest

from app.datasets.contract import Dataset
from app.datasets.records import MappedRecord, ReadRequest, ReadResult
from app.datasets.selection import LAST_KEY
from app.errors import SimpulError, SourceTimeout
from app.filters.evaluation import compile_predicate
from app.filters.tree import (
    TRUE,
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
    all_of,
    conjuncts,
)
from app.schemas.arrow import rows_of
from tests.support.memory import FACILITIES, record

Row = Mapping[str, str | None]


def _row(kode: str, nama: str, jenis: str | None = None, kelas: str | None = None, region: str | None = None) -> Row:
    return {"kode_faskes": kode, "nama": nama, "jenis": jenis, "kelas": kelas, "kode_wilayah": region}


ROWS: tuple[Row, ...] = (
    _row("R3320001", "RSUD Kartini", "rs_umum", "C", "33.20.03"),
    _row("P3320010101", "Puskesmas Mlonggo", "puskesmas", None, "33.20.06"),
    _row("P3320010102", "Puskesmas Bangsri", "puskesmas", None, "33.20.08"),
    _row("b.1", "Klinik Sehat", "klinik", "B", None),
    _row("b:1", "klinik sehat", "klinik", "A", "99.01"),
    _row("b/1", "Élan", None, "B", "33.20"),
    _row("b_1", "\U0001f600 Ceria", None, None, "33"),
    _row("b-1", "\uffee Tepi", "posyandu", "b", None),
    _row("a/1", "Zamrud", "lainnya", "Z", "33.20.03"),
    _row("a-1", "zamrud", "lainnya", None, None),
    _row("B1", "100% Sehat_", "klinik", "A", "33.20.03"),
)
"""Valid, in no order. Their keys sort otherwise by value than as they are percent-encoded."""
NO_FACILITY = _row("X1", "Jenis yang tidak dikenal", "warung")
"""Rejected by the schema, for its `jenis`."""
SECOND = _row("B1", "Kunci yang sama")
"""Rejected behind the first record of its key."""

ORDERS: tuple[tuple[tuple[str, bool], ...], ...] = (
    (),
    (("nama", False),),
    (("nama", True),),
    (("kelas", False),),
    (("kelas", True), ("jenis", False)),
    (("kode_faskes", True),),
)
_KELAS, _JENIS, _NAMA = Property("kelas"), Property("jenis"), Property("nama")
FILTERS: tuple[Filter, ...] = (
    Compare("=", _JENIS, Literal("klinik")),
    Compare("<>", _KELAS, Literal("B")),
    Compare(">=", _NAMA, Literal("Z")),
    Compare("=", CaseFold(_NAMA), CaseFold(Literal("KLINIK SEHAT"))),
    In(_JENIS, (Literal("puskesmas"), Literal("rs_umum"))),
    IsNull(_KELAS),
    Not(IsNull(_KELAS)),
    Not(Compare("=", _KELAS, Literal("B"))),
    Like(_NAMA, "%s%"),
    Or((Compare("=", _JENIS, Literal("posyandu")), Compare("<", _KELAS, Literal("B")))),
    And((Compare("=", _JENIS, Literal("klinik")), Compare("=", _KELAS, Literal("A")))),
    Compare("=", _NAMA, Literal("nobody")),
)


@dataclass(frozen=True)
class Subject:
    """A dataset of `fasilitas_kesehatan` that gives `ROWS`, and as many rejects by field."""

    dataset: Dataset
    rejected: Mapping[str, int]


def _sorted(records: Sequence[MappedRecord], order: tuple[tuple[str, bool], ...]) -> list[MappedRecord]:
    """The contract of order told in another way: one stable sort after the other, the last key first."""
    found = sorted(records, key=lambda one: str(one.values["kode_faskes"]))
    for name, descending in reversed(order):
        known = [one for one in found if one.values[name] is not None]
        known.sort(key=lambda one: str(one.values[name]), reverse=descending)
        found = known + [one for one in found if one.values[name] is None]
    return found


def expected(order: tuple[tuple[str, bool], ...] = (), wanted: Filter = TRUE) -> list[MappedRecord]:
    """The records that a whole read gives."""
    holds = compile_predicate(wanted)
    made = [record(FACILITIES, **row) for row in ROWS]
    return _sorted([one for one in made if holds(one.values) is True], order)


def keys(records: Sequence[MappedRecord]) -> list[str]:
    return [one.key for one in records]


async def streamed(dataset: Dataset, request: ReadRequest) -> list[ReadResult]:
    """The parts, each as records."""
    async with aclosing(dataset.stream(request)) as parts:
        return [as_records(part) async for part in parts]


def as_records(part: ReadResult) -> ReadResult:
    """A part that came by columns as one that came by rows."""
    if part.columns is None:
        return part
    rows = rows_of(FACILITIES, part.columns.rows)
    keyed = enumerate(zip(part.columns.keys.to_pylist(), rows, strict=True))
    records = [MappedRecord(key, row, part.columns.warnings.get(index, ())) for index, (key, row) in keyed]
    return replace(part, records=records, columns=None)


def _after(one: MappedRecord, order: tuple[tuple[str, bool], ...]) -> tuple[Any, ...]:
    return (*(one.values[name] for name, _ in order), one.key)


class AnyDatasetSuite:
    """What holds of every dataset, be it open or broken. The class of a subject has a fixture `subject`."""

    async def test_it_says_what_its_records_are_and_how_long_a_read_takes(self, subject: Subject) -> None:
        assert subject.dataset.schema is FACILITIES
        assert subject.dataset.deadline_seconds > 0

    async def test_its_mark_stays_while_nothing_happens(self, subject: Subject) -> None:
        mark = await subject.dataset.version()
        with suppress(SimpulError):
            await subject.dataset.read(ReadRequest())

        assert await subject.dataset.version() == mark

    async def test_it_is_closed_twice_read_or_not(self, subject: Subject) -> None:
        with suppress(SimpulError):
            await subject.dataset.read(ReadRequest(limit=1))
        await subject.dataset.close()
        await subject.dataset.close()


class DatasetSuite(AnyDatasetSuite):
    """What holds of a dataset that is open."""

    @pytest.mark.parametrize("order", ORDERS)
    async def test_records_come_in_the_order_asked_for_nulls_last_ties_by_key(
        self, subject: Subject, order: tuple[tuple[str, bool], ...]
    ) -> None:
        result = await subject.dataset.read(ReadRequest(order=order))

        assert keys(result.records) == keys(expected(order))
        assert [one.values for one in result.records] == [one.values for one in expected(order)]
        assert not result.more

    async def test_a_filter_leaves_what_it_leaves_of_the_whole(self, subject: Subject) -> None:
        for wanted in FILTERS:
            result = await subject.dataset.read(ReadRequest(filter=wanted))
            assert (wanted, keys(result.records)) == (wanted, keys(expected((), wanted)))

    async def test_an_estimate_that_is_sure_is_of_the_records_and_their_rejects(self, subject: Subject) -> None:
        for _ in ("before it was read", "behind"):
            for wanted in (TRUE, *FILTERS):
                found = await subject.dataset.estimate(ReadRequest(filter=wanted, limit=1))
                assert found is None or found.rows >= 0
                if found is not None and found.sure:
                    least = len(expected((), wanted))
                    assert least <= found.rows <= least + sum(subject.rejected.values()), wanted
            await subject.dataset.read(ReadRequest())

    async def test_a_limit_cuts_and_says_whether_there_is_more(self, subject: Subject) -> None:
        for order in ORDERS:
            for limit in (1, len(ROWS) - 1, len(ROWS), len(ROWS) + 1):
                result = await subject.dataset.read(ReadRequest(order=order, limit=limit))
                assert keys(result.records) == keys(expected(order))[:limit]
                assert (limit, result.more) == (limit, limit < len(ROWS))

    @pytest.mark.parametrize("order", ORDERS)
    async def test_pages_one_behind_the_other_are_the_whole(
        self, subject: Subject, order: tuple[tuple[str, bool], ...]
    ) -> None:
        wanted = Not(Compare("=", _NAMA, Literal("Zamrud")))
        for size in (1, 4):
            after, given = None, list[str]()
            for _ in range(len(ROWS) + 1):
                page = await subject.dataset.read(ReadRequest(filter=wanted, order=order, after=after, limit=size))
                given += keys(page.records)
                if not page.more:
                    break
                after = _after(page.records[-1], order)
            assert (size, given) == (size, keys(expected(order, wanted)))

    async def test_a_position_before_and_one_behind_all_keys(self, subject: Subject) -> None:
        order = (("jenis", False),)
        whole = expected(order)
        before = await subject.dataset.read(ReadRequest(order=order, after=("klinik", "")))
        behind = await subject.dataset.read(ReadRequest(order=order, after=("klinik", LAST_KEY)))
        kinds = [one.values["jenis"] for one in whole]

        assert keys(before.records) == keys(whole)[kinds.index("klinik") :]
        assert keys(behind.records) == keys(whole)[kinds.index("lainnya") :]

    async def test_a_key_gives_its_record_and_no_other(self, subject: Subject) -> None:
        for one in expected():
            found = await subject.dataset.read(ReadRequest(key=one.key))
            assert [(record.key, record.values) for record in found.records] == [(one.key, one.values)]
            assert not found.more
        assert (await subject.dataset.read(ReadRequest(key="b"))).records == []

    async def test_a_key_is_cut_by_the_filter_too(self, subject: Subject) -> None:
        wanted = Compare("=", _KELAS, Literal("A"))
        fits = await subject.dataset.read(ReadRequest(key="B1", filter=wanted))
        does_not = await subject.dataset.read(ReadRequest(key="R3320001", filter=wanted))

        assert (keys(fits.records), keys(does_not.records)) == (["B1"], [])

    async def test_fields_asked_for_have_their_values(self, subject: Subject) -> None:
        result = await subject.dataset.read(ReadRequest(fields=("nama",), order=(("kelas", False),)))

        assert [one.values["nama"] for one in result.records] == [
            one.values["nama"] for one in expected((("kelas", False),))
        ]

    @pytest.mark.parametrize("wanted", [TRUE, FILTERS[0], FILTERS[-1]])
    async def test_a_stream_gives_what_a_read_without_limit_gives(self, subject: Subject, wanted: Filter) -> None:
        plain = await streamed(subject.dataset, ReadRequest(filter=wanted))
        more = ReadRequest(filter=wanted, order=(("nama", False),), after=("Z", "z"), limit=1, key="B1")
        asked_for_more = await streamed(subject.dataset, more)

        for parts in (plain, asked_for_more):
            given = [one for part in parts for one in part.records]
            assert keys(_sorted(given, ())) == keys(expected((), wanted))

    async def test_what_is_no_record_is_counted_with_its_rule(self, subject: Subject) -> None:
        result = await subject.dataset.read(ReadRequest())
        parts = await streamed(subject.dataset, ReadRequest())

        for found in (result, parts[-1]):
            assert found.rejected_rows == sum(subject.rejected.values())
            assert {field: number for (field, _), number in found.by_rule.items()} == subject.rejected
            assert {reject.field for reject in found.rejects} == set(subject.rejected)
        counted = [part.rejected_rows for part in parts]
        assert counted == sorted(counted)

    async def test_doubtful_values_are_told_with_the_record(self, subject: Subject) -> None:
        told = {one.key: one.warnings for one in expected()}
        assert sum(map(len, told.values())) > 1
        result = await subject.dataset.read(ReadRequest())
        (looked_up,) = (await subject.dataset.read(ReadRequest(key="B1"))).records
        parts = await streamed(subject.dataset, ReadRequest())

        assert {one.key: one.warnings for one in result.records} == told
        assert {one.key: one.warnings for part in parts for one in part.records} == told
        assert looked_up.warnings == told["B1"]

    async def test_a_read_says_when_it_was_made_and_of_which_version(self, subject: Subject) -> None:
        began = datetime.now(UTC)
        result = await subject.dataset.read(ReadRequest())
        last = (await streamed(subject.dataset, ReadRequest()))[-1]

        assert began <= result.as_of <= last.as_of <= datetime.now(UTC) or result.as_of == last.as_of
        assert not result.stale
        mark = await subject.dataset.version()
        assert {result.version, last.version} <= {None, mark}
        assert result.whole == last.whole

    async def test_behind_its_deadline_nothing_is_read(self, subject: Subject) -> None:
        late = ReadRequest(deadline=time.monotonic() - 1)
        with pytest.raises(SourceTimeout):
            await subject.dataset.read(late)
        with pytest.raises(SourceTimeout):
            await streamed(subject.dataset, late)
        in_time = await subject.dataset.read(ReadRequest(deadline=time.monotonic() + 30))

        assert len(in_time.records) == len(ROWS)

    async def test_who_leaves_disturbs_nobody(self, subject: Subject) -> None:
        reading = asyncio.create_task(subject.dataset.read(ReadRequest()))
        staying = asyncio.create_task(subject.dataset.read(ReadRequest()))
        await asyncio.sleep(0)
        reading.cancel()
        async with aclosing(subject.dataset.stream(ReadRequest())) as parts:
            await anext(parts)

        assert len((await staying).records) == len(ROWS)
        assert len((await subject.dataset.read(ReadRequest())).records) == len(ROWS)

    async def test_an_outline_tells_of_every_condition_and_reads_no_record(self, subject: Subject) -> None:
        wanted = all_of(FILTERS[0], FILTERS[5])
        shown = await subject.dataset.outline(ReadRequest(filter=wanted, order=(("nama", False),), limit=2))

        assert [part.filter for part in shown.parts] == list(conjuncts(wanted))
        assert shown.exact == (not shown.residual)
        assert {"filter", "order", "limit"} <= {*shown.pushed, *shown.residual}
        assert all(shown.texts)
        assert not any("klinik" in text for text in shown.texts)
