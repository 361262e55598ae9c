"""Every read of a source with a mark of freshness tells of which version it is, the ordered page too."""

from __future__ import annotations

import contextlib
import sqlite3
import time
from pathlib import Path

import pytest

from app.datasets.keeping import MOST_RECORDS
from app.datasets.records import ReadRequest
from tests.integration.connectors.test_postgres_keys import open_source

pytestmark = pytest.mark.anyio


async def test_an_ordered_page_tells_its_version(tmp_path: Path) -> None:
    with contextlib.closing(sqlite3.connect(tmp_path / "a.sqlite")) as session, session:
        session.execute("CREATE TABLE faskes (kode TEXT PRIMARY KEY NOT NULL, nama TEXT NOT NULL, lat REAL)")
        session.executemany(
            "INSERT INTO faskes VALUES (?, ?, ?)", [(f"F{n}", f"Faskes {n}", -6.5) for n in range(MOST_RECORDS + 1)]
        )
    source = open_source("sqlite:///a.sqlite", tmp_path)
    try:
        result = await source.read(
            ReadRequest(order=(("kode_faskes", False),), limit=2, deadline=time.monotonic() + 30)
        )
        version = await source.version()
    finally:
        await source.close()
    assert version is not None
    assert (len(result.records), result.version) == (2, version)
