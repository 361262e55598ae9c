"""Datasets of a connector and a mapping: from a source that can do nothing to one that sorts, cuts and looks up itself."""

from __future__ import annotations

import csv
import sqlite3
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from app.connectors.capabilities import Capabilities
from app.connectors.contract import CheckStep, Connector, Discovery, RawBatch
from app.connectors.environment import Limits
from app.connectors.requests import ScanRequest
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.datasets.outline import Outline
from app.datasets.records import ReadRequest
from tests.contract.datasets.suite import NO_FACILITY, ROWS, SECOND, DatasetSuite, Row, Subject
from tests.support.memory import FACILITIES
from tests.support.reading import dataset

NAMES = tuple(ROWS[0])
FIELDS = {name: name for name in NAMES}
GIVEN = (*ROWS[:4], NO_FACILITY, *ROWS[4:], SECOND)
REJECTED = {"jenis": 1, "kode_faskes": 1}


def values(rows: Sequence[Row]) -> list[tuple[str | None, ...]]:
    return [tuple(row[name] for name in NAMES) for row in rows]


class Pieces(Connector):
    """A source in memory that gives three rows at once and can do nothing itself."""

    kind: ClassVar[str] = "pieces"

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities()

    async def check(self) -> Sequence[CheckStep]:
        return ()

    async def discover(self, sample_rows: int = 20) -> Discovery:
        return Discovery((), ())

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        schema = pa.schema([(name, pa.string()) for name in NAMES])
        for start in range(0, len(GIVEN), 3):
            yield RawBatch(schema, rows=values(GIVEN[start : start + 3]))

    async def close(self) -> None: ...


class MappedSuite(DatasetSuite, ABC):
    """Opens the source of its class; `rejected` and `pushed` are what that source makes of the rows."""

    rejected: ClassVar[dict[str, int]] = REJECTED
    pushed: ClassVar[tuple[str, ...]]

    @abstractmethod
    def opened(self, folder: Path) -> MappedDataset:
        """The dataset over the source of this class."""

    @pytest.fixture
    async def subject(self, tmp_path: Path) -> AsyncIterator[Subject]:
        made = self.opened(tmp_path)
        yield Subject(made, self.rejected)
        await made.close()

    async def test_it_reads_in_the_way_that_this_file_is_about(self, subject: Subject) -> None:
        request = ReadRequest(order=(("kode_faskes", False),), limit=2)
        result = await subject.dataset.read(request)
        shown: Outline = await subject.dataset.outline(request)

        assert result.pushed == self.pushed
        assert "kept" in result.pushed or set(shown.pushed) <= {*result.pushed, "columns"}


class TestPieces(MappedSuite):
    pushed = ()

    def opened(self, folder: Path) -> MappedDataset:
        document: dict[str, Any] = {"connector": "uji-sumber", "agency": "uji", "schema": "fasilitas_kesehatan@1"}
        manifest = parse_manifest({**document, "source": {"kind": "file", "location": "inbox/x.csv"}, "fields": FIELDS})
        mapping = compile_mapping(manifest, FACILITIES, empty_code_book())
        return MappedDataset(
            manifest=manifest, revision=1, schema=FACILITIES, connector=Pieces(), mapping=mapping, limits=Limits()
        )


class TestKeptText(MappedSuite):
    """A file with a mark of freshness: what is open is kept in memory."""

    pushed = ("kept",)

    def opened(self, folder: Path) -> MappedDataset:
        with (folder / "x.csv").open("w", encoding="utf-8", newline="") as file:
            csv.writer(file).writerows([NAMES, *values(GIVEN)])
        return dataset(folder, "fasilitas_kesehatan", {"kind": "file", "location": "x.csv"}, FIELDS)


class TestKeptTable(MappedSuite):
    """A file that a process of its own parses."""

    pushed = ("kept",)

    def opened(self, folder: Path) -> MappedDataset:
        pq.write_table(pa.Table.from_pylist([dict(row) for row in GIVEN]), folder / "x.parquet")
        return dataset(folder, "fasilitas_kesehatan", {"kind": "file", "location": "x.parquet"}, FIELDS)


class TestDatabase(MappedSuite):
    """A database file, which a process of its own reads; it filters, sorts and cuts. Personal data is never kept."""

    rejected: ClassVar[dict[str, int]] = {"jenis": 1}
    pushed = ("columns", "order", "limit")

    def opened(self, folder: Path) -> MappedDataset:
        with closing(sqlite3.connect(folder / "x.db")) as database, database:
            columns = ", ".join(f"{name} TEXT" for name in (*NAMES[1:], "email"))
            database.execute(f"CREATE TABLE x (kode_faskes TEXT PRIMARY KEY NOT NULL, {columns})")
            database.executemany("INSERT INTO x VALUES (?, ?, ?, ?, ?, NULL)", values(GIVEN[:-1]))
        source = {"kind": "sql", "url": "sqlite:x.db", "table": "x"}
        return dataset(folder, "fasilitas_kesehatan", source, {**FIELDS, "email_kontak": "email"})
