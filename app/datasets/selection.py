"""Picks the wanted records out of raw batches: prepare, map, validate, filter, order, cut. Bounded memory.

Small batches run where they are, large ones in a worker thread, so that the event loop goes on.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from datetime import datetime
from functools import total_ordering
from typing import Any

from app.connectors.contract import RawBatch
from app.connectors.masking import mask
from app.connectors.raw_values import python_values
from app.datasets.keys_met import KeysMet
from app.datasets.mapping import CompiledMapping
from app.datasets.mapping.plain import PlainRows
from app.datasets.mapping.rules import StepReject, detail_en
from app.datasets.records import MappedRecord, ReadRequest, ReadResult, RecordWarning, Reject
from app.errors import SourceTimeout
from app.filters.evaluation import compile_predicate
from app.filters.tree import TRUE, Filter
from app.lanes import in_bulk
from app.schemas.geometry import right_handed
from app.schemas.registry import SchemaDef
from app.schemas.validation import RowFailure, valid_values, validate_row
from app.schemas.warnings import TEXTS

SAMPLE_REJECTS = 1000
_INLINE_ROWS = 200
_KEPT_AT_LEAST = 2000
_KEYS_AT_HAND = 200_000
"""Beyond them hashes are packed: eight bytes each."""

Position = tuple[Any, ...]
LAST_KEY = "\U0010ffff"
"""Behind every key: keys are percent-encoded ASCII."""


@total_ordering
class _Beyond:
    """Less than everything, or greater than everything."""

    __slots__ = ("greatest",)

    def __init__(self, *, greatest: bool) -> None:
        self.greatest = greatest

    def __eq__(self, other: object) -> bool:
        return self is other

    def __lt__(self, other: object) -> bool:
        return not self.greatest and self is not other

    def __hash__(self) -> int:
        return hash(self.greatest)


_BEYOND: Mapping[str, Position] = {"": (_Beyond(greatest=False),), LAST_KEY: (_Beyond(greatest=True),)}


class Descending:
    """Turns the order of a value around."""

    __slots__ = ("value",)

    def __init__(self, value: Any) -> None:
        self.value = value

    def __eq__(self, other: object) -> bool:
        return isinstance(other, Descending) and bool(self.value == other.value)

    def __lt__(self, other: Descending) -> bool:
        return bool(other.value < self.value)

    def __hash__(self) -> int:
        return hash(self.value)


def comparable(value: Any, *, descending: bool) -> tuple[bool, Any]:
    """A sort value as it compares: nulls last, text by code point, in the direction asked for."""
    if value is None:
        return (True, 0)
    return (False, Descending(value) if descending else value)


def position_function(schema: SchemaDef, order: tuple[tuple[str, bool], ...]) -> Callable[[MappedRecord], Position]:
    """The function that gives a record's position: its order values, then the values of its key (as a source orders them)."""
    keys = schema.meta.key
    if not order and len(keys) == 1 and schema.fields[keys[0]].required:
        name = keys[0]
        return lambda record: (record.values[name],)
    parts = [*order, *((name, False) for name in keys)]

    def position(record: MappedRecord) -> Position:
        values = record.values
        return tuple([comparable(values.get(name), descending=descending) for name, descending in parts])

    return position


def raw_rows(batch: RawBatch) -> Iterator[tuple[str, Mapping[str, Any]]]:
    """The raw records of a batch with their locations."""
    names = batch.schema.names
    for index, row in enumerate(_rows(batch)):
        yield _location(batch, index), dict(zip(names, row, strict=True))


def _rows(batch: RawBatch) -> Sequence[tuple[Any, ...]]:
    if batch.rows is not None:
        return batch.rows
    return list(zip(*_columns(batch), strict=True)) if batch.arrow is not None and batch.arrow.num_columns else []


def _origin(batch: RawBatch, index: int) -> Any:
    return None if batch.origins is None else batch.origins[index]


def _location(batch: RawBatch, index: int) -> str:
    return batch.location if batch.numbers is None else f"{batch.location}, line {batch.numbers[index]}"


class LeftOut:
    """How many rows were left out because they say nothing or head a section."""

    def __init__(self) -> None:
        self.rows = 0


def prepared_rows(
    mapping: CompiledMapping, batch: RawBatch, left_out: LeftOut
) -> Iterator[tuple[str, Mapping[str, Any]] | Reject]:
    """The rows after the manifest's `read:` preparation; a reject for one whose `where` has no value (an error cell, a text as number).

    Rows that are left out are counted in `left_out`.
    """
    preparation = mapping.preparation
    if preparation.none:
        yield from raw_rows(batch)
        return
    for location, row in raw_rows(batch):
        if preparation.leaves_out(row):
            left_out.rows += 1
            continue
        yield from prepared_row(mapping, location, row, keyed=batch.numbers is None)


