"""What stands in a text array of Arrow: the bytes of its values, one behind the other, and where each begins."""

from __future__ import annotations

from typing import Any

import numpy as np

Texts = Any
"""An Arrow array of `string`."""


def text_bytes(texts: Texts) -> memoryview:
    """The bytes of all values."""
    offsets, found = text_buffers(texts)
    return memoryview(found[offsets[0] : offsets[-1]])


def text_buffers(texts: Texts) -> tuple[Any, Any]:
    """Where each value begins and the last ends, and the bytes that this counts in."""
    _, offsets, found = texts.buffers()
    if len(texts) == 0 or offsets is None:
        return np.zeros(1, np.int32), np.zeros(0, np.uint8)
    numbers = np.frombuffer(offsets, np.int32)[texts.offset : texts.offset + len(texts) + 1]
    return numbers, np.zeros(0, np.uint8) if found is None else np.frombuffer(found, np.uint8)
