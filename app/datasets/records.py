"""Values that pass between a dataset and its readers: records, rejects, requests, results. Pure."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import pyarrow as pa

from app.connectors.contract import Upstream
from app.errors import SimpulError
from app.filters.tree import TRUE, Filter


@dataclass(frozen=True, slots=True)
class RecordWarning:
    """A soft finding on a record: field, stable code, text in both languages; never the value."""

    field: str
    code: str
    detail_id: str
    detail_en: str


@dataclass(slots=True)
class MappedRecord:
    """A valid record: its key (schema key, percent-encoded parts joined by `~`), its values, its soft findings."""

    key: str
    values: dict[str, Any]
    warnings: tuple[RecordWarning, ...] = ()
    origin: Any = None
    """Where the source itself has it from, where the source is a gateway."""


@dataclass(frozen=True, slots=True)
class Reject:
    """A raw record that is no record of the schema: where it stands, which field broke which rule, a masked value."""

    location: str
    field: str
    rule: str
    detail: str
    masked: str = ""


@dataclass(frozen=True, slots=True)
class ReadRequest:
    """One read in schema names. `order` is (field, descending) pairs; ties break by key ascending.

    `after`: only records behind this position (values of `order`, then key) are wanted.
    """

    fields: tuple[str, ...] | None = None
    filter: Filter = TRUE
    order: tuple[tuple[str, bool], ...] = ()
    after: tuple[Any, ...] | None = None
    limit: int | None = None
    key: str | None = None
    deadline: float | None = None
    findings: bool = True
    """Whether soft findings are told. Where nobody is shown them a stream does not look for them; what is rejected stays the same."""


@dataclass(frozen=True, slots=True)
class RecordColumns:
    """Valid records by columns: the schema's Arrow columns, the keys, and by row the soft findings."""

    rows: pa.RecordBatch
    keys: Any
    warnings: Mapping[int, tuple[RecordWarning, ...]]


@dataclass(slots=True)
class ReadResult:
    """At most `limit` valid records in order, as `records` or (a part of a stream) as `columns`.

    `pushed` names the work the source did: columns, filter, order, limit, key.

    `rejected_rows` counts raw records that were not valid in what was read, `by_rule` how many broke each rule (field, rule);
    `rejects` holds a bounded sample of them. `whole`: every record of the source was read. `version`: the source's mark of freshness.
    """

    records: list[MappedRecord]
    rejected_rows: int
    rejects: list[Reject]
    pushed: tuple[str, ...]
    as_of: datetime
    stale: bool = False
    more: bool = False
    skipped_blank: int = 0
    by_rule: Mapping[tuple[str, str], int] = field(default_factory=dict)
    whole: bool = False
    version: str | None = None
    columns: RecordColumns | None = None
    upstream: Upstream | None = None
    """What a source that asks others said of this read."""
    copy: str | None = None
    """The copy of the dataset that was read; None: the source."""
    cause: SimpulError | None = None
    """Why what is stale was not followed by something newer."""

    @property
    def size(self) -> int:
        """How many records it holds."""
        return len(self.records) if self.columns is None else self.columns.rows.num_rows


@dataclass(frozen=True, slots=True)
class PreviewRow:
    """A raw record beside what the mapping makes of it (personal fields masked), or the reasons why it is rejected."""

    location: str
    raw: Mapping[str, Any]
    mapped: Mapping[str, Any] | None
    rejects: tuple[Reject, ...]
    warnings: tuple[RecordWarning, ...]
