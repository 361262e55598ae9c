"""Parquet: times are read exactly, also in the old form of 96 bits; a value that Python has no type for rejects its row."""

from __future__ import annotations

from datetime import UTC, date, datetime
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.connectors.requests import ScanRequest
from tests.support.reading import dataset

FACILITIES = {"kode_faskes": "kode", "nama": "nama", "jenis": {"const": "klinik"}}


async def scanned(
    folder: Path, columns: tuple[str, ...] | None = None
) -> tuple[list[tuple[Any, ...]], list[tuple[str, str]]]:
    opened = dataset(folder, "fasilitas_kesehatan", {"kind": "file", "location": "inbox/a.parquet"}, FACILITIES)
    batches = [batch async for batch in opened.connector.scan(ScanRequest(columns=columns))]
    await opened.close()
    rows = [row for batch in batches for row in batch.rows or ()]
    return rows, [(reject.location, reject.rule) for batch in batches for reject in batch.rejects]


def written(folder: Path, table: pa.Table, **options: Any) -> None:
    (folder / "inbox").mkdir()
    pq.write_table(table, folder / "inbox" / "a.parquet", **options)


def place(number: int) -> str:
    return f"inbox/a.parquet, line {number}"


async def test_times_of_96_bits_are_read_exactly(tmp_path: Path) -> None:
    nanos = pa.array([1_704_448_800_123_456_000, 1_704_448_800_123_456_789, None], pa.timestamp("ns"))
    far = pa.array([datetime(1500, 1, 1), datetime(2300, 1, 1), datetime(1, 1, 1)], pa.timestamp("us"))  # noqa: DTZ001
    written(tmp_path, pa.table({"no": [1, 2, 3], "halus": nanos, "jauh": far}), use_deprecated_int96_timestamps=True)
    assert {pq.ParquetFile(tmp_path / "inbox" / "a.parquet").schema.column(n).physical_type for n in (1, 2)} == {
        "INT96"
    }
    rows, rejects = await scanned(tmp_path)
    assert rows == [
        (1, datetime(2024, 1, 5, 10, 0, 0, 123456), datetime(1500, 1, 1)),  # noqa: DTZ001
        (3, None, datetime(1, 1, 1)),  # noqa: DTZ001
    ]
    assert rejects == [(place(2), "time_too_fine")]
    assert await scanned(tmp_path, ("no", "jauh")) == (
        [(n, moment) for n, moment in zip((1, 2, 3), far.to_pylist(), strict=True)],
        [],
    )
    assert (await scanned(tmp_path, ("no",)))[0] == [(1,), (2,), (3,)]


@pytest.mark.parametrize("rows", [3, 12_001])
async def test_values_that_python_has_no_type_for_reject_their_row(tmp_path: Path, rows: int) -> None:
    good = rows - 3
    texts = pa.Array.from_buffers(pa.string(), 3, pa.array([b"baik", b"\xe9x", None], pa.binary()).buffers())
    table = pa.table(
        {
            "hari": pa.chunked_array([pa.array([0] * good, pa.date32()), pa.array([2_932_897, 0, 1], pa.date32())]),
            "waktu": pa.chunked_array(
                [
                    pa.array([0] * good, pa.timestamp("us", "UTC")),
                    pa.array([0, 0, 253_402_300_800_000_000], pa.timestamp("us", "UTC")),
                ]
            ),
            "teks": pa.chunked_array([pa.array(["a"] * good, pa.string()), texts]),
            "nilai": pa.chunked_array([pa.array([1.0] * good, pa.float64()), pa.array([1.0, 2.0, float("nan")])]),
        }
    )
    written(tmp_path, table)
    found, rejects = await scanned(tmp_path)
    assert found == [(date(1970, 1, 1), datetime(1970, 1, 1, tzinfo=UTC), "a", 1.0)] * good
    assert rejects == [
        (place(good + 1), "date_out_of_range"),
        (place(good + 2), "not_utf8"),
        (place(good + 3), "date_out_of_range"),
    ]
    assert (await scanned(tmp_path, ("nilai",)))[1] == [(place(rows), "not_finite")]
