"""What a batch of valid records tells of quality: what `QualityCounter.take` counts of each of them, counted of columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.columnar.findings import beyond
from app.datasets.columnar.kernels import NO
from app.datasets.quality import WORTH_A_LOOK, QualityCounter


def take_columns(
    counter: QualityCounter, columns: pa.RecordBatch, locations: Callable[[Sequence[int]], Sequence[str]]
) -> None:
    """The records of a batch. `locations` tells where rows of it stand at the source."""
    if counter.region is not None:
        met: Any = pc.value_counts(columns.column(counter.region))
        for code, count in zip(met.field("values").to_pylist(), met.field("counts").to_pylist(), strict=True):
            counter.met(code, count)
    for parts in counter.positions:
        given = np.logical_and.reduce(
            [columns.column(part).is_valid().to_numpy(zero_copy_only=False) for part in parts]
        )
        with_position = int(given.sum())
        counter.placed(with_position, with_position - len(beyond(columns, parts, counter.against.bbox)))
    newest = counter.against.freshness_field
    if newest is not None:
        counter.dated(pc.max(columns.column(newest)).as_py())
    rows = np.zeros(columns.num_rows, np.bool_)
    for name in counter.texts:
        looked: Any = pc.fill_null(pc.match_substring_regex(columns.column(name), WORTH_A_LOOK.pattern), NO)
        rows |= looked.to_numpy(zero_copy_only=False)
    indexes = np.flatnonzero(rows).tolist()
    if not indexes:
        return
    told = {}
    values = columns.select(counter.texts).take(pa.array(indexes, pa.int64())).to_pylist()
    for index, record in zip(indexes, values, strict=True):
        found = counter.looked_at(record)
        if found:
            told[index] = found
    for found, location in zip(told.values(), locations(list(told)), strict=True):
        counter.stands_at(found, location)
