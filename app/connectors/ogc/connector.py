"""The connector of kind `ogc`: the features of one collection, page by page."""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing
from typing import Any, ClassVar

import pyarrow as pa

from app.connectors.capabilities import Capabilities
from app.connectors.contract import (
    CheckStep,
    Connector,
    CountEstimate,
    Discovery,
    RawBatch,
    RawColumn,
    RowEstimate,
    ScanRequest,
    milliseconds_since,
)
from app.connectors.diagnosis import Diagnoses, Diagnosis, Findings
from app.connectors.environment import Environment
from app.connectors.geojson import FeatureColumns
from app.connectors.http import HttpAnswer, HttpSource
from app.connectors.http_check import check_http
from app.connectors.http_credentials import Credentials, Request
from app.connectors.json_records import json_batch, json_columns
from app.connectors.ogc.features import FeaturesServer
from app.connectors.ogc.filters import MOST_KEYS
from app.connectors.ogc.reading import axis_note
from app.connectors.ogc.source import OgcSource
from app.connectors.ogc.wfs import WfsServer
from app.errors import CapabilityUndeclared, SimpulError
from app.filters.tree import Filter
from app.lanes import in_bulk

_INLINE_RECORDS = 1_000
_CRS = "coordinates are CRS84 (WGS 84, longitude first)"
_NOT_CORE = "the server does not state that it conforms to OGC API Features; it is read as if it did"


class OgcConnector(Connector, Diagnoses, CountEstimate):
    """One collection of one server."""

    kind: ClassVar[str] = "ogc"

    def __init__(self, source: OgcSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._http = HttpSource(environment, source.rate)
        self._credentials = Credentials(source.auth, environment.secrets, self._http)
        self._server = (WfsServer if source.service == "wfs" else FeaturesServer)(source, self._ask)

    @property
    def capabilities(self) -> Capabilities:
        """What the server states of itself (`learn`), as a superset: it may compare loosely. Order stays here."""
        filtering = self._server.filtering
        operators = filtering.operators
        return Capabilities(
            columns=True,
            filter_operators=operators,
            filter_columns=frozenset(filtering.columns) if operators else None,
            filter_exactness="superset" if operators else "none",
            limit=True,
            most_keys=MOST_KEYS if "in" in operators else 0,
            concurrent_scans=self._environment.limits.concurrency,
        )

    async def learn(self) -> None:
        """Asks the server once what it conforms to, and which properties of the collection can be asked for."""
        await self._server.learn()

    def takes(self, node: Filter) -> bool:
        """Equality of texts, comparisons of numbers, as the server states them."""
        return super().takes(node) and self._server.filtering.takes(node)

    async def check(self) -> Sequence[CheckStep]:
        """Stages: dns, then tcp, tls, auth and read as the first page shows them, then the collection as the server describes it."""
        first: list[Any] = []

        async def read() -> None:
            await self._server.collection()
            first.extend(await self._first(1))

        steps = await check_http(self._source.url, self._environment, read)
        if steps[-1].error is not None:
            return steps
        started, note = time.perf_counter(), ""
        try:
            notes = await self._notes(first)
            note = "; ".join(notes)
        except SimpulError as error:
            return [*steps, CheckStep("collection", milliseconds_since(started), error, "/source/collection")]
        return [*steps, CheckStep("collection", milliseconds_since(started), None, "/source/collection", note)]

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """The collections of the server; the columns and a sample of the stated one."""
        names = tuple(one.name for one in await self._server.collections())
        if self._source.collection is None:
            return Discovery(names, (), notes=("state source.collection: one of those that the server has",))
        features = await self._first(max(sample_rows, 1))
        batch = json_batch(FeatureColumns().records(features), "feature")
        columns = tuple(RawColumn(name, "json", pa.string()) for name in batch.schema.names)
        rows = list(batch.rows or ())[:sample_rows]
        sample = tuple(dict(zip(batch.schema.names, row, strict=True)) for row in rows)
        return Discovery(names, columns, sample, tuple(await self._notes(features)))

    async def diagnose(self) -> Diagnosis:
        """The only collection, where there is one; the title of the stated one."""
        found = Findings()
        collections = await self._server.collections()
        if self._source.collection is None:
            if len(collections) == 1:
                found.source("collection", collections[0].name, "the server has no other collection")
            else:
                told = ", ".join(one.name + (f" ({one.title})" if one.title else "") for one in collections[:40])
                found.note(f"the server has {len(collections)} collections: {told}"[:2_000])
            return found.diagnosis()
        title = next((one.title for one in collections if one.name == self._source.collection), "")
        if title:
            found.title(title)
        return found.diagnosis()

    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        """`numberMatched` of a request for one feature."""
        self._refuse_undeclared(request)
        matched = await self._server.matched(request.filter, request.deadline)
        return None if matched is None else RowEstimate(matched, sure=True)

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The features, page by page: their properties, their geometry as GeoJSON, their id."""
        self._refuse_undeclared(request)
        if request.order:
            raise CapabilityUndeclared("a collection of features is not asked for an order")
        async with aclosing(self._batches(request)) as batches:
            async for batch in batches:
                yield batch

    async def close(self) -> None:
        """Closes the connections."""
        await self._http.close()

    async def _batches(self, request: ScanRequest) -> AsyncGenerator[RawBatch]:
        columns, first = FeatureColumns(), 1
        left = request.limit
        async with aclosing(self._server.pages(request.filter, request.limit, request.deadline)) as pages:
            async for _, features in pages:
                if not features and first > 1:
                    continue  # behind others; it has no columns to tell
                taken = features if left is None else features[:left]
                left = None if left is None else left - len(taken)
                numbers = range(first, first + len(taken))
                first += len(taken)
                if len(taken) <= _INLINE_RECORDS:
                    yield _batch(columns, taken, numbers, request.columns)
                else:
                    yield await in_bulk(_batch, columns, taken, numbers, request.columns)

    async def _first(self, size: int) -> list[Any]:
        async with aclosing(self._server.pages(None, size, None)) as pages:
            return [one async for _, features in pages for one in features][:size]

    async def _notes(self, features: Sequence[Any]) -> list[str]:
        """What a steward has to know of the collection."""
        collection = await self._server.collection()
        axis = axis_note(features, collection.box)
        core = () if await self._server.conforms() else (_NOT_CORE,)
        return [_CRS, *(() if axis is None else (axis,)), *core]

    def _refuse_undeclared(self, request: ScanRequest) -> None:
        if request.after is not None:
            raise CapabilityUndeclared("a collection of features is not asked for what stands behind a position")
        if request.filter is not None and not self.takes(request.filter):
            raise CapabilityUndeclared(
                "the server takes equality of texts and comparisons of numbers that it states, no more"
            )

    async def _ask(self, url: str, accept: str, deadline: float | None) -> HttpAnswer:
        resolve = self._environment.secrets.resolve
        headers = {"accept": accept, **{name: resolve(value) for name, value in self._source.headers.items()}}
        return await self._credentials.send(Request("GET", url), headers, deadline)


def _batch(
    columns: FeatureColumns, features: Sequence[Any], numbers: Sequence[int], wanted: Sequence[str] | None
) -> RawBatch:
    records = columns.records(features)
    if wanted is None:
        return json_batch(records, "feature", numbers)
    return json_columns(records, wanted, "feature", numbers)
