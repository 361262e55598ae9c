"""What a worker process does for a bulk read of PostgreSQL: a binary COPY by ADBC, made into the raw columns.

What ADBC gives otherwise than it stands there is asked for otherwise: numbers as their text (they would be text of another kind), days
and times beyond the years 1 to 9999 as two days before them (`infinity` would be a far day of wrapped digits, or the end of the read).
A row with a value that has no place in its column's type goes to the same function as on the other path, and is rejected in its words.
"""

from __future__ import annotations

import os
import time
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC
from decimal import Context, Decimal
from typing import Any, Final

import pyarrow as pa
import pyarrow.compute as pc

from app.connectors.cells import DATE_BEYOND, NOT_UTF8, Unreadable
from app.connectors.contract import RawBatch
from app.connectors.sql.columns import Column, Table, check_of, finish_rows
from app.connectors.sql.postgres_codecs import ENDLESS
from app.errors import SourceFailed

try:
    from adbc_driver_manager._reader import AdbcRecordBatchReader  # the cursor's own reader loses the server's code
    from adbc_driver_postgresql import dbapi
except ImportError:  # a platform without the driver: the gateway reads as it reads without it
    dbapi = None

MOST_ROWS: Final = 65_536
_MOST_BYTES: Final = 16 << 20
_HELD_SECONDS: Final = 1.0
_NO_HOME: Final = "/dev/null"
"""No file stands below it. Without a home libpq looks for the one of the process's user."""
_FIRST: Final = (
    "SELECT pg_backend_pid() AS number, "
    "(SELECT set_config(name, '1000', false) FROM pg_settings WHERE name = 'client_connection_check_interval') AS seen"
)
"""The session's number, to end it with; from PostgreSQL 14 on the server also sees within a second that nobody listens."""
_DAYS: Final = {
    "date": ("date", "9999-12-31", ""),
    "timestamp": ("timestamp", "9999-12-31 23:59:59.999999", ""),
    "instant": ("timestamptz", "9999-12-31 23:59:59.999999+00", " 00:00:00+00"),
}
_DAYS_TO_YEAR_1: Final = -719_162
_DAY_UNITS: Final = {"date": 1, "timestamp": 86_400_000_000, "instant": 86_400_000_000}
_OTHER_TYPE: Final = "42804"
_NOT_NUMBERS: Final = pa.array(["NaN", "Infinity", "-Infinity"])
_MOST_DIGITS: Final = 38
_WIDE: Final = Context(prec=200)


@dataclass(frozen=True, slots=True)
class CopyRead:
    """One bulk read. `origin` with its conditions stands behind FROM; `piece_bytes`: about what one part of the answer holds."""

    table: Table
    columns: tuple[Column, ...]
    origin: str
    piece_bytes: int = 1 << 20

    def plain(self) -> str:
        """The statement of the types that the columns have now."""
        names = ", ".join(column.select for column in self.columns)
        return f"SELECT {names} FROM {self.origin} LIMIT 0"  # noqa: S608 - names of the catalogue, quoted

    def text(self) -> str:
        """The statement of the rows."""
        names = ", ".join(_asked(column) for column in self.columns)
        return f"SELECT {names} FROM {self.origin}"  # noqa: S608 - names of the catalogue, quoted


class PostgresCopy:
    """What the worker serves."""

    def read(self, settings: Mapping[str, str], authorities: bytes, wanted: CopyRead) -> Iterator[Any]:
        """The number of the session at the server, then the batches. Raises `SourceFailed` with the fact `sqlstate`, if there is one.

        `settings`: every one that libpq would look for elsewhere; `authorities`: certificates in PEM, trusted where TLS is verified.
        """
        if dbapi is None:
            raise SourceFailed("the driver of bulk reads is not installed")
        os.environ.clear()  # whatever libpq, its TLS or its Kerberos would take from there
        os.environ["HOME"] = _NO_HOME
        settings = {**settings, "passfile": f"{_NO_HOME}/none"}
        if authorities:
            file = os.memfd_create("authorities")
            os.write(file, authorities)
            settings["sslrootcert"] = f"/proc/self/fd/{file}"
        try:
            with dbapi.connect(connection_text(settings)) as session, session.cursor() as cursor:
                cursor.execute(_FIRST)
                yield cursor.fetchall()[0][0]
                cursor.execute(wanted.plain())  # in one transaction: from here on nobody changes the table
                _require_columns(_reader(cursor).schema, wanted.columns)
                cursor.adbc_statement.set_options(**{"adbc.postgresql.batch_size_hint_bytes": str(wanted.piece_bytes)})
                cursor.execute(wanted.text())
                yield from _batches(_reader(cursor), wanted)
        except dbapi.Error as error:
            # Texts of the server and of libpq may hold values: its code alone is told.
            raise SourceFailed("the bulk read ended", sqlstate=error.sqlstate or "") from None
        finally:
            if authorities:
                os.close(file)


