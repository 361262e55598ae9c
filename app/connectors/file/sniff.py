"""What a file really is, by its first bytes: a label that lies is told, not read."""

from __future__ import annotations

from pathlib import Path

from app.errors import SourceFormatError

_MAGIC: tuple[tuple[bytes, str], ...] = (
    (b"\x89PNG\r\n\x1a\n", "PNG image"),
    (b"\xff\xd8\xff", "JPEG image"),
    (b"GIF8", "GIF image"),
    (b"%PDF-", "PDF document"),
    (b"PK\x03\x04", "ZIP archive (XLSX, ODS or DOCX)"),
    (b"\xd0\xcf\x11\xe0\xa1\xb1\x1a\xe1", "old Office file (XLS)"),
    (b"\x1f\x8b", "gzip archive"),
    (b"SQLite format 3\x00", "SQLite database"),
    (b"PAR1", "Parquet file"),
    (b"<!DOCTYPE html", "HTML page"),
    (b"<html", "HTML page"),
)
_EXPECTED = {
    "xlsx": "ZIP archive (XLSX, ODS or DOCX)",
    "ods": "ZIP archive (XLSX, ODS or DOCX)",
    "xls": "old Office file (XLS)",
    "parquet": "Parquet file",
}


def detected(head: bytes) -> str | None:
    """What the first bytes are, None for what has no signature (text)."""
    for magic, name in _MAGIC:
        if head.startswith(magic):
            return name
    return None


def require_format(path: Path, label: str) -> None:
    """Raises `SourceFormatError` when the content is not what the label says."""
    with path.open("rb") as file:
        require_bytes(file.read(64), label)


def require_bytes(head: bytes, label: str) -> None:
    """The same for bytes in hand."""
    found, expected = detected(head), _EXPECTED.get(label)
    if found != expected:
        detail = f"labelled {label}, but the content is " + (f"a {found}" if found else "no such file")
        raise SourceFormatError(detail, field="/source/format", detected=found)
