"""dBASE tables (`.dbf`, also those of a Shapefile): numbers exact as they are written, deleted records left out and counted.

The encoding is stated, never guessed: what the file says of itself (`.cpg`, language driver) is told where the bytes are in another one.
"""

from __future__ import annotations

import re
import struct
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from datetime import date, datetime, timedelta
from decimal import Decimal
from math import isfinite
from pathlib import Path
from typing import IO, Any, Final

import pyarrow as pa

from app.connectors.cells import NOT_FINITE
from app.connectors.contract import RawBatch, RawReject
from app.errors import SourceFormatError

BATCH_ROWS: Final = 1_000
MOST_COLUMNS: Final = 2_000
_NUMBER = re.compile(rb"[+-]?(?:\d+\.?\d*|\.\d+)")
_LONGEST_INT = 18
_MOST_DIGITS = 38
_JULIAN_DAY_ZERO = 1_721_425
"""Of 1 January of the year 1."""
_DRIVERS: Mapping[int, str] = {
    0x01: "cp437", 0x02: "cp850", 0x03: "cp1252", 0x57: "cp1252", 0x58: "cp1252", 0x59: "cp1252", 0x64: "cp852", 0x65: "cp866",
    0x4D: "cp936", 0x4E: "cp949", 0x4F: "cp950", 0x50: "cp874", 0xC8: "cp1250", 0xC9: "cp1251", 0xCA: "cp1254", 0xCB: "cp1253",
}  # fmt: skip
_DELETED, _END = 0x2A, 0x1A


class DbfFlaw(ValueError):
    """A cell that is no value of its type; its text is the rule."""


@dataclass(frozen=True, slots=True)
class Column:
    """A field of the table: its name, type letter, where it stands in a record, how many bytes and decimals it has."""

    name: str
    kind: str
    start: int
    length: int
    decimals: int


@dataclass(frozen=True, slots=True)
class Header:
    """What the head of a table says. `encoding`: of its language driver, None where it names none."""

    records: int
    record_bytes: int
    columns: tuple[Column, ...]
    encoding: str | None
    memos: tuple[str, ...]
    """Fields whose text stands in another file; they are not read."""


def read_header(file: IO[bytes], location: str, encoding: str) -> Header:
    """The header; leaves the file at the first record. Raises `SourceFormatError`."""
    head = file.read(32)
    if len(head) < 32 or not _is_table(head):
        raise SourceFormatError(f"{location}: the file is no dBASE table", field="/source/format")
    if head[0] & 7 == 4:
        detail = f"{location}: a table of dBASE 7 is not read; save it as dBASE IV, or as CSV"
        raise SourceFormatError(detail, field="/source/format")
    records, head_bytes, record_bytes = struct.unpack_from("<IHH", head, 4)
    described = file.read(head_bytes - 32)
    if len(described) < head_bytes - 32:
        raise SourceFormatError(
            f"{location}: the file is cut off in its header; upload it again", field="/source/location"
        )
    columns, memos, start = list[Column](), list[str](), 1
    for at in range(0, len(described) - 31, 32):
        one = described[at : at + 32]
        if one[0] in {0x0D, 0x00}:
            break
        name = _decoded(one[:11].split(b"\0")[0], encoding, location, "the header", head[29]).strip()
        kind, length, decimals = chr(one[11]), one[16], one[17]
        if kind == "C":
            length, decimals = length | decimals << 8, 0
        if kind in "MGP":
            memos.append(name)
        elif kind != "0":
            columns.append(Column(name, kind, start, length, decimals))
        start += length
    _sound(columns, start, record_bytes, location)
    return Header(records, record_bytes, tuple(columns), _DRIVERS.get(head[29]), tuple(memos))


def _is_table(head: bytes) -> bool:
    month, day = head[2], head[3]
    head_bytes, record_bytes = struct.unpack_from("<HH", head, 8)
    return head[0] & 7 in {2, 3, 4, 5, 0, 1} and month <= 12 and day <= 31 and head_bytes > 32 and record_bytes > 1


