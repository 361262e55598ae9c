"""Sheets as raw records: parsed by a child process with its own memory and time limit, kept as lines beside the agency's cache.

Cells keep their kind (`cells.py`): a text cell is text, a numeric cell is that number, an error is an error.
"""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from contextlib import suppress
from itertools import islice
from pathlib import Path
from typing import IO, Any, NamedTuple

import orjson
import pyarrow as pa

from app.children import bare_environment
from app.connectors.cells import CELL_COLUMN, cell_text
from app.connectors.contract import RawBatch, RawReject
from app.connectors.environment import Limits
from app.connectors.file.sheet.parsed import Numbered, all_rows, block_batch, empty, ragged, row_lines
from app.connectors.file.source import FileSource, HeaderRows
from app.connectors.file.table import Ending, filled_columns, header_names
from app.connectors.workbooks.blocks import read_blocks
from app.connectors.workbooks.parser_child import FIRST_ROWS
from app.connectors.workbooks.sealed_lines import KEY_BYTES, reading
from app.errors import SourceFormatError, SourceMissing, SourceTooLarge

BATCH_ROWS = 1_000
PARSE_SECONDS = 60
MOST_RATIO = 200
_KEPT_FILES = 4
_LARGE_BYTES = 10_000_000
_FORM = 5
"""The form of the parsed lines: files of an older one are not read."""
_LITTLE = {"ARROW_DEFAULT_MEMORY_POOL": "system", "OPENBLAS_NUM_THREADS": "1"}
"""What keeps libraries from reserving memory that they do not use."""


class _Parsed(NamedTuple):
    """Where the parsed rows stand, their key, how many they are."""

    file: Path
    key: bytes
    rows: int


_PARSED: dict[Path, _Parsed] = {}
"""Parsed files of this process; those of another one cannot be read and are parsed anew."""


def read_sheet(path: Path, source: FileSource, cache: Path, limits: Limits) -> Iterator[RawBatch]:
    """The records of one sheet; parsed once for each version of the file."""
    with parse_sheet(path, source, cache, limits) as lines:
        location = f"{source.location}, sheet {orjson.loads(lines.readline())['sheet']}"
        by_blocks = _plain(source)
        rows = _rows(row_lines(lines) if by_blocks else all_rows(lines), source)
        names = header_names(source, _texts(rows, source), location)
        schema = pa.schema([pa.field(name, pa.string(), metadata=CELL_COLUMN) for name in names])
        rejects: list[RawReject] = []
        ending = Ending(source, names, location)
        table = _table(rows, source, names, location, rejects, ending)
        while block := list(islice(table, BATCH_ROWS)):
            kept, numbers = [row for _, row in block], [number for number, _ in block]
            yield RawBatch(schema, rows=kept, location=location, numbers=numbers, rejects=rejects.copy())
            rejects.clear()
        if by_blocks:
            for first, columns in read_blocks(lines):
                yield block_batch(first, columns, names, location)
        yield RawBatch(schema, rows=[], location=location, numbers=[], rejects=rejects, notes=ending.notes())


def _plain(source: FileSource) -> bool:
    """Whether nothing is stated that a row behind the first ones has to be looked at for by itself."""
    header = max(source.header.rows) + source.header.skip if isinstance(source.header, HeaderRows) else 0
    near = max(source.skip, header) < FIRST_ROWS // 2
    return near and source.cells is None and not source.fill_down and source.stop_at is None


def sheets_of(path: Path, source: FileSource, cache: Path, limits: Limits) -> tuple[str, list[tuple[str, bool]]]:
    """The sheet that is read, and every sheet of the workbook with whether it is visible."""
    with parse_sheet(path, source, cache, limits) as lines:
        told = orjson.loads(lines.readline())
    return str(told["sheet"]), [(name, visible) for name, visible in told["sheets"]]


def _texts(rows: Numbered, source: FileSource) -> Iterator[tuple[int, list[str]]]:
    """The rows as text for the header; blank ones above it are no header, unless the header is stated by row numbers."""
    for number, row in rows:
        if source.header is not True or not all(empty(cell) for cell in row):
            yield number, [cell_text(cell) for cell in row]


def _table(
    rows: Numbered, source: FileSource, names: list[str], location: str, rejects: list[RawReject], ending: Ending
) -> Iterator[tuple[int, tuple[Any, ...]]]:
    width = len(names)
    filled = filled_columns(source, names, location)
    above: dict[int, Any] = {}
    for number, cells in rows:
        if all(empty(cell) for cell in cells):
            continue
        if source.stop_at is not None and ending.here([cell_text(cell) for cell in cells]):
            return
        if len(cells) > width and not all(empty(cell) for cell in cells[width:]):
            rejects.append(ragged(location, number, width))
            continue
        row = (cells + [None] * width)[:width]
        for column in filled:
            row[column] = above[column] = above.get(column) if empty(row[column]) else row[column]
        yield number, tuple(row)


