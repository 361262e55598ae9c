"""XML files: their records, streamed (`connectors/xml_records.py`)."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Final

from app.connectors.contract import RawBatch
from app.connectors.file.source import FileSource
from app.connectors.xml_records import CHUNK_BYTES, XmlRecords
from app.errors import SourceFormatError

BATCH_ROWS: Final = 1_000


def read_xml(path: Path, source: FileSource, location: str) -> Iterator[RawBatch]:
    """The records of the file; their numbers are the lines in which they begin. Raises `SourceFormatError`, `SourceTooLarge`."""
    if source.record_path is None:
        detail = f"{location}: state record_path, the path to the element of each record, such as /data/item; discover proposes one"
        raise SourceFormatError(detail, field="/source/record_path")
    records = XmlRecords(source.record_path, location)
    yielded = False
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            records.feed(chunk)
            while len(records.found) >= BATCH_ROWS:
                yield records.batch(BATCH_ROWS)
                yielded = True
    records.end()
    if records.found or records.rejects or not yielded:
        yield records.batch(BATCH_ROWS)
