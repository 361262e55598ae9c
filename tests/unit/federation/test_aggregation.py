"""Aggregates: exact numbers, and refusals where a number would be wrong."""

from __future__ import annotations

from collections import Counter
from decimal import Decimal
from fractions import Fraction
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import AggregateTooLarge, FieldUnknown, MixedLevels, MixedUnits, OverlapRefused, ValidationFailed
from app.federation.question.aggregate_binder import RawMeasure, aggregation_structure, bind_aggregation
from app.federation.question.aggregation import Function, Measure, aggregate, overlap_of, refuse_overlap
from app.federation.question.query import AnswerRecord
from app.schemas import registry
from tests.support.memory import FACILITIES, record
from tests.unit.federation.test_merge import NOW

BUDGET = registry.get("realisasi_apbd")
FIGURES = registry.get("statistik_indikator")
SCHOOLS = registry.get("satuan_pendidikan")


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
