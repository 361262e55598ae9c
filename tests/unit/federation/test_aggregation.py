"""Aggregates: exact numbers, and refusals where a number would be wrong."""

from __future__ import annotations

import asyncio
import tempfile
from collections import Counter
from collections.abc import Sequence
from datetime import UTC, datetime
from decimal import Decimal
from fractions import Fraction
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.errors import AggregateTooLarge, FieldUnknown, MixedLevels, MixedUnits, OverlapRefused, ValidationFailed
from app.federation.adding import PART_BYTES, Adding
from app.federation.question import aggregation
from app.federation.question.aggregate_binder import RawMeasure, aggregation_structure, bind_aggregation
from app.federation.question.aggregation import Aggregation, Function, Measure, Overlap, refuse_overlap
from app.federation.question.query import AnswerRecord
from app.federation.reading.batches import columns_of
from app.schemas import registry
from tests.support import yardstick
from tests.support.memory import FACILITIES, record
from tests.support.room import room_in
from tests.unit.federation.test_merge import NOW

BUDGET = registry.get("realisasi_apbd")
FIGURES = registry.get("statistik_indikator")
SCHOOLS = registry.get("satuan_pendidikan")
EVENTS = registry.get("kejadian_bencana")


async def added(
    schema: registry.SchemaDef, parts: Sequence[tuple[str, pa.RecordBatch]], question: Aggregation
) -> tuple[list[dict[str, Any]], Overlap | None]:
    with tempfile.TemporaryDirectory() as folder:
        adding = Adding(schema, question, room_in(Path(folder)), overlaps=True)
        try:
            for agency, columns in parts:
                await adding.take(columns, agency)
            return await adding.items(), await adding.overlap()
        finally:
            adding.close()


def both(
    schema: registry.SchemaDef, rows: Sequence[AnswerRecord], question: Aggregation
) -> tuple[list[dict[str, Any]], Overlap | None]:
    """The items and the overlap, one part an agency."""
    agencies = sorted({row.agency for row in rows})
    parts = [
        (agency, columns_of(schema, [row.record for row in rows if row.agency == agency], tuple(schema.fields)))
        for agency in agencies
    ]
    return asyncio.run(added(schema, parts, question))


def aggregate(schema: registry.SchemaDef, rows: Sequence[AnswerRecord], question: Aggregation) -> list[dict[str, Any]]:
    return both(schema, rows, question)[0]


def overlap_of(rows: Sequence[AnswerRecord]) -> Overlap | None:
    return both(SCHOOLS, rows, asked(SCHOOLS, ("count", None)))[1]


def found(schema: registry.SchemaDef, agency: str = "bps", **values: Any) -> AnswerRecord:
    return AnswerRecord(record(schema, **values), agency, f"{agency}-set", NOW, tuple(schema.fields))


def figure(nilai: str | None, kode: str = "33.20", **more: Any) -> AnswerRecord:
    values = {"kode_indikator": "penduduk", "kode_wilayah": kode, "tahun": 2024, "satuan": "jiwa"} | more
    needed = {name: spec.example for name, spec in FIGURES.fields.items() if spec.required}
    return found(FIGURES, **{**needed, **values, "nilai": None if nilai is None else Decimal(nilai)})


def asked(schema: registry.SchemaDef, *measures: tuple[Function, str | None], by: Any = (), having: Any = None) -> Any:
    return bind_aggregation(schema, by, [RawMeasure(name, field) for name, field in measures], having)


@given(values=st.lists(st.none() | st.decimals(-(10**9), 10**9, places=6), max_size=30))
def test_decimals_add_up_exactly(values: list[Decimal | None]) -> None:
    rows = [figure(None if value is None else str(value), tahun=1900 + place) for place, value in enumerate(values)]
    question = asked(
        FIGURES,
        ("sum", "nilai"),
        ("avg", "nilai"),
        ("min", "nilai"),
        ("max", "nilai"),
        ("count", "nilai"),
        ("count", None),
    )
    item = aggregate(FIGURES, rows, question)[0]
    given_values = [value for value in values if value is not None]

    assert item["count"] == len(values)
    assert item["count_nilai"] == len(given_values)
    if not given_values:
        assert [item[name] for name in ("sum_nilai", "avg_nilai", "min_nilai", "max_nilai")] == [None] * 4
        return
    exact = sum(map(Fraction, given_values))
    assert Fraction(item["sum_nilai"]) == exact
    assert (item["min_nilai"], item["max_nilai"]) == (min(given_values), max(given_values))
    assert abs(Fraction(item["avg_nilai"]) - exact / len(given_values)) <= Fraction(1, 10**6)


