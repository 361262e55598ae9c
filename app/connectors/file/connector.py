"""The connector of kind `file`: finds the file, reads it in its own threads, tells what is wrong with it."""

from __future__ import annotations

import time
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import aclosing, suppress
from pathlib import Path
from typing import Any, ClassVar

import pyarrow as pa

from app.connectors.agency_files import agency_file
from app.connectors.blocking import BulkThread, Threads, pull
from app.connectors.capabilities import Capabilities
from app.connectors.cells import CELL_COLUMN, cell_kind
from app.connectors.contract import (
    CheckStep,
    Connector,
    CountEstimate,
    Discovery,
    Freshness,
    RawBatch,
    RawColumn,
    RowEstimate,
    ScanRequest,
    milliseconds_since,
)
from app.connectors.diagnosis import Diagnoses, Diagnosis, Findings
from app.connectors.environment import Environment
from app.connectors.file.content import FileContent, file_mark, openable, unchanged, unreadable
from app.connectors.file.diagnosing.document import diagnose_document
from app.connectors.file.diagnosing.features import diagnose_encoding, diagnose_layers, layer_notes
from app.connectors.file.diagnosing.markup import diagnose_markup
from app.connectors.file.diagnosing.sheets import diagnose_sheet
from app.connectors.file.diagnosing.text import diagnose_text
from app.connectors.file.sheet import parse_sheet, parsed_rows, read_sheet, sheets_of, workbook_notes
from app.connectors.file.sniff import settled
from app.connectors.file.source import LAYERS, SHEETS, FileSource
from app.connectors.file.spss_reader import described_variables
from app.connectors.isolation.calls import Isolated
from app.connectors.projection import projected
from app.errors import CapabilityUndeclared, SimpulError
from app.lanes import in_bulk

BYTES_HERE = 1_048_576
"""A JSON document or a CSV file up to this size is parsed in the process of the gateway."""


