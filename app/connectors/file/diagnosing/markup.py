"""Where the records of an XML document are: the path of the element that comes again and has the most parts."""

from __future__ import annotations

from pathlib import Path

from app.connectors.diagnosis import Findings
from app.connectors.file.source import FileSource
from app.connectors.xml_records import CHUNK_BYTES, XmlPaths
from app.errors import SourceFormatError

MOST_BYTES = 16_777_216


def diagnose_markup(path: Path, source: FileSource, found: Findings) -> None:
    """Looks at the first 16 MiB of the document."""
    if source.record_path is not None:
        return
    seen = XmlPaths(source.location)
    read = 0
    with path.open("rb") as file:
        while read < MOST_BYTES and (chunk := file.read(CHUNK_BYTES)):
            seen.feed(chunk)
            read += len(chunk)
    best = seen.ranked()
    if not best:
        raise SourceFormatError(f"{source.location}: no element of the XML has children or attributes", field="/source")
    (chosen, count), others = best[0], best[1:4]
    also = f"; also {', '.join(f'{one} ({size})' for one, size in others)}" if others else ""
    found.source("record_path", chosen, f"{count} elements with the most attributes and children stand there{also}")
