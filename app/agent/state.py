"""What the agent remembers of each schedule: a small JSON file in its folder, replaced whole; one agent a folder."""

from __future__ import annotations

import json
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import IO, Any

from app.agent.faults import AgentFault

_LOCK = "lock"
_SPOOL = "results"


@dataclass(slots=True)
class Pending:
    """An upload under way: which bytes, to where, and the upload at the gateway once it has begun (path of its URL)."""

    to: str
    sha256: str
    size: int
    upload: str | None = None


@dataclass(slots=True)
class Remembered:
    """What is known of one schedule. Times are seconds since 1970.

    `pushed`: by inbox path, what stands there of this agent (bytes, sha256, version, exchange, receipt, at).
    """

    last: dict[str, Any] | None = None
    pushed: dict[str, dict[str, Any]] = field(default_factory=dict)
    pending: Pending | None = None
    error: dict[str, Any] | None = None
    failures: int = 0
    next_at: float | None = None
    retry_at: float | None = None


class StateFolder:
    """The folder beside the configuration. Raises `AgentFault` (step `state`) where it cannot be used."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def read(self, schedule: str) -> Remembered:
        """What is known of a schedule; a file that a power cut broke, or that is none, counts as nothing known."""
        try:
            found = json.loads(self._file(schedule).read_text("utf-8"))
            if found.get("pending") is not None:
                found["pending"] = Pending(**found["pending"])
            return Remembered(**found)
        except (FileNotFoundError, ValueError, TypeError, AttributeError):
            return Remembered()

    def write(self, schedule: str, known: Remembered) -> None:
        """Replaces what is known of a schedule, whole or not at all."""
        partial = self._file(schedule).with_suffix(".new")
        try:
            with partial.open("w", encoding="utf-8") as out:
                json.dump(asdict(known), out, ensure_ascii=False, indent=1)
                out.flush()
                os.fsync(out.fileno())
            partial.replace(self._file(schedule))
        except OSError as error:
            raise _unusable(self.folder, error) from None

    def result(self, schedule: str, form: str) -> Path:
        """Where the result of a schedule's query stands until it is sent."""
        return self.folder / _SPOOL / f"{schedule}.{form}"

    def make(self) -> None:
        """Makes the folder."""
        try:
            (self.folder / _SPOOL).mkdir(parents=True, exist_ok=True, mode=0o700)
        except OSError as error:
            raise _unusable(self.folder, error) from None

    @contextmanager
    def locked(self) -> Iterator[None]:
        """This agent's alone while the context lasts."""
        self.make()
        try:
            file = (self.folder / _LOCK).open("a+b")
        except OSError as error:
            raise _unusable(self.folder, error) from None
        with file:
            if not _lock(file):
                raise AgentFault(
                    "state", "state_in_use", f"another agent works in {self.folder}",
                    "end it first, or give this one a folder of its own (agent.state)", retry="rarely",
                )  # fmt: skip
            for left in (self.folder / _SPOOL).glob("*.new"):
                left.unlink(missing_ok=True)
            yield

    def _file(self, schedule: str) -> Path:
        return self.folder / f"{schedule}.json"


def _unusable(folder: Path, error: OSError) -> AgentFault:
    return AgentFault(
        "state", "state_unwritable", f"{folder} cannot be written ({error.strerror})",
        "make room, or let the agent's user write there", retry="rarely",
    )  # fmt: skip


def _lock(file: IO[bytes]) -> bool:
    """Whether nobody else holds it. The system lets go when the process ends, however it ends."""
    try:
        if sys.platform == "win32":
            import msvcrt  # noqa: PLC0415 - there alone

            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        else:
            import fcntl  # noqa: PLC0415 - not there on Windows

            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        return False
    return True
