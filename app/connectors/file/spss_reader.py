"""SPSS files (`.sav`, `.zsav`) by pyreadstat, the extra `simpul[spss]`, loaded only where one is read: in the process that parses one file.

Texts come as the bytes of the file and are decoded here, strictly: ReadStat by itself leaves out a letter that is cut off at the end.
"""

from __future__ import annotations

import codecs
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from importlib import import_module
from math import isfinite
from pathlib import Path
from typing import Any, Final

import pyarrow as pa

from app.connectors.cells import CELL_COLUMN, DATE_BEYOND, NOT_FINITE, LongNumber, Unreadable
from app.connectors.contract import RawBatch
from app.connectors.environment import Limits
from app.connectors.file.arrow_values import without_unreadable
from app.connectors.file.source import FileSource
from app.errors import SourceFormatError, SourceRejected, SourceSchemaMismatch, SourceTooLarge

BATCH_ROWS: Final = 1_000
MOST_COLUMNS: Final = 2_000
_CHUNK_CELLS: Final = 500_000
_CHUNK_ROWS: Final = 50_000
_UTF8: Final = "utf-8"
_BYTES: Final = "ISO-8859-1"
"""What texts are asked for as: each byte becomes one sign, so that the bytes can be told from it."""
_EPOCH = datetime.fromisoformat("1582-10-14")
"""SPSS counts seconds from the first day of the Gregorian calendar."""
_DAY: Final = 86_400
_EXACT: Final = 2.0**53
_BEYOND: Final = 1e300
"""Where LOWEST and HIGHEST of a range of missing values stand."""
_SHOWN: Final = 20
_NOTED: Final = 100
_LONGEST: Final = 250
_DATES = frozenset({"DATE", "ADATE", "EDATE", "JDATE", "SDATE", "QYR", "MOYR", "WKYR"})
_MOMENTS = frozenset({"DATETIME", "YMDHMS"})
_TIMES = frozenset({"TIME", "MTIME"})


@dataclass(frozen=True, slots=True)
class Variable:
    """A variable: its name, its format as SPSS writes it (`F8.2`, `DATE11`, `A20`), its label, how many of its values have labels."""

    name: str
    format: str
    label: str
    labels: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class _Header:
    """What the file says of itself. `rows`: None where it does not say how many it has. `raw_names`: as pyreadstat is asked for them."""

    encoding: str
    rows: int | None
    raw_names: tuple[str, ...]
    names: tuple[str, ...]
    formats: tuple[str, ...]
    described: tuple[str, ...]
    labels: Mapping[str, Mapping[Any, str]]
    missing: Mapping[str, str]
    row_bytes: int


def spss_variables(path: Path, source: FileSource) -> list[Variable]:
    """The variables in file order. Raises `SourceError` leaves."""
    header = _header(path, source)
    return [
        Variable(
            name, form, label, tuple(f"{_code(value)} = {text}" for value, text in header.labels.get(name, {}).items())
        )
        for name, form, label in zip(header.names, header.formats, header.described, strict=True)
    ]


def described_variables(variables: Sequence[Variable]) -> tuple[dict[str, str], tuple[str, ...]]:
    """For people: each variable's format with its label, and what stands for its values."""
    types = {one.name: f"{one.format}: {_short(one.label)}" if one.label else one.format for one in variables}
    labelled = [one for one in variables if one.labels]
    notes = [f"labels of {one.name}: {_listed(one.labels)}" for one in labelled[:_NOTED]]
    if len(labelled) > _NOTED:
        notes.append(f"{len(labelled) - _NOTED} more variables have labels of values")
    return types, tuple(notes)


def _short(text: str) -> str:
    return text if len(text) <= _LONGEST else f"{text[:_LONGEST]}…"


def _listed(labels: Sequence[str]) -> str:
    more = f" and {len(labels) - _SHOWN} more" if len(labels) > _SHOWN else ""
    return ", ".join(_short(label) for label in labels[:_SHOWN]) + more


def spss_rows(path: Path, source: FileSource) -> int | None:
    """How many records the header tells of; None where it does not."""
    return _header(path, source).rows


def read_spss(path: Path, source: FileSource, columns: Sequence[str] | None, limits: Limits) -> Iterator[RawBatch]:
    """The records of the file, a part of it in memory at a time. Row numbers count from 1."""
    header, location = _header(path, source), source.location
    _hold(header, header.rows or 0, location, limits)
    names = _chosen(header, columns)
    reading = [_Column(name, header, location, labels=source.labels) for name in names]
    schema = pa.schema([column.field for column in reading])
    first = 1
    for part in _parts(path, header, reading, location):
        _hold(header, first - 1 + len(part[0]), location, limits)
        for at in range(0, len(part[0]), BATCH_ROWS):
            cells = [
                column.values(values[at : at + BATCH_ROWS], first) for column, values in zip(reading, part, strict=True)
            ]
            rows = list(zip(*cells, strict=True))
            numbers = range(first, first + len(rows))
            first += len(rows)
            batch = RawBatch(schema, rows=rows, location=location, numbers=numbers)
            yield without_unreadable(batch) if any(column.flawed for column in reading) else batch
    notes = _notes(header, reading, location)
    yield RawBatch(schema, rows=[], location=location, numbers=[], notes=notes)


