"""P9: mapping, validation, findings and duplicate keys of whole batches by columns, beside the same row by row (Pydantic).

`python -m benchmarks.mapping [--rows 1200000] [--rounds 5]`. The rows by rows are fewer: their time is taken for as many.
"""

from __future__ import annotations

import argparse
import asyncio
import statistics
import time
from collections.abc import Iterator
from datetime import UTC, datetime

import pyarrow as pa

from app.connectors.contract import RawBatch
from app.datasets.columnar.selection import ColumnSelection
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import CompiledMapping, compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.datasets.records import ReadRequest
from app.datasets.selection import Selection
from app.filters.tree import TRUE
from app.schemas import registry
from app.schemas.validation import validate_row

FIELDS = ("npsn", "nama", "bentuk", "status", "kode_wilayah", "alamat", "lat", "lng", "jumlah_siswa", "kepala_sekolah")
BATCH_ROWS = 65_536
BY_ROWS = 60_000


def mapping() -> CompiledMapping:
    """Ten plain columns of schools."""
    document = {
        "connector": "uji-sekolah",
        "agency": "uji",
        "schema": "satuan_pendidikan@1",
        "source": {"kind": "file", "location": "inbox/sekolah.csv"},
        "fields": {name: name for name in FIELDS},
    }
    return compile_mapping(parse_manifest(document), registry.get("satuan_pendidikan"), empty_code_book())


def batches(rows: int) -> Iterator[RawBatch]:
    """Valid rows as a source of columns gives them."""
    for first in range(0, rows, BATCH_ROWS):
        numbers = range(first, min(first + BATCH_ROWS, rows))
        columns = {
            "npsn": [f"{20_000_000 + number:08d}" for number in numbers],
            "nama": [f"SD Negeri {number} Jepara" for number in numbers],
            "bentuk": ["SD" if number % 3 else "SMP" for number in numbers],
            "status": ["NEGERI" if number % 2 else "SWASTA" for number in numbers],
            "kode_wilayah": [f"33.20.{1 + number % 16:02}" for number in numbers],
            "alamat": [f"Jalan Pemuda {number}" for number in numbers],
            "lat": [-6.5 - number % 1000 / 10_000 for number in numbers],
            "lng": [110.5 + number % 1000 / 10_000 for number in numbers],
            "jumlah_siswa": [number % 900 for number in numbers],
            "kepala_sekolah": [None if number % 5 else f"Nama {number}" for number in numbers],
        }
        batch = pa.RecordBatch.from_pydict(columns)
        yield RawBatch(batch.schema, arrow=batch, location="inbox/sekolah.csv")


async def seconds(selection: ColumnSelection | Selection, given: list[RawBatch]) -> float:
    """The time of all batches; every row must become a record."""
    started, rows = time.perf_counter(), 0
    for batch in given:
        await selection.take(batch)
        rows += (await selection.drain((), datetime.now(UTC))).size
    if rows != sum(map(len, given)):
        raise SystemExit(f"{rows} records of {sum(map(len, given))} rows")
    return time.perf_counter() - started


def pydantic_seconds(given: list[RawBatch]) -> float:
    """Validation alone, row by row."""
    schema = registry.get("satuan_pendidikan")
    rows = [row for batch in given if batch.arrow is not None for row in batch.arrow.to_pylist()]
    started = time.perf_counter()
    for row in rows:
        validate_row(schema, row)
    return time.perf_counter() - started


def main() -> None:
    """Prints the ratios."""
    parser = argparse.ArgumentParser()
    parser.add_argument("--rows", type=int, default=1_200_000)
    parser.add_argument("--rounds", type=int, default=5)
    given = parser.parse_args()
    made, many, few = mapping(), list(batches(given.rows)), list(batches(min(BY_ROWS, given.rows)))
    share = given.rows / min(BY_ROWS, given.rows)
    columns, rows, alone = [], [], []
    for _ in range(given.rounds):
        columns.append(asyncio.run(seconds(ColumnSelection(made, ReadRequest()), many)))
        rows.append(share * asyncio.run(seconds(Selection(made, ReadRequest(), TRUE), few)))
        alone.append(share * pydantic_seconds(few))
    mine = statistics.median(columns)
    spread = f"{min(columns):.2f} - {max(columns):.2f} s"
    print(
        f"P9 mapping and validation of {given.rows:,} rows by columns: {mine:.2f} s ({spread}, {given.rows / mine:,.0f} rows/s), "
        f"{statistics.median(rows) / mine:.1f} x as fast as row by row, {statistics.median(alone) / mine:.1f} x as Pydantic alone"
    )


if __name__ == "__main__":
    main()
