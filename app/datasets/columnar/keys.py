"""The keys of a batch, and which of them were met before: a bounded set of hashes in sorted runs."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.schemas.definition import SchemaDef, encoded_part


def keys_of(schema: SchemaDef, columns: pa.RecordBatch) -> Any:
    """`SchemaDef.key_of` of every row."""
    parts = [_encoded(columns.column(name)) for name in schema.meta.key]
    return parts[0] if len(parts) == 1 else pc.binary_join_element_wise(*parts, "~")


def _encoded(column: Any) -> Any:
    if pa.types.is_string(column.type) and pc.all(pc.ascii_is_alnum(column), min_count=0).as_py():
        return pc.fill_null(column, "")
    distinct = column.dictionary_encode()
    texts = [encoded_part(value) for value in distinct.dictionary.to_pylist()]
    return pa.array([*texts, ""], pa.string()).take(distinct.indices.fill_null(len(texts)))


class KeysMet:
    """The hashes (64 bits) of the keys that a read met: eight bytes a key, in sorted runs that are merged as they grow."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray[Any, np.dtype[np.int64]]] = []

    def first_met(self, keys: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of these keys were not met before, neither in earlier calls nor earlier in this one; they are remembered."""
        marks = np.fromiter(map(hash, keys.to_pylist()), np.int64, len(keys))
        distinct, firsts = np.unique(marks, return_index=True)
        known = np.zeros(len(distinct), np.bool_)
        for run in self._runs:
            at = np.searchsorted(run, distinct)
            at[at == len(run)] = 0
            known |= run[at] == distinct
        fresh = np.zeros(len(marks), np.bool_)
        fresh[firsts[~known]] = True
        if not known.all():
            self._add(distinct[~known])
        return fresh

    def _add(self, run: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)
