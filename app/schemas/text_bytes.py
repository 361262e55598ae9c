"""The bytes of a whole column of text, for what is sure of all its texts at once. Where it is not sure, each text is looked at."""

from __future__ import annotations

import re
from functools import lru_cache
from typing import Any, Final

import numpy as np

Bytes = np.ndarray[Any, np.dtype[np.uint8]]
BLANK: Final = ord(" ")
_DELETE: Final = 127
_LEADING: Final = re.compile(r"\^(\[[^\]\\]+\])(\[[^\]\\]+\])\{0,([0-9]+)\}\$")
"""A pattern of one leading character and some more, each of a class."""


def text_bytes(column: Any) -> Bytes:
    """The texts of an Arrow column of text, one behind the other, as they stand in memory."""
    content = column.buffers()[2]
    if content is None or not len(column):
        return np.zeros(0, np.uint8)
    offsets = np.frombuffer(column.buffers()[1], np.int32)
    first, last = int(offsets[column.offset]), int(offsets[column.offset + len(column)])
    return np.frombuffer(content, np.uint8)[first:last]


def text_ends(column: Any) -> np.ndarray[Any, np.dtype[np.int64]]:
    """Where each text ends in `text_bytes`; the first of them is 0, where the first text begins."""
    if not len(column):
        return np.zeros(1, np.int64)
    offsets = np.frombuffer(column.buffers()[1], np.int32)[column.offset : column.offset + len(column) + 1]
    return offsets.astype(np.int64) - int(offsets[0])


def all_printable(column: Any) -> bool:
    """Whether all texts are of printable ASCII, the blank among it."""
    return bool(((text_bytes(column) - BLANK) < _DELETE - BLANK).all())


def none_begins_blank(column: Any) -> bool:
    """Whether there is no null, no empty text and none that begins with a blank."""
    if column.null_count:
        return False
    ends = text_ends(column)
    return bool((ends[1:] > ends[:-1]).all() and not (text_bytes(column)[ends[:-1]] == BLANK).any())


def all_match(pattern: str, column: Any) -> bool:
    """Whether surely all texts match; false where the pattern is not of a form that is known here, or one may not match."""
    classes = _classes(pattern)
    if classes is None or column.null_count or not len(column):
        return False
    leading, more, most = classes
    content, ends = text_bytes(column), text_ends(column)
    lengths = ends[1:] - ends[:-1]
    if lengths.min() < 1 or lengths.max() > most + 1 or not more[content].all():
        return False
    return bool(leading[content[ends[:-1]]].all())


@lru_cache(maxsize=256)
def _classes(pattern: str) -> tuple[Any, Any, int] | None:
    """Which bytes may lead, which may follow (the leading ones among them), and how many may follow at most."""
    found = _LEADING.fullmatch(pattern)
    if found is None:
        return None
    leading, more = (
        np.array([byte < 128 and re.fullmatch(found[group], chr(byte)) is not None for byte in range(256)])
        for group in (1, 2)
    )
    return None if (leading & ~more).any() else (leading, more, int(found[3]))
