"""What was asked and what it may touch: frozen `Query`, `Grant`, `DatasetRef`, and what comes back: `Answer`.

Pure values. Built by `binder.py` (names and types) and `gateway/` (grants, datasets); run by `reading/`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any, Literal

from app.datasets.contract import Dataset
from app.datasets.records import MappedRecord, ReadResult, Reject
from app.errors import SimpulError
from app.filters.tree import TRUE, Filter
from app.schemas.registry import SchemaDef

Operation = Literal["list", "lookup", "search", "verify"]
Partial = Literal["allow", "never"]
CountMode = Literal["none", "estimated", "exact"]
Status = Literal[
    "ok", "stale", "timeout", "unavailable", "rejected", "open_circuit", "schema_mismatch", "denied", "skipped"
]


@dataclass(frozen=True, slots=True)
class SortKey:
    """One sort key of a query. Text sorts by binary UTF-8, nulls last in both directions."""

    field: str
    descending: bool = False


@dataclass(frozen=True, slots=True)
class Enough:
    """How many records of each dataset are enough, whichever they are; `rows` None: as many as the answer may have, and one.

    `offset` is added to that. `distinct`: so many that differ in one of these fields.
    """

    rows: int | None
    offset: int = 0
    distinct: tuple[str, ...] | None = None

    @property
    def any_rows(self) -> int | None:
        """So many records are enough whatever they hold; None where that cannot be said."""
        return None if self.rows is None or self.distinct is not None else self.rows + self.offset


@dataclass(frozen=True, slots=True)
class Query:
    """A bound question: every name exists in the schema, every literal has the field's type.

    `sort` holds the caller's keys only; the total order is always (sort keys, agency, dataset, key). `after` is the position
    of the last record already given (values of `sort`, then agency, dataset, key), None on the first page; `owed` are the
    positions of datasets that could not be asked for an earlier page (`paging.py`).
    """

    schema: SchemaDef
    fields: tuple[str, ...] | None = None
    filter: Filter = TRUE
    sort: tuple[SortKey, ...] = ()
    limit: int = 100
    after: tuple[Any, ...] | None = None
    owed: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)
    agencies: tuple[str, ...] | None = None
    key: str | None = None
    partial: Partial = "allow"
    operation: Operation = "list"
    count: CountMode = "none"
    """Whether the answer tells how many records there are beyond the page."""
    also_needed: frozenset[str] = frozenset()
    """Fields beyond filter and sort without which a dataset cannot answer (groups and measures of an aggregate)."""
    findings: bool = True
    """Whether the answer shows soft findings of its records."""
    enough: Enough | None = None
    """A whole reading stops at each dataset that gave as many."""
    copies: Mapping[str, str] = field(default_factory=dict)
    """The copies that the pages before came from, by dataset: the next page comes from them too."""


@dataclass(frozen=True, slots=True)
class Grant:
    """What the caller may see of one dataset. Policy reaches the planner only as this.

    `fields` are the schema fields granted (the key's fields are always among them or the dataset is denied).
    """

    fields: frozenset[str]
    row_filter: Filter | None = None
    masks: Mapping[str, str] = field(default_factory=dict)
    agreement: str | None = None
    basis: str | None = None


@dataclass(frozen=True, slots=True)
class DatasetRef:
    """One dataset that could answer: where it stands, the opened source, and the caller's grant (None: denied)."""

    agency: str
    dataset: str
    revision: int
    source: Dataset
    grant: Grant | None
    denied: SimpulError | None = None
    slots: int | None = None
    """Reads of it at once, as its manifest says; None: as the gateway has it."""


@dataclass(slots=True)
class SourceStatus:
    """What one dataset did for this answer; goes on the wire as `sources[]` and into the log entry."""

    agency: str
    dataset: str
    status: Status
    rows: int = 0
    rejected_rows: int = 0
    elapsed_ms: float = 0.0
    as_of: datetime | None = None
    pushed: tuple[str, ...] = ()
    withheld: tuple[str, ...] = ()
    problem: SimpulError | None = None
    revision: int = 0
    rejects: list[Reject] = field(default_factory=list)
    by_rule: Mapping[tuple[str, str], int] = field(default_factory=dict)
    whole: bool = False
    """Every record of the source was read: what it did not reject is healed."""
    version: str | None = None
    receipts: tuple[str, ...] = ()
    """Where the gateway behind this dataset recorded what it was asked."""
    snapshot: str | None = None
    """The copy of the dataset that answered; None: the source."""

    def note(self, result: ReadResult) -> None:
        """What a read (so far) rejected, of which version of the source, and what a gateway behind it says of those that it asked."""
        self.snapshot = result.copy
        if result.cause is not None:
            self.problem = result.cause
        if result.upstream is not None:
            self.receipts = (*self.receipts, *(one for one in result.upstream.receipts if one not in self.receipts))
            if result.upstream.missing is not None:
                self.status, self.problem = "unavailable", result.upstream.missing
        self.rejected_rows, self.rejects, self.by_rule = result.rejected_rows, result.rejects, result.by_rule
        self.whole, self.version = result.whole, result.version
        self.pushed, self.as_of = result.pushed, result.as_of


@dataclass(slots=True)
class AnswerRecord:
    """A record of the merged union and where it came from. `fields` are those of the answer that this agency grants."""

    record: MappedRecord
    agency: str
    dataset: str
    as_of: datetime
    fields: tuple[str, ...]


@dataclass(frozen=True, slots=True)
class CountedDataset:
    """How many records of a question one dataset has; None where it cannot tell, with the fault where there was one."""

    agency: str
    dataset: str
    value: int | None
    problem: SimpulError | None


@dataclass(frozen=True, slots=True)
class RecordCount:
    """How many records a question has. No `value` where a dataset cannot tell; `exact`: they were read and counted."""

    value: int | None
    exact: bool
    by_dataset: tuple[CountedDataset, ...]


@dataclass(slots=True)
class Answer:
    """The merged page. `after` is the position for the next page, None at the end.

    `complete`: every source that this caller may ask answered.
    """

    schema: SchemaDef
    fields: tuple[str, ...]
    records: list[AnswerRecord]
    sources: list[SourceStatus]
    complete: bool
    count: RecordCount | None = None
    after: tuple[Any, ...] | None = None
    owed: Mapping[str, tuple[Any, ...] | None] = field(default_factory=dict)
