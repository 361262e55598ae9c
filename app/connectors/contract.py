"""The contract of a connector kind: facts, `check`, `discover`, `scan`, `close`; optional abilities are one-method mixins.

Does not live here: mapping, validation, residual work (`mapping/`, `dataset.py`), construction (`registry.py`).
"""

from __future__ import annotations

import time
from abc import ABC, abstractmethod
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, ClassVar

import pyarrow as pa

from app.connectors.capabilities import Capabilities
from app.connectors.raw_values import python_values
from app.connectors.requests import After, AggregateRequest, Measure, Order, ScanRequest
from app.errors import SimpulError
from app.filters.tree import Filter, Literal, Operand, Property, operands, operators, properties, walk

__all__ = ["After", "AggregateRequest", "Measure", "Order", "ScanRequest"]

JSON_COLUMN = {b"simpul": b"json"}
"""Arrow field metadata: the string column holds JSON text. Python rows hold the parsed value (numbers as int/Decimal)."""
ABSENT_COLUMN = {b"simpul": b"absent"}
"""Marks a column that was asked for and that no record of a JSON source's part has: it is null throughout."""


@dataclass(frozen=True, slots=True)
class RawReject:
    """A raw record that could not even be read (ragged row, broken JSON line). `location` as in `RawBatch`."""

    location: str
    rule: str
    detail: str


@dataclass(frozen=True, slots=True)
class Upstream:
    """What a source that asks others says of the read so far: where it recorded it, and who of those behind it is missing."""

    receipts: tuple[str, ...] = ()
    missing: SimpulError | None = None


@dataclass(slots=True)
class RawBatch:
    """Raw records in one of two forms: Python rows (small reads) or an Arrow batch (bulk); each converts to the other.

    `schema` is the raw Arrow schema. CSV and sheet cells are `string`. `location` says where the records stand
    (`inbox/a.xlsx, sheet Data`); `numbers` counts them there (file line, sheet row), None where the source has no locations.
    """

    schema: pa.Schema
    rows: Sequence[tuple[Any, ...]] | None = None
    arrow: pa.RecordBatch | None = None
    location: str = ""
    numbers: Sequence[int] | None = None
    rejects: list[RawReject] = field(default_factory=list)
    skipped_blank: int = 0
    notes: list[str] = field(default_factory=list)
    """What the steward has to know of the source as a whole (a mark that was never met); told by check."""

    upstream: Upstream | None = None
    """Only of a source that asks others: an answer made of this read is not complete where somebody behind it is missing."""
    origins: Sequence[Any] | None = None
    """Beside `rows`: where the source itself has each record from."""
    as_of: datetime | None = None
    """When the source was last seen to hold just this, where that is another moment than that of the read."""

    def sample(self, most: int) -> list[dict[str, Any]]:
        """The first records as Python values by column."""
        names, rows = self.schema.names, self.rows
        if rows is None and self.arrow is not None:
            part = self.arrow.slice(0, most)
            columns = [python_values(field, part.column(index)) for index, field in enumerate(part.schema)]
            rows = list(zip(*columns, strict=True))
        return [dict(zip(names, row, strict=True)) for row in (rows or ())[:most]]

    def __len__(self) -> int:
        if self.rows is not None:
            return len(self.rows)
        return self.arrow.num_rows if self.arrow is not None else 0


@dataclass(frozen=True, slots=True)
class CheckStep:
    """One stage of `check`: dns, tcp, tls, auth, permission, read, columns. `error` is None when it passed."""

    name: str
    elapsed_ms: float
    error: SimpulError | None = None
    field: str = ""
    """JSON pointer into the manifest, e.g. `/source/location`."""
    note: str = ""


def milliseconds_since(started: float) -> float:
    """The time of a check's step. `started`: `time.perf_counter()`."""
    return (time.perf_counter() - started) * 1000


@dataclass(frozen=True, slots=True)
class RawColumn:
    """A discovered column: name and type in the source's words, the Arrow type it is read as, null when unknown."""

    name: str
    source_type: str
    arrow_type: pa.DataType
    nullable: bool | None = None


