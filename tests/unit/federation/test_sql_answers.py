"""Between the engine and the writers: names, types, what is refused, and which tables of a statement add up."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pyarrow as pa
import pytest
import structlog
from hypothesis import given
from hypothesis import strategies as st

from app.errors import FieldUnknown
from app.federation.sql.guard import guarded
from app.federation.sql.names import distinct
from app.federation.sql.parsing import readable
from app.federation.sql.refusals import SqlMalformed, SqlTooComplex, SqlValueNotFinite
from app.federation.sql.regenerate import Bound, bound, schemas_of
from app.federation.sql.results import LARGEST_NUMBER, settled
from app.filters.tree import TRUE
from app.schemas import registry
from tests.support.sql import governed

SCHEMAS = frozenset(schema.name for schema in registry.all_schemas())


def made(sql: str) -> Bound:
    tree = guarded(governed(sql), SCHEMAS)
    schemas = {name: registry.get(name) for name in schemas_of(tree)}
    return bound(tree, schemas, {name: frozenset(schema.fields) for name, schema in schemas.items()})


@pytest.mark.parametrize(
    ("names", "expected"),
    [
        (["nama", "nama"], ("nama", "nama_2")),
        (["nama", "nama", "nama_2"], ("nama", "nama_3", "nama_2")),
        (["Kode", "kode", "KODE", "kode_2"], ("Kode", "kode_3", "KODE_4", "kode_2")),
        (["a", "b"], ("a", "b")),
        ([], ()),
    ],
)
def test_names_are_made_distinct(names: list[str], expected: tuple[str, ...]) -> None:
    assert distinct(names) == expected


@given(st.lists(st.sampled_from(["a", "A", "a_2", "A_2", "a_3", "ß", "SS", "b"]), max_size=12))
def test_no_name_stands_twice_and_the_first_keeps_its_own(names: list[str]) -> None:
    found = distinct(names)
    folded = Counter(name.casefold() for name in found)

    assert len(found) == len(names)
    assert all(times == 1 for times in folded.values())
    first: set[str] = set()
    for name, shown in zip(names, found, strict=True):
        if name.casefold() not in first:
            assert shown == name
        first.add(name.casefold())


@pytest.mark.parametrize(
    ("sql", "names"),
    [
        ('SELECT kode AS "Kode", nama AS Nama, count(*) FROM wilayah', ("Kode", "Nama", "count_star()")),
        ('WITH x AS (SELECT kode AS "Kode", nama FROM wilayah) SELECT * FROM x', ("Kode", "nama")),
        ('SELECT t.* FROM (SELECT kode AS "Kode" FROM wilayah) t', ("Kode",)),
        ('SELECT "Kode" FROM (SELECT kode AS "Kode" FROM wilayah) t', ("Kode",)),
        ('SELECT kode AS "A" FROM wilayah UNION ALL SELECT nama AS "B" FROM wilayah', ("A",)),
        ('WITH x("K") AS (SELECT kode AS "Y" FROM wilayah) SELECT * FROM x', ("K",)),
        (f"SELECT '{'x' * 200}'", ("_col_0",)),
    ],
)
def test_names_are_those_that_were_written(sql: str, names: tuple[str, ...]) -> None:
    assert made(sql).names == names


def batch(*columns: Any) -> pa.RecordBatch:
    return pa.RecordBatch.from_arrays(list(columns), names=["x"] * len(columns))


@given(st.lists(st.integers(-(2**63), 2**63 - 1), min_size=1, max_size=5), st.integers(0, 4))
def test_a_whole_column_is_of_one_type(values: list[int], cut: int) -> None:
    batches = [batch(pa.array(part, pa.int64())) for part in (values[:cut], values[cut:])]
    found = settled(batches, ["n"], ["BIGINT"])
    wide = any(abs(value) > LARGEST_NUMBER for value in values)

    assert found.types == (("DECIMAL(38,0)" if wide else "BIGINT"),)
    assert {part.schema.field("n").type for part in found.batches} == {pa.decimal128(38, 0) if wide else pa.int64()}
    assert [int(value) for part in found.batches for value in part.column(0).to_pylist()] == values


@pytest.mark.parametrize(
    "column",
    [
        pa.array([1.0, float("inf")]),
        pa.array([None, float("nan")]),
        pa.array([float("-inf")], pa.float32()),
        pa.array([[1.0], [float("nan")]]),
        pa.array([{"a": [float("inf")]}]),
        pa.array([2**31 - 1], pa.int32()).view(pa.date32()),
        pa.array([-(2**63) + 1], pa.int64()).view(pa.timestamp("us")),
        pa.array([253_402_300_800_000_000], pa.int64()).view(pa.timestamp("us", tz="UTC")),
    ],
    ids=str,
)
def test_a_value_that_no_format_holds_names_its_column(column: Any) -> None:
    with pytest.raises(SqlValueNotFinite) as caught:
        settled([batch(column)], ["hasil"], ["X"])

    assert "'hasil'" in caught.value.detail


@pytest.mark.parametrize(
    "column", [pa.array([], pa.float64()), pa.array([None], pa.float64()), pa.array([1.5]), pa.array([None], pa.date32())], ids=str
)  # fmt: skip
def test_what_can_be_written_stays(column: Any) -> None:
    assert settled([batch(column)], ["x"], ["X"]).batches[0].column(0).equals(column)


@pytest.mark.parametrize(
    "behind",
    ["GROUP BY nama HAVING max({}) = 'x'", "QUALIFY row_number() OVER (ORDER BY {}) = 1", "QUALIFY {} = 'x'", "ORDER BY {}", "ORDER BY upper({})"],
)  # fmt: skip
def test_a_column_that_is_not_there_is_told_before_anything_is_read(behind: str) -> None:
    with pytest.raises(FieldUnknown, match="the column 'rahasia' is in no table named there, or not granted"):
        made(f"SELECT nama FROM wilayah {behind.format('rahasia')}")
    assert made(f"SELECT nama AS rahasia FROM wilayah {behind.replace('max({})', '{}').format('nama')}").names == (
        "rahasia",
    )


@pytest.mark.parametrize(
    ("sql", "adds"),
    [
        ("SELECT nama FROM wilayah", []),
        ("SELECT count(*) FROM wilayah", [False]),
        ("SELECT sum(luas_km2) FROM wilayah", [True]),
        ("SELECT nama FROM wilayah GROUP BY nama HAVING avg(luas_km2) > 1", [True]),
        ("SELECT _dataset, sum(luas_km2) FROM wilayah GROUP BY _dataset", [False]),
        ("SELECT sum(luas_km2) OVER (PARTITION BY _agency) FROM wilayah", [False]),
        ("SELECT sum(luas_km2) OVER (PARTITION BY nama) FROM wilayah", [True]),
        ("SELECT a._agency, sum(a.luas_km2) FROM wilayah a JOIN wilayah b ON a.kode = b.kode GROUP BY a._agency", [False, True]),
        ("SELECT sum(l) FROM (SELECT kode, max(luas_km2) AS l FROM wilayah GROUP BY kode) t", [False]),
        ("SELECT sum(l) FROM (SELECT nama, max(luas_km2) AS l FROM wilayah GROUP BY nama) t", [True]),
        ("WITH a AS (SELECT _agency AS o, luas_km2 AS l FROM wilayah), b AS (SELECT o, l FROM a) SELECT o, sum(l) FROM b GROUP BY o", [False]),
        ("WITH a AS (SELECT _agency AS o, luas_km2 AS l FROM wilayah), b AS (SELECT l FROM a) SELECT sum(l) FROM b", [True]),
        ("SELECT sum(l) FROM (SELECT luas_km2 AS l FROM wilayah UNION SELECT 1) t", [True]),
        ("SELECT sum(x) FROM (SELECT 1 AS x WHERE EXISTS (SELECT 1 FROM wilayah)) t", [False]),
    ],
)  # fmt: skip
def test_which_tables_are_added_up(sql: str, adds: list[bool]) -> None:
    assert [check.adds_up for check in made(sql).checks] == adds


def test_the_check_reads_the_key_and_the_conditions_over_its_table_alone() -> None:
    found = made(
        "SELECT count(*) FROM wilayah a JOIN satuan_pendidikan s ON s.kode_wilayah = a.kode WHERE a.nama = 'x' AND s.nama > a.nama"
    )
    first = found.checks[0]

    assert (first.schema, first.parameters) == ("wilayah", ("x",))
    assert first.text.count("WHERE") == 1
    assert {table.schema.name: table.also for table in found.tables} == {"wilayah": (), "satuan_pendidikan": ("npsn",)}


def test_a_negated_pattern_is_not_asked_of_the_source_as_its_opposite() -> None:
    positive, negative = (
        made("SELECT kode FROM wilayah WHERE nama LIKE 'x%'"),
        made("SELECT kode FROM wilayah WHERE nama NOT LIKE 'x%'"),
    )

    assert type(positive.tables[0].filter).__name__ == "Like"
    assert type(negative.tables[0].filter).__name__ == "And"


@pytest.mark.parametrize(
    ("sql", "deciding"),
    [
        ("SELECT nama FROM wilayah", ""), ("SELECT max(nama), count(DISTINCT tingkat) FROM wilayah", ""), ("SELECT nama FROM wilayah WHERE upper(nama) = 'X'", "nama"),
        ("SELECT x FROM (SELECT upper(nama) AS x FROM wilayah) t WHERE x = 'A'", "nama"), ("SELECT tingkat, max(nama) FROM wilayah GROUP BY 1", "tingkat"),
        ("SELECT nama AS n FROM wilayah ORDER BY n", "nama"), ("SELECT nama FROM wilayah ORDER BY 1", "nama"), ("SELECT DISTINCT nama FROM wilayah", "nama"),
        ("SELECT nama FROM wilayah UNION SELECT 'x'", "nama"), ("SELECT nama FROM wilayah UNION ALL SELECT 'x'", ""), ("SELECT nama FROM wilayah UNION ALL SELECT 'x' ORDER BY nama", "nama"),
        ("WITH a AS (SELECT kode AS k, nama AS n FROM wilayah), b AS (SELECT k, n FROM a) SELECT k FROM b WHERE n = 'x'", "nama"),
        ("SELECT row_number() OVER (PARTITION BY nama ORDER BY kode), tingkat FROM wilayah", "kode nama"), ("SELECT count(*) FILTER (WHERE nama = 'x') FROM wilayah", "nama"),
        ("SELECT kode, nama FROM wilayah ORDER BY ALL", "kode nama"), ("SELECT (SELECT max(npsn) FROM satuan_pendidikan s WHERE s.kode_wilayah = w.kode) FROM wilayah w", "kode"),
        ("SELECT npsn FROM satuan_pendidikan WHERE npsn IN (SELECT nama FROM wilayah)", "nama"), ("SELECT npsn FROM satuan_pendidikan JOIN wilayah USING (nama)", "nama"),
    ],
)  # fmt: skip
def test_what_decides_over_rows_is_known_however_it_is_written(sql: str, deciding: str) -> None:
    found = {table.schema.name: table.deciding for table in made(sql).tables}

    assert sorted(found["wilayah"]) == deciding.split()


@pytest.mark.parametrize(
    ("table", "condition", "pushed"),
    [
        ("statistik_indikator", "tahun = 2020", True), ("statistik_indikator", "tahun = 2020.5", True), ("statistik_indikator", "tahun < -5", True),
        ("statistik_indikator", "tahun = 2020.0000000000000001e0", False), ("statistik_indikator", "tahun = 2e3", False),
        ("statistik_indikator", "tahun = 2020.00000000000000000001", False), ("statistik_indikator", "tahun < 99999999999999999999", False),
        ("statistik_indikator", "tahun IN (2020, 2e3)", False), ("statistik_indikator", "tahun BETWEEN 1 AND 2e3", False),
        ("harga_komoditas", "harga >= 1000000000000000000.25", True), ("harga_komoditas", "harga >= 1e18", False), ("harga_komoditas", "harga = 1.005", False),
        ("harga_komoditas", "harga = 9999999999999999999999999999999999999", False), ("harga_komoditas", "tanggal = '2025-08-15'", True),
        ("harga_komoditas", "tanggal = '2025-W33-5'", False), ("harga_komoditas", "tanggal = '2025-02-30'", False), ("wilayah", "luas_km2 = 1", False),
    ],
)  # fmt: skip
def test_sources_are_asked_only_for_what_they_compare_as_the_engine_does(
    table: str, condition: str, pushed: bool
) -> None:
    (use,) = made(f"SELECT count(*) FROM {table} WHERE {condition}").tables

    assert (use.filter is not TRUE) is pushed


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT median((SELECT median((SELECT median((SELECT median(luas_km2) FROM wilayah)) FROM wilayah)) FROM wilayah)) FROM wilayah",
        "SELECT 1 // 2 // 3 // 4 // 5",
        "SELECT induk(induk(induk(induk(kode, 'desa'), 'desa'), 'desa'), 'desa') FROM wilayah",
    ],
)
def test_what_is_written_twice_is_not_nested_without_bound(sql: str) -> None:
    with pytest.raises(SqlTooComplex) as caught:
        made(sql)

    assert "at most 3 deep" in caught.value.detail


@pytest.mark.parametrize(
    ("sql", "unknown"),
    [
        ("SELECT * EXCLUDE (nma) FROM wilayah", "nma"),
        ("SELECT * EXCLUDE (nama, namaa) FROM wilayah", "namaa"),
        ("SELECT w.* EXCLUDE (npsn) FROM wilayah w JOIN satuan_pendidikan s ON s.kode_wilayah = w.kode", "npsn"),
        ("SELECT * EXCLUDE (kode) FROM (SELECT nama FROM wilayah)", "kode"),
        ("WITH a AS (SELECT nama AS n FROM wilayah) SELECT * EXCLUDE (nama) FROM a", "nama"),
        ("SELECT nama FROM wilayah WHERE kode IN (SELECT kode FROM (SELECT * EXCLUDE (kod) FROM wilayah))", "kod"),
    ],
)
def test_what_is_not_there_cannot_be_left_out(sql: str, unknown: str) -> None:
    with pytest.raises(FieldUnknown, match=f"EXCLUDE names the column '{unknown}'"):
        made(sql)


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT * EXCLUDE (NAMA) FROM wilayah",
        "SELECT * EXCLUDE (_agency) FROM wilayah",
        "SELECT s.* EXCLUDE (npsn) FROM wilayah w JOIN satuan_pendidikan s ON s.kode_wilayah = w.kode",
        "SELECT * EXCLUDE (n) FROM (SELECT nama AS n, kode FROM wilayah)",
        "WITH a AS (SELECT * FROM wilayah) SELECT * EXCLUDE (nama) FROM a",
        "WITH a (x, y) AS (SELECT nama, kode FROM wilayah) SELECT * EXCLUDE (x) FROM a",
    ],
)
def test_what_is_there_is_left_out(sql: str) -> None:
    assert made(sql).names


def test_a_fault_of_the_parser_is_told_in_the_log_without_the_statement() -> None:
    with structlog.testing.capture_logs() as told, pytest.raises(SqlMalformed), readable("it cannot be read"):
        raise KeyError("SELECT rahasia")

    assert told == [
        {"event": "statement_not_read", "kind": "KeyError", "step": "it cannot be read", "log_level": "warning"}
    ]