def finished(batch: pa.RecordBatch, wanted: CopyRead, schema: pa.Schema, first: int) -> RawBatch:
    """The raw batch of one that ADBC gave. `first`: the number of its first row in this read."""
    arrays, faulty = [], None
    for index, column in enumerate(wanted.columns):
        array, bad = _typed(batch.column(index), column)
        arrays.append(array)
        if bad is not None:
            faulty = bad if faulty is None else pc.or_(faulty, bad)
    whole = pa.RecordBatch.from_arrays(arrays, schema=schema)
    if faulty is None:
        return RawBatch(schema, arrow=whole, location=wanted.table.label)
    checks = [(index, check) for index, column in enumerate(wanted.columns) if (check := check_of(column)) is not None]
    rejects = []
    for row in pc.indices_nonzero(faulty).to_pylist():
        cells = [_cell(batch.column(index)[row], column) for index, column in enumerate(wanted.columns)]
        rejects += finish_rows([cells], checks, wanted.columns, first + row, wanted.table)[1]
    return RawBatch(schema, arrow=whole.filter(pc.invert(faulty)), location=wanted.table.label, rejects=rejects)


def _reader(cursor: Any) -> Any:
    """The answer to the statement as batches."""
    stream = cursor.fetch_arrow()  # held while it is taken over
    return AdbcRecordBatchReader._import_from_c(stream.address)  # noqa: SLF001 - the one way to it


def _batches(reader: Any, wanted: CopyRead) -> Iterator[RawBatch]:
    """As many rows as pay, but no row waits long for others."""
    schema = pa.schema([column.field for column in wanted.columns])
    first, sent = 1, time.monotonic()
    held: list[pa.RecordBatch] = []
    for piece in _pieces(reader):
        rows = sum(part.num_rows for part in held)
        if rows + piece.num_rows > MOST_ROWS:
            yield finished(_joined(held), wanted, schema, first)
            held, first, sent = [], first + rows, time.monotonic()
        held.append(piece)
        if time.monotonic() - sent >= _HELD_SECONDS or sum(part.nbytes for part in held) >= _MOST_BYTES:
            yield finished(_joined(held), wanted, schema, first)
            held, first, sent = [], first + sum(part.num_rows for part in held), time.monotonic()
    if held:
        yield finished(_joined(held), wanted, schema, first)
    elif first == 1:
        yield RawBatch(schema, arrow=pa.RecordBatch.from_pylist([], schema=schema), location=wanted.table.label)


def _joined(held: list[pa.RecordBatch]) -> pa.RecordBatch:
    return pa.Table.from_batches(held).combine_chunks().to_batches()[0]


def _pieces(reader: Any) -> Iterator[pa.RecordBatch]:
    for piece in reader:
        for start in range(0, piece.num_rows, MOST_ROWS):
            yield piece.slice(start, MOST_ROWS)


def _asked(column: Column) -> str:
    """The column's text in the statement of the rows."""
    if column.family == "decimal":
        return f"({column.select})::text"
    if column.family not in _DAYS:
        return column.select
    kind, last, midnight = _DAYS[column.family]
    value = column.select
    return (
        f"CASE WHEN {value} BETWEEN {kind} '0001-01-01{midnight}' AND {kind} '{last}' OR {value} IS NULL THEN {value} "
        f"WHEN isfinite({value}) THEN {kind} '0001-12-31{midnight} BC' ELSE {kind} '0001-12-30{midnight} BC' END"
    )


def _require_columns(schema: pa.Schema, columns: tuple[Column, ...]) -> None:
    """Raises `SourceFailed` where a column is not of the type that it was described with (the other path tells more)."""
    for field, column in zip(schema, columns, strict=True):
        if not _fits(field.type, column):
            raise SourceFailed("the table's columns changed", sqlstate=_OTHER_TYPE)


def _fits(found: pa.DataType, column: Column) -> bool:
    match column.family:
        case "text" | "json":
            return pa.types.is_string(found)
        case "integer":
            return pa.types.is_integer(found)
        case "decimal":
            return isinstance(found, pa.OpaqueType) and found.type_name == "numeric"
        case _:
            return found == column.arrow_type


