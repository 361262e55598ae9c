"""Records in Arrow: the schema derived from the fields, and rows of Python values to batches and back.

A geometry is a string column of GeoJSON text (its field metadata says so): engines read it without an extension, and
the Python value of a row is the dict again. Decimals are decimal128(38, scale), instants timestamp[us, UTC].
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from decimal import Decimal
from typing import Any

import pyarrow as pa

from app.schemas.base import FieldSpec, SchemaMeta
from app.schemas.constraints import DecimalRule
from app.schemas.definition import SchemaDef
from app.schemas.geometry import geometry_text, geometry_value

_SCALARS: Mapping[str, pa.DataType] = {
    "text": pa.string(),
    "integer": pa.int64(),
    "number": pa.float64(),
    "boolean": pa.bool_(),
    "date": pa.date32(),
    "datetime": pa.timestamp("us", tz="UTC"),
    "geometry": pa.string(),
}


def arrow_type(spec: FieldSpec) -> pa.DataType:
    """The Arrow type of a field's values."""
    if isinstance(spec.rule, DecimalRule):
        return pa.decimal128(38, spec.rule.scale)
    if spec.item is not None:
        return pa.list_(pa.field("item", arrow_type(spec.item)))
    if spec.kind == "object":
        return pa.struct([pa.field(name, arrow_type(part)) for name, part in spec.parts.items()])
    return _SCALARS[spec.kind]


def arrow_schema(meta: SchemaMeta, fields: Mapping[str, FieldSpec]) -> pa.Schema:
    """The Arrow schema of a shared schema. All columns are nullable: what is required is the checks' business."""
    columns = [
        pa.field(name, arrow_type(spec), metadata={"simpul:semantic": spec.semantic}) for name, spec in fields.items()
    ]
    return pa.schema(columns, metadata={"simpul:schema": meta.ref})


def batch_of(schema: SchemaDef, rows: Sequence[Mapping[str, Any]]) -> pa.RecordBatch:
    """Rows of Python values (field -> value, absent is null) as one batch. Raises pa.ArrowInvalid on a wrong type."""
    columns = []
    for name, spec in schema.fields.items():
        values = [row.get(name) for row in rows]
        if spec.kind == "geometry":
            values = [None if value is None else geometry_text(value) for value in values]
        columns.append(pa.array(values, type=schema.arrow.field(name).type))
    return pa.RecordBatch.from_arrays(columns, schema=schema.arrow)


def rows_of(schema: SchemaDef, batch: pa.RecordBatch) -> list[dict[str, Any]]:
    """A batch as rows of Python values; a geometry text that is not JSON comes back as it is, to be refused later."""
    rows: list[dict[str, Any]] = batch.to_pylist()
    for name in [name for name, spec in schema.fields.items() if spec.kind == "geometry"]:
        for row in rows:
            text = row.get(name)
            if text is not None:
                value = geometry_value(text)
                row[name] = text if value is None else value
    return rows


def decimal_text(value: Decimal) -> str:
    """A decimal on the wire: plain, no exponent, no trailing zeros, no negative zero (`-12.5`, `24950`)."""
    text = format(value, "f")
    if "." in text:
        text = text.rstrip("0").rstrip(".")
    return "0" if text == "-0" else text