class FileConnector(Connector, Freshness, CountEstimate, Diagnoses):
    """One file of one agency. Every read opens it anew, so an upload shows at once."""

    kind: ClassVar[str] = "file"

    def __init__(self, source: FileSource, environment: Environment, inner: str | None = None) -> None:
        """`inner`: where the file is under the environment's root, where that is not what people call it."""
        self._source = source
        self._environment = environment
        self._inner = inner or source.location
        self._threads = Threads(f"file-{environment.connector}", 2)
        """For what waits: a disk, the child that parses sheets."""
        self._bulk = BulkThread()
        """For what computes: the parsing itself."""
        self._content = FileContent(source, environment.root, environment.limits, self._inner)
        self._isolated = Isolated(
            self._content,
            name=f"parse-{environment.connector}",
            memory_bytes=environment.limits.parse_memory_bytes,
            count=max(1, min(environment.limits.concurrency, 4)),
        )

    @property
    def capabilities(self) -> Capabilities:
        """Only columns: the gateway filters and sorts."""
        return Capabilities(columns=True, concurrent_scans=4)

    async def version(self) -> str | None:
        """Identity of the file's bytes: device, inode, change time, size. None when there is no file."""
        try:
            return file_mark(agency_file(self._environment.root, self._inner))
        except (SimpulError, OSError):
            return None

    async def check(self) -> Sequence[CheckStep]:
        """Stages: permission (the file is there and may be read), read (its first records)."""
        started = time.perf_counter()
        try:
            path = agency_file(self._environment.root, self._inner)
            await self._threads.call(lambda: openable(path))
        except SimpulError as error:
            return [CheckStep("permission", milliseconds_since(started), error, "/source/location")]
        steps = [CheckStep("permission", milliseconds_since(started), None, "/source/location")]
        if not self._environment.whole_checks:
            return steps
        started = time.perf_counter()
        wrong: SimpulError | None = None
        try:
            await self._first(time.monotonic() + self._environment.limits.deadline_seconds)
        except SimpulError as caught:
            wrong = caught
        pointer = str(wrong.facts.get("field", "/source")) if wrong is not None else "/source"
        steps.append(CheckStep("read", milliseconds_since(started), wrong, pointer))
        return steps

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """The columns and the first records; the sheets of a workbook stand as its tables."""
        tables, notes = await self._threads.call(self._sheets)
        if (await self._settled()).kind_of_file in LAYERS:
            tables, notes = layer_notes(await self._isolated.call("layers"), self._source.sheet)
        described: dict[str, str] = {}
        more: tuple[str, ...] = ()
        if self._source.kind_of_file == "spss":
            described, more = described_variables(await self._isolated.call("variables"))
        batch = await self._first()
        if batch is None:
            return Discovery(tables, (), notes=notes)
        columns = tuple(
            RawColumn(field.name, described.get(field.name) or self._shown(field, batch, index), field.type)
            for index, field in enumerate(batch.schema)
        )
        clashes = _clashes(self._source, batch.schema.names)
        return Discovery(tables, columns, tuple(batch.sample(sample_rows)), (*notes, *more, *clashes))

    async def diagnose(self) -> Diagnosis:
        """How the file has to be read; what the manifest states is taken as it is."""
        source, found = await self._settled(), Findings()
        if source.kind_of_file in LAYERS:
            diagnose_layers(await self._isolated.call("layers"), source, found)
        if source.kind_of_file in {"dbf", "shapefile"}:
            diagnose_encoding(await self._isolated.call("wanted_encoding"), source, found)
        if source.kind_of_file in LAYERS | {"dbf", "spss"}:
            return found.diagnosis()
        if self._source.kind_of_file in SHEETS:
            return await self._threads.call(self._diagnose)
        return await in_bulk(self._diagnose)

    def _diagnose(self) -> Diagnosis:
        source, found, limits = self._source, Findings(), self._environment.limits
        path = agency_file(self._environment.root, self._inner)
        with unreadable(source.location):
            source = settled(path, source)
            if source.kind_of_file in SHEETS:
                diagnose_sheet(path, source, self._environment.cache, limits, found)
            elif source.kind_of_file == "csv":
                diagnose_text(path, source, found)
            elif source.kind_of_file in {"json", "geojson"}:
                diagnose_document(path, source, found)
            elif source.kind_of_file == "xml":
                diagnose_markup(path, source, found)
        return found.diagnosis()

    def _by_content(self) -> tuple[FileSource, Path]:
        """The source with the format that its content has, and the file. Raises `SourceError` leaves."""
        path = agency_file(self._environment.root, self._inner)
        with unreadable(self._source.location):
            return settled(path, self._source), path

    async def _settled(self, deadline: float | None = None) -> FileSource:
        """The source with its format, by the content where the ending leaves it open."""
        if not self._source.may_be:
            return self._source
        return (await self._threads.call(self._by_content, deadline))[0]

    def _parse_sheet(self) -> None:
        """Has the workbook parsed by the child process, unless it is already."""
        path = agency_file(self._environment.root, self._inner)
        with (
            suppress(OSError),
            unchanged(path, self._source.location),
        ):  # other faults are told by the read that follows
            source = settled(path, self._source)
            parse_sheet(path, source, self._environment.cache, self._environment.limits).close()

    def _sheets(self) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The tables of the file, and what a reader has to know of them."""
        environment = self._environment
        source, path = self._by_content()
        if source.kind_of_file not in SHEETS:
            return (source.location,), ()
        chosen, sheets = sheets_of(path, source, environment.cache, environment.limits)
        notes = [f"sheet {name} is hidden" for name, visible in sheets if not visible]
        notes += workbook_notes(path, source.kind_of_file)
        if source.sheet is None and len(sheets) > 1:
            notes.append(
                f"the workbook has {len(sheets)} sheets and none is named: {chosen} is read; name it in source.sheet"
            )
        return tuple(name for name, _ in sheets), tuple(notes)

    def _shown(self, field: pa.Field[Any], batch: RawBatch, index: int) -> str:
        """The type of a column as people know it; of a sheet the kinds of its cells in the first batch."""
        if field.metadata == CELL_COLUMN:
            kinds = dict.fromkeys(cell_kind(row[index]) for row in batch.rows or ())
            return ", ".join(kind for kind in kinds if kind != "empty") or "empty"
        if field.metadata is not None:
            return "json"
        return "text" if pa.types.is_string(field.type) else str(field.type)

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The records in file order."""
        if request.filter is not None or request.order or request.limit is not None:
            raise CapabilityUndeclared("a file does not filter, sort or cut")
        columns, deadline = request.columns, request.deadline
        source = await self._settled(deadline)
        if source.kind_of_file in SHEETS:
            await self._threads.call(self._parse_sheet, deadline)
            batches = pull(self._bulk, self._read_sheet(columns), deadline)
        elif self._alone(source.kind_of_file):
            batches = self._isolated.stream("read", columns, deadline=deadline)
        else:
            batches = pull(self._bulk, self._content.read(columns), deadline)
        try:
            async for batch in batches:
                yield batch
        finally:
            await batches.aclose()  # type: ignore[attr-defined]

    async def _first(self, deadline: float | None = None) -> RawBatch | None:
        """The first records; the process that parses the file stays for what comes next."""
        if self._alone((await self._settled(deadline)).kind_of_file):
            found: RawBatch | None = await self._isolated.call("first", deadline=deadline)
            return found
        async with aclosing(self.scan(ScanRequest(deadline=deadline))) as batches:  # type: ignore[type-var]
            return await anext(batches, None)

    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        """The rows that a Parquet or an SPSS file says it has, about those of a large CSV file and of a sheet that was parsed already.

        Other files would have to be read.
        """
        if request.filter is not None:
            raise CapabilityUndeclared("a file does not filter")
        if (await self._settled(request.deadline)).kind_of_file in SHEETS:
            parsed = await self._threads.call(self._parsed_rows, request.deadline)
            return RowEstimate(parsed) if parsed is not None else None
        if self._source.kind_of_file == "csv":
            rows = await self._threads.call(self._content.estimated_rows, request.deadline)
            return RowEstimate(rows) if rows else None
        if self._source.kind_of_file not in {"parquet", "spss"}:
            return None
        told = await self._isolated.call("rows", deadline=request.deadline)
        return None if told is None else RowEstimate(int(told), sure=True)

    async def close(self) -> None:
        """Gives back the threads."""
        self._threads.close()
        self._isolated.close()

    def _alone(self, kind: str) -> bool:
        """Whether a process of its own parses the file: Parquet, XML, SPSS, layers, JSON that is one document and CSV above a size."""
        if kind not in {"json", "geojson", "csv"}:
            return kind in {"parquet", "xml", "spss"} | LAYERS
        with suppress(SimpulError, OSError):
            return agency_file(self._environment.root, self._inner).stat().st_size > BYTES_HERE
        return False

    def _parsed_rows(self) -> int | None:
        environment = self._environment
        with suppress(SimpulError, OSError):
            path = agency_file(environment.root, self._inner)
            return parsed_rows(path, settled(path, self._source), environment.cache)
        return None

    def _read_sheet(self, columns: Sequence[str] | None) -> Iterator[RawBatch]:
        source, environment = self._source, self._environment
        path = agency_file(environment.root, self._inner)
        with unreadable(source.location), unchanged(path, source.location):
            source = settled(path, source)
            yield from projected(read_sheet(path, source, environment.cache, environment.limits), columns)


def _clashes(source: FileSource, names: Sequence[str]) -> tuple[str, ...]:
    """What a reader of a GeoJSON file has to know of members that share a name."""
    if source.kind_of_file != "geojson":
        return ()
    return tuple(
        f"{name} stands among the properties and at the feature: {name} is the property, feature_{name} the feature's own"
        for name in ("geometry", "id")
        if f"feature_{name}" in names
    )