def prepared_row(
    mapping: CompiledMapping, location: str, row: Mapping[str, Any], *, keyed: bool
) -> Iterator[tuple[str, Mapping[str, Any]] | Reject]:
    """What becomes of one raw row that says something: nothing, itself, or (unpivoted) several."""
    try:
        yield from mapping.preparation.rows(row, location)
    except StepReject as reject:
        where = mapping.location_of(row, location, keyed=keyed)
        yield Reject(where, "", reject.rule, f"/read/where: {detail_en(reject.rule)}")


def map_record(
    mapping: CompiledMapping, schema: SchemaDef, raw: Mapping[str, Any], location: str, *, keyed: bool = False
) -> tuple[MappedRecord | None, list[Reject]]:
    """The record of one prepared row, or every reason why it is none.

    `keyed`: the source has no lines; a rejected row stands at its key.
    """
    mapped = mapping.map_row(raw)
    if mapped.rejects:
        location = mapping.location_of(raw, location, keyed=keyed)
        return None, [Reject(location, field, rule, detail, shown) for field, rule, detail, shown in mapped.rejects]
    for name in mapping.geometries:
        turned = right_handed(mapped.values[name])
        if turned is not None:
            mapped.values[name] = turned
            mapped.warnings.append((name, "geometry_turned", *TEXTS["geometry_turned"]))
    model, failures = validate_row(schema, mapped.values)
    if model is None:
        location = mapping.location_of(raw, location, keyed=keyed)
        return None, _invalid(mapped.values, failures, location)
    values = model.__dict__
    warnings = tuple(RecordWarning(*warning) for warning in mapped.warnings)
    return MappedRecord(schema.key_of(values), values, warnings), []


def _invalid(values: Mapping[str, Any], failures: Sequence[RowFailure], location: str) -> list[Reject]:
    return [
        Reject(location, failure.field, failure.rule, failure.detail, mask(values.get(failure.field)))
        for failure in failures
    ]


def duplicate_key(schema: SchemaDef, record: MappedRecord, location: str) -> Reject:
    """The reject of a second record of one key."""
    detail = "another record of this source has the same key; the first one stands"
    return Reject(location, schema.meta.key[0], "duplicate_key", detail, mask(record.key))


