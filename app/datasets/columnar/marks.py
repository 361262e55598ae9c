"""Marks of keys: 64 bits each, made of a whole column at once.

Multilinear hashing (Lemire and Kaser, "Strongly universal string hashing is fast", 2014): the words of a key, each times a random
number, added up; the upper half of the sum is strongly universal. Two such halves with numbers of their own make a mark, so that two
different keys have the same one with a probability of 2^-64, whoever chose them. The numbers are drawn anew for each read.
"""

from __future__ import annotations

import secrets
from typing import Any

import numpy as np

Marks = np.ndarray[Any, np.dtype[np.int64]]
_WORD = 4
_UPPER = np.uint64(32)


class KeyMarks:
    """What turns the keys of one read into marks."""

    def __init__(self) -> None:
        self._chance = np.random.default_rng(secrets.randbits(128))
        self._numbers = self._drawn(16)

    def of(self, keys: Any) -> Marks:
        """The mark of each key of an Arrow column of text without nulls."""
        rows = len(keys)
        _, offsets, content = keys.buffers()
        if not rows or offsets is None:
            return np.zeros(rows, np.int64)
        ends = np.frombuffer(offsets, np.int32)[keys.offset : keys.offset + rows + 1].astype(np.int64)
        text = np.frombuffer(content if content is not None else b"", np.uint8)
        lengths = np.diff(ends)
        longest = int(lengths.max())
        if longest == int(lengths.min()):
            return self._equally_long(text[ends[0] : ends[-1]].reshape(rows, longest))
        found = np.empty(rows, np.int64)
        for length in np.unique(lengths).tolist():
            at = np.flatnonzero(lengths == length)
            found[at] = self._equally_long(text[ends[at][:, None] + np.arange(length)])
        return found

    def _equally_long(self, texts: Any) -> Marks:
        """Of keys of one length, a row of bytes each. The length is a word too, so that what fills the last one up counts for nothing."""
        rows, length = texts.shape
        words = -(-length // _WORD)
        if words + 2 > len(self._numbers):
            self._numbers = np.concatenate([self._numbers, self._drawn(2 * words)])
        filled = np.zeros((rows, words * _WORD), np.uint8)
        filled[:, :length] = texts
        numbers = self._numbers[2 : words + 2]
        sums = filled.view(np.uint32).astype(np.uint64) @ numbers
        sums += self._numbers[0] + np.uint64(length) * self._numbers[1]
        marks = (sums[:, 0] >> _UPPER << _UPPER) | (sums[:, 1] >> _UPPER)
        return np.ascontiguousarray(marks).view(np.int64)

    def _drawn(self, words: int) -> Any:
        return self._chance.integers(0, 2**64, (words, 2), np.uint64)
