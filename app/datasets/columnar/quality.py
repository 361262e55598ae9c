"""What a batch of valid records tells of quality: what `QualityCounter.take` counts of each of them, counted of columns."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.columnar.findings import beyond
from app.datasets.columnar.kernels import NO
from app.datasets.quality import WORTH_A_LOOK, WORTH_A_LOOK_DIGITS, QualityCounter
from app.schemas.text_bytes import text_bytes

_AT, _ZERO = ord("@"), ord("0")


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
        column = columns.column(name)
        if may_be_worth_a_look(column):
            looked: Any = pc.fill_null(pc.match_substring_regex(column, WORTH_A_LOOK.pattern), NO)
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


def may_be_worth_a_look(column: Any) -> bool:
    """Whether `WORTH_A_LOOK` may match a text of the column: false only where it surely matches none.

    Looks at the bytes of all texts as one: an `@`, or ten characters in a row of which no two neighbours are both no digits.
    """
    content = text_bytes(column)
    if (content == _AT).any():
        return True
    longest: Any = pc.max(pc.binary_length(column)).as_py()
    if longest is None or longest < WORTH_A_LOOK_DIGITS:
        return False
    digits = (content - _ZERO) < 10
    pairs = digits[1:] | digits[:-1]
    two = pairs[1:] & pairs[:-1]
    four = two[2:] & two[:-2]
    return bool((four[4:] & four[:-4]).any())