@given(kinds=st.lists(st.sampled_from([None, "klinik", "puskesmas"]), max_size=20))
def test_groups_are_complete_ordered_and_hold_null_last(kinds: list[str | None]) -> None:
    rows = [found(FACILITIES, kode_faskes=f"K{place}", nama="x", jenis=kind) for place, kind in enumerate(kinds)]
    items = aggregate(FACILITIES, rows, asked(FACILITIES, ("count", None), by=["jenis"]))

    assert {item["jenis"]: item["count"] for item in items} == Counter(kinds)
    assert [item["jenis"] for item in items] == sorted(set(kinds), key=lambda kind: (kind is None, kind or ""))


def test_nothing_at_all_counts_zero_without_groups_and_gives_none_with_them() -> None:
    assert aggregate(FACILITIES, [], asked(FACILITIES, ("count", None), ("max", "nama"))) == [
        {"count": 0, "max_nama": None}
    ]
    assert aggregate(FACILITIES, [], asked(FACILITIES, ("count", None), by=["jenis"])) == []


def test_large_whole_numbers_become_decimals_not_floats() -> None:
    big = [found(SCHOOLS, npsn=f"2000000{place}", nama="x", jumlah_siswa=10**12) for place in range(3)]
    total = aggregate(SCHOOLS, big, asked(SCHOOLS, ("sum", "jumlah_siswa")))[0]["sum_jumlah_siswa"]
    assert (total, type(total)) == (3 * 10**12, int)


def test_having_sees_the_answer() -> None:
    rows = [
        found(FACILITIES, kode_faskes=f"K{place}", nama="x", jenis=kind)
        for place, kind in enumerate(["klinik", "klinik", "puskesmas"])
    ]
    items = aggregate(FACILITIES, rows, asked(FACILITIES, ("count", None), by=["jenis"], having="count > 1"))

    assert items == [{"jenis": "klinik", "count": 2}]


def test_sum_over_a_regency_and_its_districts_is_refused() -> None:
    rows = [figure("10", "33.20"), figure("4", "33.20.01"), figure("6", "33.20.02")]
    with pytest.raises(MixedLevels):
        aggregate(FIGURES, rows, asked(FIGURES, ("sum", "nilai")))
    by_region = aggregate(FIGURES, rows, asked(FIGURES, ("sum", "nilai"), by=["kode_wilayah"]))
    counted = aggregate(FIGURES, rows, asked(FIGURES, ("count", None), ("max", "nilai")))

    assert [item["sum_nilai"] for item in by_region] == [10, 4, 6]
    assert counted == [{"count": 3, "max_nilai": 10}]


def test_sum_over_units_is_refused() -> None:
    rows = [figure("10", satuan="jiwa"), figure("4", satuan="rumah tangga", tahun=2023)]
    with pytest.raises(MixedUnits):
        aggregate(FIGURES, rows, asked(FIGURES, ("avg", "nilai")))

    assert len(aggregate(FIGURES, rows, asked(FIGURES, ("avg", "nilai"), by=["satuan"]))) == 2


def test_key_of_two_agencies_is_not_added_twice() -> None:
    rows = [found(SCHOOLS, agency, npsn="20000001", nama="x", jumlah_siswa=10) for agency in ("dinas", "bps")]
    overlap = overlap_of(rows)
    assert overlap is not None
    assert (overlap.keys, overlap.agencies) == (1, ("bps", "dinas"))
    with pytest.raises(OverlapRefused):
        refuse_overlap(asked(SCHOOLS, ("sum", "jumlah_siswa")), overlap)
    refuse_overlap(asked(SCHOOLS, ("count", None)), overlap)
    refuse_overlap(asked(SCHOOLS, ("sum", "jumlah_siswa")), overlap_of(rows[:1]))


def test_too_many_groups_are_refused_not_cut() -> None:
    rows = [found(FACILITIES, kode_faskes=f"K{place}", nama="x") for place in range(10_001)]
    with pytest.raises(AggregateTooLarge):
        aggregate(FACILITIES, rows, asked(FACILITIES, ("count", None), by=["kode_faskes"]))


