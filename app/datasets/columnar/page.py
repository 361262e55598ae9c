"""A page out of many records by columns: what cannot be on it is passed over as columns, and only the rest becomes records.

Says what `Selection` says of the same batches.
"""

from __future__ import annotations

import time
from dataclasses import replace
from datetime import datetime
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.connectors.contract import RawBatch
from app.datasets.columnar.positions import Ordering
from app.datasets.columnar.selection import ColumnSelection
from app.datasets.mapping import CompiledMapping
from app.datasets.records import MappedRecord, ReadRequest, ReadResult, RecordColumns
from app.datasets.selection import Selection
from app.errors import SourceTimeout
from app.filters.tree import Filter
from app.lanes import in_bulk
from app.schemas.arrow import rows_of


class ColumnPage:
    """The best `limit` records met so far, and what was rejected. One use a read."""

    def __init__(self, mapping: CompiledMapping, request: ReadRequest, wanted: Filter) -> None:
        self._schema = mapping.schema
        self._request = request
        self._columns = ColumnSelection(mapping, replace(request, filter=wanted))
        self._chosen = Selection(mapping, request, wanted)
        self._order = Ordering.of(mapping.schema, request.order)
        self._passed = False
        """Whether records behind the page were passed over."""

    @property
    def overflown(self) -> bool:
        """Whether records had to be left out because there are more than the limit."""
        return self._passed or self._chosen.overflown

    async def take(self, batch: RawBatch) -> None:
        """Goes through a batch."""
        deadline = self._request.deadline
        if deadline is not None and time.monotonic() > deadline:
            raise SourceTimeout("the source was not read to its end in time")
        await in_bulk(self._take, batch)

    async def result(self, pushed: tuple[str, ...], as_of: datetime) -> ReadResult:
        """The records in order, cut to the limit, with their soft findings."""
        found = await self._chosen.result(pushed, as_of)
        met = await self._columns.drain(pushed, as_of)
        return replace(met, records=found.records, columns=None, more=found.more or self._passed)

    def _take(self, batch: RawBatch) -> None:
        part = self._columns.part(batch).records
        chosen = self._on_page(part)
        rows, keys, warnings = part.rows, part.keys, part.warnings
        if chosen is not None:
            rows, keys = rows.take(chosen), keys.take(chosen)
            told = {old: new for new, old in enumerate(chosen.to_pylist())} if warnings else {}
            warnings = {told[old]: noted for old, noted in warnings.items() if old in told}
        values = rows_of(self._schema, rows)
        for row, (key, record) in enumerate(zip(keys.to_pylist(), values, strict=True)):
            self._chosen.offer(MappedRecord(key, record, warnings.get(row, ())))

    def _on_page(self, part: RecordColumns) -> Any:
        """The rows that may be on the page, None: all of them."""
        if self._request.key is not None:
            return pc.indices_nonzero(pc.equal(part.keys, pa.scalar(self._request.key)))
        try:
            return self._before_edge(part.rows)
        except (pa.ArrowException, OverflowError, TypeError, ValueError):
            return None  # a value that the column's type cannot hold: each record is looked at by itself

    def _before_edge(self, columns: pa.RecordBatch) -> Any:
        """The rows behind the question's position that stand among the first of this batch and before the last of a full page."""
        request, order = self._request, self._order
        wanted: Any = None
        if request.after is not None:
            wanted = order.behind_position(columns, self._schema, request.after)
        edge, passed = self._chosen.edge(), False
        if edge is not None:
            beyond = order.behind(columns, edge.values)
            beyond = beyond if wanted is None else pc.and_(wanted, beyond)
            passed = bool(pc.any(beyond, min_count=0).as_py())
            wanted = pc.invert(beyond) if wanted is None else pc.and_not(wanted, beyond)
        rows: Any = None if wanted is None else pc.indices_nonzero(wanted)
        count = columns.num_rows if rows is None else len(rows)
        if request.limit is not None and count > request.limit + 1:
            first = order.first(columns if rows is None else columns.take(rows), request.limit + 1)
            first = pa.array(np.sort(first.to_numpy(zero_copy_only=False)))  # in the order in which they were met
            rows, passed = first if rows is None else rows.take(first), True
        self._passed = self._passed or passed
        return rows
