"""How a JSON file has to be read: where its records are, and whether it is GeoJSON."""

from __future__ import annotations

from pathlib import Path

from app.connectors.diagnosis import Findings
from app.connectors.file.source import FileSource
from app.connectors.json_text import JsonFlaw, decode_json_bytes, parse_json
from app.connectors.record_lists import is_geojson, records_path

MOST_BYTES = 16_777_216


def diagnose_document(path: Path, source: FileSource, found: Findings) -> None:
    """Looks at the whole document where it has at most 16 MiB."""
    if source.record_path is not None or path.stat().st_size > MOST_BYTES:
        return
    try:
        document = parse_json(decode_json_bytes(path.read_bytes()))
    except JsonFlaw:
        return  # told by the read that follows, with its line
    if is_geojson(document):
        if source.kind_of_file != "geojson":
            found.source("format", "geojson", "the document is a FeatureCollection")
        return
    told = records_path(document)
    if told is not None and told[0] != "$[*]":
        found.source("record_path", told[0], told[1])
