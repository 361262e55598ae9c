"""What all writers share: the columns of an answer, its summary, the protocol, and the engine that makes text of batches."""

from __future__ import annotations

import contextlib
import os
from abc import ABC, abstractmethod
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from functools import cached_property
from typing import Any, ClassVar, Final, Protocol

import duckdb
import pyarrow as pa

from app.federation.exports.buffers import Texts, text_bytes
from app.federation.exports.expressions import quoted
from app.federation.reading.batches import Batch
from app.schemas.registry import SchemaDef

MOST_IDLE: Final = 2
"""Engines that wait for the next answer: one for each thread that writes."""
_SURELY_SHORT = 32_767
"""Bytes of UTF-8; a text has at most as many UTF-16 units."""


class Sink(Protocol):
    """Where bytes go; a file that is only appended to."""

    def write(self, part: bytes | memoryview) -> int:
        """Appends."""


@dataclass(frozen=True, slots=True)
class Columns:
    """The columns of an answer in order. `json` are text columns that hold JSON; `tail` follow the fields of a record.

    `sourced`: records of one schema, which carry `_source`; without it the rows of a SQL query.
    """

    schema: pa.Schema
    json: frozenset[str] = frozenset()
    sourced: bool = True
    ref: str = ""
    geometry: str | None = None
    point: tuple[str, str] | None = None
    types: tuple[str, ...] = ()

    @property
    def located(self) -> bool:
        """Whether a row can stand on a map."""
        return self.geometry is not None or self.point is not None

    @property
    def names(self) -> list[str]:
        """The names of the fields."""
        names: list[str] = self.schema.names
        return names

    @classmethod
    def of(cls, schema: SchemaDef, fields: Sequence[str]) -> Columns:
        """The columns of records with these fields."""
        geometries = [name for name in fields if schema.fields[name].kind == "geometry"]
        return cls(
            schema=pa.schema([schema.arrow.field(name) for name in fields]),
            json=frozenset(geometries),
            ref=schema.meta.ref,
            geometry=geometries[0] if geometries else None,
            point=("lng", "lat") if {"lng", "lat"} <= set(fields) else None,
        )


@dataclass(frozen=True, slots=True)
class Summary:
    """What is known at the end of an answer."""

    sources: Sequence[Mapping[str, Any]]
    complete: bool
    rows: int
    question: str = ""
    meta: Mapping[str, Any] = field(default_factory=dict)
    moment: datetime = field(default_factory=lambda: datetime.now(UTC))


class Writer(ABC):
    """Takes parts, then the summary. Runs in a worker thread; one thread at a time."""

    def __init__(self, columns: Columns, sink: Sink) -> None:
        self.columns = columns
        self.sink = sink

    @cached_property
    def engine(self) -> RowText:
        """The engine that makes text of batches; it has no file and no network."""
        return RowText.idle()

    @abstractmethod
    def take(self, batch: Batch) -> None:
        """Writes some records."""

    @abstractmethod
    def finish(self, summary: Summary) -> None:
        """Writes the end; the sink then holds the whole answer."""

    def close(self) -> None:
        """Gives the engine back; may be called twice."""
        engine = self.__dict__.pop("engine", None)
        if engine is not None:
            engine.give_back()


class RowText:
    """Arrow batches to text, one expression a row, in an engine without file system, network or extensions.

    Opening an engine takes longer than most answers: those that are given back serve the next ones. Nothing of a batch stays in one.
    """

    _waiting: ClassVar[deque[RowText]] = deque()

    def __init__(self) -> None:
        self._sound, self._process = True, os.getpid()
        settings: dict[str, str | bool | int | float | list[str]] = {
            "threads": 1,  # of a thousand rows a second one makes nothing faster
            "memory_limit": "128MB",
            "temp_directory": "",  # one batch at a time: nothing is ever spilled
        }
        self._engine = duckdb.connect(":memory:", config=settings)
        for command in (
            "SET TimeZone = 'UTC'",
            "SET enable_external_access = false",
            "SET python_enable_replacements = false",
            "SET preserve_insertion_order = true",
        ):
            self._engine.execute(command)

    @classmethod
    def idle(cls) -> RowText:
        """One that waits, else a new one."""
        while True:
            try:
                found = cls._waiting.pop()
            except IndexError:
                return cls()
            if found._process == os.getpid():  # noqa: SLF001 - its own; a forked process opens engines of its own
                return found

    def give_back(self) -> None:
        """Lets the next one have it; those beyond `MOST_IDLE`, and one in which something failed, end."""
        if self._sound and len(self._waiting) < MOST_IDLE:
            self._waiting.append(self)
        else:
            self.close()

    def render(self, batch: pa.RecordBatch, expression: str) -> bytes:
        """The texts of all rows, one behind the other. `expression` is over the batch's columns and never null."""
        return bytes(text_bytes(self.texts(batch, {"line": expression})["line"]))

    def texts(self, batch: pa.RecordBatch, expressions: Mapping[str, str]) -> dict[str, Texts]:
        """The texts of all rows for each of these expressions over the batch's columns, null where the expression is."""
        if not expressions:
            return {}
        with self._part(batch):
            asked = ", ".join(f"{sql} AS {quoted(name)}" for name, sql in expressions.items())
            made = self._engine.sql(f"SELECT {asked} FROM part").to_arrow_table().combine_chunks()  # noqa: S608 - our own
        found = (
            pa.concat_arrays(column.chunks) if column.num_chunks else pa.array([], pa.string())
            for column in made.columns
        )
        return {name: texts.cast(pa.string()) for name, texts in zip(expressions, found, strict=True)}

    def longest(self, batch: pa.RecordBatch, texts: Mapping[str, str]) -> dict[str, int]:
        """The longest of each of these expressions in UTF-16 units, where it could pass what 32,767 bytes hold, else 0."""
        if not texts:
            return {}
        with self._part(batch):
            sizes = ", ".join(f"coalesce(max(strlen({sql})), 0)" for sql in texts.values())
            bytes_each = self._engine.sql(f"SELECT {sizes} FROM part").fetchall()[0]  # noqa: S608 - our own
            found = dict.fromkeys(texts, 0)
            for (name, sql), size in zip(texts.items(), bytes_each, strict=True):
                if size > _SURELY_SHORT:
                    beyond = f"length(regexp_replace({sql}, '[^\\x{{10000}}-\\x{{10FFFF}}]', '', 'g'))"
                    units = f"SELECT max(length({sql}) + {beyond}) FROM part"  # noqa: S608 - our own
                    found[name] = int(self._engine.sql(units).fetchall()[0][0])
        return found

    @contextlib.contextmanager
    def _part(self, batch: pa.RecordBatch) -> Iterator[None]:
        """The batch as a table of the engine. One in which something failed serves no other answer."""
        self._engine.register("part", pa.Table.from_batches([batch]))
        try:
            yield
        except BaseException:
            self._sound = False
            raise
        finally:
            self._engine.unregister("part")

    def close(self) -> None:
        """Ends the engine."""
        self._engine.close()


def literal(text: str) -> str:
    """A text as a SQL literal."""
    return "'" + text.replace("'", "''") + "'"


Expression = Callable[[str, pa.DataType], str]


def chosen(columns: Columns, batch: Batch, make: Expression) -> list[tuple[str, str]]:
    """Name and expression of each field that this batch grants."""
    granted = set(batch.fields) if columns.sourced else set(columns.names)
    return [
        (column.name, make(quoted(column.name), column.type)) for column in columns.schema if column.name in granted
    ]
