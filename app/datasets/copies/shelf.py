"""The copies that stand at hand, by dataset: which one answers a read, and why none does. In memory; the taker fills it.

A read that goes on from page to page stays on the copy that it began with.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime

from app.datasets.copies.sealed_file import SealedCopy
from app.errors import SimpulError


@dataclass(frozen=True, slots=True, eq=False)
class Copy:
    """One copy. `made_of`: what the mapping was; a dataset that is mapped otherwise is another one."""

    id: str
    dataset: str
    made_of: str
    as_of: datetime
    rows: int
    rejected_rows: int
    file: SealedCopy
    took_seconds: float = 0.0


@dataclass(frozen=True, slots=True)
class Taking:
    """How the last try to take a copy ended. `since`: when the failures in a row began."""

    error: SimpulError
    at: datetime
    since: datetime
    failures: int


@dataclass(frozen=True, slots=True)
class Shelved:
    """What is known of one dataset's copies, the newest first; `failed`: None where the last try was good."""

    copies: tuple[Copy, ...] = ()
    failed: Taking | None = None


class Shelf:
    """The copies of a process."""

    def __init__(self) -> None:
        self._of: Mapping[str, Shelved] = {}

    def of(self, dataset: str) -> Shelved:
        """Everything of a dataset."""
        return self._of.get(dataset, Shelved())

    def newest(self, dataset: str, made_of: str) -> Copy | None:
        """The newest copy of the dataset as it is mapped now."""
        return next((copy for copy in self.of(dataset).copies if copy.made_of == made_of), None)

    def named(self, dataset: str, made_of: str, copy_id: str) -> Copy | None:
        """One copy of the dataset as it is mapped now."""
        return next((copy for copy in self.of(dataset).copies if copy.id == copy_id and copy.made_of == made_of), None)

    def replace(self, now: Mapping[str, Shelved]) -> None:
        """What stands now; the files of what is gone are let go."""
        before, self._of = self._of, now
        kept = {id(copy) for copy in _all(now.values())}
        for copy in _all(before.values()):
            if id(copy) not in kept:
                copy.file.close()

    def drop(self, copy: Copy) -> None:
        """A copy that cannot be read: no read is answered from it again."""
        had = self.of(copy.dataset)
        left = tuple(one for one in had.copies if one is not copy)
        self._of = {**self._of, copy.dataset: Shelved(left, had.failed)}


def _all(shelved: Iterable[Shelved]) -> Iterable[Copy]:
    return (copy for one in shelved for copy in one.copies)
