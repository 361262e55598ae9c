"""How the tables of a statement are read: keys narrow the other side of a join, one read of a source without lists, the rest side by side."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from app.connectors.contract import RowEstimate
from app.errors import AllSourcesFailed, SourceFailed
from app.federation.question.query import DatasetRef
from app.federation.reading.breaker import Guards
from app.federation.reading.runtime import Runtime
from app.federation.sql.ahead import WorkersAhead
from app.federation.sql.engine import SqlWorker
from app.federation.sql.loading import MOST_KEYS, Loader
from app.schemas import registry
from tests.integration.federation.sql.running import made
from tests.support.memory import FACILITIES, MemoryDataset, ref_of

SCHOOLS = registry.get("satuan_pendidikan")
MANY = 2_500
JOIN = "SELECT count(*) AS n FROM fasilitas_kesehatan f JOIN satuan_pendidikan s ON s.alamat = f.kode_faskes"


@pytest.fixture
async def ahead(tmp_path: Path) -> AsyncIterator[WorkersAhead]:
    found = WorkersAhead(tmp_path, 1)
    yield found
    await found.close()


def facilities() -> MemoryDataset:
    rows = [{"kode_faskes": f"K{n:05}", "nama": f"Nama {n % 2}", "jenis": "klinik"} for n in range(2 * MANY)]
    return MemoryDataset(rows)


def schools(first: int = 0) -> MemoryDataset:
    rows: list[dict[str, Any]] = [
        {"npsn": str(20000000 + first + n), "nama": f"SD {n}", "bentuk": "SD", "alamat": f"K{n:05}"}
        for n in range(2 * MANY)
    ]
    rows.append({"npsn": str(30000000 + first), "nama": "SD tanpa alamat", "bentuk": "SD"})
    return MemoryDataset(rows, SCHOOLS)


async def answered(
    ahead: WorkersAhead, sql: str, refs: dict[str, list[DatasetRef]], most_keys: int = MOST_KEYS
) -> tuple[list[dict[str, Any]], Loader]:
    statement = made(sql)
    runtime = Runtime(Guards(failures_to_open=1000, rest_seconds=1.0, concurrency=4), time.monotonic() + 30)
    loader = Loader(statement, refs, "never", runtime, most_keys=most_keys)
    async with SqlWorker(ahead) as worker:
        await loader.fill(worker)
        batches = [batch async for batch in worker.run(statement.text, statement.parameters, rows=10)]
    return [row for batch in batches for row in batch.to_pylist()], loader


def both(first: MemoryDataset, *others: MemoryDataset) -> dict[str, list[DatasetRef]]:
    second = [ref_of(f"dinas-{n}", found, SCHOOLS) for n, found in enumerate(others)]
    return {"fasilitas_kesehatan": [ref_of("dinkes", first, FACILITIES)], "satuan_pendidikan": second}


async def test_a_source_without_lists_is_read_once_for_many_keys(ahead: WorkersAhead) -> None:
    others = [schools(), schools(100_000)]

    rows, loader = await answered(ahead, f"{JOIN} WHERE f.nama = 'Nama 1'", both(facilities(), *others))

    assert [list(row.values()) for row in rows] == [[2 * MANY]]
    assert [len(found.asked) for found in others] == [1, 1]
    assert [status.rows for status in loader.reads[1].statuses] == [MANY, MANY]  # only those enter the engine


async def test_more_keys_than_are_put_to_a_source_leave_the_other_side_as_it_is(ahead: WorkersAhead) -> None:
    refs = both(facilities(), schools())

    rows, loader = await answered(ahead, f"{JOIN} WHERE f.nama = 'Nama 1'", refs, most_keys=MANY - 1)

    assert [list(row.values()) for row in rows] == [[MANY]]
    assert [status.rows for status in loader.reads[1].statuses] == [2 * MANY + 1]


async def test_without_a_key_the_other_side_is_not_asked(ahead: WorkersAhead) -> None:
    other = schools()

    rows, loader = await answered(ahead, f"{JOIN} WHERE f.nama = 'Nama 2'", both(facilities(), other))

    assert [list(row.values()) for row in rows] == [[0]]
    assert (len(loader.reads), other.asked) == (1, [])


@pytest.mark.parametrize(
    ("facilities_told", "schools_told", "first"),
    [
        (RowEstimate(40), RowEstimate(30), "satuan_pendidikan"),
        (RowEstimate(30), RowEstimate(40), "fasilitas_kesehatan"),
        (RowEstimate(MOST_KEYS + 1), RowEstimate(-1), "satuan_pendidikan"),
        (RowEstimate(-1), RowEstimate(-1), "fasilitas_kesehatan"),
    ],
)
async def test_of_two_filtered_tables_the_one_that_fewer_rows_are_expected_of_is_read_first(
    ahead: WorkersAhead, facilities_told: RowEstimate, schools_told: RowEstimate, first: str
) -> None:
    """-1: the source cannot tell."""
    one, other = facilities(), schools()
    one.estimated, other.estimated = facilities_told, schools_told
    sql = f"{JOIN} WHERE f.nama = 'Nama 1' AND s.bentuk = 'SD'"

    rows, loader = await answered(ahead, sql, both(one, other))

    assert [list(row.values()) for row in rows] == [[MANY]]
    assert loader.reads[0].query.schema.name == first


async def test_a_row_of_a_left_join_stays_without_its_other_side(ahead: WorkersAhead) -> None:
    sql = f"{JOIN.replace('JOIN', 'LEFT JOIN')} WHERE f.nama = 'Nama 1'"

    rows, _ = await answered(ahead, sql, both(facilities(), MemoryDataset([], SCHOOLS)))

    assert [list(row.values()) for row in rows] == [[MANY]]


@pytest.mark.parametrize(
    "sql",
    [
        JOIN,
        (
            "SELECT (SELECT count(*) FROM satuan_pendidikan WHERE bentuk = 'SD') AS s, count(*) AS n "
            "FROM fasilitas_kesehatan WHERE jenis = 'klinik'"
        ),
    ],
)
async def test_tables_that_narrow_nothing_are_read_side_by_side(ahead: WorkersAhead, sql: str) -> None:
    """Each waits until the other is under way."""
    meeting = asyncio.Barrier(2)
    first, second = _Met(meeting, FACILITIES), _Met(meeting, SCHOOLS)

    rows, loader = await answered(ahead, sql, both(first, second))

    assert len(rows) == 1
    assert [read.complete for read in loader.reads] == [True, True]


async def test_with_one_that_fails_the_read_beside_it_ends(ahead: WorkersAhead) -> None:
    slow, broken = facilities(), schools()
    slow.delay_seconds, broken.fault = 60.0, SourceFailed("x")
    started = time.monotonic()

    with pytest.raises(AllSourcesFailed):
        await answered(ahead, JOIN, both(slow, broken))

    assert time.monotonic() - started < 4  # the slow one would have had 5 s
    assert slow.cancelled == 1


class _Met(MemoryDataset):
    """Answers when another one is asked too."""

    def __init__(self, meeting: asyncio.Barrier, schema: Any) -> None:
        super().__init__([], schema)
        self._meeting = meeting

    async def read(self, request: Any) -> Any:
        await self._meeting.wait()
        return await super().read(request)
