"""Reads the records of one key from a source that can give its rows directly: a look-up without scan and selection."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pyarrow as pa

from app.connectors.contract import Connector, KeyRows, RawBatch
from app.datasets.mapping import CompiledMapping
from app.datasets.records import MappedRecord, ReadRequest, ReadResult, Reject
from app.datasets.selection import SAMPLE_REJECTS, LeftOut, duplicate_key, map_record, prepared_rows
from app.errors import SourceSchemaMismatch
from app.filters.evaluation import compile_predicate
from app.filters.tree import TRUE
from app.schemas.registry import SchemaDef


class KeyReader:
    """Look-ups of one dataset. Gives the same as a read of the whole source cut to the key."""

    def __init__(self, schema: SchemaDef, mapping: CompiledMapping, source: KeyRows) -> None:
        self._schema = schema
        self._mapping = mapping
        self._source = source
        self._columns = None if mapping.all_columns else tuple(sorted(mapping.raw_columns))
        self._parts = tuple((name, mapping.renames[name]) for name in schema.meta.key)
        self._checked: pa.Schema | None = None
        self._pushed = ("key",) if self._columns is None else ("columns", "key")

    @classmethod
    def of(cls, schema: SchemaDef, mapping: CompiledMapping, connector: Connector) -> KeyReader | None:
        """The reader, None where the source has no such ability or the key is not made of plain columns."""
        plain = mapping.preparation.unpivot is None and all(name in mapping.renames for name in schema.meta.key)
        can = connector.capabilities
        fits = "=" in can.filter_operators and can.filter_columns is None and can.filter_exactness == "exact"
        return cls(schema, mapping, connector) if plain and fits and isinstance(connector, KeyRows) else None

    async def read(self, request: ReadRequest) -> ReadResult | None:
        """The records of `request.key`; None when the source has to be scanned for it."""
        key = request.key or ""
        values = self._schema.key_values(key)
        wanted: list[tuple[str, Any]] = []
        for name, column in self._parts:
            if values[name] is None:
                return None
            wanted.append((column, values[name]))
        batch = await self._source.rows_of(self._columns, tuple(wanted), request.deadline)
        return None if batch is None else self._picked(batch, key, request)

    def _picked(self, batch: RawBatch, key: str, request: ReadRequest) -> ReadResult:
        if batch.schema is not self._checked:
            missing = self._mapping.check_columns(batch.schema.names)
            if missing:
                names = ", ".join(missing)
                raise SourceSchemaMismatch(f"the source has no column {names}", field="/fields", missing=missing)
            self._checked = batch.schema
        rejects = [[Reject(raw.location, "", raw.rule, raw.detail)] for raw in batch.rejects]
        found: MappedRecord | None = None
        left_out = LeftOut()
        for prepared in prepared_rows(self._mapping, batch, left_out):
            if isinstance(prepared, Reject):
                rejects.append([prepared])
                continue
            location, row = prepared
            record, faults = map_record(self._mapping, self._schema, row, location, keyed=batch.numbers is None)
            if record is None:
                rejects.append(faults)
            elif record.key == key:
                if found is None:
                    found = record
                else:
                    rejects.append(
                        [
                            duplicate_key(
                                self._schema,
                                record,
                                self._mapping.location_of(row, location, keyed=batch.numbers is None),
                            )
                        ]
                    )
        return ReadResult(
            records=self._wanted(found, request),
            rejected_rows=len(rejects),
            rejects=[fault for faults in rejects for fault in faults][:SAMPLE_REJECTS],
            pushed=self._pushed,
            as_of=datetime.now(UTC),
            skipped_blank=batch.skipped_blank + left_out.rows,
        )

    def _wanted(self, record: MappedRecord | None, request: ReadRequest) -> list[MappedRecord]:
        if record is None:
            return []
        if request.filter is not TRUE and compile_predicate(request.filter)(record.values) is not True:
            return []
        found = self._mapping.findings(record.values)
        if found:
            record.warnings = (*record.warnings, *found)
        return [record]
