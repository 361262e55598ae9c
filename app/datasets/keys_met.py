"""Which keys a read met before: the hashes of any number of keys, in bounded memory for each."""

from __future__ import annotations

from collections.abc import Collection
from typing import Any

import numpy as np


class KeysMet:
    """The hashes (64 bits) of the keys that a read met: eight bytes a key, in sorted runs that are merged as they grow."""

    def __init__(self) -> None:
        self._runs: list[np.ndarray[Any, np.dtype[np.int64]]] = []

    def first_met(self, marks: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of these hashes were not met before, neither in earlier calls nor earlier in this one; they are remembered."""
        ordered = np.sort(marks)
        if not (ordered[1:] == ordered[:-1]).any() and not self._known(ordered).any():
            self._add(ordered)  # as nearly always: nothing was met before
            return np.ones(len(marks), np.bool_)
        distinct, firsts = np.unique(marks, return_index=True)
        known = self._known(distinct)
        fresh = np.zeros(len(marks), np.bool_)
        fresh[firsts[~known]] = True
        if not known.all():
            self._add(distinct[~known])
        return fresh

    def _known(self, distinct: np.ndarray[Any, np.dtype[np.int64]]) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Which of these hashes were met; each stands once, in order."""
        known = np.zeros(len(distinct), np.bool_)
        for run in self._runs:
            at = np.searchsorted(run, distinct)
            at[at == len(run)] = 0
            known |= run[at] == distinct
        return known

    def take(self, marks: Collection[int] | np.ndarray[Any, np.dtype[np.int64]]) -> None:
        """Remembers hashes of keys that were not met before."""
        self._add(np.sort(marks if isinstance(marks, np.ndarray) else np.fromiter(marks, np.int64, len(marks))))

    def __contains__(self, mark: int) -> bool:
        """Whether a key of this hash was met."""
        for run in self._runs:
            index = int(np.searchsorted(run, mark))
            if index < len(run) and run[index] == mark:
                return True
        return False

    def _add(self, run: np.ndarray[Any, np.dtype[np.int64]]) -> None:
        if not len(run):
            return
        while self._runs and len(self._runs[-1]) <= 2 * len(run):
            run = np.sort(np.concatenate([self._runs.pop(), run]), kind="stable")
        self._runs.append(run)