@dataclass(frozen=True, slots=True)
class Discovery:
    """What stands at the source: the tables (or sheets, resources) to choose from, the columns of the chosen one, a sample."""

    tables: tuple[str, ...]
    columns: tuple[RawColumn, ...]
    sample: tuple[Mapping[str, Any], ...] = ()
    notes: tuple[str, ...] = ()


def _plain(parts: Sequence[Operand]) -> bool:
    """A column first, then values: the form that every source with filters understands."""
    return not parts or (isinstance(parts[0], Property) and all(isinstance(part, Literal) for part in parts[1:]))


class Connector(ABC):
    """An open source of one agency. Opening does no I/O: a broken source must not keep the gateway from starting."""

    kind: ClassVar[str]

    @property
    @abstractmethod
    def capabilities(self) -> Capabilities:
        """What the source can do; may be reduced by what `check` found."""

    async def learn(self) -> None:  # noqa: B027 - most kinds have nothing to learn
        """Looks at the source once, so that `capabilities` and `takes` speak of it as it is. Cheap afterwards.

        Raises a `SourceError` leaf.
        """

    def takes(self, node: Filter) -> bool:
        """Whether the source does this filter (raw names) by itself; what it does not take raises when asked."""
        can = self.capabilities
        columns = can.filter_columns
        return (
            can.filter_exactness != "none"
            and operators(node) <= can.filter_operators
            and (columns is None or properties(node) <= columns)
            and all(_plain(operands(part)) for part in walk(node))
        )

    @abstractmethod
    async def check(self) -> Sequence[CheckStep]:
        """Goes through the stages and stops at the first that fails. Never raises for a fault of the source."""

    @abstractmethod
    async def discover(self, sample_rows: int = 20) -> Discovery:
        """Tables, columns, types, sample. Raises a `SourceError` leaf."""

    @abstractmethod
    def scan(self, request: ScanRequest) -> AsyncIterator[RawBatch]:
        """Batches of at most 65,536 raw records. Closing the iterator (`aclose`) stops the work at the source.

        Raises a `SourceError` leaf, never a driver's own error; no secret or record value stands in the error.
        """

    @abstractmethod
    async def close(self) -> None:
        """Gives back pools and files; may be called twice."""


class Aggregation(ABC):
    """Ability: groups and measures computed at the source. What cannot be computed exactly there raises."""

    @abstractmethod
    async def aggregate(self, request: AggregateRequest) -> RawBatch:
        """One row a group: the group's columns, then the measures; without groups exactly one row."""


class KeyRows(ABC):
    """Ability: the few rows of one key by one short question, without the machinery of a scan."""

    @abstractmethod
    async def rows_of(
        self, columns: tuple[str, ...] | None, key: tuple[tuple[str, Any], ...], deadline: float | None
    ) -> RawBatch | None:
        """The rows whose raw columns equal the values of `key`; None when this key has to be asked by `scan`.

        Errors and deadline as for `scan`.
        """


class Explains(ABC):
    """Ability: the text of a scan, for people. Literals stand as placeholders."""

    @abstractmethod
    async def text(self, request: ScanRequest) -> str:
        """What the source would be sent."""


@dataclass(frozen=True, slots=True)
class RowEstimate:
    """About how many rows a scan would give.

    `sure`: counted now, or what the source holds of a whole table. What is not sure (conditions, views, joins) may be off by any factor.
    """

    rows: int
    sure: bool = False


FAR_BEYOND = 4
"""An estimate that is sure may be off by less: what is estimated at so many times a limit is beyond it, and need not be tried."""


class CountEstimate(ABC):
    """Ability: a cheap estimate of the rows a scan would give."""

    @abstractmethod
    async def estimate(self, request: ScanRequest) -> RowEstimate | None:
        """Rows that the request's filter lets through (order, position and limit count for nothing); None when the source cannot tell.

        No record is read. Errors and deadline as for `scan`.
        """


class Freshness(ABC):
    """Ability: a cheap mark that changes when the source changes (file identity, ETag, last update)."""

    @abstractmethod
    async def version(self) -> str | None:
        """A mark to key caches with, or None when the source cannot tell."""
