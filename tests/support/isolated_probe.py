"""An object that is served in a worker process and misbehaves on demand."""

from __future__ import annotations

import contextlib
import os
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any


class Probe:
    """Its methods are called in a worker."""

    def pid(self) -> int:
        """The worker's process."""
        return os.getpid()

    def environment(self) -> list[str]:
        """Names of the variables that it sees."""
        return sorted(os.environ)

    def open_files(self) -> list[str]:
        """What its descriptors stand for."""
        found = set()
        for entry in Path("/proc/self/fd").iterdir():
            with contextlib.suppress(OSError):
                found.add(str(entry.readlink()))
        return sorted(found)

    def hog(self, size: int) -> int:
        """Takes memory."""
        return len(bytearray(size))

    def sleep(self, seconds: float) -> int:
        """Is late."""
        time.sleep(seconds)
        return 0

    def die(self) -> int:
        """Ends without a word."""
        os._exit(9)

    def foreign(self) -> Any:
        """Gives an object of a class that has no place in an answer."""
        return Path("/")

    def count(self, most: int) -> Iterator[int]:
        """Numbers, one by one."""
        yield from range(most)

    def fail(self) -> int:
        """Raises what quotes a value."""
        raise ValueError("3320010101900001")
