"""The connector of files that stand elsewhere or inside others: brings each as a local file, then reads it as any other."""

from __future__ import annotations

import hashlib
import os
import re
import time
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from dataclasses import replace
from pathlib import PurePosixPath
from typing import ClassVar

import pyarrow as pa

from app.connectors.capabilities import Capabilities
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
from app.connectors.file.connector import FileConnector
from app.connectors.file.locations.origin import Found, Local, Origin
from app.connectors.file.locations.unpacked import Piece, Unpacked
from app.connectors.file.parts import with_parts
from app.connectors.file.several import part_names
from app.connectors.file.source import FileSource
from app.errors import CapabilityUndeclared, SimpulError, SourceSchemaMismatch

_SHOWN = 20
_ASIDE = re.compile(r"read.?me|baca.?(?:saya|dulu)|licen[cs]e|lisensi|petunjuk|keterangan|metadata", re.IGNORECASE)
_DIGITS = re.compile(r"\d+")


class LocatedFiles(Connector, Freshness, CountEstimate, Diagnoses):
    """The files that a location means, and those inside them. Each read looks anew which they are."""

    kind: ClassVar[str] = "file"

    def __init__(self, source: FileSource, environment: Environment, origin: Origin) -> None:
        self._source = source
        self._environment = environment
        self._origin = origin
        self._parts = (*part_names(source.location), *part_names(source.member or ""))
        self._unpacked = Unpacked(source, environment)

    @property
    def capabilities(self) -> Capabilities:
        """Only columns: the gateway filters and sorts."""
        return Capabilities(columns=True, concurrent_scans=4)

    async def version(self) -> str | None:
        """The marks of all files together, asked for as `refresh` says; None where one cannot be had."""
        marks = []
        try:
            async with aclosing(self._pieces(None)) as pieces:
                async for piece in pieces:
                    marks.append(f"{piece.source.location}={piece.local.mark}")
        except (SimpulError, OSError):
            return None
        return hashlib.sha256("\n".join(marks).encode()).hexdigest()

    async def check(self) -> Sequence[CheckStep]:
        """Stages: those of the location (dns, tcp, tls, auth, permission), then read: the first records of each file."""
        steps = list(await self._origin.check())
        if any(step.error is not None for step in steps):
            return steps
        started, count, wrong, name = time.perf_counter(), 0, None, ""
        try:
            async with aclosing(self._pieces(self._deadline())) as pieces:
                async for piece in pieces:
                    count, name = count + 1, piece.source.location
                    async with self._opened(piece) as one:
                        wrong = next((step.error for step in await one.check() if step.error is not None), None)
                    if wrong is not None:
                        break
        except SimpulError as error:
            wrong = error
        pointer = "/source" if wrong is None else str(wrong.facts.get("field", "/source"))
        note = name if wrong is not None else f"{count} files" if count > 1 else ""
        return [*steps, CheckStep("read", milliseconds_since(started), wrong, pointer, note)]

    async def discover(self, sample_rows: int = 20) -> Discovery:
        """The columns of the first file and the parts of its name; files with other columns are told."""
        first: Discovery | None = None
        notes, names = list[str](), list[str]()
        parts: dict[str, str] = {}
        async with aclosing(self._pieces(self._deadline())) as pieces:
            async for piece in pieces:
                names.append(piece.source.location)
                async with self._opened(piece) as one:
                    found = await one.discover(sample_rows)
                if first is None:
                    first, parts = found, dict(piece.parts)
                    notes += found.notes
                    continue
                here, wanted = {column.name for column in found.columns}, {column.name for column in first.columns}
                if here != wanted:
                    differ = ", ".join(sorted(here ^ wanted)[:5])
                    notes.append(f"{names[-1]} has other columns than {names[0]}: {differ}")
        assert first is not None  # noqa: S101 - a location means at least one file, or raises
        if len(names) > 1:
            notes.insert(0, f"{len(names)} files are one dataset, from {names[0]} to {names[-1]}")
        more = tuple(RawColumn(name, "part of the file's name", pa.string()) for name in self._parts)
        sample = tuple({**row, **parts} for row in first.sample)
        tables = first.tables if len(names) == 1 else tuple(names)
        return Discovery(tables, (*first.columns, *more), sample, tuple(notes))

    async def diagnose(self) -> Diagnosis:
        """Which member of an archive is meant, and how the last of the files has to be read: the others are taken to be alike."""
        deadline, found = self._deadline(), Findings()
        file = (await self._origin.files(deadline))[-1]
        async with self._origin.local(file, deadline) as local:
            member = await self._proposed(file, local, found)
            if member is None:
                chosen = await self._unpacked.members(file, local)
                last = chosen[-1] if chosen else None
                async with (
                    self._unpacked.piece(file, local, last, deadline) as piece,
                    self._opened(piece) as one,
                ):
                    return _merged(found.diagnosis(), await one.diagnose())
        source = self._source.model_copy(update={"member": member})
        inner = LocatedFiles(source, self._environment, self._origin)
        try:
            return _merged(found.diagnosis(), await inner.diagnose())
        finally:
            inner.release()

    async def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """The records of every file, in the order of the files' names."""
        if request.filter is not None or request.order or request.limit is not None:
            raise CapabilityUndeclared("a file does not filter, sort or cut")
        columns = None if request.columns is None else tuple(n for n in request.columns if n not in self._parts)
        async with aclosing(self._pieces(request.deadline)) as pieces:
            async for piece in pieces:
                async with self._opened(piece) as one:
                    batches = one.scan(replace(request, columns=columns))
                    try:
                        async for batch in batches:
                            batch.as_of = piece.local.as_of
                            yield self._shown(batch, piece, request.columns)
                    except SourceSchemaMismatch as fault:
                        if "missing" not in fault.facts:
                            raise
                        detail = f"{piece.source.location}: {fault.detail}"
                        missing = fault.facts.get("missing")
                        raise SourceSchemaMismatch(detail, field="/fields", missing=missing) from None
                    finally:
                        await batches.aclose()  # type: ignore[attr-defined]

    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        """The rows of all files together, where each of them can tell; those of Parquet are sure."""
        if request.filter is not None:
            raise CapabilityUndeclared("a file does not filter")
        rows, sure = 0, True
        async with aclosing(self._pieces(request.deadline)) as pieces:
            async for piece in pieces:
                async with self._opened(piece) as one:
                    found = await one.estimate(request)
                if found is None:
                    return None
                rows, sure = rows + found.rows, sure and found.sure
        return RowEstimate(rows, sure=sure)

    async def close(self) -> None:
        """Gives back connections and copies."""
        self.release()
        await self._origin.close()

    def release(self) -> None:
        """Lets go of what was unpacked."""
        self._unpacked.close()

    def _deadline(self) -> float:
        return time.monotonic() + self._environment.limits.deadline_seconds

    def _shown(self, batch: RawBatch, piece: Piece, columns: Sequence[str] | None) -> RawBatch:
        return with_parts(batch, piece.source.location, piece.parts, columns) if self._parts else batch

    async def _pieces(self, deadline: float | None) -> AsyncGenerator[Piece]:
        """Every file that is read, each there while it is looked at."""
        for found in await self._origin.files(deadline):
            async with self._origin.local(found, deadline) as local:
                members = await self._unpacked.members(found, local)
                for member in [None] if members is None else members:
                    async with self._unpacked.piece(found, local, member, deadline) as piece:
                        yield piece

    @asynccontextmanager
    async def _opened(self, piece: Piece) -> AsyncIterator[FileConnector]:
        environment = replace(self._environment, root=piece.local.root)
        one = FileConnector(piece.source, environment, piece.local.inner)
        try:
            yield one
        finally:
            await one.close()

    async def _proposed(self, file: Found, local: Local, found: Findings) -> str | None:
        """The member that should be named, where the archive leaves it open; None where it does not."""
        if self._source.member is not None or not await self._unpacked.is_archive(local):
            return None
        data = await self._unpacked.data(file, local)
        if len(data) < 2:
            return None
        listed = ", ".join(f"{name} ({size} bytes)" for name, size in data[:_SHOWN])
        found.note(f"{file.name} holds {len(data)} files that may be read: {listed}")
        likely = [one for one in data if not _ASIDE.search(PurePosixPath(one[0]).name)] or data
        pattern = _alike([name for name, _ in likely])
        if pattern is not None:
            found.source("member", pattern, f"{len(likely)} members differ in a number of their names alone")
            return pattern
        largest = max(likely, key=lambda one: one[1])
        found.source(
            "member", largest[0], f"the largest of {len(data)} files in the archive; look whether it is the one"
        )
        return largest[0]


def _alike(names: Sequence[str]) -> str | None:
    """The pattern that all names fit and that gives what differs as columns; None where they differ in more than numbers."""
    folders = {str(PurePosixPath(name).parent) for name in names}
    last = [PurePosixPath(name).name for name in names]
    if len(names) < 2 or len(folders) > 1 or len({_DIGITS.sub("0", name) for name in last}) > 1:
        return None
    runs = [list(_DIGITS.finditer(name)) for name in last]
    made, end = "", 0
    for at, match in enumerate(runs[0]):
        same = len({found[at][0] for found in runs}) == 1
        made += last[0][end : match.start()] + (match[0] if same else f"{{bagian_{at + 1}}}")
        end = match.end()
    made += last[0][end:]
    folder = folders.pop()
    return made if folder == "." else os.path.join(folder, made)  # noqa: PTH118 - a name in an archive


def _merged(first: Diagnosis, then: Diagnosis) -> Diagnosis:
    return Diagnosis(
        {**first.source, **then.source},
        {**first.read, **then.read},
        (*first.guesses, *then.guesses),
        (*first.notes, *then.notes),
        (*first.titles, *then.titles),
    )