def _rows(parsed: Numbered, source: FileSource) -> Numbered:
    """The rows of the sheet with their numbers, cut to the range."""
    cells = source.cells
    for number, row in parsed:
        if number <= source.skip:
            continue
        if cells is None:
            yield number, row
        elif cells[0] < number <= cells[2] + 1:
            yield number, (row + [None] * (cells[3] + 1))[cells[1] : cells[3] + 1]


def parse_sheet(path: Path, source: FileSource, cache: Path, limits: Limits) -> IO[bytes]:
    """The parsed rows as lines; made by the child process when this version was not parsed yet. They stand sealed beside it."""
    name = _name(path, source, cache)
    known = _PARSED.get(name)
    if known is not None:
        with suppress(FileNotFoundError):
            return reading(known.file, known.key)
    key = os.urandom(KEY_BYTES)
    if source.kind_of_file in {"xlsx", "xlsb", "ods"}:
        _refuse_bomb(path, limits)
    # A name of its own: who parses the same at the same time has another file under another key.
    target = cache / f"{name.name}-{os.urandom(6).hex()}.lines"
    fresh = target.with_suffix(".part")
    # -P: this gateway's own code, also where the folder it was started in holds another `app`.
    command = [sys.executable, "-P", "-m", "app.connectors.workbooks.parser_child", str(path)]
    command += [
        source.kind_of_file,
        orjson.dumps(source.sheet).decode(),
        source.encoding,
        str(fresh),
        str(limits.parse_memory_bytes),
        str(limits.bytes),
    ]
    try:
        done = subprocess.run(  # noqa: S603 - our own module
            command,
            capture_output=True,
            timeout=PARSE_SECONDS,
            check=False,
            env={**bare_environment(), **_LITTLE},
            input=key,
        )
    except subprocess.TimeoutExpired:
        fresh.unlink(missing_ok=True)
        raise SourceTooLarge(
            f"the sheet was not parsed within {PARSE_SECONDS} s", limit_seconds=PARSE_SECONDS
        ) from None
    if done.returncode != 0:
        fresh.unlink(missing_ok=True)
        raise _fault(done.stdout.decode("utf-8", "replace").strip())
    lines = reading(fresh, key)
    fresh.replace(target)
    _PARSED[name] = _Parsed(target, key, int(done.stdout))
    kept = sorted(cache.glob("sheet-*.lines"), key=lambda file: file.stat().st_mtime)
    for old in kept[:-_KEPT_FILES]:
        old.unlink(missing_ok=True)
        _forget(old)
    return lines


def parsed_rows(path: Path, source: FileSource, cache: Path) -> int | None:
    """About how many records a sheet holds that was parsed already: its rows; None of one that was not."""
    known = _PARSED.get(_name(path, source, cache))
    return None if known is None else known.rows


def _name(path: Path, source: FileSource, cache: Path) -> Path:
    """By what this version of a sheet is known."""
    stat = path.stat()
    mark = f"{_FORM}|{path}|{stat.st_ino}|{stat.st_mtime_ns}|{stat.st_size}|{source.sheet}|{source.kind_of_file}|{source.encoding}"
    return cache / f"sheet-{hashlib.sha256(mark.encode()).hexdigest()[:24]}"


def _forget(old: Path) -> None:
    for name, parsed in list(_PARSED.items()):
        if parsed.file == old:
            _PARSED.pop(name, None)


def _fault(said: str) -> SourceFormatError | SourceMissing | SourceTooLarge:
    if said.startswith("sheet:"):
        return SourceMissing(f"the workbook has no such sheet; it has {said[6:]}", field="/source/sheet")
    if said.startswith("hidden:"):
        return SourceMissing(
            f"every sheet of the workbook is hidden: {said[7:]}; name the one to read", field="/source/sheet"
        )
    if said.startswith("password:"):
        return SourceFormatError(
            "the workbook is protected by a password; save it without one", field="/source/location"
        )
    if said.startswith("large:"):
        return SourceTooLarge("the sheet holds more than the limits allow", field="/source/location")
    if said.startswith("format:"):
        detail = said[7:] or "the file cannot be read as a spreadsheet"
        return SourceFormatError(detail, field="/source/format")
    return SourceTooLarge("the spreadsheet needs more memory than a parser may have", field="/source/location")


def _refuse_bomb(path: Path, limits: Limits) -> None:
    """An archive whose content is out of proportion is refused before it is unpacked."""
    try:
        with zipfile.ZipFile(path) as archive:
            size = sum(entry.file_size for entry in archive.infolist())
    except (zipfile.BadZipFile, OSError):
        raise SourceFormatError("the file cannot be read as a spreadsheet", field="/source/format") from None
    if size > limits.bytes or (size > _LARGE_BYTES and size > MOST_RATIO * max(path.stat().st_size, 1)):
        raise SourceTooLarge(
            f"unpacked, the sheet has {size} bytes", field="/source/location", limit_bytes=limits.bytes
        )
