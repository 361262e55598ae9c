"""Raw columns of Arrow as the Python values that rows have."""

from __future__ import annotations

from typing import Any

import orjson
import pyarrow as pa

from app.connectors.cells import CELLS_COLUMN, NUMBERS_COLUMN, tagged_cell
from app.connectors.json_text import parse_json

_KIND = b"simpul"


def is_json(field: pa.Field[Any]) -> bool:
    """Whether a raw column holds JSON text, of records or of cells."""
    return (field.metadata or {}).get(_KIND) in (b"json", CELLS_COLUMN[_KIND])


def python_values(field: pa.Field[Any], column: Any) -> list[Any]:
    """A raw column as Python values; JSON is parsed, whole numbers of a sheet are integers."""
    values: list[Any] = column.to_pylist()
    kind = (field.metadata or {}).get(_KIND)
    if kind == b"json":
        return [None if value is None else parse_json(value) for value in values]
    if kind == CELLS_COLUMN[_KIND]:
        return [None if value is None else tagged_cell(orjson.loads(value)) for value in values]
    if kind == NUMBERS_COLUMN[_KIND]:
        return [int(value) if value is not None and value.is_integer() else value for value in values]
    return values
