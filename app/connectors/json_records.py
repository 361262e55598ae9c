"""Records inside a JSON document: where a path leads, and how they become a raw batch. Shared by the kinds that read JSON."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from app.connectors.contract import JSON_COLUMN, RawBatch, RawReject
from app.errors import SourceFormatError

_PATH = re.compile(r"\$(?:\.[^.\[\]]+|\['[^']+'\]|\[\*\]|\[\d+\])*")
_STEP = re.compile(r"\.([^.\[\]]+)|\['([^']+)'\]|\[(\*|\d+)\]")


def check_path(path: str) -> str:
    """The path if it is one of the forms `$`, `$.a.b[*]`, `$[0].data[*]`, `$['@odata.nextLink']`; raises ValueError."""
    if _PATH.fullmatch(path) is None:
        raise ValueError("a record path is written $, $[*] or $.data.items[*]")
    return path


def records_at(document: Any, path: str) -> list[Any]:
    """What stands at the path, as a list: an array gives its items, a single object is one record.

    A null in the place of the list is told: it is no empty list. A null among the items stays, to be rejected by its number.
    """
    check_path(path)
    found: list[Any] = [document]
    for plain, quoted, index in _STEP.findall(path):
        name = plain or quoted
        following: list[Any] = []
        for value in found:
            if name:
                if not isinstance(value, dict) or name not in value:
                    detail = f"there is nothing at {path}: no member {name}"
                    raise SourceFormatError(detail, field="/read/record_path")
                following.append(value[name])
            elif index == "*":
                if value is None:
                    raise SourceFormatError(f"there is null where {path} expects records", field="/read/record_path")
                following += value if isinstance(value, list) else [value]
            elif isinstance(value, list) and int(index) < len(value):
                following.append(value[int(index)])
        found = following
    if found == [None] and not path.endswith("]"):
        raise SourceFormatError(f"there is null where {path} expects records", field="/read/record_path")
    if len(found) == 1 and isinstance(found[0], list):
        found = found[0]
    return found


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
