"""From an `Answer` to the bytes of a JSON page. Decimals as text, times RFC 3339 in UTC, null explicit.

A field that an agency does not grant is absent in its records. All other formats are made in `exports/`.
"""

from __future__ import annotations

from collections.abc import Sequence
from decimal import Decimal
from typing import Any

import orjson

from app.federation.question.aggregation import Overlap, overlap_of
from app.federation.question.query import Answer, AnswerRecord, RecordCount, SourceStatus
from app.federation.survivorship import MergedAnswer
from app.schemas.arrow import decimal_text
from app.schemas.base import SharedPart
from app.schemas.definition import SchemaDef
from app.schemas.wire import wire_values

_OPTIONS = orjson.OPT_UTC_Z


def source_documents(statuses: Sequence[SourceStatus]) -> list[dict[str, object]]:
    """`sources[]` as it goes on the wire. Details of a source's fault name no secret and no value (contract of the kinds)."""
    return [
        {
            "agency": status.agency,
            "dataset": status.dataset,
            "status": status.status,
            "rows": status.rows,
            "rejected_rows": status.rejected_rows,
            "elapsed_ms": status.elapsed_ms,
            "as_of": status.as_of,
            "pushed": status.pushed,
            **({"withheld": status.withheld} if status.withheld else {}),
            **({"receipts": status.receipts} if status.receipts else {}),
            **({"snapshot": status.snapshot} if status.snapshot else {}),
            "problem": {"code": status.problem.code, "detail": status.problem.detail} if status.problem else None,
        }
        for status in statuses
    ]


def write_json(answer: Answer, *, next_cursor: str | None) -> bytes:
    """The page: `{"items", "next_cursor", "sources", "complete", "meta"}`."""
    document = {
        "items": [record_document(found) for found in answer.records],
        "next_cursor": next_cursor,
        "sources": source_documents(answer.sources),
        "complete": answer.complete,
        "meta": {
            "schema": answer.schema.meta.ref,
            **overlap_document(answer.schema, overlap_of(answer.records)),
            **_count_document(answer.count),
        },
    }
    return orjson.dumps(document, default=_default, option=_OPTIONS)


def write_merged(answer: MergedAnswer, *, next_cursor: str | None) -> bytes:
    """A page of the merged view: each record with `_sources` (all that were merged) and `_provenance` (whose each field is)."""
    items = []
    for found in answer.records:
        sources = [_source(one) for one in found.records]
        provenance = {
            name: {"agency": one.agency, "dataset": one.dataset, "rule": rule}
            for name, (one, rule) in found.provenance.items()
        }
        items.append({**found.values, "_sources": sources, "_provenance": provenance})
    return write_document(
        {
            "items": items,
            "next_cursor": next_cursor,
            "sources": source_documents(answer.sources),
            "complete": answer.complete,
            "meta": {"schema": answer.schema.meta.ref, "view": "merged"},
        }
    )


def overlap_document(schema: SchemaDef, overlap: Overlap | None) -> dict[str, Any]:
    """`meta.overlap`: keys that several agencies hold among these records; nothing when there are none."""
    if overlap is None:
        return {}
    return {"overlap": {"schema": schema.name, "keys": overlap.keys, "agencies": overlap.agencies}}


def _count_document(count: RecordCount | None) -> dict[str, Any]:
    """`meta.count`; nothing where it was not asked for."""
    if count is None:
        return {}
    told = [
        {
            "agency": one.agency,
            "dataset": one.dataset,
            "value": one.value,
            "problem": {"code": one.problem.code, "detail": one.problem.detail} if one.problem else None,
        }
        for one in count.by_dataset
    ]
    return {"count": {"value": count.value, "exact": count.exact, "by_dataset": told}}


def write_document(document: Any) -> bytes:
    """Any document with values of records in it."""
    return orjson.dumps(document, default=_default, option=_OPTIONS)


def _source(found: AnswerRecord) -> dict[str, Any]:
    source = {"agency": found.agency, "dataset": found.dataset, "id": found.record.key, "as_of": found.as_of}
    return source if found.record.origin is None else {**source, "upstream": found.record.origin}


def record_document(found: AnswerRecord) -> dict[str, Any]:
    """One record as it leaves: its fields that are granted, where it is from, its findings."""
    values, fields = found.record.values, found.fields
    shown = values.copy() if tuple(values) == fields else {name: values.get(name) for name in fields}
    shown["_source"] = _source(found)
    if found.record.warnings:
        shown["_warnings"] = [
            {"field": warning.field, "code": warning.code, "detail": warning.detail_en}
            for warning in found.record.warnings
        ]
    return shown


def _default(value: Any) -> Any:
    if isinstance(value, Decimal):
        return decimal_text(value)
    if isinstance(value, SharedPart):
        return wire_values(value)
    raise TypeError(type(value).__name__)
