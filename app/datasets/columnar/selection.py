"""Picks the wanted records out of raw batches by columns. Says what `datasets/selection.py` says of the same batches.

What is sure of a whole column is taken from it. A row of which anything is doubtful (a step refused, a rule may be broken) goes the way
of a row: it becomes the very record, or is rejected with the very rules and location.
"""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.connectors.contract import RawBatch
from app.datasets.columnar.conditions import Conditions
from app.datasets.columnar.fields import MappedColumn, map_column
from app.datasets.columnar.findings import findings_of
from app.datasets.columnar.first_keys import FirstKeys
from app.datasets.columnar.kernels import NO, YES
from app.datasets.columnar.keys import keys_of
from app.datasets.columnar.raw import RawColumns
from app.datasets.mapping import CompiledMapping
from app.datasets.mapping.compile import CompiledField
from app.datasets.records import MappedRecord, ReadRequest, ReadResult, RecordColumns, RecordWarning, Reject
from app.datasets.selection import SAMPLE_REJECTS, duplicate_key, is_blank, map_record, prepared_row, raw_rows
from app.errors import SourceTimeout
from app.lanes import in_bulk
from app.schemas.arrow import batch_of
from app.schemas.checks import Checks, compile_checks
from app.schemas.registry import SchemaDef

_INLINE_ROWS = 200
_NESTED = frozenset({"list", "object", "geometry"})


def maps_by_columns(mapping: CompiledMapping) -> bool:
    """Whether the columnar form is for this mapping: one record a row, scalar fields. All others are mapped row by row."""
    nested = any(mapping.schema.fields[compiled.name].kind in _NESTED for compiled in mapping.fields)
    return mapping.preparation.unpivot is None and not nested


@dataclass(slots=True)
class _Rows:
    """A batch on its way: the mapped columns of the raw rows that are wanted, and what is known of each row."""

    raw: RawColumns
    columns: pa.RecordBatch
    sure: Any
    """Mask: the row is a record as its columns say."""
    warnings: dict[int, list[RecordWarning]]
    records: dict[int, MappedRecord] = field(default_factory=dict)
    """Records of rows that were mapped as rows."""
    rejects: dict[int, tuple[list[Reject], Mapping[str, Any] | None]] = field(default_factory=dict)
    """Reasons, and the row that the mapping refused."""
    cut: bool = False


@dataclass(frozen=True, slots=True)
class Part:
    """The wanted records of one batch. `locations`: where rows of them stand; `cut`: there were more rows than were asked for."""

    records: RecordColumns
    locations: Callable[[Sequence[int]], Sequence[str]]
    cut: bool = False


