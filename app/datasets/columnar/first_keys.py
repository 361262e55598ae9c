"""Which keys of a read come for the first time. While they rise, as in a table read in the order of its key, nothing is looked up."""

from __future__ import annotations

from typing import Any

import numpy as np
import pyarrow.compute as pc

from app.datasets.columnar.marks import KeyMarks, Marks
from app.datasets.keys_met import KeysMet


class FirstKeys:
    """The keys of one read: eight bytes a key, whatever their order."""

    def __init__(self) -> None:
        self._marks, self._met = KeyMarks(), KeysMet()
        self._rising: list[Marks] | None = []
        self._last = ""

    def of(self, keys: Any) -> np.ndarray[Any, np.dtype[np.bool_]]:
        """Of each key of an Arrow column of text without nulls, whether it stands first here; they are remembered."""
        marks = self._marks.of(keys)
        if self._rising is not None:
            if self._rises(keys):
                self._rising.append(marks)
                return np.ones(len(keys), np.bool_)
            self._met.take(np.concatenate([np.zeros(0, np.int64), *self._rising]))
            self._rising = None
        return self._met.first_met(marks)

    def _rises(self, keys: Any) -> bool:
        """Whether each key is above the one before it, the first above all that came before."""
        if not len(keys):
            return True
        if self._rising and keys[0].as_py() <= self._last:
            return False
        self._last = keys[-1].as_py()
        return bool(pc.all(pc.less(keys.slice(0, len(keys) - 1), keys.slice(1))).as_py())
