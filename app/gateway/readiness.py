"""The internal question behind `/health/ready`: one record through mapping, validation, decision, merge and writing.

It depends on no agency and writes no entry; that the log can be written is asked of the log itself.
"""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Sequence
from functools import lru_cache
from typing import ClassVar

import pyarrow as pa

from app.connectors.capabilities import Capabilities
from app.connectors.contract import CheckStep, Connector, Discovery, RawBatch, ScanRequest
from app.connectors.environment import Limits
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.errors import StoreUnavailable
from app.federation.question.query import DatasetRef, Grant, Query
from app.federation.reading.page import read_page
from app.gateway.services import Services
from app.schemas import registry

_MANIFEST = {
    "connector": "internal-ready",
    "agency": "internal",
    "schema": "wilayah@1",
    "title": "One row",
    "source": {"kind": "file", "location": "inbox/none.csv"},
    "fields": {"kode": "kode", "nama": "nama", "tingkat": {"const": "kabupaten"}},
}
_Row = tuple[str | None, ...]
_ROW: _Row = ("33.20", "Jepara")
_SCHEMA = pa.schema([("kode", pa.string()), ("nama", pa.string())])


class _OneRow(Connector):
    """A source of one row in memory."""

    kind: ClassVar[str] = "internal"

    def __init__(self, row: _Row) -> None:
        self._row = row

    @property
    def capabilities(self) -> Capabilities:
        """It can do nothing itself."""
        return Capabilities()

    async def check(self) -> Sequence[CheckStep]:
        """Nothing can be wrong with it."""
        return ()

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """It has no tables to choose from."""
        del sample_rows
        return Discovery((), ())

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The one row."""
        del request
        yield RawBatch(_SCHEMA, rows=[self._row])

    async def close(self) -> None:
        """Nothing is open."""


@lru_cache(maxsize=1)
def _dataset(row: _Row) -> MappedDataset:
    manifest = parse_manifest(_MANIFEST)
    schema = registry.get("wilayah")
    mapping = compile_mapping(manifest, schema, empty_code_book())
    return MappedDataset(
        manifest=manifest, revision=1, schema=schema, connector=_OneRow(row), mapping=mapping, limits=Limits()
    )


async def internal_query(state: Services, row: _Row = _ROW) -> None:
    """Raises `StoreUnavailable` when the one record does not come out."""
    schema = registry.get("wilayah")
    ref = DatasetRef("internal", "internal-ready", 1, _dataset(row), Grant(frozenset(schema.fields)))
    answer = await read_page(
        Query(schema=schema, limit=1), [ref], state.runtime.until(time.monotonic() + 5.0, "readiness")
    )
    if [found.record.key for found in answer.records] != ["33.20"]:
        raise StoreUnavailable("the internal question was not answered")
