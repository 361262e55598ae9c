"""Sealed copies as tests make them: of records, without a source."""

from __future__ import annotations

import secrets
from collections.abc import Sequence
from datetime import UTC, datetime
from pathlib import Path

import pyarrow as pa

from app.datasets.copies.sealed_file import KEY_BYTES, SealedCopy, stored_schema, write_copy
from app.datasets.copies.shelf import Copy
from app.datasets.records import MappedRecord
from app.datasets.selection import position_function
from app.federation.reading.batches import columns_of
from app.schemas.registry import SchemaDef


def copy_of(
    folder: Path,
    schema: SchemaDef,
    records: Sequence[MappedRecord],
    *,
    name: str = "c1",
    dataset: str = "dinkes-set",
    as_of: datetime | None = None,
    block_rows: int = 1000,
) -> Copy:
    """A copy of these records in a file under `folder`."""
    ordered = sorted(records, key=position_function(schema, ()))
    blocks = [
        columns_of(schema, ordered[start : start + block_rows], tuple(schema.fields))
        for start in range(0, len(ordered), block_rows)
    ]
    kept = stored_schema(schema)
    path, key = folder / "agency" / f"{name}.parquet", secrets.token_bytes(KEY_BYTES)
    parts = [pa.RecordBatch.from_arrays(block.columns, schema=kept) for block in blocks]
    written = write_copy(path, key, name.encode(), kept, parts, lambda _: None)
    file = SealedCopy(path, key, name.encode(), schema)
    return Copy(name, dataset, "made", as_of or datetime.now(UTC), written.rows, 0, file)