class Selection:
    """The best `limit` records met so far, and what was rejected."""

    def __init__(
        self, mapping: CompiledMapping, request: ReadRequest, wanted: Filter, *, keys_at_hand: int = _KEYS_AT_HAND
    ) -> None:
        self._keys_at_hand = keys_at_hand
        self._mapping = mapping
        self._schema = schema = mapping.schema
        self._request = request
        self._holds = None if wanted is TRUE else compile_predicate(wanted)
        self._position = position_function(schema, request.order)
        self._after = after_position(schema, request)
        self._records: list[tuple[Position, MappedRecord]] = []
        self._keys: set[int] = set()
        self._earlier: KeysMet | None = None
        self._cut = False
        self.rejected = 0
        self.rejects: list[Reject] = []
        self.by_rule: Counter[tuple[str, str]] = Counter()
        self.blank = 0

    @property
    def overflown(self) -> bool:
        """Whether records had to be left out because there are more than the limit."""
        return self._cut

    @property
    def beyond(self) -> bool:
        """Whether more wanted records than the limit were met."""
        limit = self._request.limit
        return self._cut or (limit is not None and len(self._records) > limit)

    async def take(self, batch: RawBatch) -> None:
        """Goes through a batch."""
        deadline = self._request.deadline
        if deadline is not None and time.monotonic() > deadline:
            raise SourceTimeout("the source was not read to its end in time")
        if len(batch) <= _INLINE_ROWS:
            self._take(batch)
        else:
            await in_bulk(self._take, batch)

    async def drain(self, pushed: tuple[str, ...], as_of: datetime) -> ReadResult:
        """The records met since the last call in the order in which they were met, with their soft findings."""
        records, self._records = [record for _, record in self._records], []
        return await self._result(records, pushed, as_of)

    async def result(self, pushed: tuple[str, ...], as_of: datetime) -> ReadResult:
        """The records in order, cut to the limit, with their soft findings."""
        self._trim()
        return await self._result([record for _, record in self._records], pushed, as_of)

    async def _result(self, records: list[MappedRecord], pushed: tuple[str, ...], as_of: datetime) -> ReadResult:
        if not self._request.findings:
            for record in records:
                record.warnings = ()
        elif len(records) <= _INLINE_ROWS:
            self._warn(records)
        else:
            await in_bulk(self._warn, records)
        return ReadResult(
            records=records,
            rejected_rows=self.rejected,
            rejects=self.rejects,
            pushed=pushed,
            as_of=as_of,
            more=self._cut,
            skipped_blank=self.blank,
            by_rule=self.by_rule,
        )

    def _warn(self, records: list[MappedRecord]) -> None:
        if not self._request.findings:
            return
        findings = self._mapping.findings
        for record in records:
            found = findings(record.values)
            if found:
                record.warnings = (*record.warnings, *found)

    def _take(self, batch: RawBatch) -> None:
        mapping = self._mapping
        self.blank += batch.skipped_blank
        for raw_reject in batch.rejects:
            self._reject([Reject(raw_reject.location, "", raw_reject.rule, raw_reject.detail)])
        if mapping.plain is not None:
            self._take_plain(batch, mapping.plain)
            return
        left_out = LeftOut()
        if batch.origins is not None and mapping.preparation.none:
            for index, (location, row) in enumerate(raw_rows(batch)):
                self._take_row(location, row, keyed=False, origin=_origin(batch, index))
            return
        for prepared in prepared_rows(mapping, batch, left_out):
            if isinstance(prepared, Reject):
                self._reject([prepared])
            else:
                self._take_row(*prepared, keyed=batch.numbers is None)
        self.blank += left_out.rows

    def _take_plain(self, batch: RawBatch, plain: PlainRows) -> None:
        """Rows that are not prepared: mapped together, and one by one only where there is something odd."""
        schema, keyed = self._schema, batch.numbers is None
        names, rows = batch.schema.names, _rows(batch)
        key_of, new, offer, origins = schema.key_of, self._new, self.offer, batch.origins
        for index, values in enumerate(valid_values(schema, plain.values(names, rows))):
            if values is not None:
                record = MappedRecord(key_of(values), values)
                if origins is not None:
                    record.origin = origins[index]
                if new(record):
                    offer(record)
                    continue
            row = dict(zip(names, rows[index], strict=True))
            if values is None:
                self._take_row(_location(batch, index), row, keyed=keyed, origin=_origin(batch, index))
            else:
                location = self._mapping.location_of(row, _location(batch, index), keyed=keyed)
                self._reject([duplicate_key(schema, record, location)])

    def _take_row(self, location: str, row: Mapping[str, Any], *, keyed: bool, origin: Any = None) -> None:
        mapping = self._mapping
        record, rejects = map_record(mapping, self._schema, row, location, keyed=keyed)
        if record is not None:
            record.origin = origin
        if record is None:
            self._reject(rejects)
        elif self._new(record):
            self.offer(record)
        else:  # a second record of one key is rejected, not dropped silently
            location = mapping.location_of(row, location, keyed=keyed)
            self._reject([duplicate_key(self._schema, record, location)])

    def _new(self, record: MappedRecord) -> bool:
        """Whether this key was not met before in this read."""
        mark = hash(record.key)
        if mark in self._keys:
            return False
        if self._earlier is not None and mark in self._earlier:
            return False
        self._keys.add(mark)
        if len(self._keys) >= self._keys_at_hand:
            self._earlier = self._earlier or KeysMet()
            self._earlier.take(self._keys)
            self._keys.clear()
        return True

    def edge(self) -> MappedRecord | None:
        """The last record of a full page: those behind it are not wanted. None while there are fewer than the limit."""
        limit = self._request.limit
        if limit is None or len(self._records) < limit:
            return None
        self._trim()
        return self._records[-1][1] if self._records else None

    def offer(self, record: MappedRecord) -> None:
        """Keeps a record that is new, if it is wanted."""
        request = self._request
        if request.key is not None and record.key != request.key:
            return
        if self._holds is not None and self._holds(record.values) is not True:
            return
        position = self._position(record)
        if self._after is not None and not self._after < position:
            return
        self._records.append((position, record))
        if request.limit is not None and len(self._records) >= max(2 * request.limit, _KEPT_AT_LEAST):
            self._trim()

    def _trim(self) -> None:
        self._records.sort(key=lambda found: found[0])
        limit = self._request.limit
        if limit is not None and len(self._records) > limit:
            del self._records[limit:]
            self._cut = True

    def _reject(self, rejects: list[Reject]) -> None:
        self.rejected += 1
        self.by_rule.update((reject.field, reject.rule) for reject in rejects)
        if len(self.rejects) < SAMPLE_REJECTS:
            self.rejects += rejects


def after_position(schema: SchemaDef, request: ReadRequest) -> Position | None:
    """The position behind which records are wanted. The keys `""` and `LAST_KEY` stand before and behind all keys."""
    if request.after is None:
        return None
    values, key = request.after[:-1], request.after[-1]
    pairs = zip(values, request.order, strict=True)
    position = [comparable(value, descending=descending) for value, (_, descending) in pairs]
    if key in ("", LAST_KEY):
        return (*position, *_BEYOND[key])
    keys = schema.key_values(key)
    if not request.order and len(keys) == 1 and schema.fields[schema.meta.key[0]].required:
        return tuple(keys.values())
    return (*position, *(comparable(value, descending=False) for value in keys.values()))


def is_blank(value: Any) -> bool:
    """Whether a cell says nothing."""
    return value is None or (isinstance(value, str) and (not value or value.isspace()))


def _columns(batch: RawBatch) -> list[list[Any]]:
    """The columns of an Arrow batch as Python values; JSON columns parsed."""
    arrow = batch.arrow
    if arrow is None:
        return []
    return [python_values(field, arrow.column(index)) for index, field in enumerate(arrow.schema)]
