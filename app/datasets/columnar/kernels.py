"""Kernels of steps: what the commonest chains make of a whole column of text, and of which of its values that is sure.

They answer for plain ASCII values that the chain's own function would leave as they are, or read as the number that they show.
All others are left to the function.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.mapping.compile import Chain, CompiledField
from app.schemas.base import FieldSpec

Kernel = tuple[Any, Any]
"""The values, and the mask of those that are sure."""
NO: Any = pa.scalar(False)  # noqa: FBT003 - Arrow has no other way to write it
_PRINTABLE = (pa.scalar(b"!", pa.binary()), pa.scalar(b"~", pa.binary()))
_NUMBERS = frozenset({"number", "decimal", "integer"})
_UNCHANGED = frozenset({"trim", "squeeze"})
_MOST_DIGITS = 15
"""So many digits before the mark, and behind it where the field says no scale."""


def kernel_of(compiled: CompiledField, spec: FieldSpec, to: pa.DataType, column: Any) -> Kernel | None:
    """The field's values of a column of text; None where its chain has no kernel."""
    if compiled.chain is None or not pa.types.is_string(column.type):
        return None
    if spec.kind in _NUMBERS:
        found = _number(compiled.chain, spec, to, column)
    else:
        found = _text(compiled.chain, column) if spec.kind == "text" else None
    if found is None:
        return None
    values, sure = found
    if compiled.missing:  # what has no blank at its end means no value only where it equals a mark
        marks = pc.is_in(column, pa.array(sorted(compiled.missing), pa.string()))
        sure = pc.and_not(pc.and_(sure, _graphic(column, -1)), marks)
    return values, pc.or_(pc.fill_null(sure, NO), column.is_null())


def _text(chain: Chain, column: Any) -> Kernel | None:
    if not chain:
        return column, _graphic(column, 0)
    if len(chain) > 1 or chain[0][0] != "text":
        return None
    words = chain[0][1] if isinstance(chain[0][1], list) else [chain[0][1]]
    if not _UNCHANGED.issuperset(words):
        return None
    sure = pc.and_(pc.ascii_is_printable(column), pc.and_(_graphic(column, 0), _graphic(column, -1)))
    if "squeeze" in words and b"  " in _bytes(column):
        sure = pc.and_not(sure, pc.match_substring(column, "  "))
    return column, sure


def _number(chain: Chain, spec: FieldSpec, to: pa.DataType, column: Any) -> Kernel | None:
    """Plain notation with the stated mark: `-6.58`, `12,5`, `0`; without group marks, leading zeros and negative zeros."""
    if len(chain) != 1 or chain[0][0] != "number":
        return None
    options = chain[0][1] if isinstance(chain[0][1], Mapping) else {}
    if not {"decimal", "thousands"}.issuperset(options):
        return None
    point, whole = options.get("decimal", "."), f"0|-?[1-9][0-9]{{0,{_MOST_DIGITS - 1}}}"
    mark, finest = re.escape(point), getattr(to, "scale", _MOST_DIGITS)
    if spec.kind == "integer" or finest < 1:
        pattern = f"^(?:{whole})$"
    else:
        pattern = f"^(?:(?:{whole})(?:{mark}[0-9]{{1,{finest}}})?|-0{mark}[0-9]{{0,{finest - 1}}}[1-9])$"
    sure = pc.match_substring_regex(column, pattern)
    plain = column if pc.all(sure, min_count=0).as_py() else pc.if_else(sure, column, pa.scalar(None, pa.string()))
    if point != ".":
        plain = pc.replace_substring(plain, point, ".")
    return plain.cast(to), sure


def _graphic(column: Any, index: int) -> Any:
    """Whether the first (0) or last (-1) byte of each text is ASCII and no blank."""
    byte = pc.binary_slice(column.cast(pa.binary()), index, 1 if index == 0 else None)
    return pc.and_(pc.greater_equal(byte, _PRINTABLE[0]), pc.less_equal(byte, _PRINTABLE[1]))


def _bytes(column: Any) -> Any:
    """The texts of a column, one behind the other."""
    _, offsets, content = column.buffers()
    if content is None or not len(column):
        return b""
    ends = memoryview(offsets).cast("i")
    return memoryview(content)[ends[column.offset] : ends[column.offset + len(column)]].tobytes()
