"""Records inside a JSON document, and how they become a raw batch. Shared by the kinds that read JSON."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from app.connectors.contract import JSON_COLUMN, RawBatch, RawReject
from app.connectors.json_paths import JsonPath, NothingThere
from app.errors import SourceFormatError


def records_at(document: Any, path: str) -> list[Any]:
    """The records at a path, whatever they are: those that are no objects are rejected by their numbers (`json_batch`)."""
    try:
        return JsonPath.parse(path).items(document)
    except NothingThere as nothing:
        raise SourceFormatError(str(nothing), field="/read/record_path") from None


def json_batch(
    records: Sequence[Any], location: str, numbers: Sequence[int] | None = None, rejects: Sequence[RawReject] = ()
) -> RawBatch:
    """The records as one batch: every member that any of them has is a column, a missing member is null."""
    names: dict[str, None] = {}
    kept: list[dict[str, Any]] = []
    kept_numbers: list[int] = []
    refused = list(rejects)
    for position, record in enumerate(records, 1):
        number = numbers[position - 1] if numbers is not None else position
        if isinstance(record, dict):
            kept.append(record)
            kept_numbers.append(number)
            names.update(dict.fromkeys(record))
        else:
            refused.append(RawReject(f"{location}, record {number}", "not_an_object", "a record is a JSON object"))
    schema = pa.schema([pa.field(name, pa.string(), metadata=JSON_COLUMN) for name in names])
    rows = [tuple(record.get(name) for name in names) for record in kept]
    return RawBatch(schema, rows=rows, location=location, numbers=kept_numbers, rejects=refused)