def _sound(columns: list[Column], end: int, record_bytes: int, location: str) -> None:
    names = [column.name for column in columns]
    twice = sorted({name for name in names if names.count(name) > 1})
    unknown = [f"{column.name} ({column.kind})" for column in columns if column.kind not in _VALUES]
    if twice or not all(names):
        raise SourceFormatError(
            f"{location}: the column {(twice or [''])[0]!r} stands twice or has no name", field="/source"
        )
    if unknown:
        detail = f"{location}: fields of these types are not read: {', '.join(unknown)}; export the table as CSV"
        raise SourceFormatError(detail, field="/source/format")
    if not columns or end > record_bytes or len(columns) > MOST_COLUMNS:
        raise SourceFormatError(
            f"{location}: the file is no dBASE table, or its header is damaged", field="/source/format"
        )


def schema_of(header: Header) -> pa.Schema:
    """The raw types: text, whole numbers, exact decimals, dates, moments, booleans."""
    return pa.schema([(column.name, _type(column)) for column in header.columns])


def _type(column: Column) -> pa.DataType:
    match column.kind:
        case "N" | "F" if column.decimals == 0 and column.length <= _LONGEST_INT:
            return pa.int64()
        case "N" | "F":
            return pa.decimal128(min(max(column.length, 1), _MOST_DIGITS), column.decimals)
        case "D":
            return pa.date32()
        case "L":
            return pa.bool_()
        case "I":
            return pa.int64()
        case "B":
            return pa.float64()
        case "Y":
            return pa.decimal128(19, 4)
        case "T":
            return pa.timestamp("us")
        case _:
            return pa.string()


def read_records(
    file: IO[bytes], header: Header, location: str, encoding: str, says: str | None
) -> Iterator[tuple[int, tuple[Any, ...] | RawReject]]:
    """Each record that is not deleted with its number, counted from 1; a `RawReject` in its stead where a cell is no value.

    `says`: what a `.cpg` file beside it says of the encoding. Raises `SourceFormatError` when records are missing at the end.
    """
    known = says or header.encoding
    for number in range(1, header.records + 1):
        record = file.read(header.record_bytes)
        if len(record) < header.record_bytes:
            detail = f"{location}: the header tells of {header.records} records, the file ends in number {number}; upload it again"
            raise SourceFormatError(detail, field="/source/location", line=number)
        if record[0] == _DELETED:
            continue
        try:
            yield number, tuple(_cell(column, record, encoding) for column in header.columns)
        except UnicodeDecodeError:
            raise _other_encoding(location, f"record {number}", encoding, known) from None
        except DbfFlaw as flaw:
            yield number, RawReject(f"{location}, line {number}", "dbf_value", str(flaw))


def read_dbf(file: IO[bytes], location: str, encoding: str, says: str | None) -> Iterator[RawBatch]:
    """The records of a table in batches, with what has to be known of it."""
    header = read_header(file, location, encoding)
    schema, met = schema_of(header), 0
    rows: list[tuple[Any, ...]] = []
    numbers: list[int] = []
    rejects: list[RawReject] = []
    for number, row in read_records(file, header, location, encoding, says):
        met += 1
        if isinstance(row, RawReject):
            rejects.append(row)
        else:
            rows.append(row)
            numbers.append(number)
        if len(rows) >= BATCH_ROWS:
            yield RawBatch(schema, rows=rows, location=location, numbers=numbers, rejects=rejects)
            rows, numbers, rejects = [], [], []
    notes = notes_of(header, header.records - met, location)
    yield RawBatch(schema, rows=rows, location=location, numbers=numbers, rejects=rejects, notes=notes)


def notes_of(header: Header, deleted: int, location: str) -> list[str]:
    """What a reader has to know of a table."""
    notes = [f"{location}: {deleted} records are marked as deleted and are left out"] if deleted else []
    if header.memos:
        notes.append(f"{location}: memo fields stand in another file and are not read: {', '.join(header.memos)}")
    return notes


def mark_beside(path: Path, root: Path) -> str | None:
    """The encoding that the `.cpg` file beside a table names; None where there is none or it names none."""
    for ending in (".cpg", ".CPG"):
        beside = path.with_suffix(ending)
        if beside.is_file() and beside.resolve().is_relative_to(root.resolve()):
            return encoding_of(beside.read_bytes()[:40].decode("latin-1"))
    return None


def wanted_encoding(file: IO[bytes], says: str | None) -> tuple[str, str] | None:
    """The encoding that a table needs and what told it, for a steward to look at; None where it is plain ASCII or UTF-8."""
    head = file.read(32)
    content = file.read()
    if len(head) < 32 or content.isascii():
        return None
    if says is not None and says != "utf-8":
        return says, "the .cpg file beside the table says so"
    try:
        content.decode("utf-8")
    except UnicodeDecodeError:
        driver = _DRIVERS.get(head[29])
        if driver is not None:
            return driver, f"the table says so (language driver {head[29]})"
        return "cp1252", "the table has bytes that are no UTF-8 and does not say its encoding; Windows writes cp1252"
    return None


