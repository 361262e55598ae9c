"""The structure of a statement in the log: whatever the caller writes, an entry takes it and no word of the caller stands in it."""

from __future__ import annotations

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from app.audit.entry.members import MEMBERS
from app.federation.sql.guard import guarded
from app.federation.sql.regenerate import schemas_of
from app.federation.sql.structure import MOST_CHARACTERS, statement_structure
from app.schemas import registry

SCHEMAS = frozenset(schema.name for schema in registry.all_schemas())
MARK = "Zqx"
"""Stands in every literal and every name that the caller makes up."""


def structure(sql: str) -> str:
    tree = guarded(sql, SCHEMAS)
    return statement_structure(tree, {name: registry.get(name) for name in schemas_of(tree)})


@pytest.mark.parametrize(
    ("sql", "expected"),
    [
        ("SELECT date_trunc('month', tanggal) FROM harga_komoditas", "SELECT TIMESTAMP_TRUNC(tanggal, ?) FROM harga_komoditas"),
        (
            "SELECT date_diff('day', tanggal, DATE '2024-01-31') AS \"O'Brien\" FROM harga_komoditas",
            "SELECT DATEDIFF(CAST(? AS DATE), tanggal, ?) AS c1 FROM harga_komoditas",
        ),
        ("SELECT initcap(nama) AS x12345678 FROM wilayah", "SELECT INITCAP(nama, ?) AS c1 FROM wilayah"),
        (
            "WITH besar AS (SELECT kode AS k, TRUE AS b FROM wilayah w WHERE w.nama LIKE 'Je%') SELECT k FROM besar ORDER BY 1",
            "WITH a1 AS (SELECT kode AS c1, ? AS c2 FROM wilayah AS a2 WHERE a2.nama LIKE ?) SELECT c1 FROM a1 ORDER BY ?",
        ),
        (
            "SELECT tanggal + INTERVAL 3 MONTH FROM harga_komoditas WHERE _agency = 'x'",
            "SELECT tanggal + INTERVAL(?, ?) FROM harga_komoditas WHERE _agency = ?",
        ),
        ("SELECT kode /* 3320990101900001 */ FROM wilayah -- 'x'", "SELECT kode FROM wilayah"),
        ("SELECT induk(kode, 'kecamatan') FROM wilayah", "SELECT INDUK(kode, ?) FROM wilayah"),
    ],
)  # fmt: skip
def test_values_and_made_up_names_are_replaced(sql: str, expected: str) -> None:
    assert structure(sql) == expected


def test_a_long_structure_is_cut() -> None:
    found = structure("SELECT " + ", ".join(f"kode AS k{number}" for number in range(400)) + " FROM wilayah")

    assert found.startswith("SELECT kode AS c1, kode AS c2")
    assert found.endswith("characters, whole in the detail)")
    assert len(found) <= MOST_CHARACTERS + 60


LETTERS = st.characters(exclude_categories=("Cc", "Cf", "Cs", "Zl", "Zp", "Zs", "Co", "Cn"), exclude_characters="$")
TEXTS = st.text(LETTERS, max_size=12).map(lambda text: f"'{MARK}{text.replace(chr(39), chr(39) * 2)}'")
NAMES = st.one_of(
    st.text(LETTERS, max_size=12).map(lambda text: f'"{MARK}{text.replace(chr(34), chr(34) * 2)}"'),
    st.integers(10_000_000, 10**16).map(lambda number: f"{MARK}{number}"),
)
COLUMNS = st.sampled_from(["tanggal", "kode_wilayah", "pasar", "komoditas", "harga", "h.harga", "_agency", '"harga"'])
LEAVES = st.one_of(
    COLUMNS, TEXTS, st.integers(0, 10**18).map(str), st.decimals(0, 10**9, places=3).map(str),
    st.dates().map(lambda day: f"DATE '{day}'"), st.datetimes().map(lambda time: f"TIMESTAMP '{time}'"),
    st.sampled_from(["NULL", "TRUE", "1e3", "INTERVAL 3 DAY", "INTERVAL '12345678' SECOND", "current_date"]),
)  # fmt: skip
CALLS = [
    "date_trunc('month', {0})", "date_diff('day', {0}, {1})", "datediff('year', {0}, {1})", "initcap({0})", "{0} || {1}",
    "CAST({0} AS DECIMAL(18, 3))", "{0}::text", "CASE WHEN {0} THEN {1} ELSE 'x' END", "{0} NOT LIKE {1}", "{0} ILIKE {1} ESCAPE '!'",
    "{0} BETWEEN {1} AND {0}", "{0} NOT IN ({1}, '12345678')", "{0} IS NOT NULL", "sum({0}) FILTER (WHERE {1})", "median({0})",
    "row_number() OVER (PARTITION BY {0} ORDER BY {1} DESC)", "sum({0}) OVER (ORDER BY {1} ROWS BETWEEN 3 PRECEDING AND CURRENT ROW)",
    "extract(year FROM {0})", "string_agg({0}, ', ' ORDER BY {1})", "induk({0}, 'kecamatan')", "tingkat({0})", "split_part({0}, '-', 1)",
    "coalesce({0}, {1})", "round({0}, 2)", "({0} + {1}) * 2", "{0} // 3 % 7", "-({0})", "trim(BOTH 'x' FROM {0})", "count(DISTINCT {0})",
    "date_add({0}, INTERVAL 12345678 DAY)", "last_day({0})", "if({0}, {1}, 'y')", "lag({0}, 1, 'z') OVER (ORDER BY {1})",
    "{0} IN (SELECT kode FROM wilayah WHERE nama = {0})", "EXISTS (SELECT 1 FROM wilayah w WHERE w.kode = {0})", "position('a' IN {0})",
]  # fmt: skip
EXPRESSIONS = st.recursive(
    LEAVES,
    lambda inner: st.builds(lambda call, a, b: f"({call.format(a, b)})", st.sampled_from(CALLS), inner, inner),
    max_leaves=6,
)


@st.composite
def statements(draw: st.DrawFn) -> str:
    """An allowed statement: calls of the list over columns and literals, under names that the caller makes up."""
    few = [f"{draw(EXPRESSIONS)} AS {draw(NAMES)}" for _ in range(draw(st.integers(1, 4)))]
    sql = f"SELECT {', '.join(few)} FROM harga_komoditas h WHERE {draw(EXPRESSIONS)}"
    match draw(st.integers(0, 4)):
        case 0:
            name = draw(NAMES)
            sql = f"WITH {name} AS ({sql}) SELECT t.* FROM {name} t ORDER BY 1 LIMIT 12345678"
        case 1:
            sql = f"{sql} UNION ALL SELECT {draw(LEAVES)} FROM wilayah"
        case 2:
            sql = f"{sql} GROUP BY {draw(COLUMNS)} HAVING count(*) > 12345678 ORDER BY {draw(EXPRESSIONS)} NULLS FIRST"
        case 3:
            sql = f"SELECT * FROM ({sql}) AS {draw(NAMES)}; -- {MARK} '12345678"
        case _:
            sql = f"{sql} -- '{MARK}"
    return sql


@settings(max_examples=400, deadline=None)
@given(statements())
def test_an_entry_takes_the_structure_of_every_statement(sql: str) -> None:
    found = structure(sql)

    assert MEMBERS["q"](found), found
    assert len(found) <= MOST_CHARACTERS + 60
    assert MARK.lower() not in found.lower()
