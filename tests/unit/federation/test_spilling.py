"""Sorting more than memory holds: the same order as in memory, and nothing on disk that can be read."""

from __future__ import annotations

import os
import random
from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from pathlib import Path
from typing import Any

import pyarrow as pa
import pytest

from app.datasets.selection import comparable
from app.errors import AnswerTooLarge, QuotaExceeded
from app.federation.spilling import Bounds, ExternalSort, Spool
from app.gateway.storage import Storage, StorageFull
from tests.support.room import file_bytes_limited, room_in

KINDS = pa.schema(
    [
        ("text", pa.string()),
        ("number", pa.float64()),
        ("decimal", pa.decimal128(38, 2)),
        ("moment", pa.timestamp("us", tz="UTC")),
        ("_id", pa.string()),
    ]
)


def rows_of(count: int) -> list[dict[str, Any]]:
    chance = random.Random(7)
    return [
        {
            "text": chance.choice([None, "a", "B", "é", "\U0001f600", "\uffff", "rahasia"]),
            "number": chance.choice([None, 1.5, -2.0, 0.0]),
            "decimal": chance.choice([None, Decimal("1.50"), Decimal(-7)]),
            "moment": chance.choice([None, datetime(2026, 1, 1, tzinfo=UTC), datetime(1900, 1, 1, tzinfo=UTC)]),
            "_id": f"K{number}",
        }
        for number in range(count)
    ]


SMALL = Bounds(run_bytes=4000, block_rows=16)
ROOM = pytest.mark.parametrize("bounds", [Bounds(), SMALL], ids=["in memory", "in many runs"])


@pytest.mark.parametrize("descending", [False, True])
@pytest.mark.parametrize("names", [["text"], ["number", "text"], ["moment", "decimal"]])
@ROOM
def test_order_is_that_of_pages(tmp_path: Path, names: list[str], bounds: Bounds, *, descending: bool) -> None:
    rows = rows_of(500)
    order = [*((name, descending) for name in names), ("_id", False)]
    sort = ExternalSort(room_in(tmp_path), order, bounds=bounds)
    for first in range(0, len(rows), 20):
        sort.add(pa.RecordBatch.from_pylist(rows[first : first + 20], schema=KINDS))
    found = [row["_id"] for block in sort.blocks() for row in block.to_pylist()]
    sort.close()

    rows.sort(key=lambda row: [comparable(row[name], descending=down) for name, down in order])
    assert found == [row["_id"] for row in rows]


@ROOM
def test_each_is_given_once_where_that_is_asked(tmp_path: Path, bounds: Bounds) -> None:
    rows = [{name: row[name] for name in ("text", "number")} for row in rows_of(500)]
    kinds = pa.schema([KINDS.field("text"), KINDS.field("number")])
    sort = ExternalSort(room_in(tmp_path), [("text", False), ("number", False)], distinct=True, bounds=bounds)
    for first in range(0, len(rows), 20):
        sort.add(pa.RecordBatch.from_pylist(rows[first : first + 20], schema=kinds))
    found = [(row["text"], row["number"]) for block in sort.blocks() for row in block.to_pylist()]
    sort.close()

    assert len(found) == len(set(found))
    assert set(found) == {(row["text"], row["number"]) for row in rows}


def test_nothing_on_disk_can_be_read_and_its_size_is_limited(tmp_path: Path) -> None:
    sort = ExternalSort(room_in(tmp_path), [("_id", False)], bounds=replace(SMALL, spill_bytes=20_000))

    def fill() -> None:
        for _ in range(1000):
            sort.add(pa.RecordBatch.from_pylist(rows_of(50), schema=KINDS))

    with pytest.raises(AnswerTooLarge):
        fill()
    written = [file.read_bytes() for file in Path("/proc/self/fd").iterdir() if str(tmp_path) in os.path.realpath(file)]
    sort.close()
    assert len(written) > 1
    assert sum(map(len, written)) > 20_000
    assert not any(word in part for part in written for word in (b"rahasia", b"ARROW", b"text", b"_id"))
    assert not any(str(tmp_path) in os.path.realpath(file) for file in Path("/proc/self/fd").iterdir())
    assert list(tmp_path.iterdir()) == []


def filled(sort: ExternalSort) -> None:
    for _ in range(1000):
        sort.add(pa.RecordBatch.from_pylist(rows_of(50), schema=KINDS))


def test_what_is_put_aside_takes_room_of_the_callers_share(tmp_path: Path) -> None:
    storage = Storage(tmp_path, reserve_bytes=0, spool_bytes=40_000)
    sort = ExternalSort(storage.space(tmp_path, "one"), [("_id", False)], bounds=SMALL)
    with pytest.raises(QuotaExceeded, match="take 30000 bytes"):
        filled(sort)
    assert 25_000 < storage.used <= 30_000
    sort.close()
    sort.close()
    assert storage.used == 0
    assert list(tmp_path.iterdir()) == []


def test_what_is_put_aside_leaves_the_logs_reserve(tmp_path: Path) -> None:
    storage = Storage(tmp_path, reserve_bytes=1 << 60, spool_bytes=1 << 40)
    sort = ExternalSort(storage.space(tmp_path, "one"), [("_id", False)], bounds=SMALL)
    with pytest.raises(StorageFull, match="kept for the exchange log"):
        filled(sort)
    sort.close()
    assert storage.used == 0


def test_a_disk_that_takes_no_more_is_told_and_nothing_stays(tmp_path: Path) -> None:
    storage = Storage(tmp_path, reserve_bytes=0, spool_bytes=1 << 40)
    spool = Spool(storage.space(tmp_path, "one"))

    def fill() -> None:
        for _ in range(1000):
            spool.add(pa.RecordBatch.from_pylist(rows_of(50), schema=KINDS))

    with file_bytes_limited(10_000), pytest.raises(StorageFull, match="could not be written: File too large"):
        fill()
    with file_bytes_limited(10_000):
        spool.close()
    assert storage.used == 0
    assert list(tmp_path.iterdir()) == []


def test_a_folder_that_takes_no_file_is_told(tmp_path: Path) -> None:
    storage = Storage(tmp_path, reserve_bytes=0, spool_bytes=1 << 40)
    with pytest.raises(StorageFull, match="could not be written"):
        Spool(storage.space(tmp_path / "none", "one"))
