"""Small files that must be complete or absent after a power cut: keys, verifier key, last checkpoint."""

from __future__ import annotations

import os
from contextlib import suppress
from pathlib import Path


def sync_folder(folder: Path) -> None:
    """Make the names in a folder durable."""
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _write_beside(path: Path, content: bytes, mode: int) -> Path:
    beside = path.with_name(f".{path.name}.{os.getpid()}.{os.urandom(4).hex()}")
    descriptor = os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    with os.fdopen(descriptor, "wb") as file:
        file.write(content)
        file.flush()
        os.fsync(file.fileno())
    return beside


def replace_file(path: Path, content: bytes, mode: int = 0o644) -> None:
    """Put `content` at `path`, durably; a reader sees the old or the new content, nothing between."""
    beside = _write_beside(path, content, mode)
    try:
        beside.replace(path)
    except OSError:
        beside.unlink(missing_ok=True)
        raise
    sync_folder(path.parent)


def create_file(path: Path, content: bytes, mode: int = 0o400) -> bool:
    """Put `content` at `path` unless something is there; True when it was made. Safe against a second creator."""
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    beside = _write_beside(path, content, mode)
    made = False
    try:
        with suppress(FileExistsError):
            os.link(beside, path)
            made = True
    finally:
        beside.unlink()
    sync_folder(path.parent)
    return made
