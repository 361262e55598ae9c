"""What the log says of its own erasures. SQL is the same on both stores."""

from __future__ import annotations

import orjson

from app.audit.entry.spans import Span, entry_spans
from app.audit.store.contract import LogReader

ERASURES = (
    "SELECT e.idx, e.entry, d.detail FROM log_entry e LEFT JOIN exchange_detail d ON d.idx = e.idx"
    " WHERE e.facet IN (SELECT facet FROM log_facet WHERE term = 'kind:erasure') ORDER BY e.idx"
)


async def recorded_erasures(reader: LogReader) -> list[tuple[int, list[Span]]]:
    """Every erasure entry with its spans, oldest first."""
    rows = await reader.fetch(ERASURES)
    return [
        (int(idx), entry_spans(orjson.loads(bytes(entry)), orjson.loads(bytes(detail or b"{}"))))
        for idx, entry, detail in rows
    ]
