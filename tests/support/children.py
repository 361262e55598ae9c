"""The processes that a running gateway has had forked."""

from __future__ import annotations

import contextlib
from pathlib import Path


def workers_of(gateway: int) -> list[int]:
    """The SQL workers of a gateway: the children of the loaded process that it has them forked from."""
    return [worker for nursery in _children(gateway) for worker in _children(nursery)]


def _children(parent: int) -> list[int]:
    found = []
    for entry in Path("/proc").glob("[0-9]*"):
        with contextlib.suppress(OSError, IndexError):
            if int(entry.joinpath("stat").read_text().rpartition(")")[2].split()[1]) == parent:
                found += [int(entry.name)] if b"sql.worker" in entry.joinpath("cmdline").read_bytes() else []
    return found
