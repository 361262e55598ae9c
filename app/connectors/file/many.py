"""Several files as one dataset: read one after the other in the order of their names, the parts of each name as columns."""

from __future__ import annotations

import hashlib
import time
from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from typing import ClassVar

import pyarrow as pa

from app.connectors.blocking import Threads
from app.connectors.capabilities import Capabilities
from app.connectors.contract import (
    CheckStep,
    Connector,
    Discovery,
    Freshness,
    RawBatch,
    RawColumn,
    ScanRequest,
    milliseconds_since,
)
from app.connectors.diagnosis import Diagnoses, Diagnosis
from app.connectors.environment import Environment
from app.connectors.file.connector import FileConnector
from app.connectors.file.parts import with_parts
from app.connectors.file.several import OneFile, files_of, part_names
from app.connectors.file.source import FileSource
from app.errors import CapabilityUndeclared, SimpulError, SourceSchemaMismatch

_SHOWN = 5


class ManyFiles(Connector, Freshness, Diagnoses):
    """The files that a pattern means. Each read looks anew which they are."""

    kind: ClassVar[str] = "file"

    def __init__(self, source: FileSource, environment: Environment) -> None:
        self._source = source
        self._environment = environment
        self._parts = part_names(source.location)
        self._threads = Threads(f"files-{environment.connector}", 1)

    @property
    def capabilities(self) -> Capabilities:
        """Only columns: the gateway filters and sorts."""
        return Capabilities(columns=True, concurrent_scans=4)

    async def version(self) -> str | None:
        """The marks of all files together; None where one cannot be looked at."""
        try:
            files = await self._files()
        except SimpulError:
            return None
        marks = []
        for file in files:
            async with self._opened(file) as one:
                mark = await one.version()
            if mark is None:
                return None
            marks.append(f"{file.location}={mark}")
        return hashlib.sha256("\n".join(marks).encode()).hexdigest()

    async def check(self) -> Sequence[CheckStep]:
        """The stages of each file; those of the first that fails, else of all together."""
        started = time.perf_counter()
        try:
            files = await self._files()
        except SimpulError as error:
            return [CheckStep("permission", milliseconds_since(started), error, "/source/location")]
        steps: Sequence[CheckStep] = ()
        for file in files:
            async with self._opened(file) as one:
                steps = await one.check()
            wrong = next((step for step in steps if step.error is not None), None)
            if wrong is not None:
                return [*steps[:-1], replace(wrong, note=file.location)]
        note = f"{len(files)} files"
        return [replace(step, elapsed_ms=milliseconds_since(started), note=note) for step in steps]

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """The columns of the first file and the parts of its name; files with other columns are told."""
        files = await self._files()
        notes, first = [f"{len(files)} files are one dataset, from {files[0].location} to {files[-1].location}"], None
        for file in files:
            async with self._opened(file) as one:
                found = await one.discover(sample_rows)
            if first is None:
                first = found
                notes += found.notes
                continue
            names, wanted = {column.name for column in found.columns}, {column.name for column in first.columns}
            if names != wanted:
                differ = ", ".join(sorted(names ^ wanted)[:_SHOWN])
                notes.append(f"{file.location} has other columns than {files[0].location}: {differ}")
        assert first is not None  # noqa: S101 - there is at least one file
        parts = tuple(RawColumn(name, "part of the file's name", pa.string()) for name in self._parts)
        sample = tuple({**row, **files[0].parts} for row in first.sample)
        return Discovery(tuple(file.location for file in files), (*first.columns, *parts), sample, tuple(notes))

    async def diagnose(self) -> Diagnosis:
        """How the last of the files has to be read: the others are taken to be alike."""
        files = await self._files()
        async with self._opened(files[-1]) as one:
            return await one.diagnose()

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The records of every file, in the order of the files' names."""
        if request.filter is not None or request.order or request.limit is not None:
            raise CapabilityUndeclared("a file does not filter, sort or cut")
        for file in await self._files():
            async with self._opened(file) as one:
                inner = None if request.columns is None else tuple(n for n in request.columns if n not in self._parts)
                batches = one.scan(replace(request, columns=inner))
                try:
                    async for batch in batches:
                        yield with_parts(batch, file.location, file.parts, request.columns)
                except SourceSchemaMismatch as fault:
                    missing = fault.facts.get("missing")
                    detail = f"{file.location}: {fault.detail}"
                    raise SourceSchemaMismatch(detail, field="/fields", missing=missing) from None
                finally:
                    await batches.aclose()  # type: ignore[attr-defined]

    async def close(self) -> None:
        """Gives back the thread."""
        self._threads.close()

    async def _files(self) -> list[OneFile]:
        return await self._threads.call(lambda: files_of(self._environment.root, self._source.location))

    @asynccontextmanager
    async def _opened(self, file: OneFile) -> AsyncIterator[FileConnector]:
        one = FileConnector(self._source.model_copy(update={"location": file.location}), self._environment)
        try:
            yield one
        finally:
            await one.close()
