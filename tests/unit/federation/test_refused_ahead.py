"""A statement that is sure to read far more than it may is refused before anything is read; a guess refuses nothing."""

from __future__ import annotations

from typing import Any

import pytest

from app.connectors.contract import RowEstimate
from app.errors import SourceFailed
from app.federation.question.query import DatasetRef
from app.federation.reading.breaker import Guards
from app.federation.reading.runtime import Runtime
from app.federation.sql.guard import guarded
from app.federation.sql.loading import Loader
from app.federation.sql.refusals import SqlInputExceeded
from app.federation.sql.regenerate import Bound, bound, schemas_of
from app.filters.cql2.parse import parse_filter
from app.schemas import registry
from tests.support.memory import MemoryDataset, ref_of
from tests.support.sql import governed

pytestmark = pytest.mark.anyio
SCHEMAS = frozenset(schema.name for schema in registry.all_schemas())
REGIONS = registry.get("wilayah")
MOST = 10


class Tables:
    """In the place of the worker: what it is given counts as read."""

    def __init__(self) -> None:
        self.rows = 0

    async def add(self, _: str, batch: Any) -> None:
        self.rows += batch.num_rows


def made(sql: str) -> Bound:
    tree = guarded(governed(sql), SCHEMAS)
    schemas = {name: registry.get(name) for name in schemas_of(tree)}
    return bound(tree, schemas, {name: frozenset(schema.fields) for name, schema in schemas.items()})


@pytest.fixture
def facilities() -> MemoryDataset:
    return MemoryDataset([{"kode_faskes": "P1", "nama": "Satu", "kode_wilayah": "33.20"}])


async def loaded(sql: str, *facilities: DatasetRef, regions: MemoryDataset | None = None) -> Loader:
    kept = regions or MemoryDataset([{"kode": "33.20", "nama": "Jepara", "tingkat": "kabupaten"}], REGIONS)
    refs = {"fasilitas_kesehatan": facilities, "wilayah": (ref_of("bps", kept, REGIONS),)}
    loader = Loader(made(sql), refs, "allow", Runtime(Guards(5, 60.0, 4)), most_rows=MOST)
    await loader.fill(Tables())  # type: ignore[arg-type]
    return loader


async def test_what_a_source_is_sure_of_is_refused_before_it_is_read(facilities) -> None:
    facilities.estimated = RowEstimate(4 * MOST, sure=True)
    with pytest.raises(SqlInputExceeded, match="more narrowly") as caught:
        await loaded("SELECT nama FROM fasilitas_kesehatan ORDER BY nama LIMIT 1", ref_of("dinkes", facilities))

    assert caught.value.facts["limit_rows"] == MOST
    assert facilities.asked == []


async def test_sources_are_added_up(facilities) -> None:
    facilities.estimated = RowEstimate(2 * MOST, sure=True)
    refs = [ref_of("dinkes", facilities), ref_of("rsud", facilities)]
    with pytest.raises(SqlInputExceeded):
        await loaded("SELECT nama FROM fasilitas_kesehatan", *refs)
    assert facilities.asked == []


@pytest.mark.parametrize("estimated", [RowEstimate(4 * MOST - 1, sure=True), RowEstimate(10**9), RowEstimate(-1), None])
async def test_less_and_guesses_are_tried(facilities, estimated) -> None:
    facilities.estimated = estimated
    loader = await loaded("SELECT nama FROM fasilitas_kesehatan", ref_of("dinkes", facilities))

    assert loader.rows == 1


@pytest.mark.parametrize(
    "sql",
    [
        "SELECT nama FROM fasilitas_kesehatan LIMIT 1",
        "SELECT DISTINCT jenis FROM fasilitas_kesehatan LIMIT 1",
        "SELECT EXISTS (SELECT 1 FROM fasilitas_kesehatan) AS ada",
    ],
)
async def test_some_of_a_large_table_are_tried(facilities, sql: str) -> None:
    facilities.estimated = RowEstimate(10**9, sure=True)
    assert (await loaded(sql, ref_of("dinkes", facilities))).rows == 1


async def test_a_table_that_a_condition_or_a_join_narrows_is_tried(facilities) -> None:
    facilities.estimated = RowEstimate(10**9, sure=True)
    narrowed = (
        "SELECT nama FROM fasilitas_kesehatan WHERE jenis = 'klinik'",
        "SELECT f.nama FROM fasilitas_kesehatan f JOIN wilayah w ON f.kode_wilayah = w.kode WHERE w.nama = 'Jepara'",
    )
    for sql in narrowed:
        assert await loaded(sql, ref_of("dinkes", facilities))


async def test_what_is_not_granted_counts_for_nothing(facilities) -> None:
    big = MemoryDataset()
    big.estimated = RowEstimate(10**9, sure=True)
    denied = DatasetRef("rsud", "rsud-set", 1, big, None, SourceFailed("denied"))

    loader = await loaded("SELECT nama FROM fasilitas_kesehatan", ref_of("dinkes", facilities), denied)
    assert loader.rows == 1


async def test_a_source_that_cannot_be_asked_ahead_is_told_by_its_read(facilities) -> None:
    class Silent(MemoryDataset):
        async def estimate(self, request: Any) -> RowEstimate | None:
            raise SourceFailed("no statistics")

    silent = Silent([{"kode_faskes": "S1", "nama": "Diam"}])
    row_filter = parse_filter("nama = 'Diam'")
    loader = await loaded("SELECT nama FROM fasilitas_kesehatan", ref_of("rsud", silent, row_filter=row_filter))
    assert (loader.rows, [status.status for status in loader.reads[0].statuses]) == (1, ["ok"])
