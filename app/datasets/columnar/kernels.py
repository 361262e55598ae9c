"""Kernels of steps: what the commonest chains make of a whole column of text, and of which of its values that is sure.

They answer for plain ASCII values that the chain's own function would leave as they are, or read as the number that they show.
All others are left to the function.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.compute as pc

from app.datasets.mapping.compile import Chain, CompiledField
from app.schemas.base import FieldSpec
from app.schemas.text_bytes import BLANK, all_printable, none_begins_blank, text_bytes, text_ends

Kernel = tuple[Any, Any]
"""The values, and the mask of those that are sure."""
YES: Any = pa.scalar(True)  # noqa: FBT003 - Arrow has no other way to write it
NO: Any = pa.scalar(False)  # noqa: FBT003 - Arrow has no other way to write it
_PRINTABLE = (pa.scalar(b"!", pa.binary()), pa.scalar(b"~", pa.binary()))
_NUMBERS = frozenset({"number", "decimal", "integer"})
_UNCHANGED = frozenset({"trim", "squeeze"})
_MINUS, _POINT, _ZERO, _NINE = ord("-"), ord("."), ord("0"), 9
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
        return column, pa.repeat(YES, len(column)) if _all_trimmed(column) else _graphic(column, 0)
    if len(chain) > 1 or chain[0][0] != "text":
        return None
    words = chain[0][1] if isinstance(chain[0][1], list) else [chain[0][1]]
    if not _UNCHANGED.issuperset(words):
        return None
    if _all_trimmed(column):
        sure = pa.repeat(YES, len(column))
    else:
        sure = pc.and_(pc.ascii_is_printable(column), pc.and_(_graphic(column, 0), _graphic(column, -1)))
    if "squeeze" in words and _two_blanks(text_bytes(column)):
        sure = pc.and_not(sure, pc.match_substring(column, "  "))
    return column, sure


def _all_trimmed(column: Any) -> bool:
    """Whether all texts are printable ASCII that begins and ends with no blank."""
    if not all_printable(column) or not none_begins_blank(column):
        return False
    return not (text_bytes(column)[text_ends(column)[1:] - 1] == BLANK).any()


def _two_blanks(content: Any) -> bool:
    blank = content == BLANK
    return bool((blank[1:] & blank[:-1]).any())


def _number(chain: Chain, spec: FieldSpec, to: pa.DataType, column: Any) -> Kernel | None:
    """Plain notation with the stated mark: `-6.58`, `12,5`, `0`; without group marks, leading zeros and negative zeros."""
    if len(chain) != 1 or chain[0][0] != "number":
        return None
    options = chain[0][1] if isinstance(chain[0][1], Mapping) else {}
    if not {"decimal", "thousands"}.issuperset(options):
        return None
    point, whole = options.get("decimal", "."), f"0|-?[1-9][0-9]{{0,{_MOST_DIGITS - 1}}}"
    if to == pa.float64() and point == "." and not column.null_count:
        plain = _all_plain(column)
        if plain is not None:
            return plain, pa.repeat(YES, len(column))
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


def _all_plain(column: Any) -> Any:
    """A column of texts as numbers where each is short and in plain notation with a point; None where one may not be."""
    content, ends = text_bytes(column), text_ends(column)
    starts, stops = ends[:-1], ends[1:]
    lengths = stops - starts
    if not len(lengths) or lengths.min() < 1 or lengths.max() > _MOST_DIGITS:
        return None
    minus, point = content == _MINUS, content == _POINT
    if not (((content - _ZERO) <= _NINE) | minus | point).all() or point[stops - 1].any():
        return None
    negative = minus[starts]
    whole = starts + negative
    if np.count_nonzero(minus) != np.count_nonzero(negative) or (whole >= stops).any() or point[whole].any():
        return None
    led = (content[whole] == _ZERO) & (whole + 1 < stops)
    if led.any() and not point[whole[led] + 1].all():
        return None
    try:
        numbers: Any = column.cast(pa.float64())
    except pa.ArrowInvalid:  # two points in one
        return None
    values = numbers.to_numpy()
    return None if (values[negative] == 0).any() else numbers


def _graphic(column: Any, index: int) -> Any:
    """Whether the first (0) or last (-1) byte of each text is ASCII and no blank."""
    byte = pc.binary_slice(column.cast(pa.binary()), index, 1 if index == 0 else None)
    return pc.and_(pc.greater_equal(byte, _PRINTABLE[0]), pc.less_equal(byte, _PRINTABLE[1]))
