"""A whole read that is sure to go far beyond the limit of rows is refused before it begins; a guess refuses nothing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from typing import Any, ClassVar

import pyarrow as pa
import pytest

from app.connectors.capabilities import Capabilities
from app.connectors.contract import CheckStep, Connector, CountEstimate, Discovery, RawBatch, RowEstimate
from app.connectors.environment import Limits
from app.connectors.requests import ScanRequest
from app.datasets.dataset import MappedDataset
from app.datasets.manifest import parse_manifest
from app.datasets.mapping import compile_mapping
from app.datasets.mapping.codes import empty_code_book
from app.datasets.records import ReadRequest
from app.errors import SourceFailed, SourceTooLarge
from app.filters.tree import Compare, Literal, Property
from tests.contract.datasets.suite import streamed
from tests.support.memory import FACILITIES

pytestmark = pytest.mark.anyio
MOST = 10
NAMES = ("kode", "nama")


class Table(Connector, CountEstimate):
    """Three rows at a source that says how many it has."""

    kind: ClassVar[str] = "table"

    def __init__(self, told: RowEstimate | Exception | None) -> None:
        self.told = told
        self.scans: list[ScanRequest] = []

    @property
    def capabilities(self) -> Capabilities:
        return Capabilities(filter_operators=frozenset({"="}), filter_exactness="superset")

    async def check(self) -> Sequence[CheckStep]:
        return ()

    async def discover(self, sample_rows: int = 20) -> Discovery:
        return Discovery((), ())

    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        if isinstance(self.told, Exception):
            raise self.told
        return self.told

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        self.scans.append(request)
        rows = [(f"P{place}", f"Nama {place}") for place in range(3)]
        yield RawBatch(pa.schema([(name, pa.string()) for name in NAMES]), rows=rows)

    async def close(self) -> None: ...


def opened(connector: Table, **read: Any) -> MappedDataset:
    manifest = parse_manifest(
        {
            "connector": "dinkes-uji",
            "agency": "dinkes",
            "schema": "fasilitas_kesehatan@1",
            "source": {"kind": "sql", "url": "sqlite:x.db", "table": "x"},
            "read": read,
            "fields": {"kode_faskes": "kode", "nama": "nama"},
        }
    )
    mapping = compile_mapping(manifest, FACILITIES, empty_code_book())
    return MappedDataset(
        manifest=manifest, revision=1, schema=FACILITIES, connector=connector, mapping=mapping, limits=Limits(rows=MOST)
    )


async def test_what_is_sure_to_be_far_too_much_is_not_begun() -> None:
    connector = Table(RowEstimate(4 * MOST, sure=True))
    with pytest.raises(SourceTooLarge, match="more than 10 rows; narrow the read") as caught:
        await streamed(opened(connector), ReadRequest())

    assert caught.value.facts["limit_rows"] == MOST
    assert connector.scans == []


@pytest.mark.parametrize(
    "told", [RowEstimate(4 * MOST - 1, sure=True), RowEstimate(10**9), None, SourceFailed("no statistics")]
)
async def test_less_guesses_and_faults_of_an_estimate_are_tried(told: RowEstimate | Exception | None) -> None:
    parts = await streamed(opened(Table(told)), ReadRequest())

    assert sum(part.size for part in parts) == 3


async def test_a_read_that_the_source_narrows_is_tried() -> None:
    wanted = Compare("=", Property("nama"), Literal("Nama 1"))
    parts = await streamed(opened(Table(RowEstimate(10**9, sure=True))), ReadRequest(filter=wanted))

    assert sum(part.size for part in parts) == 1


async def test_a_dataset_tells_nothing_of_conditions_that_its_source_does_not_look_at() -> None:
    made = opened(Table(RowEstimate(7, sure=True)))
    equal = Compare("=", Property("nama"), Literal("Nama 1"))
    more = Compare(">", Property("nama"), Literal("Nama 1"))

    assert await made.estimate(ReadRequest()) == RowEstimate(7, sure=True)
    assert await made.estimate(ReadRequest(filter=equal)) == RowEstimate(7, sure=False)
    assert await made.estimate(ReadRequest(filter=more)) is None


async def test_rows_that_the_manifest_leaves_out_make_it_a_guess() -> None:
    made = opened(Table(RowEstimate(7, sure=True)), where="nama != 'Nama 1'")

    assert await made.estimate(ReadRequest()) == RowEstimate(7, sure=False)


class Late(Table):
    """Knows how many rows it has once it was begun; gives its rows in two parts."""

    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        return await super().estimate(request) if self.scans else None

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        async for batch in super().scan(request):
            yield batch
        self.left = True


@pytest.mark.parametrize(("rows", "read_on"), [(14, True), (15, False)])
async def test_what_is_known_to_be_too_much_to_keep_is_not_read_on(rows: int, read_on: bool) -> None:
    """Half as much again as is kept: also where a source knows that only once it was begun."""
    connector = Late(RowEstimate(rows))
    found = await opened(connector).read_all(None, MOST)

    assert (found is not None, hasattr(connector, "left")) == (read_on, read_on)
    assert await opened(Table(RowEstimate(15))).read_all(None, MOST) is None
