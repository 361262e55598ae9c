"""One agency's dataset as records of a shared schema: scan, prepare, map, validate, residual filter, order.

Sits on a connector and a compiled mapping; knows nothing of callers, grants or other agencies.
"""

from __future__ import annotations

import time
from collections.abc import AsyncGenerator, Hashable
from contextlib import aclosing
from dataclasses import replace
from datetime import UTC, datetime

from app.connectors.contract import FAR_BEYOND, Connector, CountEstimate, Freshness, RawBatch, RowEstimate
from app.connectors.environment import Limits
from app.connectors.pace import Pace
from app.connectors.requests import ScanRequest
from app.datasets.columnar.page import ColumnPage
from app.datasets.columnar.selection import ColumnSelection, maps_by_columns
from app.datasets.columnar.trial import ColumnTrier
from app.datasets.estimating import estimate
from app.datasets.flights import Flights
from app.datasets.keeping import Keeper
from app.datasets.key_reader import KeyReader
from app.datasets.manifest import Manifest, is_personal
from app.datasets.mapping import CompiledMapping
from app.datasets.mapping.paths import paths_of
from app.datasets.outline import Outline, outline
from app.datasets.preview import Previewer
from app.datasets.pushdown import Ordered, ordered_read, scan_request
from app.datasets.quality import QualityCounter
from app.datasets.records import PreviewRow, ReadRequest, ReadResult
from app.datasets.selection import Selection
from app.datasets.trial import Trial, Trier
from app.errors import SourceError, SourceSchemaMismatch, SourceTooLarge
from app.filters.tree import TRUE, Compare, Filter, Literal, Property, all_of
from app.lanes import in_bulk
from app.schemas.registry import SchemaDef

BY_COLUMNS = 1_000
"""A source whose first batch holds so many records is mapped by columns, for a page too."""
MOST_BY_ROWS = 5_000
"""Of so few wanted records a source makes no bulk read: beginning one takes longer than they do."""