@pytest.mark.parametrize(
    ("group_by", "measures", "having", "pointer"),
    [
        ([], [], None, "/aggregates"),
        ([], [RawMeasure("sum")], None, "/aggregates/0/field"),
        ([], [RawMeasure("sum", "nama")], None, "/aggregates/0/field"),
        ([], [RawMeasure("max", "telepon")], None, "/aggregates/0/field"),
        ([], [RawMeasure("count"), RawMeasure("count")], None, "/aggregates"),
        (["nama"], [RawMeasure("count", name="nama")], None, "/aggregates"),
        (["telepon"], [RawMeasure("count")], None, "/group_by/0"),
        ([], [RawMeasure("count")], "jumlah > 1", "/having"),
    ],
)
def test_fault_is_told_with_its_pointer(
    group_by: list[str], measures: list[RawMeasure], having: str | None, pointer: str
) -> None:
    with pytest.raises(ValidationFailed) as caught:
        bind_aggregation(FACILITIES, group_by, measures, having)
    assert caught.value.errors[0].pointer == pointer


def test_unknown_field_is_told_with_the_closest() -> None:
    with pytest.raises(FieldUnknown) as caught:
        bind_aggregation(FACILITIES, ["jenys"], [RawMeasure("count")], None)
    assert "jenis" in caught.value.detail


def test_structure_holds_no_literal() -> None:
    question = asked(FACILITIES, ("count", None), by=["jenis"], having="count > 41")
    assert aggregation_structure(question) == "aggregate=count(*) group_by=jenis having=?"
    assert question.measures == (Measure("count", None, "count"),)


NUMBERS = st.floats(-20, 20, allow_nan=False) | st.sampled_from([0.1, 0.2, -0.0, 1e-300, 5e-324])
WHEN = st.integers(-(2**31), 2**32).map(lambda seconds: datetime.fromtimestamp(seconds, UTC))
FUNCTIONS: Sequence[Function] = ("count", "sum", "min", "max", "avg", "count_distinct")
FIGURE = st.fixed_dictionaries(
    {
        "kode_indikator": st.sampled_from(["penduduk", "ipm"]),
        "kode_wilayah": st.sampled_from(["33", "33.20", "33.20.01", "33.20.02"]),
        "tahun": st.integers(1990, 2020),
        "satuan": st.sampled_from(["jiwa", "rumah tangga"]),
        "nilai": st.none() | st.decimals(-(10**12), 10**12, places=6),
    }
)
EVENT = st.fixed_dictionaries(
    {
        "waktu": WHEN,
        "lat": st.none() | NUMBERS.map(lambda value: value / 4),
        "lng": st.none() | NUMBERS.map(lambda value: 110 + value),
        "magnitudo": st.none() | NUMBERS.map(abs).map(lambda value: min(value, 9.9)),
    }
)


def of_schema(schema: registry.SchemaDef, given_values: dict[str, Any], agency: str) -> AnswerRecord | None:
    needed = {name: spec.example for name, spec in schema.fields.items() if spec.required}
    try:
        return found(schema, agency, **{**needed, **given_values})
    except AssertionError:
        return None


@pytest.mark.parametrize(
    ("schema", "values", "names"),
    [
        (FIGURES, FIGURE, ("kode_indikator", "kode_wilayah", "tahun", "satuan", "nilai")),
        (EVENTS, EVENT, ("waktu", "lat", "lng", "magnitudo")),
    ],
)
def test_engine_says_what_the_yardstick_says(schema: Any, values: Any, names: tuple[str, ...]) -> None:
    @settings(max_examples=50)
    @given(
        rows=st.lists(st.tuples(values, st.sampled_from(["bps", "dinas", "rsud"])), max_size=12),
        by=st.lists(st.sampled_from(names), max_size=2, unique=True),
        chosen=st.lists(
            st.tuples(st.sampled_from(FUNCTIONS), st.sampled_from(names)), min_size=1, max_size=4, unique=True
        ),
        having=st.none() | st.just("jumlah > 1"),
    )
    def same(rows: Any, by: Any, chosen: Any, having: Any) -> None:
        numbers = {"integer", "decimal", "number"}
        measures = [
            RawMeasure(function, name)
            for function, name in chosen
            if function not in {"sum", "avg"} or schema.fields[name].kind in numbers
        ]
        question = bind_aggregation(schema, by, [*measures, RawMeasure("count", None, "jumlah")], having)
        made = [
            row
            for place, (one, agency) in enumerate(rows)
            if (row := of_schema(schema, keyed(schema, one, place), agency))
        ]
        made.sort(key=lambda row: row.agency)
        assert outcome(both, schema, made, question) == outcome(measured, schema, made, question)

    same()