def _hold(header: _Header, rows: int, location: str, limits: Limits) -> None:
    """Raises `SourceTooLarge`. Also asked while reading: the header may not say how many records there are."""
    size = rows * header.row_bytes
    if rows > limits.rows or size > limits.bytes or len(header.names) > MOST_COLUMNS:
        detail = f"{location}: {rows} rows, {size} bytes unpacked, {len(header.names)} columns"
        raise SourceTooLarge(detail, field="/source/location", limit_rows=limits.rows, limit_bytes=limits.bytes)


def _pyreadstat() -> Any:
    """The library of the extra. Raises `SourceRejected` that says what the operator installs."""
    try:
        return import_module("pyreadstat")
    except ModuleNotFoundError as missing:
        detail = f"an SPSS file needs {missing.name}, which is not installed here: the operator installs simpul[spss]"
        raise SourceRejected(detail, field="/source/format") from None


def _read(path: Path, location: str, **options: Any) -> tuple[Mapping[str, list[Any]], Any]:
    library = _pyreadstat()
    try:
        values, told = library.read_sav(
            str(path), output_format="dict", disable_datetime_conversion=True, encoding=_BYTES, **options
        )
    except library.ReadstatError as error:
        said = str(error)[:100]
        raise SourceFormatError(
            f"{location}: the file cannot be read as SPSS, or it is damaged ({said}); save it again from SPSS or PSPP",
            field="/source/format",
        ) from None
    return values, told


def _header(path: Path, source: FileSource) -> _Header:
    location = source.location
    _, told = _read(path, location, metadataonly=True, user_missing=True)
    encoding = _encoding(path, source)
    decode = _decoder(encoding, location, "in the names and labels")
    raw_names = tuple(told.column_names)
    names = tuple(decode(name) for name in raw_names)
    twice = sorted({name for name in names if names.count(name) > 1})
    if twice or not names:
        wrong = f"the variable {twice[0]!r} stands twice" if twice else "the file has no variables"
        raise SourceFormatError(f"{location}: {wrong}", field="/source/location", columns=twice)
    labels = {
        decode(name): {(decode(code) if isinstance(code, str) else code): decode(text) for code, text in known.items()}
        for name, known in told.variable_value_labels.items()
    }
    missing = {
        decode(name): ", ".join(decode(_span(one)) for one in told.missing_ranges[name]) for name in told.missing_ranges
    }
    rows = told.number_rows
    return _Header(
        encoding,
        rows if rows is not None and rows >= 0 else None,
        raw_names,
        names,
        tuple(str(told.original_variable_types[name]) for name in raw_names),
        tuple(decode(label or "") for label in told.column_labels),
        labels,
        missing,
        sum(int(width) for width in told.variable_storage_width.values()),
    )


def _encoding(path: Path, source: FileSource) -> str:
    """The stated encoding, else the one that the file names, else UTF-8."""
    if source.encoding != _UTF8:
        return source.encoding
    library = _pyreadstat()
    try:
        _, told = library.read_sav(str(path), output_format="dict", metadataonly=True)
    except (
        UnicodeDecodeError,
        library.ReadstatError,
    ):  # the names are of another encoding, or the file names one that is unknown
        return _UTF8
    named = str(told.file_encoding or _UTF8)
    try:
        return codecs.lookup(named).name
    except LookupError:
        detail = f"{source.location}: the file says that its texts are {named}, which is not known here; save it as Unicode from SPSS"
        raise SourceFormatError(detail, field="/source/encoding") from None


def _decoder(encoding: str, location: str, where: str) -> Callable[[str], str]:
    def decode(text: str) -> str:
        if text.isascii():
            return text
        try:
            return text.encode(_BYTES).decode(encoding)
        except UnicodeDecodeError:
            detail = f"{location}: {where} the bytes are not {encoding}; state the encoding, such as encoding: cp1252"
            raise SourceFormatError(detail, field="/source/encoding") from None

    return decode


def _span(span: Mapping[str, Any]) -> str:
    low, high = _code(span["lo"]), _code(span["hi"])
    return low if low == high else f"{low} to {high}"