class MappedDataset:
    """The opened dataset of one connector revision: a `Dataset` (`contract.py`) made of a connector and a mapping.

    Reads go to the source each time, but for open data that has a freshness mark or a `refresh` time: those are kept mapped,
    in bounded memory, until the mark changes or the time is over.
    """

    def __init__(
        self,
        *,
        manifest: Manifest,
        revision: int,
        schema: SchemaDef,
        connector: Connector,
        mapping: CompiledMapping,
        limits: Limits,
        pace: Pace | None = None,
    ) -> None:
        """`pace`: the turns of whole reads, where the connector does not pace its requests itself."""
        self.manifest = manifest
        self.revision = revision
        self.schema = schema
        self.connector = connector
        self.mapping = mapping
        self.limits = limits
        self.deadline_seconds = limits.deadline_seconds
        self._pace = pace
        self._personal = is_personal(schema, [field.name for field in mapping.fields])
        self._kept = Keeper(self, personal=self._personal)
        self._flights: Flights[ReadResult] = Flights()
        self._by_key = KeyReader.of(schema, mapping, connector)

    async def read(self, request: ReadRequest) -> ReadResult:
        """Reads, maps, validates, filters, sorts and cuts; memory is bounded by the limit.

        Equal questions that are under way at the same time are one read (open data only).
        """
        if request.key is not None and self._by_key is not None and not self._kept.possible:
            await self._turn(request.deadline)
            found = await self._by_key.read(request)
            if found is not None:
                return found
        question = _question(request)
        if self._personal or question is None:
            return await self._read(request)
        return await self._flights.join(question, lambda: self._read(request))

    async def _read(self, request: ReadRequest) -> ReadResult:
        wanted = request.filter
        if request.key is not None:
            wanted = all_of(*_key_filter(self.schema, request.key), wanted)
        kept = await self._kept.table(request.deadline)
        if kept is not None:
            return await kept.answer(request, wanted)
        version = await self.version()
        await self.connector.learn()
        scan = scan_request(self.mapping, self.connector, request, wanted, self.manifest.fields)
        pushed = _pushed(request, scan)
        ordered = ordered_read(self.schema, self.mapping, self.connector, request, scan)
        if ordered is not None:
            result = await self._read_ordered(request, wanted, ordered, pushed)
            result.version = version
            return result
        selection: Selection | ColumnPage | None = None
        upstream, seen = None, Seen()
        async for batch in self._batches(scan):
            upstream = batch.upstream
            seen.take(batch)
            selection = selection or self._page(request, wanted, batch)
            await selection.take(batch)
        selection = selection or Selection(self.mapping, request, wanted)
        result = await selection.result(pushed, seen.as_of)
        result.whole, result.version, result.upstream = scan.filter is None, version, upstream
        return result

    def _page(self, request: ReadRequest, wanted: Filter, first: RawBatch) -> Selection | ColumnPage:
        """What picks the records of a page: by columns where the source gives many at once."""
        kind = ColumnPage if self._by_columns(first) else Selection
        return kind(self.mapping, request, wanted)

    def _by_columns(self, first: RawBatch) -> bool:
        return len(first) >= BY_COLUMNS and maps_by_columns(self.mapping)

    async def _read_ordered(
        self, request: ReadRequest, wanted: Filter, ordered: Ordered, pushed: tuple[str, ...]
    ) -> ReadResult:
        """As many rows as are asked for and one, more only where rejects and residual leave too few.

        The one behind them tells that there is more.
        """
        for most in ordered.attempts():
            selection = Selection(self.mapping, request, wanted)
            exhausted = True
            for scan in ordered.scans:
                rows = 0
                async for batch in self._batches(replace(scan, limit=most)):
                    rows += len(batch) + len(batch.rejects)
                    await selection.take(batch)
                exhausted = most is None or rows < most
                if not exhausted or selection.beyond:
                    break
            if exhausted or selection.beyond:
                break
        pushed = (*pushed, "order", *(("limit",) if most is not None else ()))
        return await selection.result(pushed, datetime.now(UTC))

    async def stream(self, request: ReadRequest) -> AsyncGenerator[ReadResult]:
        """Batch by batch, and an empty part at the end; what is kept is one part."""
        most = request.limit
        request = replace(request, order=(), after=None, limit=None, key=None)
        some = most is not None and most <= MOST_BY_ROWS
        kept = await self._kept.table(request.deadline)
        if kept is not None:
            yield await kept.answer(request, request.filter)
            return
        version = await self.version()
        await self.connector.learn()
        scan = scan_request(self.mapping, self.connector, request, request.filter, self.manifest.fields)
        if most is None:
            await self._refuse_far_beyond(scan)
        scan = replace(scan, columnar=not some)
        pushed = _pushed(request, scan)
        selection: Selection | ColumnSelection
        if maps_by_columns(self.mapping):
            selection = ColumnSelection(self.mapping, request)
        else:
            selection = Selection(self.mapping, request, request.filter)
        upstream, seen = None, Seen()
        async with aclosing(self._batches(scan)) as batches:
            async for batch in batches:
                upstream = batch.upstream
                seen.take(batch)
                await selection.take(batch)
                part = await selection.drain(pushed, seen.as_of)
                part.upstream = upstream
                yield part
        end = await selection.drain(pushed, seen.as_of)
        end.whole, end.version, end.upstream = scan.filter is None, version, upstream
        yield end

    async def outline(self, request: ReadRequest) -> Outline:
        """What goes to the source and what stays here."""
        return await outline(
            self.manifest, self.schema, self.mapping, self.connector, request, kept=self._kept.possible
        )

    async def estimate(self, request: ReadRequest) -> RowEstimate | None:
        """Counted of what is kept; else what the source tells."""
        kept = await self._kept.at_hand()
        if kept is not None:
            return RowEstimate(await kept.count(request.filter), sure=True)
        return await estimate(self.manifest, self.mapping, self.connector, request)

    async def read_all(self, deadline: float | None, most: int) -> ReadResult | None:
        """Every valid record, None when there are more than `most`; nothing is read where an estimate is far beyond that."""
        scan = ScanRequest(deadline=deadline)
        if await self._beyond(scan, most):
            return None
        version, seen = await self.version(), Seen()
        request = ReadRequest(limit=most)
        selection: Selection | ColumnPage | None = None
        async with aclosing(self._batches(scan)) as batches:
            async for batch in batches:
                if batch.upstream is not None and batch.upstream.missing is not None:
                    raise batch.upstream.missing  # what is not complete is not kept
                if selection is None:
                    selection = self._page(request, TRUE, batch)
                    if await self._beyond(scan, most):  # a source may know only now
                        return None
                seen.take(batch)
                await selection.take(batch)
                if selection.overflown:
                    return None
        selection = selection or Selection(self.mapping, request, TRUE)
        result = await selection.result((), seen.as_of)
        if selection.overflown:  # told when records are cut, which may be here alone
            return None
        result.whole, result.version = True, version
        return result

    async def _beyond(self, scan: ScanRequest, most: int) -> bool:
        """Whether the source's own estimate comes to half as much again. A guess is enough: nothing is refused by it."""
        if not isinstance(self.connector, CountEstimate):
            return False
        try:
            found = await self.connector.estimate(scan)
        except SourceError:  # the read itself tells what is wrong
            return False
        return found is not None and 2 * found.rows >= 3 * most

    async def preview(self, rows: int = 20) -> list[PreviewRow]:
        """The first `rows` raw records with what becomes of each, rejected ones too; what is personal is masked.

        `SourceTimeout` when the source does not give them within the time of one read.
        """
        shown: list[PreviewRow] = []
        previewer = Previewer(self.schema, self.mapping)
        ends = time.monotonic() + self.limits.deadline_seconds
        async with aclosing(self._batches(ScanRequest(deadline=ends))) as batches:
            async for batch in batches:
                for row in previewer.rows(batch):
                    shown.append(row)
                    if len(shown) >= rows:
                        return shown
        return shown

    async def trial(self, rows: int, seconds: float, quality: QualityCounter | None = None) -> Trial:
        """The mapping tried on the whole source, at most this many records and seconds. Raises `SourceError` leaves.

        `quality` is given every valid record.

        A source that gives nothing for the time of one read longer is late.
        """
        await self.connector.learn()
        given = (self.manifest, self.schema, self.mapping, rows, seconds, quality)
        trier: Trier | None = None
        asked = ReadRequest(deadline=time.monotonic() + seconds + self.limits.deadline_seconds)
        scan = scan_request(self.mapping, self.connector, asked, TRUE, self.manifest.fields)
        async with aclosing(self._batches(scan)) as batches:
            async for batch in batches:
                if trier is None:
                    columns = self._by_columns(batch) and not paths_of(self.manifest.fields)
                    trier = ColumnTrier(*given) if columns else Trier(*given)
                if not await in_bulk(trier.take, batch):
                    break
        return await in_bulk((trier or Trier(*given)).done)

    async def version(self) -> str | None:
        """The source's freshness mark, None where it has none."""
        return await self.connector.version() if isinstance(self.connector, Freshness) else None

    async def close(self) -> None:
        """Closes the connector underneath and lets go of what is kept."""
        self._kept.forget()
        await self.connector.close()

    async def _refuse_far_beyond(self, scan: ScanRequest) -> None:
        """Raises what the read would come to, where the source is sure that it holds many times too much."""
        if scan.filter is not None or not isinstance(self.connector, CountEstimate):
            return
        try:
            found = await self.connector.estimate(scan)
        except SourceError:  # the read itself tells what is wrong
            return
        if found is not None and found.sure and found.rows >= FAR_BEYOND * self.limits.rows:
            raise self._too_large()

    def _too_large(self) -> SourceTooLarge:
        return SourceTooLarge(f"more than {self.limits.rows} rows; narrow the read", limit_rows=self.limits.rows)

    async def _turn(self, deadline: float | None) -> None:
        """Waits for the turn that the stated rate leaves this read; `SourceBusy` where that comes too late."""
        if self._pace is not None:
            await self._pace.turn(time.monotonic() + self.deadline_seconds if deadline is None else deadline)

    async def _batches(self, scan: ScanRequest) -> AsyncGenerator[RawBatch]:
        """The raw batches of a scan; the source is told to stop whatever happens here."""
        seen = 0
        await self._turn(scan.deadline)
        batches = self.connector.scan(scan)
        try:
            async for batch in batches:
                if seen == 0:
                    missing = self.mapping.check_columns(batch.schema.names)
                    if missing:
                        names = ", ".join(missing)
                        raise SourceSchemaMismatch(
                            f"the source has no column {names}", field="/fields", missing=missing
                        )
                gone = self.mapping.absent_keys(batch)
                if gone:
                    detail = f"no record of a part has {', '.join(gone)}, of which the key is made"
                    raise SourceSchemaMismatch(detail, field="/fields", missing=gone)
                seen += len(batch)
                if seen > self.limits.rows:
                    raise self._too_large()
                yield batch
        finally:
            closing = getattr(batches, "aclose", None)
            if closing is not None:
                await closing()


