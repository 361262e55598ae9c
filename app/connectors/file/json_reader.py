"""JSON, NDJSON and GeoJSON files: records at a path, object or array alike, numbers kept exact."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

from app.connectors.contract import RawBatch, RawReject
from app.connectors.file.source import FileSource
from app.connectors.geojson import FeatureColumns
from app.connectors.json_records import json_batch, records_at
from app.connectors.json_text import JsonFlaw, decode_json_bytes, parse_json
from app.errors import SourceFormatError, SourceTooLarge

MOST_BYTES = 134_217_728
BATCH_ROWS = 1_000


def read_json(path: Path, source: FileSource, location: str) -> Iterator[RawBatch]:
    """The records of the file."""
    if source.kind_of_file == "ndjson":
        yield from _lines(path, location)
        return
    if path.stat().st_size > MOST_BYTES:
        raise SourceTooLarge(
            f"{location}: a JSON file has at most {MOST_BYTES} bytes; use NDJSON", limit_bytes=MOST_BYTES
        )
    try:
        document = parse_json(decode_json_bytes(path.read_bytes()))
    except JsonFlaw as flaw:
        raise SourceFormatError(f"{location}: {flaw.detail}", field="/source", line=flaw.line, rule=flaw.rule) from None
    default = "$.features[*]" if source.kind_of_file == "geojson" else "$"
    records = records_at(document, source.record_path or default)
    if source.kind_of_file == "geojson":
        records = FeatureColumns().records(records)
    yield json_batch(records, location)


def _lines(path: Path, location: str) -> Iterator[RawBatch]:
    records: list[Any] = []
    numbers: list[int] = []
    rejects: list[RawReject] = []
    with path.open("rb") as file:
        for number, line in enumerate(file, 1):
            if not line.strip():
                continue
            try:
                records.append(parse_json(decode_json_bytes(line)))
                numbers.append(number)
            except JsonFlaw as flaw:
                rejects.append(RawReject(f"{location}, line {number}", flaw.rule, flaw.detail))
            if len(records) >= BATCH_ROWS:
                yield json_batch(records, location, numbers, rejects)
                records, numbers, rejects = [], [], []
    yield json_batch(records, location, numbers, rejects)
