"""Sources are read no further than the statement needs: the answer is one that the engine could give over all rows, and says the same of them."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from app.errors import AllSourcesFailed, SourceFailed
from app.federation.question.query import Enough
from app.federation.sql.ahead import WorkersAhead
from tests.integration.federation.sql.running import Engine, made
from tests.integration.federation.sql.test_loading import ahead, answered, facilities
from tests.integration.federation.sql.test_same_answer import TAKEN, rows_of
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

assert ahead  # a fixture

TABLES = {
    "wilayah": (("nama", "tingkat", "kode_induk"), ("tingkat = 'desa'", "kode LIKE '33.20.0%'", "luas_km2 > 1")),
    "harga_komoditas": (("pasar", "satuan", "harga"), ("harga >= 12500", "pasar <> 'Pasar Ratu'", "lower(pasar) = 'pasar ratu'")),
    "satuan_pendidikan": (("bentuk", "jumlah_siswa", "lat"), ("status IN ('negeri')", "kepala_sekolah IS NULL")),
}  # fmt: skip


@st.composite
def statements(draw: st.DrawFn) -> tuple[str, str]:
    """A statement with LIMIT, and the same without."""
    table = draw(st.sampled_from(sorted(TABLES)))
    columns, conditions = TABLES[table]
    shown = ", ".join(draw(st.lists(st.sampled_from([*columns, "_agency"]), min_size=1, max_size=3, unique=True)))
    chosen = " AND ".join(draw(st.lists(st.sampled_from(conditions), max_size=2, unique=True)))
    where = f" WHERE {chosen}" if chosen else ""
    whole = f"SELECT {draw(st.sampled_from(['', 'DISTINCT ']))}{shown} FROM {table}{where}"
    offset = draw(st.sampled_from(["", " OFFSET 1", " OFFSET 5"]))
    limited = f"{whole} LIMIT {draw(st.integers(0, 9))}{offset}"
    around = draw(st.sampled_from(["{}", "SELECT * FROM ({}) a", "WITH a AS ({}) SELECT * FROM a"]))
    return around.format(limited), whole


@pytest.fixture(scope="module")
def engine(tmp_path_factory: pytest.TempPathFactory) -> Engine:
    return Engine(tmp_path_factory.mktemp("sql"))


@given(statements())
def test_any_rows_are_some_of_all_and_as_many(engine: Engine, asked: tuple[str, str]) -> None:
    limited, whole = asked

    some = rows_of(engine.answer(limited, stopping=True))

    assert not Counter(some) - Counter(rows_of(engine.answer(whole)))
    assert len(some) == len(rows_of(engine.answer(limited)))


@pytest.mark.parametrize("sql", [sql for sql in TAKEN if "LIMIT" in sql or "EXISTS" in sql])
def test_every_statement_with_a_limit_has_as_many_rows(engine: Engine, sql: str) -> None:
    stopped, whole = (rows_of(engine.answer(sql, stopping=stopping)) for stopping in (True, False))

    assert len(stopped) == len(whole)
    if "ORDER BY" in sql or "EXISTS" in sql:
        assert Counter(stopped) == Counter(whole)


@pytest.mark.parametrize(
    ("sql", "enough"),
    [
        ("SELECT nama FROM wilayah LIMIT 5", Enough(5)),
        ("SELECT nama FROM wilayah WHERE tingkat = 'desa' LIMIT 5 OFFSET 2", Enough(7)),
        ("SELECT nama FROM wilayah", Enough(None)),
        ("SELECT nama FROM wilayah OFFSET 3", Enough(None, 3)),
        ("SELECT upper(nama) AS n FROM (SELECT nama FROM wilayah LIMIT 2) a", Enough(2)),
        ("SELECT DISTINCT tingkat, _agency FROM wilayah LIMIT 2", Enough(2, distinct=("tingkat",))),
        ("SELECT EXISTS (SELECT 1 FROM wilayah WHERE tingkat = 'desa') AS ada", Enough(1)),
        ("SELECT nama FROM wilayah ORDER BY nama LIMIT 5", None),
        ("SELECT nama FROM wilayah WHERE lower(nama) = 'x' LIMIT 5", None),
        ("SELECT nama, row_number() OVER () AS n FROM wilayah LIMIT 5", None),
        ("SELECT DISTINCT luas_km2 FROM wilayah LIMIT 5", None),
        ("SELECT DISTINCT upper(tingkat) AS t FROM wilayah LIMIT 5", None),
        ("SELECT DISTINCT ON (tingkat) nama FROM wilayah LIMIT 5", None),
        ("SELECT DISTINCT tingkat FROM wilayah", None),
        ("SELECT tingkat FROM wilayah GROUP BY tingkat LIMIT 5", None),
        ("SELECT count(*) AS n FROM (SELECT nama FROM wilayah LIMIT 5) a", None),
        ("SELECT a.nama FROM wilayah a JOIN wilayah b ON a.kode = b.kode LIMIT 5", None),
        ("SELECT nama FROM wilayah UNION ALL SELECT nama FROM wilayah LIMIT 5", None),
        ("SELECT nama FROM wilayah LIMIT 2 + 3", None),
    ],
)
def test_what_is_enough_of_a_table(sql: str, enough: Enough | None) -> None:
    assert made(sql).tables[0].enough == enough


def test_an_exists_that_speaks_of_the_query_around_it_needs_every_row() -> None:
    sql = (
        "SELECT s.nama FROM satuan_pendidikan s WHERE EXISTS (SELECT 1 FROM wilayah w WHERE w.kode = s.kode_wilayah) "
        "AND EXISTS (SELECT 1 FROM harga_komoditas)"
    )
    assert {table.schema.name: table.enough for table in made(sql).tables} == {
        "satuan_pendidikan": None,
        "wilayah": None,
        "harga_komoditas": Enough(1),
    }


async def test_every_source_is_asked_and_gives_no_more_than_is_needed(ahead: WorkersAhead) -> None:
    refs = {
        "fasilitas_kesehatan": [ref_of("dinkes", facilities(), FACILITIES), ref_of("rsud", facilities(), FACILITIES)]
    }

    rows, loader = await answered(ahead, "SELECT nama FROM fasilitas_kesehatan LIMIT 3 OFFSET 1", refs)

    assert len(rows) == 3
    assert [(one.status, one.rows) for one in loader.reads[0].statuses] == [("ok", 4), ("ok", 4)]
    assert loader.reads[0].complete


async def test_a_source_that_fails_fails_the_statement_also_where_another_had_enough(ahead: WorkersAhead) -> None:
    broken = facilities()
    broken.fault = SourceFailed("x")
    refs = {"fasilitas_kesehatan": [ref_of("rsud", broken, FACILITIES)]}

    with pytest.raises(AllSourcesFailed):
        await answered(ahead, "SELECT nama FROM fasilitas_kesehatan LIMIT 1", refs)


async def test_a_source_of_parts_is_left_after_the_first_that_holds_enough(ahead: WorkersAhead) -> None:
    parts = _Parts(facilities())
    refs = {"fasilitas_kesehatan": [ref_of("dinkes", parts, FACILITIES)]}

    rows, loader = await answered(ahead, "SELECT DISTINCT nama FROM fasilitas_kesehatan LIMIT 2", refs)

    assert sorted(rows, key=str) == [{"nama": "Nama 0"}, {"nama": "Nama 1"}]
    assert (parts.given, parts.ended) == (1, True)
    assert [status.whole for status in loader.reads[0].statuses] == [False]


class _Parts(MemoryDataset):
    """Gives its records in parts of a hundred."""

    def __init__(self, other: MemoryDataset) -> None:
        super().__init__()
        self.held, self.given, self.ended = other.held, 0, False

    async def stream(self, request: Any) -> Any:
        whole = await self.read(request)
        try:
            for first in range(0, len(whole.records), 100):
                self.given += 1
                part = await self.read(request)
                part.records, part.whole = whole.records[first : first + 100], False
                yield part
        finally:
            self.ended = True