class ColumnSelection:
    """What `Selection` is for a stream, over columns. One use a read."""

    def __init__(
        self,
        mapping: CompiledMapping,
        request: ReadRequest,
        *,
        rejected: Callable[[Sequence[Reject], Mapping[str, Any] | None], None] | None = None,
    ) -> None:
        """Of the request its filter, its deadline, and whether soft findings are wanted.

        `rejected` is told of every raw record that is none, with the row where the mapping refused it.
        """
        self._told = rejected
        self._mapping = mapping
        self._schema: SchemaDef = mapping.schema
        self._wanted = Conditions(request.filter)
        self._deadline = request.deadline
        self._findings = request.findings
        self._checks: Checks = compile_checks(mapping.schema)
        self._first = FirstKeys()
        self.rejected = 0
        self.rejects: list[Reject] = []
        self.by_rule: Counter[tuple[str, str]] = Counter()
        self.blank = 0
        self._taken: RecordColumns | None = None

    async def take(self, batch: RawBatch) -> None:
        """Goes through a batch; `drain` gives its records before the next one is taken."""
        if self._deadline is not None and time.monotonic() > self._deadline:
            raise SourceTimeout("the source was not read to its end in time")
        self._taken = self._take(batch) if len(batch) <= _INLINE_ROWS else await in_bulk(self._take, batch)

    async def drain(self, pushed: tuple[str, ...], as_of: datetime) -> ReadResult:
        """The records of the last batch, with the counts so far; without a batch since, none."""
        taken, self._taken = self._taken, None
        return ReadResult(
            records=[],
            columns=taken,
            rejected_rows=self.rejected,
            rejects=self.rejects,
            pushed=pushed,
            as_of=as_of,
            skipped_blank=self.blank,
            by_rule=self.by_rule,
        )

    def _take(self, batch: RawBatch) -> RecordColumns:
        part = self.part(batch).records
        if not self._findings:
            return RecordColumns(part.rows, part.keys, {})
        found = dict(part.warnings)
        for row, more in findings_of(self._schema, part.rows, self._mapping.around).items():
            found[row] = (*found[row], *more) if row in found else more
        return RecordColumns(part.rows, part.keys, found)

    def part(self, batch: RawBatch, most: int | None = None) -> Part:
        """The wanted records of a batch, with what the mapping made null in them; their soft findings are not looked for.

        `most`: of at most so many rows, those behind them are left.
        """
        self.blank += batch.skipped_blank
        for raw_reject in batch.rejects:
            self._reject([Reject(raw_reject.location, "", raw_reject.rule, raw_reject.detail)])
        rows = self._mapped(RawColumns(batch), most)
        self._map_doubtful(rows)
        columns, origins, warnings = self._records(rows)
        keys = keys_of(self._schema, columns)
        fresh = self._first.of(keys)
        if not fresh.all():
            self._reject_duplicates(rows, keys, origins, np.flatnonzero(~fresh))
        for index in sorted(rows.rejects):
            self._reject(*rows.rejects[index])
        held = self._wanted.hold(columns)
        if held is not None:
            fresh &= held.to_numpy(zero_copy_only=False)
        if not fresh.all():
            kept = np.flatnonzero(fresh)
            chosen = pa.array(kept, pa.int64())
            columns, keys, origins = columns.take(chosen), keys.take(chosen), [origins[row] for row in kept.tolist()]
            warnings = (
                {new: warnings[old] for new, old in enumerate(kept.tolist()) if old in warnings} if warnings else {}
            )
        told = {row: tuple(noted) for row, noted in warnings.items()}
        return Part(RecordColumns(columns, keys, told), lambda found: self._located(rows, origins, found), rows.cut)

    def _located(self, rows: _Rows, origins: Sequence[int], found: Sequence[int]) -> list[str]:
        keyed, raws = rows.raw.batch.numbers is None, raw_rows(rows.raw.select([origins[row] for row in found]))
        return [self._mapping.location_of(raw, location, keyed=keyed) for location, raw in raws]

    def _mapped(self, raw: RawColumns, most: int | None) -> _Rows:
        """The columns of the rows that `read:` leaves."""
        mapping, schema = self._mapping, self._schema
        raw, unsure = self._prepared(raw)
        cut = most is not None and raw.rows > most
        if cut:
            raw = RawColumns(raw.select(range(most or 0)))
            unsure = None if unsure is None else unsure[:most]
        arrays, doubtful, warnings = {}, unsure, dict[int, list[RecordWarning]]()
        for compiled in mapping.fields:
            name = compiled.name
            to = schema.arrow.field(name).type
            made = map_column(compiled, schema.fields[name], to, raw, key=name in schema.meta.key)
            arrays[name] = made.values
            doubtful = _either(doubtful, made.doubtful)
            for row, warning in made.warnings.items():
                warnings.setdefault(row, []).append(warning)
        columns = pa.RecordBatch.from_arrays(
            [arrays[name] if name in arrays else pa.nulls(raw.rows, kind) for name, kind in _types(schema)],
            schema=schema.arrow,
        )
        sure: Any = self._checks.run(columns).valid
        if doubtful is not None:
            sure = pc.and_not(sure, doubtful)
        return _Rows(raw, columns, sure, warnings, cut=cut)

    def _prepared(self, raw: RawColumns) -> tuple[RawColumns, Any]:
        """The rows that `skip_blank_rows`, `rows_without` and `where` leave, and which of them they could not decide."""
        preparation = self._mapping.preparation
        drop = _either(
            _all_blank(raw.batch.schema.names, raw) if preparation.skip_blank_rows else None,
            _all_blank(preparation.rows_without, raw),
        )
        if drop is not None:
            self.blank += pc.sum(drop).as_py() or 0
        unsure: Any = None
        if preparation.where is not None:
            where = preparation.where
            held = map_column(
                CompiledField("where", lambda row: where.value(row) is True, False, None, frozenset(where.columns)),  # noqa: FBT003
                None,
                pa.bool_(),
                raw,
                key=True,
            )
            unsure = held.doubtful
            missed = pc.invert(pc.fill_null(held.values, YES))
            drop = _either(drop, missed)
        if drop is None or not pc.any(drop, min_count=0).as_py():
            return raw, unsure
        kept = pc.indices_nonzero(pc.invert(drop))
        return RawColumns(raw.select(kept.to_pylist())), None if unsure is None else unsure.take(kept)

    def _map_doubtful(self, rows: _Rows) -> None:
        """Rows of which something is doubtful, each mapped as a row."""
        indexes: list[int] = pc.indices_nonzero(pc.invert(rows.sure)).to_pylist()
        if not indexes:
            return
        keyed = rows.raw.batch.numbers is None
        for index, (location, raw) in zip(indexes, raw_rows(rows.raw.select(indexes)), strict=True):
            for prepared in prepared_row(self._mapping, location, raw, keyed=keyed):
                if isinstance(prepared, Reject):
                    rows.rejects[index] = [prepared], None
                    continue
                where, row = prepared
                record, rejects = map_record(self._mapping, self._schema, row, where, keyed=keyed)
                if record is None:
                    rows.rejects[index] = rejects, row
                else:
                    rows.records[index] = record

    def _records(self, rows: _Rows) -> tuple[pa.RecordBatch, Sequence[int], dict[int, list[RecordWarning]]]:
        """The records in the order of the rows, the row of each, and what was nulled in each."""
        if not rows.records and pc.all(rows.sure, min_count=0).as_py():
            return rows.columns, range(rows.columns.num_rows), rows.warnings
        sure: list[int] = pc.indices_nonzero(rows.sure).to_pylist()
        columns = rows.columns.take(pa.array(sure, pa.int64()))
        origins, noted = sure, {row: rows.warnings.get(row, []) for row in sure if row in rows.warnings}
        if rows.records:
            more = sorted(rows.records)
            added = batch_of(self._schema, [rows.records[row].values for row in more])
            both = pa.Table.from_batches([columns, added]).combine_chunks()
            order = np.argsort(np.array([*sure, *more], np.int64), kind="stable")
            columns = both.take(pa.array(order, pa.int64())).combine_chunks().to_batches()[0]
            origins = sorted([*sure, *more])
            noted |= {row: list(rows.records[row].warnings) for row in more if rows.records[row].warnings}
        if not noted:
            return columns, origins, {}
        return columns, origins, {new: noted[old] for new, old in enumerate(origins) if noted.get(old)}

    def _reject_duplicates(self, rows: _Rows, keys: Any, origins: Sequence[int], indexes: Any) -> None:
        """A second record of one key is rejected, not dropped silently."""
        keyed = rows.raw.batch.numbers is None
        at = [origins[index] for index in indexes.tolist()]
        texts = keys.take(pa.array(indexes, pa.int64())).to_pylist()
        for origin, key, (location, raw) in zip(at, texts, raw_rows(rows.raw.select(at)), strict=True):
            where = self._mapping.location_of(raw, location, keyed=keyed)
            rows.rejects[origin] = [duplicate_key(self._schema, MappedRecord(key, {}), where)], None

    def _reject(self, rejects: list[Reject], row: Mapping[str, Any] | None = None) -> None:
        if self._told is not None:
            self._told(rejects, row)
        self.rejected += 1
        self.by_rule.update((reject.field, reject.rule) for reject in rejects)
        if len(self.rejects) < SAMPLE_REJECTS:
            self.rejects += rejects


def _all_blank(names: Sequence[str], raw: RawColumns) -> Any:
    """Which rows are blank in all of these columns; None without columns."""
    found: Any = None
    for name in names:
        empty = _condition(name, raw)
        found = empty if found is None else pc.and_(found, empty)
    return found


def _condition(name: str, raw: RawColumns) -> Any:
    """Which cells of a column say nothing."""
    made: MappedColumn = map_column(
        CompiledField(name, lambda row: is_blank(row[name]), False, None, frozenset({name})),  # noqa: FBT003
        None,
        pa.bool_(),
        raw,
        key=True,
    )
    return pc.fill_null(made.values, NO)


def _either(first: Any, second: Any) -> Any:
    if first is None or second is None:
        return second if first is None else first
    return pc.or_(first, second)


def _types(schema: SchemaDef) -> list[tuple[str, Any]]:
    return [(column.name, column.type) for column in schema.arrow]
