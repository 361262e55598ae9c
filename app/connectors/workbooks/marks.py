"""What the parser of values drops: errors, formulas without a stored result, the percent format. Row -> column -> mark.

python-calamine 0.9 gives an empty text for the first two and a bare number for the third. The file is gone through a second time
only where it can hold such cells at all.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from app.connectors.workbooks.wire import ERROR, PERCENT

NO_RESULT = "formula without a stored result"
_QUOTED = re.compile(r'"[^"]*"|\\.|_.|\*.|\[[^\]]*\]')


_HOURS = re.compile(r"\[(?:h+|m+|s+)\]", re.IGNORECASE)


class MarksUnreadable(Exception):
    """The file cannot be gone through."""


class SheetFlaw(Exception):
    """What is wrong with a file, in words for whoever sent it; no value of a cell stands in them."""


@dataclass(frozen=True, slots=True)
class Mark:
    """What a cell is: a cell of the given kind (`wire.py`), or, where none is given, a percentage of what the parser gave."""

    kind: str | None = None
    text: str = ""

    def of(self, written: Any) -> Any:
        """The cell with its mark; `written` is what the parser gave for it."""
        if self.kind is not None:
            return [self.kind, self.text]
        if isinstance(written, list):  # ["long", …]
            return [PERCENT, written[1]]
        if isinstance(written, int | float) and not isinstance(written, bool):
            return [PERCENT, repr(written)]
        return written


def error(sign: str) -> Mark:
    """An error cell."""
    return Mark(ERROR, sign.strip()[:40] or "#?")


PERCENTAGE = Mark()
Marks = Mapping[int, Mapping[int, Mark]]


def is_percent(number_format: str) -> bool:
    """Whether a number format multiplies by a hundred: a percent sign outside quotes, escapes and brackets."""
    return "%" in _QUOTED.sub("", number_format)


def is_duration(number_format: str) -> bool:
    """Whether a number format counts hours, minutes or seconds without a day's bound: `[h]:mm`."""
    return bool(_HOURS.search(number_format))
