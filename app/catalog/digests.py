"""Of each record of a batch one keyed digest of its content: every field but the key. Made by columns.

A record has the same digest however it came (as rows or columns, in whatever order of fields). A null is as good as a field that is
not there: a field that a schema gains moves nothing until it is filled.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Collection
from itertools import pairwise
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.schemas.definition import SchemaDef
from app.schemas.geometry import geometry_value

DIGEST_VERSION = 2
"""Of the bytes that are digested. Raise it with them, in a migration that drops what was remembered under the old ones."""
DIGEST_BYTES = 16


def content_digests(schema: SchemaDef, rows: pa.RecordBatch, fields: Collection[str], secret: bytes) -> pa.Array[Any]:
    """The digest of every row over these fields; `secret`: at most 64 bytes, without which nobody can try values."""
    parts: list[Any] = []
    for name in sorted(set(fields) - set(schema.meta.key)):
        column: Any = rows.column(name)
        if column.null_count < len(column):
            if schema.fields[name].kind == "geometry":
                column = _geometries(column)
            framed = pc.binary_join_element_wise(_large(f"{name}="), _framed(column), _large(""), null_handling="skip")
            parts.append(pc.if_else(pc.is_valid(column), framed, _large("")))
    if parts:
        texts = pc.binary_join_element_wise(*parts, _large(""))
        offsets, data = _bytes_of(texts)
    else:
        offsets, data = [0] * (rows.num_rows + 1), memoryview(b"")
    digests = b"".join(
        [
            hashlib.blake2b(data[start:end], key=secret, digest_size=DIGEST_BYTES).digest()
            for start, end in pairwise(offsets)
        ]
    )
    return pa.Array.from_buffers(pa.binary(DIGEST_BYTES), rows.num_rows, [None, pa.py_buffer(digests)])


def _framed(column: Any) -> Any:
    """Each value as text that says its own length, so that no two lists of values read alike; null is `-`."""
    text = _text(column)
    length = pc.cast(pc.cast(pc.binary_length(text), pa.int64()), pa.large_string())
    framed = pc.binary_join_element_wise(length, _large(":"), text, _large(""))
    return pc.fill_null(framed, _large("-"))


def _text(column: Any) -> Any:
    """The value itself as text, exact and the same in every version of the engine."""
    kind = column.type
    if pa.types.is_string(kind) or pa.types.is_decimal(kind):
        return pc.cast(column, pa.large_string())
    if pa.types.is_floating(kind):
        zero: Any = pa.scalar(0.0, kind)
        column = pc.if_else(pc.equal(column, zero), zero, column)  # -0.0 is 0.0
        return pc.cast(column.view(pa.int64()), pa.large_string())
    if pa.types.is_struct(kind):
        parts = [
            pc.binary_join_element_wise(_large(f"{field.name}="), _framed(pc.struct_field(column, [index])), _large(""))
            for index, field in sorted(enumerate(kind), key=lambda one: one[1].name)
        ]
        return pc.if_else(pc.is_valid(column), pc.binary_join_element_wise(*parts, _large("")), None)
    if pa.types.is_list(kind):
        return _joined(column)
    if pa.types.is_date32(kind):
        column = column.view(pa.int32())
    elif pa.types.is_timestamp(kind):
        column = column.view(pa.int64())
    return pc.cast(pc.cast(column, pa.int64()), pa.large_string())


def _joined(column: Any) -> Any:
    """The framed items of each list, one behind the other."""
    items = pc.cast(_framed(column.flatten()), pa.string())  # of the lists that are not null
    lengths = pc.fill_null(pc.list_value_length(column), 0).to_numpy(zero_copy_only=False)
    offsets = pa.array(np.concatenate(([0], np.cumsum(lengths))), pa.int32())
    texts = pc.cast(pc.binary_join(pa.ListArray.from_arrays(offsets, items), ""), pa.large_string())
    return pc.if_else(pc.is_valid(column), texts, None)


def _geometries(column: Any) -> Any:
    """GeoJSON texts with their members in one order; each distinct one is read once."""
    distinct = column.dictionary_encode()
    texts = [_geometry(text) for text in distinct.dictionary.to_pylist()]
    return pa.array(texts, pa.string()).take(distinct.indices)


def _geometry(text: str) -> str:
    value = geometry_value(text)
    return text if value is None else json.dumps(value, separators=(",", ":"), sort_keys=True)


def _large(text: str) -> Any:
    return pa.scalar(text, pa.large_string())


def _bytes_of(texts: Any) -> tuple[list[int], memoryview]:
    """Where each text begins and the last one ends, and the bytes that they stand in."""
    _, offsets, data = texts.buffers()
    begins = np.frombuffer(offsets, np.int64)[texts.offset : texts.offset + len(texts) + 1].tolist()
    return begins, memoryview(data) if data is not None else memoryview(b"")