def _typed(array: Any, column: Column) -> tuple[Any, Any]:
    """The column in its raw type; True where a value has no place in it (None: nowhere)."""
    match column.family:
        case "text":
            return _valid_text(array) if not column.filterable else (array, None)
        case "json":
            return _documents(array, column)
        case "float":
            return array, _anywhere(pc.invert(pc.is_finite(array)))
        case "decimal":
            return _decimals(array, column)
        case "date" | "timestamp" | "instant":
            return array, _anywhere(pc.less(_number(array), pa.scalar(_DAYS_TO_YEAR_1 * _DAY_UNITS[column.family])))
        case _:
            return pc.cast(array, column.arrow_type), None


def _valid_text(array: Any) -> tuple[Any, Any]:
    """A server without an encoding gives any bytes, and ADBC says that they are UTF-8."""
    try:
        return pc.cast(array.view(pa.binary()), pa.string()), None
    except pa.ArrowInvalid:
        texts = [None if cell is None else _decoded(cell) for cell in array.view(pa.binary()).to_pylist()]
        return _kept(texts, pa.string())


def _documents(array: Any, column: Column) -> tuple[Any, Any]:
    """JSON stays text; that it is sound is found out by reading it, as on the other path."""
    text, bad = _valid_text(array)
    check = check_of(column)
    flawed = [
        cell is not None and check is not None and isinstance(check(cell), Unreadable) for cell in text.to_pylist()
    ]
    found = _anywhere(pa.array(flawed, pa.bool_()))
    return text, found if bad is None else bad if found is None else pc.or_(bad, found)


def _decimals(array: Any, column: Column) -> tuple[Any, Any]:
    bad = _anywhere(pc.is_in(array, value_set=_NOT_NUMBERS))
    numbers = array if bad is None else pc.if_else(bad, None, array)
    try:
        if _certain(numbers, column.arrow_type):
            return pc.cast(numbers, column.arrow_type), bad
    except pa.ArrowInvalid:
        pass
    return _decimals_one_by_one(array, column)


def _certain(numbers: Any, kind: Any) -> bool:
    """Whether the kernel is exact: what needs more than 128 bits, before or after the type's scale, wraps around (Arrow 26)."""
    length = pc.utf8_length(numbers)
    longest = pc.max(length).as_py() or 0
    if longest > _MOST_DIGITS:
        signs = pc.add(pc.count_substring(numbers, "-"), pc.count_substring(numbers, "."))
        longest = pc.max(pc.subtract(length, signs)).as_py()
    largest = pc.max(pc.abs(pc.cast(numbers, pa.float64()))).as_py() or 0.0
    return bool(longest <= _MOST_DIGITS and largest < 0.99 * 10.0 ** (kind.precision - kind.scale))


def _decimals_one_by_one(array: Any, column: Column) -> tuple[Any, Any]:
    kind: Any = column.arrow_type
    check = check_of(column)
    cells = [None if text is None or check is None else check(Decimal(text)) for text in array.to_pylist()]
    exact = [
        cell.quantize(Decimal(1).scaleb(-kind.scale), context=_WIDE) if isinstance(cell, Decimal) else cell
        for cell in cells
    ]
    return _kept(exact, kind)


def _kept(cells: list[Any], kind: pa.DataType) -> tuple[Any, Any]:
    bad = [isinstance(cell, Unreadable) for cell in cells]
    kept = [None if isinstance(cell, Unreadable) else cell for cell in cells]
    return pa.array(kept, kind), _anywhere(pa.array(bad, pa.bool_()))


def _anywhere(mask: Any) -> Any:
    """The mask without nulls, None when nothing is marked."""
    return pc.fill_null(mask, pa.scalar(False)) if pc.any(mask).as_py() else None  # noqa: FBT003


def _number(array: Any) -> Any:
    return array.view(pa.int32() if pa.types.is_date32(array.type) else pa.int64())


def _decoded(stored: bytes) -> str | Unreadable:
    try:
        return stored.decode()
    except UnicodeDecodeError:
        return NOT_UTF8


def _cell(scalar: Any, column: Column) -> Any:
    """One value as asyncpg gives it."""
    if not scalar.is_valid:
        return None
    match column.family:
        case "decimal":
            return Decimal(scalar.as_py())
        case "text" | "json":
            return _decoded(scalar.as_buffer().to_pybytes())
        case "date" | "timestamp" | "instant":
            beyond = _DAYS_TO_YEAR_1 - scalar.value // _DAY_UNITS[column.family]
            if beyond > 0:
                return DATE_BEYOND if beyond == 1 else ENDLESS
            value = scalar.as_py()
            return value.replace(tzinfo=UTC) if column.family == "instant" else value
        case _:
            return scalar.as_py()


def connection_text(settings: Mapping[str, str]) -> str:
    """Settings as libpq reads them."""
    quoted = {name: value.replace("\\", "\\\\").replace("'", "\\'") for name, value in settings.items()}
    return " ".join(f"{name}='{value}'" for name, value in quoted.items())