def keyed(schema: registry.SchemaDef, values: dict[str, Any], place: int) -> dict[str, Any]:
    """Some keys twice, so that agencies overlap."""
    return {**values, "id": f"E{place // 2}"} if "id" in schema.fields else values


def measured(schema: registry.SchemaDef, rows: Sequence[AnswerRecord], question: Aggregation) -> Any:
    return yardstick.aggregate(schema, rows, question), aggregation.overlap_of(rows)


def outcome(work: Any, *given_values: Any) -> Any:
    """The items with the type of each value, or the code of the refusal where any group cannot be added up."""
    try:
        items, overlap = work(*given_values)
    except (MixedLevels, MixedUnits):
        return "refused"
    return [[(name, type(value), value) for name, value in item.items()] for item in items], overlap


def test_sum_beyond_38_digits_is_refused_by_name() -> None:
    columns = columns_of(
        FIGURES, [figure("1", tahun=1900 + place).record for place in range(20)], tuple(FIGURES.fields)
    )
    kind = columns.schema.field("nilai").type
    large = pa.array([Decimal(9).scaleb(37 - kind.scale)] * 20, kind)
    columns = columns.set_column(columns.schema.get_field_index("nilai"), "nilai", large)
    with pytest.raises(AggregateTooLarge) as caught:
        asyncio.run(added(FIGURES, [("bps", columns)], asked(FIGURES, ("sum", "nilai"))))
    assert caught.value.facts["limit_digits"] == 38


def test_whole_numbers_beyond_64_bits_are_exact() -> None:
    rows = [found(SCHOOLS, npsn=f"2000000{place}", nama="x", jumlah_siswa=1) for place in range(3)]
    columns = columns_of(SCHOOLS, [row.record for row in rows], tuple(SCHOOLS.fields))
    large = pa.array([2**63 - 1] * 3, pa.int64())
    columns = columns.set_column(columns.schema.get_field_index("jumlah_siswa"), "jumlah_siswa", large)
    items, _ = asyncio.run(added(SCHOOLS, [("bps", columns)], asked(SCHOOLS, ("sum", "jumlah_siswa"))))
    assert items == [{"sum_jumlah_siswa": Decimal(3 * (2**63 - 1))}]


def named(names: Sequence[str]) -> pa.RecordBatch:
    """Facilities of these names."""
    ids = [f"F{number}" for number in range(len(names))]
    return pa.RecordBatch.from_pydict({"_id": ids, "nama": list(names), "lat": [0.1] * len(names)})


async def grouped_by_name(names: Sequence[str], folder: Path, part_bytes: int) -> list[dict[str, Any]]:
    measures = (Measure("count", None, "n"), Measure("max", "nama", "last"), Measure("sum", "lat", "degrees"))
    asked = Aggregation(measures, ("nama",))
    adding = Adding(FACILITIES, asked, room_in(folder), overlaps=False, part_bytes=part_bytes)
    try:
        await adding.take(named(names), "dinkes")
        return await adding.items()
    finally:
        adding.close()


@pytest.mark.parametrize("part_bytes", [PART_BYTES, 8_000_000])
def test_a_part_that_memory_does_not_hold_is_added_in_halves(tmp_path: Path, part_bytes: int) -> None:
    names = [f"{number:04}" + "x" * 8000 for number in range(1000)] * 2
    found = asyncio.run(grouped_by_name(names, tmp_path, part_bytes))
    assert found == [{"nama": name, "n": 2, "last": name, "degrees": 0.2} for name in names[:1000]]


def test_a_record_that_memory_does_not_hold_is_refused_by_name(tmp_path: Path) -> None:
    with pytest.raises(AggregateTooLarge, match="one record need more than 8000000 bytes"):
        asyncio.run(grouped_by_name(["x" * 20_000_000], tmp_path, 8_000_000))
