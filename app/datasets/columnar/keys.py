"""The keys of a batch, as `SchemaDef.key_of` makes them of records."""

from __future__ import annotations

from typing import Any

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