def _code(value: Any) -> str:
    if isinstance(value, str):
        return value
    if abs(value) >= _BEYOND:
        return "lowest" if value < 0 else "highest"
    return str(int(value)) if float(value).is_integer() else repr(value)


def _chosen(header: _Header, columns: Sequence[str] | None) -> list[str]:
    if columns is None:
        return list(header.names)
    missing = [name for name in columns if name not in header.names]
    if missing:
        raise SourceSchemaMismatch(f"the source has no column {', '.join(missing)}", field="/fields", missing=missing)
    return list(columns)


class _Column:
    """One variable that is read: raw values to cells."""

    def __init__(self, name: str, header: _Header, location: str, *, labels: bool) -> None:
        at = header.names.index(name)
        self.name = name
        self.raw_name = header.raw_names[at]
        self.labels = header.labels.get(name) if labels else None
        self.unlabelled = 0
        self.flawed = False
        self._location = location
        self._encoding = header.encoding
        form = header.formats[at].rstrip("0123456789.")
        self._text = form in {"A", "AHEX"}
        self._kind = _converter(form)
        kept = self._text and self.labels is None
        self.field = pa.field(name, pa.string(), metadata=None if kept else CELL_COLUMN)

    def values(self, raw: Sequence[Any], first: int) -> Sequence[Any]:
        """The cells of some rows; `first` is the number of the first."""
        decode = _decoder(self._encoding, self._location, f"from record {first} on, in {self.name!r},")
        if self._text:
            raw = [None if value is None else decode(value) for value in raw]
        if self.labels is not None:
            return [None if value is None else self._labelled(value) for value in raw]
        if self._text:
            return raw
        return [None if value is None else self._plain(value) for value in raw]

    def _labelled(self, value: Any) -> Any:
        label = self.labels.get(value) if self.labels is not None else None
        if label is not None:
            return label
        plain = value if self._text else self._plain(value)
        self.unlabelled += plain not in {None, ""}
        return plain

    def _plain(self, value: float) -> Any:
        found = self._kind(value) if isfinite(value) else NOT_FINITE
        self.flawed |= type(found) is Unreadable
        return found


def _number(value: float) -> Any:
    if not value.is_integer():
        return value
    return int(value) if abs(value) < _EXACT else LongNumber(value)


def _moment(value: float) -> Any:
    try:
        return _EPOCH + timedelta(seconds=value)
    except OverflowError:
        return DATE_BEYOND


def _date(value: float) -> Any:
    moment = _moment(value)
    return moment.date() if isinstance(moment, datetime) and value % _DAY == 0 else moment


def _duration(value: float) -> Any:
    try:
        return timedelta(seconds=value)
    except OverflowError:
        return DATE_BEYOND


def _time(value: float) -> Any:
    """A time of the day; what is less or more than a day is a duration."""
    span = _duration(value)
    if isinstance(span, timedelta) and timedelta() <= span < timedelta(days=1):
        return (_EPOCH + span).time()
    return span


def _converter(form: str) -> Callable[[float], Any]:
    if form in _DATES:
        return _date
    if form in _MOMENTS:
        return _moment
    if form in _TIMES:
        return _time
    return _duration if form == "DTIME" else _number


def _parts(path: Path, header: _Header, reading: Sequence[_Column], location: str) -> Iterator[list[list[Any]]]:
    """The columns of some rows at a time. Raises `SourceFormatError` where records are missing at the end."""
    if header.rows == 0 or not reading:
        return
    asked = list(dict.fromkeys(column.raw_name for column in reading))
    size = max(1, min(_CHUNK_ROWS, _CHUNK_CELLS // len(asked)))
    met = 0
    while header.rows is None or met < header.rows:
        values, _ = _read(path, location, usecols=asked, row_offset=met, row_limit=size)
        part = [values[column.raw_name] for column in reading]
        count = len(values[asked[0]])
        met += count
        if count:
            yield part
        if count < size:
            break
    if header.rows is not None and met != header.rows:
        detail = f"{location}: the header tells of {header.rows} records, the file has {met}; save it again from SPSS or PSPP"
        raise SourceFormatError(detail, field="/source/location")


def _notes(header: _Header, reading: Sequence[_Column], location: str) -> list[str]:
    """What a reader has to know: values that stand for none, values without a label."""
    notes = []
    declared = [f"{column.name} ({header.missing[column.name]})" for column in reading if column.name in header.missing]
    if declared:
        shown = ", ".join(declared[:_SHOWN]) + (f" and {len(declared) - _SHOWN} more" if len(declared) > _SHOWN else "")
        notes.append(f"{location}: values that the file declares as missing are null: {shown}")
    notes += [
        f"{location}: {column.unlabelled} values of {column.name} have no label and stand as they are"
        for column in reading
        if column.unlabelled
    ]
    return notes
