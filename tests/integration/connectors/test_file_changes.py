"""A file that is written to while it is read is told; one that is put in its stead is another, and the read is whole."""

from __future__ import annotations

import shutil
from collections.abc import AsyncIterator, Callable
from contextlib import aclosing
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.connectors.environment import Environment, Limits, NetworkPolicy
from app.connectors.registry import open_connector
from app.connectors.requests import ScanRequest
from app.datasets.manifest import parse_manifest
from app.errors import SourceError
from tests.integration.connectors.test_postgres_keys import NoSecrets

pytestmark = pytest.mark.anyio
ROWS = 120_000


def write_csv(path: Path) -> None:
    path.write_text("kode,nama\n" + "".join(f"A{number},Satu {number}\n" for number in range(ROWS)), "utf-8")


def write_ndjson(path: Path) -> None:
    path.write_text("".join(f'{{"kode": "A{number}", "nama": "Satu"}}\n' for number in range(ROWS)), "utf-8")


def write_parquet(path: Path) -> None:
    table = pa.table({"kode": [f"A{n}" for n in range(ROWS)], "nama": [f"Satu {n}" for n in range(ROWS)]})
    pq.write_table(table, path, row_group_size=1_000)


WRITERS: dict[str, Callable[[Path], None]] = {"csv": write_csv, "ndjson": write_ndjson, "parquet": write_parquet}


def cut_at_a_line(path: Path) -> None:
    """So that what is left is a sound file of fewer records."""
    with path.open("r+b") as file:
        file.truncate(path.read_bytes().rindex(b"\n", 0, path.stat().st_size * 3 // 4) + 1)


def overwrite(path: Path) -> None:
    beside = path.with_name("lain")
    WRITERS[path.suffix[1:]](beside)
    with path.open("r+b") as file, beside.open("rb") as other:
        shutil.copyfileobj(other, file)


def put_in_its_stead(path: Path) -> None:
    beside = path.with_name("baru")
    beside.write_bytes(b"kode,nama\n")
    beside.replace(path)


async def scan(folder: Path, kind: str) -> AsyncIterator[Any]:
    manifest = parse_manifest(
        {
            "connector": "faskes",
            "agency": "dinkes",
            "schema": "fasilitas_kesehatan@1",
            "source": {"kind": "file", "location": f"a.{kind}"},
            "fields": {"kode_faskes": "kode", "nama": "nama"},
        }
    )
    environment = Environment(
        "dinkes", "faskes", folder, folder, NoSecrets(), network=NetworkPolicy(networks=()), limits=Limits()
    )
    connector = open_connector(manifest.source, environment)
    try:
        async with aclosing(connector.scan(ScanRequest())) as batches:
            async for batch in batches:
                yield batch
    finally:
        await connector.close()


async def rows_read(folder: Path, kind: str, change: Callable[[Path], None]) -> int:
    WRITERS[kind](folder / f"a.{kind}")
    rows = 0
    async with aclosing(scan(folder, kind)) as batches:
        async for batch in batches:
            if not rows:
                change(folder / f"a.{kind}")
            rows += len(batch)
    return rows


@pytest.mark.parametrize("change", [cut_at_a_line, overwrite])
@pytest.mark.parametrize("kind", WRITERS)
async def test_a_file_that_is_written_to_in_mid_read_is_told(
    tmp_path: Path, kind: str, change: Callable[[Path], None]
) -> None:
    with pytest.raises(SourceError, match=r"written to while it was read|damaged|closed|readable"):
        await rows_read(tmp_path, kind, change)


@pytest.mark.parametrize("kind", WRITERS)
async def test_a_file_that_is_put_in_its_stead_is_another(tmp_path: Path, kind: str) -> None:
    assert await rows_read(tmp_path, kind, put_in_its_stead) == ROWS