class Seen:
    """When the source was seen to hold what a read gives: now, but for copies of what stands elsewhere; of several the oldest."""

    def __init__(self) -> None:
        self._oldest: datetime | None = None

    def take(self, batch: RawBatch) -> None:
        """The next batch of the read."""
        if batch.as_of is not None:
            self._oldest = batch.as_of if self._oldest is None else min(self._oldest, batch.as_of)

    @property
    def as_of(self) -> datetime:
        """The moment that holds for all that was read so far."""
        return self._oldest or datetime.now(UTC)


def _question(request: ReadRequest) -> Hashable | None:
    """A read without its deadline; None where it holds something that cannot be compared by value."""
    question = (
        request.fields,
        request.filter,
        request.order,
        request.after,
        request.limit,
        request.key,
        request.findings,
    )
    try:
        hash(question)
    except TypeError:
        return None
    return question


def _pushed(request: ReadRequest, scan: ScanRequest) -> tuple[str, ...]:
    """The work that a scan gave to the source."""
    named = "key" if request.key is not None else "filter"
    return (*(("columns",) if scan.columns is not None else ()), *((named,) if scan.filter is not None else ()))


def _key_filter(schema: SchemaDef, key: str) -> list[Filter]:
    """Equality on the parts of the key; a null part is left to the comparison of the whole key."""
    values = schema.key_values(key)
    return [Compare("=", Property(name), Literal(value)) for name, value in values.items() if value is not None]
