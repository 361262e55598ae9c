"""What is kept of an open dataset in memory is all of it, or nothing."""

from __future__ import annotations

from pathlib import Path

import pytest

from app.datasets.keeping import MOST_RECORDS
from app.datasets.records import ReadRequest
from app.filters.tree import Compare, Literal, Property
from tests.support.reading import dataset


@pytest.mark.parametrize("rows", [MOST_RECORDS, MOST_RECORDS + 1, 2 * MOST_RECORDS - 1, 2 * MOST_RECORDS + 1])
async def test_no_record_is_lost_where_a_dataset_is_just_too_large_to_be_kept(tmp_path: Path, rows: int) -> None:
    (tmp_path / "inbox").mkdir()
    lines = "".join(f"T{number:06},Nama {number}\n" for number in range(rows))
    (tmp_path / "inbox" / "a.csv").write_text(f"kode,nama\n{lines}", "utf-8")
    source = {"kind": "file", "location": "inbox/a.csv"}
    opened = dataset(tmp_path, "fasilitas_kesehatan", source, {"kode_faskes": "kode", "nama": "nama"})
    try:
        streamed = sum([part.size async for part in opened.stream(ReadRequest())])
        last = Compare("=", Property("nama"), Literal(f"Nama {rows - 1}"))
        found = await opened.read(ReadRequest(filter=last, limit=10))
    finally:
        await opened.close()

    assert streamed == rows
    assert [one.key for one in found.records] == [f"T{rows - 1:06}"]
    assert ("kept" in found.pushed) == (rows <= MOST_RECORDS)
