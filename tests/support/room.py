"""Room on disk for what computations put aside, and a disk that takes no more."""

from __future__ import annotations

import contextlib
import resource
from collections.abc import Iterator
from pathlib import Path

from app.federation.spilling import Space
from app.gateway.storage import Storage


def room_in(folder: Path, spool_bytes: int = 1 << 40) -> Space:
    """Room of one client in a folder."""
    return Storage(folder, reserve_bytes=0, spool_bytes=spool_bytes).space(folder, "client")


@contextlib.contextmanager
def file_bytes_limited(most: int) -> Iterator[None]:
    """No file of this process grows beyond so many bytes: the system refuses the write, as a full disk does."""
    soft, hard = resource.getrlimit(resource.RLIMIT_FSIZE)
    resource.setrlimit(resource.RLIMIT_FSIZE, (most, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_FSIZE, (soft, hard))