def encoding_of(mark: str) -> str | None:
    """The encoding that the text of a `.cpg` file names, as Python calls it; None where it is unknown."""
    text = mark.strip().lower().replace("ansi ", "cp").replace("oem ", "cp")
    text = {"88591": "iso-8859-1", "system": "", "utf8": "utf-8"}.get(text.replace(" ", "").replace("-", ""), text)
    try:
        return "".encode(f"cp{text}" if text.isdecimal() else text).decode() or (
            f"cp{text}" if text.isdecimal() else text
        )
    except LookupError:
        return None


def _other_encoding(location: str, where: str, encoding: str, known: str | None) -> SourceFormatError:
    said = f"the file says {known}: state encoding: {known}" if known else "state it, such as encoding: cp1252"
    return SourceFormatError(f"{location}: in {where} the bytes are not {encoding}; {said}", field="/source/encoding")


def _decoded(raw: bytes, encoding: str, location: str, where: str, driver: int) -> str:
    try:
        return raw.decode(encoding)
    except UnicodeDecodeError:
        raise _other_encoding(location, where, encoding, _DRIVERS.get(driver)) from None


def _cell(column: Column, record: bytes, encoding: str) -> Any:
    raw = record[column.start : column.start + column.length]
    if column.kind == "C":
        return raw.decode(encoding).rstrip(" \0")
    return _VALUES[column.kind](raw, column)


def _number(raw: bytes, column: Column) -> Any:
    text = raw.strip(b" \0")
    if not text:
        return None
    if b"*" in text:
        raise DbfFlaw(f"column {column.name!r}: the number was too long for its field and is lost (stars stand there)")
    whole, _, fraction = text.partition(b".")
    if _NUMBER.fullmatch(text) is None or len(fraction.rstrip(b"0")) > column.decimals or len(text) > _MOST_DIGITS:
        raise DbfFlaw(f"column {column.name!r}: what stands there is no number with {column.decimals} decimals")
    if column.decimals == 0 and column.length <= _LONGEST_INT:
        return int(whole)
    return Decimal(text.decode("ascii"))


def _date(raw: bytes, column: Column) -> Any:
    text = raw.strip(b" \0")
    if not text.strip(b"0"):
        return None
    try:
        return datetime.strptime(text.decode("ascii"), "%Y%m%d").date()  # noqa: DTZ007 - a day has no zone
    except ValueError:
        raise DbfFlaw(f"column {column.name!r}: what stands there is no date") from None


def _truth(raw: bytes, column: Column) -> Any:
    sign = raw[:1].upper()
    if sign in {b"T", b"Y"}:
        return True
    if sign in {b"F", b"N"}:
        return False
    if sign in {b"?", b" ", b"\0"}:
        return None
    raise DbfFlaw(f"column {column.name!r}: what stands there is neither true nor false")


def _moment(raw: bytes, column: Column) -> Any:
    day, milliseconds = struct.unpack("<iI", raw)
    if not day:
        return None
    try:
        return datetime.combine(date.fromordinal(day - _JULIAN_DAY_ZERO), datetime.min.time()) + timedelta(
            milliseconds=milliseconds
        )
    except (ValueError, OverflowError):
        raise DbfFlaw(f"column {column.name!r}: what stands there is no moment") from None


def _packed(form: str, scale: int = 0) -> Callable[[bytes, Column], Any]:
    def value(raw: bytes, column: Column) -> Any:
        try:
            found = struct.unpack(form, raw)[0]
        except struct.error:
            raise DbfFlaw(f"column {column.name!r} has another length than its type") from None
        if isinstance(found, float) and not isfinite(found):
            raise DbfFlaw(f"column {column.name!r}: {NOT_FINITE.detail}")
        return Decimal(found).scaleb(-scale) if scale else found

    return value


_VALUES: Mapping[str, Callable[[bytes, Column], Any]] = {
    "C": _number, "N": _number, "F": _number, "D": _date, "L": _truth, "T": _moment,
    "I": _packed("<i"), "B": _packed("<d"), "Y": _packed("<q", 4),
}  # fmt: skip
"""How a cell of each type is read; those of texts are read with the encoding before."""
