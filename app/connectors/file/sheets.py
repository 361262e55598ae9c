"""Spreadsheets: parsed by a child process with its own memory and time limit, kept as plain rows beside the agency's cache.

A numeric cell arrives as the text of its floating-point number (`3320011501900001.0`), a text cell as its text: identifiers
that a sheet holds as numbers need the step `as_text`, which rejects what lost digits.
"""

from __future__ import annotations

import hashlib
import json
import subprocess
import sys
import zipfile
from collections.abc import Iterator
from itertools import islice
from pathlib import Path

import pyarrow as pa

from app.connectors.contract import RawBatch
from app.connectors.environment import Limits
from app.connectors.file.source import FileSource
from app.connectors.file.table import header_names
from app.errors import SourceFormatError, SourceMissing, SourceTooLarge

BATCH_ROWS = 5_000
PARSE_SECONDS = 60
MOST_RATIO = 200
_KEPT_FILES = 4
_LARGE_BYTES = 10_000_000


def read_sheet(path: Path, source: FileSource, place: str, cache: Path, limits: Limits) -> Iterator[RawBatch]:
    """The records of one sheet; parsed once for each version of the file."""
    parsed = parse_sheet(path, source, cache, limits)
    with parsed.open("r", encoding="utf-8") as lines:
        rows = _rows(lines, source)
        names = header_names(source, rows, place)
        schema = pa.schema([(name, pa.string()) for name in names])
        width = len(names)
        filled = [names.index(name) for name in source.fill_down if name in names]
        above: dict[int, str] = {}
        table = _table(rows, source, width, filled, above)
        while block := list(islice(table, BATCH_ROWS)):
            yield RawBatch(schema, rows=[row for _, row in block], place=place, numbers=[number for number, _ in block])
        yield RawBatch(schema, rows=[], place=place, numbers=[])


def _table(
    rows: Iterator[tuple[int, list[str]]], source: FileSource, width: int, filled: list[int], above: dict[int, str]
) -> Iterator[tuple[int, tuple[str, ...]]]:
    for number, cells in rows:
        if not any(cell.strip() for cell in cells):
            continue
        if source.stop_at is not None and cells[0].strip() == source.stop_at:
            return
        row = (cells + [""] * width)[:width]
        for column in filled:
            row[column] = above[column] = row[column] if row[column].strip() else above.get(column, "")
        yield number, tuple(row)


def _rows(lines: Iterator[str], source: FileSource) -> Iterator[tuple[int, list[str]]]:
    """The rows of the sheet with their numbers, cut to the range."""
    cells = source.cells
    for line in lines:
        number, row = json.loads(line)
        if number <= source.skip:
            continue
        if cells is None:
            yield number, row
        elif cells[0] < number <= cells[2] + 1:
            yield number, (row + [""] * (cells[3] + 1))[cells[1] : cells[3] + 1]


def parse_sheet(path: Path, source: FileSource, cache: Path, limits: Limits) -> Path:
    """The parsed rows as a file of lines; made by the child process when this version was not parsed yet."""
    stat = path.stat()
    mark = f"{path}|{stat.st_ino}|{stat.st_mtime_ns}|{stat.st_size}|{source.sheet}|{source.kind_of_file}"
    target = cache / f"sheet-{hashlib.sha256(mark.encode()).hexdigest()[:24]}.jsonl"
    if target.is_file():
        return target
    if source.kind_of_file in {"xlsx", "ods"}:
        _refuse_bomb(path, limits)
    fresh = target.with_suffix(f".{id(source)}.part")
    # -P: this gateway's own code, also where the folder it was started in holds another `app`.
    command = [sys.executable, "-P", "-m", "app.connectors.file.sheet_process"]
    command += [str(path), str(source.sheet), str(fresh), str(limits.parse_memory_bytes), str(limits.bytes)]
    try:
        done = subprocess.run(command, capture_output=True, timeout=PARSE_SECONDS, check=False)  # noqa: S603 - our own module
    except subprocess.TimeoutExpired:
        fresh.unlink(missing_ok=True)
        raise SourceTooLarge(
            f"the sheet was not parsed within {PARSE_SECONDS} s", limit_seconds=PARSE_SECONDS
        ) from None
    if done.returncode != 0:
        fresh.unlink(missing_ok=True)
        raise _fault(done.stdout.decode("utf-8", "replace").strip())
    fresh.replace(target)
    kept = sorted(cache.glob("sheet-*.jsonl"), key=lambda file: file.stat().st_mtime)
    for old in kept[:-_KEPT_FILES]:
        old.unlink(missing_ok=True)
    return target


def _fault(said: str) -> SourceFormatError | SourceMissing | SourceTooLarge:
    if said.startswith("sheet:"):
        return SourceMissing(f"the workbook has no such sheet; it has {said[6:]}", field="/source/sheet")
    if said.startswith("large:"):
        return SourceTooLarge("the sheet holds more than the limits allow", field="/source/location")
    if said.startswith("format:"):
        return SourceFormatError("the file cannot be read as a spreadsheet", field="/source/format")
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
