"""Who may use how much of the disk: answers on their way, and what is put aside for them, by client; a reserve is the exchange log's alone.

In memory of one process. What agencies upload is counted in the store (`catalog/files.py`), finished results in the table of jobs.
"""

from __future__ import annotations

import os
import threading
from collections import Counter
from pathlib import Path

from app.errors import QuotaExceeded, SimpulError, SourceFailed, SourceTooLarge
from app.federation.spilling import Space

_LOOK_BYTES = 1 << 20


class StorageFull(SimpulError):
    """What is free of the disk is kept for the exchange log."""

    code = "storage_full"
    retryable = True


class Storage:
    """The disk of one instance."""

    def __init__(self, folder: Path, *, reserve_bytes: int, spool_bytes: int) -> None:
        self._folder = folder
        self._reserve_bytes = reserve_bytes
        self._spool_bytes = spool_bytes
        self._share_bytes = spool_bytes - spool_bytes // 4
        self._lock = threading.Lock()
        self._used: Counter[str] = Counter()

    @property
    def used(self) -> int:
        """Bytes that answers on their way take now."""
        return self._used.total()

    def check_free(self, more: int) -> None:
        """Raises `StorageFull` where so many bytes more would reach into the log's reserve."""
        found = os.statvfs(self._folder)
        if found.f_bavail * found.f_frsize - more < self._reserve_bytes:
            raise StorageFull(
                f"less than {self._reserve_bytes >> 20} MiB of the disk are free, which are kept for the exchange log; "
                "nothing was written: the operator has to make room",
                limit_bytes=self._reserve_bytes,
            )

    def room(self, client: str) -> Room:
        """Room for one answer of a client."""
        return Room(self, client)

    def space(self, spool: Path, client: str) -> Space:
        """A folder for what computations of a client put aside, each file of which takes room of the client's share."""
        return Space(spool, lambda: self.room(client))

    def take(self, client: str, size: int) -> None:
        """Counts bytes of a client; raises `QuotaExceeded` above its share, `StorageFull` above that of all."""
        with self._lock:
            if self._used[client] + size > self._share_bytes:
                detail = (
                    f"your answers on their way, and what is sorted for them, take {self._share_bytes} bytes; "
                    "fetch or leave them first, or ask for less"
                )
                raise QuotaExceeded(detail, limit_bytes=self._share_bytes, retry_after_seconds=5)
            if self._used.total() + size > self._spool_bytes:
                detail = f"answers on their way, and what is sorted for them, take {self._spool_bytes} bytes; try again in a moment"
                raise StorageFull(detail, limit_bytes=self._spool_bytes, retry_after_seconds=5)
            self._used[client] += size

    def give(self, client: str, size: int) -> None:
        """Bytes that are gone."""
        with self._lock:
            self._used[client] -= size
            if self._used[client] <= 0:
                del self._used[client]


class Room:
    """The room that one answer takes on disk. Looks at the disk itself once a mebibyte."""

    def __init__(self, storage: Storage, client: str) -> None:
        self._storage = storage
        self._client = client
        self._taken = 0
        self._looked = 0

    def take(self, size: int) -> None:
        """Before so many bytes are written. Errors as for `Storage.take` and `Storage.check_free`."""
        if self._taken == 0 or self._taken + size - self._looked > _LOOK_BYTES:
            self._storage.check_free(size + _LOOK_BYTES)
            self._looked = self._taken
        self._storage.take(self._client, size)
        self._taken += size

    def refused(self, error: OSError) -> StorageFull:
        """The error of a disk that took no more, whatever was free when it was looked at."""
        return StorageFull(
            f"what was to be put aside could not be written: {error.strerror}; nothing of it is kept, try again"
        )

    def give_back(self) -> None:
        """The answer is gone; may be called twice."""
        taken, self._taken, self._looked = self._taken, 0, 0
        if taken:
            self._storage.give(self._client, taken)


class AgencyShare:
    """What copies of an agency's files from elsewhere, and what is unpacked of its archives, take of the disk now."""

    def __init__(self, storage: Storage, most_bytes: int) -> None:
        self._storage = storage
        self._most_bytes = most_bytes
        self._lock = threading.Lock()
        self.used = 0

    def take(self, size: int) -> None:
        """Before so many bytes are written. Raises `SourceTooLarge` above the share, `SourceFailed` where the log's reserve begins."""
        try:
            self._storage.check_free(size)
        except StorageFull as full:
            raise SourceFailed(full.detail, field="/source/location") from None
        with self._lock:
            if self.used + size > self._most_bytes:
                taken = f"{self.used} of {self._most_bytes} bytes"
                detail = f"copies of the agency's files from elsewhere take {taken} (SIMPUL_AGENCY_FILE_BYTES)"
                raise SourceTooLarge(detail, field="/source/location", limit_bytes=self._most_bytes)
            self.used += size

    def give(self, size: int) -> None:
        """Bytes that are gone."""
        with self._lock:
            self.used -= size
