"""A manifest tried on the whole source by columns. Says what `datasets/trial.py` says of the same batches.

Where a bound of rows ends it, the blank rows of the last batch are counted to its end.
"""

from __future__ import annotations

import time
from concurrent.futures import Future, ThreadPoolExecutor
from typing import Any

from app.connectors.contract import RawBatch
from app.datasets.columnar.quality import take_columns
from app.datasets.columnar.selection import ColumnSelection
from app.datasets.manifest import Manifest
from app.datasets.mapping import CompiledMapping
from app.datasets.quality import QualityCounter
from app.datasets.records import ReadRequest
from app.datasets.trial import Trial, Trier
from app.schemas.registry import SchemaDef


class ColumnTrier(Trier):
    """Goes through the batches of one source."""

    def __init__(
        self,
        manifest: Manifest,
        schema: SchemaDef,
        mapping: CompiledMapping,
        rows: int,
        seconds: float,
        quality: QualityCounter | None = None,
    ) -> None:
        super().__init__(manifest, schema, mapping, rows, seconds, quality)
        self._columns = ColumnSelection(mapping, ReadRequest(findings=False), rejected=self.reject)
        self._beside = ThreadPoolExecutor(1, thread_name_prefix="quality")
        self._counting: Future[None] | None = None
        """What is counted of the batch before, while the next one is mapped."""

    def take(self, batch: RawBatch) -> bool:
        """Goes through a batch; false when a bound is reached."""
        found = self.found
        found.hints += batch.notes
        if time.monotonic() > self.ends and len(batch):
            found.bounded = "seconds"
            return False
        part = self._columns.part(batch, most=max(0, self.most_rows - found.rows - len(batch.rejects)))
        found.skipped_blank = self._columns.blank
        columns = part.records.rows
        found.rows += columns.num_rows
        found.mapped += columns.num_rows
        for name in self.fields:
            found.nulls[name] += columns.column(name).null_count
        missing: dict[str, Any] = {}
        for row, noted in part.records.warnings.items():
            for warning in noted:
                name = warning.field
                if name not in missing:
                    missing[name] = columns.column(name).is_null().to_numpy(zero_copy_only=False)
                if missing[name][row]:
                    found.nulled[name, warning.code] += 1
        if self.quality is not None:
            self._counted()
            self._counting = self._beside.submit(take_columns, self.quality, columns, part.locations)
        if part.cut:
            found.bounded = "rows"
        return not part.cut

    def done(self) -> Trial:
        """What was found."""
        self._counted()
        self._beside.shutdown()
        return super().done()

    def _counted(self) -> None:
        if self._counting is not None:
            self._counting.result()
