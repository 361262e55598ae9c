"""Records inside a JSON document, and how they become a raw batch. Shared by the kinds that read JSON."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace
from functools import lru_cache
from operator import itemgetter
from typing import Any

import pyarrow as pa

from app.connectors.contract import JSON_COLUMN, RawBatch, RawReject
from app.connectors.json_paths import JsonPath, NothingThere
from app.connectors.projection import project
from app.errors import SourceFormatError

_FEWEST = 2
"""Columns from which on `itemgetter` gives tuples."""


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
    kept, kept_numbers, refused = _objects(records, location, numbers, rejects)
    for record in kept:
        names.update(dict.fromkeys(record))
    rows = [tuple(map(record.get, names)) for record in kept]
    return RawBatch(_json_schema(names), rows=rows, location=location, numbers=kept_numbers, rejects=refused)


def json_columns(
    records: Sequence[Any], columns: Sequence[str], location: str, numbers: Sequence[int] | None = None
) -> RawBatch:
    """The records with these columns only, as `project` makes them of `json_batch`: other members are not looked at."""
    kept, kept_numbers, refused = _objects(records, location, numbers, ())
    if len(columns) < _FEWEST or not kept:
        return project(json_batch(records, location, numbers), columns)
    try:
        rows = list(map(itemgetter(*columns), kept))
    except KeyError:  # a member that some record has not
        return project(json_batch(records, location, numbers), columns)
    return RawBatch(_kept_schema(tuple(columns)), rows=rows, location=location, numbers=kept_numbers, rejects=refused)


def _objects(
    records: Sequence[Any], location: str, numbers: Sequence[int] | None, rejects: Sequence[RawReject]
) -> tuple[Sequence[dict[str, Any]], Sequence[int], list[RawReject]]:
    """The records that are objects, their numbers, and what is rejected with those that are none."""
    refused = list(rejects)
    numbers = range(1, len(records) + 1) if numbers is None else numbers
    if all(type(record) is dict for record in records):
        return records, numbers, refused
    kept: list[dict[str, Any]] = []
    kept_numbers: list[int] = []
    for record, number in zip(records, numbers, strict=True):
        if isinstance(record, dict):
            kept.append(record)
            kept_numbers.append(number)
        elif isinstance(record, RawReject):  # whoever read it refused it
            refused.append(replace(record, location=f"{location}, record {number}"))
        else:
            refused.append(RawReject(f"{location}, record {number}", "not_an_object", "a record is a JSON object"))
    return kept, kept_numbers, refused


def _json_schema(names: Iterable[str]) -> pa.Schema:
    return pa.schema([pa.field(name, pa.string(), metadata=JSON_COLUMN) for name in names])


_kept_schema = lru_cache(maxsize=256)(_json_schema)
"""For the columns of a mapping: what a source calls its members is not kept."""
