"""The keys of a match as columns, in the order of the question: each bound to the form that records have it in."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

import orjson
import pyarrow as pa
import pyarrow.compute as pc

from app.errors import KeyMalformed
from app.federation.reading.keyed import LISTS, Keys, Lists
from app.schemas.kernels import scalar_faults
from app.schemas.registry import SchemaDef
from app.schemas.validation import validate_row
from app.schemas.wire import wire_texts

WINDOW = 20_000
"""Keys that are bound, and later answered, together."""
_COLUMNS: dict[str, Any] = {"given": pa.string(), "odd": pa.binary(), "reason": pa.string(), "id": pa.string()}


@dataclass(frozen=True, slots=True)
class MatchKey:
    """One key as it was given, and the values to compare by field. `problem` says why it is none (then `key` may be anything)."""

    key: Any
    values: Mapping[str, str] = field(default_factory=dict)
    problem: str | None = None


@dataclass(frozen=True, slots=True)
class Window:
    """Some keys of the question as JSON texts. `index` is that of each among the distinct keys, null where it is invalid."""

    given: Sequence[str]
    reasons: Sequence[str | None]
    index: Any
    values: Mapping[str, Sequence[str | None]]


class Question:
    """Takes the keys a window at a time, then gives the distinct ones to the sources and the windows to who answers."""

    def __init__(self, schema: SchemaDef) -> None:
        self.schema = schema
        self.size = 0
        self._windows: list[pa.RecordBatch] = []
        self._ids: Any = None
        self._members: list[Any] = []
        self._compared: dict[str, None] = {}

    @property
    def compared(self) -> tuple[str, ...]:
        """The fields that some key has a value for."""
        return tuple(self._compared)

    def compares(self, names: Iterable[str]) -> None:
        """Fields that may be compared, also where no key has a value for them."""
        self._compared.update(dict.fromkeys(names))

    def add_texts(self, keys: Sequence[str]) -> None:
        """The next keys, at most a window of them, without values to compare."""
        given = pa.array(keys, pa.string())
        bound = list(bind(self.schema, keys))
        reasons = pa.array([reason for _, reason in bound], pa.string())
        ids = pa.array([identifier for identifier, _ in bound], pa.string())
        columns: list[Any] = [given, pa.nulls(len(keys), pa.binary()), reasons, ids]
        self._windows.append(pa.RecordBatch.from_arrays(columns, names=list(_COLUMNS)))
        self.size += len(keys)

    def add(self, items: Sequence[MatchKey]) -> None:
        """The next keys, at most a window of them."""
        names = list(dict.fromkeys(name for item in items for name in item.values))
        self._compared.update(dict.fromkeys(names))
        odd = [None if type(item.key) is str else orjson.dumps(item.key) for item in items]
        given = [item.key if type(item.key) is str else None for item in items]
        sound = [row for row, item in enumerate(items) if item.problem is None]
        reasons = [item.problem for item in items]
        ids: list[str | None] = [None] * len(items)
        bound = bind(self.schema, [items[row].key for row in sound])
        for row, (identifier, reason) in zip(sound, bound, strict=True):
            ids[row], reasons[row] = identifier, reason
        columns: list[list[Any]] = [given, odd, reasons, ids]
        arrays: list[Any] = [pa.array(column, kind) for column, kind in zip(columns, _COLUMNS.values(), strict=True)]
        arrays += [pa.array([item.values.get(name) for item in items], pa.string()) for name in names]
        self._windows.append(pa.RecordBatch.from_arrays(arrays, names=[*_COLUMNS, *names]))
        self.size += len(items)

    def keys(self, how: Lists = LISTS) -> Keys | None:
        """The distinct keys, each once, in the order in which they first stand; None when there is nothing to ask a source for."""
        encoded: Any = pa.chunked_array(
            [batch.column("id") for batch in self._windows], pa.string()
        ).dictionary_encode()
        self._members = [chunk.indices for chunk in encoded.chunks]
        self._ids = ids = encoded.chunk(0).dictionary if encoded.num_chunks else pa.array([], pa.string())
        head = len(_COLUMNS) - 1
        self._windows = [
            pa.RecordBatch.from_arrays(
                [*batch.columns[:head], *batch.columns[head + 1 :]],
                names=[*batch.schema.names[:head], *batch.schema.names[head + 1 :]],
            )
            for batch in self._windows
        ]
        asked = _first_parts(self.schema, ids)
        return Keys(self.schema.meta.key[0], ids, asked, how) if len(asked) else None

    def members(self) -> list[Any]:
        """The indexes of the distinct keys that stand in each window."""
        return self._members

    @property
    def distinct(self) -> int:
        """How many different keys there are."""
        return 0 if self._ids is None else len(self._ids)

    def windows(self) -> Iterator[Window]:
        """All keys in order. A window is let go of when the next is taken."""
        for number, batch in enumerate(self._windows):
            self._windows[number] = batch.slice(0, 0)
            given: list[str] = wire_texts(batch.column("given")).to_pylist()
            odd: Any = batch.column("odd")
            for row in _rows_of(odd.is_valid()):
                given[row] = odd[row].as_py().decode()
            values = {name: batch.column(name).to_pylist() for name in batch.schema.names[len(_COLUMNS) - 1 :]}
            yield Window(given, batch.column("reason").to_pylist(), self._members[number], values)


def bind(schema: SchemaDef, keys: Sequence[str]) -> Iterator[tuple[str | None, str | None]]:
    """Of each key its form in records, or why it is none: what `validate_row` says of it, asked of whole columns."""
    if not keys:
        return iter(())
    if _judged_together(schema):
        return iter([_bind_alone(schema, key) for key in keys])
    spec = schema.fields[schema.meta.key[0]]
    found: list[tuple[str | None, str | None]] = [(key, None) for key in keys]
    doubtful: Sequence[int] = range(len(keys))
    if len(schema.meta.key) == 1 and spec.kind == "text":
        column = pa.array(keys, pa.string())
        bad: Any = pc.invert(pc.ascii_is_alnum(column))  # what is plain is its own value and its own form
        for _, mask in scalar_faults(spec.rule, column):
            bad = pc.or_(bad, mask)
        doubtful = _rows_of(bad)
    for row, bound in zip(doubtful, _bind_parts(schema, [keys[row] for row in doubtful]), strict=True):
        found[row] = bound
    return iter(found)


def _bind_parts(schema: SchemaDef, keys: Sequence[str]) -> list[tuple[str | None, str | None]]:
    """By the rule of each part over a column; only what a rule refuses is looked at alone, for the words of the refusal."""
    parts: list[dict[str, Any] | None] = []
    for key in keys:
        try:
            parts.append(schema.key_values(key))
        except KeyMalformed:
            parts.append(None)
    sound = [row for row, values in enumerate(parts) if values is not None]
    refused = set(range(len(keys))) - set(sound)
    for name in schema.meta.key:
        column = pa.array([(parts[row] or {})[name] for row in sound], schema.arrow.field(name).type)
        for _, mask in scalar_faults(schema.fields[name].rule, column) if sound else ():
            refused.update(sound[row] for row in _rows_of(mask))
    return [
        _bind_alone(schema, key) if row in refused or values is None else (schema.key_of(values), None)
        for row, (key, values) in enumerate(zip(keys, parts, strict=True))
    ]


def _bind_alone(schema: SchemaDef, key: str) -> tuple[str | None, str | None]:
    try:
        values = schema.key_values(key)
    except KeyMalformed as error:
        return None, error.detail
    _, failures = validate_row(schema, values)
    wrong = [failure for failure in failures if failure.field in values]
    return (None, f"{wrong[0].field}: {wrong[0].detail}") if wrong else (schema.key_of(values), None)


def _judged_together(schema: SchemaDef) -> bool:
    """Whether a key alone is a whole record, so that rules over several fields speak of it."""
    required = {name for name, spec in schema.fields.items() if spec.required}
    return bool(schema.model.row_rules) and required <= set(schema.meta.key)


def _first_parts(schema: SchemaDef, ids: Any) -> Any:
    """The values that sources are asked for: of the key's first part, each once."""
    first, spec = schema.meta.key[0], schema.fields[schema.meta.key[0]]
    if len(schema.meta.key) == 1 and spec.kind == "text" and not pc.any(pc.match_substring(ids, "%")).as_py():
        return ids
    examples = {identifier.partition("~")[0]: identifier for identifier in ids.to_pylist()}
    values = [schema.key_values(example)[first] for example in examples.values()]
    return pa.array([value for value in values if value is not None], schema.arrow.field(first).type)


def _rows_of(mask: Any) -> list[int]:
    """Where a mask is true."""
    found: Any = pc.indices_nonzero(mask)
    members: list[int] = found.to_pylist()
    return members
