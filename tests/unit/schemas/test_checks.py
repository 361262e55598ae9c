"""Bulk checks accept exactly the rows that Pydantic accepts, and name the same rule of the same field."""

from __future__ import annotations

from decimal import Decimal

import pyarrow as pa
import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.schemas import registry
from app.schemas.arrow import batch_of, rows_of
from app.schemas.checks import MOST_LISTED, CheckFailure, compile_checks
from app.schemas.validation import validate_row
from tests.unit.schemas.hostile import example_row, rows_of_schema

SCHEMAS = registry.all_schemas()
CHECKS = {schema.name: compile_checks(schema) for schema in SCHEMAS}


def verdicts_of_pydantic(schema, batch):
    found = [validate_row(schema, row) for row in rows_of(schema, batch)]
    failures = {(row, failure.field, failure.rule) for row, (_, many) in enumerate(found) for failure in many}
    return [record is not None for record, _ in found], failures


def both_agree(schema, batch):
    result = CHECKS[schema.name].run(batch)
    accepted, failures = verdicts_of_pydantic(schema, batch)
    assert result.valid.to_pylist() == accepted
    assert {(found.row, found.field, found.rule) for found in result.failures} == failures
    assert sum(result.counts.values()) == len(failures)


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_checks_and_pydantic_agree_on_every_row(schema):
    @given(rows_of_schema(schema))
    def agree(rows):
        both_agree(schema, batch_of(schema, rows))

    agree()


@pytest.mark.parametrize("schema", SCHEMAS, ids=lambda schema: schema.name)
def test_an_empty_batch_a_table_and_a_slice_are_checked_alike(schema):
    row = example_row(schema)
    broken = row | {schema.meta.key[0]: None}
    checks = CHECKS[schema.name]
    assert len(checks.run(batch_of(schema, [])).valid) == 0
    batch = batch_of(schema, [row, broken, row, broken])
    table = pa.Table.from_batches([batch, batch.slice(1, 2)])
    assert checks.run(table).valid.to_pylist() == [True, False, True, False, False, True]
    assert checks.run(batch.slice(1, 3)).valid.to_pylist() == [False, True, False]


@given(
    st.lists(
        st.lists(st.sampled_from(["0297 312128", "", "x" * 61, "\x00", None]), max_size=22) | st.none(), max_size=9
    )
)
def test_lists_agree_also_in_slices_with_null_lists_between(phones):
    schema = registry.get("fasilitas_kesehatan")
    rows = [example_row(schema) | {"telepon": value} for value in phones]
    batch = batch_of(schema, rows)
    both_agree(schema, batch)
    both_agree(schema, batch.slice(len(rows) // 2))


def test_text_of_a_geometry_that_is_no_json_is_a_wrong_type():
    schema = registry.get("batas_wilayah")
    good = batch_of(schema, [example_row(schema)] * 3)
    place = good.schema.get_field_index("geometri")
    texts = pa.array(["{", good.column(place)[0].as_py(), "[1]"])
    batch = good.set_column(place, good.schema.field(place), texts)
    both_agree(schema, batch)
    assert CHECKS["batas_wilayah"].run(batch).counts == {("geometri", "wrong_type"): 2}


def test_times_and_dates_that_python_cannot_hold_are_out_of_range():
    schema = registry.get("kejadian_bencana")
    batch = batch_of(schema, [example_row(schema)])
    place = batch.schema.get_field_index("waktu")
    far = pa.array([2**62], pa.int64()).cast(pa.timestamp("us", tz="UTC"))
    result = CHECKS["kejadian_bencana"].run(batch.set_column(place, batch.schema.field(place), far))
    assert result.counts == {("waktu", "out_of_range"): 1}


def test_an_absent_column_is_null_and_another_type_is_refused():
    schema = registry.get("wilayah")
    checks = CHECKS["wilayah"]
    batch = batch_of(schema, [example_row(schema)])
    assert checks.run(batch.select(["kode", "nama"])).valid.to_pylist() == [True]
    assert checks.run(batch.select(["kode"])).counts == {("nama", "missing"): 1}
    with pytest.raises(TypeError, match="column kode is int64"):
        checks.run(pa.record_batch({"kode": pa.array([33])}))


def test_failures_are_listed_up_to_a_bound_and_counted_exactly():
    schema = registry.get("wilayah")
    many = MOST_LISTED + 500
    result = CHECKS["wilayah"].run(batch_of(schema, [{"kode": "33.70", "nama": "X"}] * many))
    assert result.counts == {("kode", "pattern"): many}
    assert len(result.failures) == MOST_LISTED
    assert result.failures[-1] == CheckFailure(MOST_LISTED - 1, "kode", "pattern")


def test_silpa_is_held_within_one_rupiah_in_bulk():
    schema = registry.get("realisasi_apbd")
    row = example_row(schema)
    off = [row | {"silpa": row["silpa"] + Decimal(step)} for step in ("-1", "1", "1.01", "-2")]
    result = CHECKS["realisasi_apbd"].run(batch_of(schema, [*off, row | {"silpa": None}]))
    assert result.valid.to_pylist() == [True, True, False, False, True]
    assert result.counts == {("silpa", "silpa_mismatch"): 2}
