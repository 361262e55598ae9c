"""Sealing the details that an older version stored plain: once for each folder, beside appending."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from pathlib import Path
from typing import Final

import structlog

from app.audit.keys.details import DetailKeys, sealed_year
from app.audit.keys.durable_files import replace_file
from app.audit.store.contract import DetailEraser, LogReader

_logger = structlog.get_logger("simpul.log")

DONE_FILE: Final = "log.sealed"
"""Says that no detail of an older version stands plain any more."""

_BATCH: Final = 500
_STANDING = (
    "SELECT d.idx, d.detail, e.id, e.kind, e.t_us FROM exchange_detail d JOIN log_entry e ON e.idx = d.idx"
    " WHERE d.idx >= $1 AND d.idx < $2 ORDER BY d.idx"
)


async def seal_standing(reader: LogReader, eraser: DetailEraser, keys: DetailKeys, folder: Path, size: int) -> int:
    """Seal what an older version stored plain among the first `size` entries; how many there were. Once for each folder.

    In small batches, so that appending goes on. Interrupted it begins again at the next opening.
    """
    if (folder / DONE_FILE).exists():
        return 0
    count = 0
    for start in range(0, size, _BATCH):
        rows = await reader.fetch(_STANDING, start, min(start + _BATCH, size))
        plain = [
            (int(idx), bytes(detail), keys.seal(str(name), datetime.fromtimestamp(t_us / 1e6, UTC).year, bytes(detail)))
            for idx, detail, name, kind, t_us in rows
            if sealed_year(bytes(detail)) is None and kind != "erasure"
        ]
        if plain:
            await eraser.seal(plain)
            count += len(plain)
            await asyncio.sleep(0)
    await asyncio.to_thread(replace_file, folder / DONE_FILE, b"1\n", 0o600)
    if count:
        _logger.warning("standing_details_sealed", count=count)
    return count
