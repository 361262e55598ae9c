"""What passes from an isolated worker to the gateway: pickles of plain values and of our own value classes, and of nothing else.

A parser that was taken over can say wrong things about its own source; it cannot make the gateway run anything.
"""

from __future__ import annotations

import datetime as dt
import decimal
import importlib
import io
import pickle
import struct
from collections.abc import Callable, Sequence
from dataclasses import is_dataclass
from enum import Enum
from typing import Any, Final
from zoneinfo import ZoneInfo

import pyarrow as pa

from app.errors import FieldError, SimpulError, SourceError, SourceFailed

_LITTLE_BYTES: Final = 4096
FRAME: Final = struct.Struct(">cQ")
_PLAIN: Final = {
    ("decimal", "Decimal"): decimal.Decimal,
    ("datetime", "date"): dt.date,
    ("datetime", "datetime"): dt.datetime,
    ("datetime", "time"): dt.time,
    ("datetime", "timedelta"): dt.timedelta,
    ("datetime", "timezone"): dt.timezone,
    ("builtins", "frozenset"): frozenset,
    ("builtins", "set"): set,
    ("builtins", "range"): range,
    ("builtins", "bytearray"): bytearray,
}


def schema_of(written: bytes) -> pa.Schema:
    """An Arrow schema from its own form."""
    return pa.ipc.read_schema(pa.py_buffer(written))


def field_of(written: bytes) -> Any:
    """An Arrow field."""
    return schema_of(written).field(0)


def type_of(written: bytes) -> pa.DataType:
    """An Arrow type."""
    found: pa.DataType = field_of(written).type
    return found


def batch_of(written: Any) -> pa.RecordBatch:
    """An Arrow batch from its stream form. Its offsets and texts are looked through: nothing in it reaches outside of it."""
    with pa.ipc.open_stream(pa.py_buffer(written)) as stream:
        batch = stream.read_next_batch()
    batch.validate(full=True)
    return batch


def flat_batch_of(schema: pa.Schema, rows: int, columns: Sequence[Sequence[Any]]) -> pa.RecordBatch:
    """An Arrow batch from the buffers of its columns, looked through like one from its stream form."""
    arrays = [
        pa.Array.from_buffers(field.type, rows, [None if part is None else pa.py_buffer(part) for part in parts])
        for field, parts in zip(schema, columns, strict=True)
    ]
    batch = pa.RecordBatch.from_arrays(arrays, schema=schema)
    batch.validate(full=True)
    return batch


def zone_of(name: str) -> ZoneInfo:
    """A time zone."""
    return ZoneInfo(name)


_MADE: Final = ("schema_of", "field_of", "type_of", "batch_of", "flat_batch_of", "zone_of")


def _flat(column: Any) -> bool:
    """Whether its buffers alone are the whole column, and hold little beside it."""
    types, kind = pa.types, column.type
    plain = types.is_string(kind) or types.is_primitive(kind) or types.is_boolean(kind)
    held = sum(part.size for part in column.buffers() if part is not None)
    return plain and column.offset == 0 and held <= 2 * column.nbytes + _LITTLE_BYTES


def _reduced(batch: pa.RecordBatch) -> tuple[Any, ...]:
    """The buffers of the columns as they are; where a column is more than its buffers, a stream of the batch."""
    if not all(map(_flat, batch.columns)):
        return batch_of, (_stream(batch),)
    columns = [
        [None if part is None else pickle.PickleBuffer(part) for part in column.buffers()] for column in batch.columns
    ]
    return flat_batch_of, (batch.schema, batch.num_rows, columns)


def _stream(batch: pa.RecordBatch) -> pickle.PickleBuffer:
    sink = pa.BufferOutputStream()
    with pa.ipc.new_stream(sink, batch.schema) as stream:
        stream.write_batch(batch)
    return pickle.PickleBuffer(sink.getvalue())


class _Pickler(pickle.Pickler):
    def reducer_override(self, value: Any) -> Any:
        if isinstance(value, pa.Schema):
            return schema_of, (value.serialize().to_pybytes(),)
        if isinstance(value, pa.Field):
            return field_of, (pa.schema([value]).serialize().to_pybytes(),)
        if isinstance(value, pa.DataType):
            return type_of, (pa.schema([pa.field("x", value)]).serialize().to_pybytes(),)
        if isinstance(value, pa.RecordBatch):
            return _reduced(value)
        if isinstance(value, ZoneInfo):
            return zone_of, (value.key,)
        return NotImplemented


class _Unpickler(pickle.Unpickler):
    def find_class(self, module: str, name: str) -> Any:
        """Plain values, what is made by the functions above, and value classes of the connectors."""
        if (module, name) in _PLAIN:
            return _PLAIN[module, name]
        if module == __name__ and name in _MADE:
            return globals()[name]
        if (module, name) == ("app.connectors.sql.columns", "Table"):
            return importlib.import_module(module).Table
        if module.startswith("app.connectors.") and name.isidentifier():
            found = getattr(importlib.import_module(module), name, None)
            if (
                isinstance(found, type)
                and found.__module__ == module
                and (is_dataclass(found) or issubclass(found, Enum | float))
            ):
                return found
        raise pickle.UnpicklingError(f"{module}.{name} has no place in an answer")


def packed(value: Any, beside: Callable[[pickle.PickleBuffer], Any] | None = None) -> bytes:
    """A value for the gateway. What is large in it is handed to `beside`, in order, instead of being copied into it."""
    sink = io.BytesIO()
    _Pickler(sink, protocol=5, buffer_callback=beside).dump(value)
    return sink.getvalue()


def unpacked(body: bytes, beside: Sequence[bytes] = ()) -> Any:
    """A value of a worker, with what came beside it. `SourceFailed` for anything that is none."""
    try:
        return _Unpickler(io.BytesIO(body), buffers=beside).load()
    except Exception as error:
        raise SourceFailed("the process that reads this source gave no valid answer", field="/source") from error


def faulted(error: SimpulError) -> bytes:
    """An error for the gateway: its class by code, its text, its plain facts."""
    facts = {
        name: value for name, value in error.facts.items() if isinstance(value, str | int | float | bool | list | None)
    }
    faults = [(fault.pointer, fault.code, fault.detail) for fault in error.errors]
    return packed((error.code, error.detail, facts, faults))


def fault_of(body: bytes) -> SimpulError:
    """The error that a worker told."""
    code, detail, facts, faults = unpacked(body)
    kind = _leaves().get(code, SourceFailed)
    return kind(str(detail), errors=[FieldError(*fault) for fault in faults], **facts)


def _leaves() -> dict[str, type[SimpulError]]:
    found: dict[str, type[SimpulError]] = {}
    waiting: list[type[SimpulError]] = [SourceError, *SimpulError.__subclasses__()]
    while waiting:
        kind = waiting.pop()
        found.setdefault(kind.code, kind)
        waiting += kind.__subclasses__()
    return found
