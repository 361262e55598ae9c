"""What a raw cell holds that Python has no type for: errors and percentages of sheets, values that cannot be read. Pure.

Numbers of a sheet are `int` where they are whole and below 10^15, else `float`; from 10^15 on they are `LongNumber`, since the
programs that write sheets keep 15 digits. An empty cell is None.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import date, datetime, time, timedelta
from decimal import Decimal
from typing import Any

CELL_COLUMN = {b"simpul": b"cell"}
"""Arrow field metadata: Python rows hold cells of a sheet in this column."""
CELLS_COLUMN = {b"simpul": b"cells"}
"""Arrow field metadata: the column holds cells of a sheet as JSON: a value, or `[kind, text]` (`tagged_cell`)."""
NUMBERS_COLUMN = {b"simpul": b"numbers"}
"""Arrow field metadata: a column of doubles whose whole numbers are integers, as cells of a sheet are."""

FIRST_LONG = 10**15


@dataclass(frozen=True, slots=True)
class ErrorCell:
    """A cell without a value: an error (`#N/A`, `#DIV/0!`), or a formula whose result the file does not hold."""

    sign: str

    def __str__(self) -> str:
        return self.sign


@dataclass(frozen=True, slots=True)
class Percent:
    """A number that the sheet shows as a percentage: 0.0609 stands in the file, 6.09 % on the screen."""

    share: Decimal

    @property
    def hundredths(self) -> Decimal:
        """6.09 for 0.0609."""
        return self.share.scaleb(2)

    def __str__(self) -> str:
        return f"{self.hundredths.normalize():f}%"


class LongNumber(float):
    """A number of 10^15 or more: digits behind the fifteenth were lost when the sheet was written."""

    __slots__ = ()


@dataclass(frozen=True, slots=True)
class Unreadable:
    """Stands in a row for a value that has no place in the raw type (`infinity` as a date, a number in a text column)."""

    rule: str
    detail: str


_TAGGED: Mapping[str, Callable[[str], Any]] = {
    "error": ErrorCell,
    "percent": lambda text: Percent(Decimal(text)),
    "long": LongNumber,
    "date": date.fromisoformat,
    "datetime": datetime.fromisoformat,
    "time": time.fromisoformat,
    "duration": lambda text: timedelta(microseconds=int(text)),
}


def tagged_cell(value: Any) -> Any:
    """A cell out of its JSON: the value itself, or what `[kind, text]` stands for."""
    if type(value) is not list:
        return value
    kind, text = value
    return _TAGGED[kind](text)


NOT_UTF8 = Unreadable("not_utf8", "the text is not UTF-8; mend it at the source")
NOT_FINITE = Unreadable("not_finite", "the number is NaN or infinite; make it null at the source")
DATE_BEYOND = Unreadable("date_out_of_range", "the year is before 1 or behind 9999; mend it at the source")
TIME_TOO_FINE = Unreadable("time_too_fine", "the time has digits behind the microsecond; round it at the source")


def cell_kind(value: Any) -> str:
    """The kind of a cell as people call it: text, number, percent, date, datetime, time, duration, boolean, error, empty."""
    if value is None:
        return "empty"
    return next(name for kind, name in _KINDS if isinstance(value, kind))


def cell_text(value: Any) -> str:
    """A cell as a person reads it; empty for an empty cell."""
    if isinstance(value, str):
        return value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, float):
        return repr(float(value))
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, timedelta):
        return duration_text(value)
    return str(value)


_KINDS: tuple[tuple[type, str], ...] = (
    (str, "text"), (bool, "boolean"), (int, "number"), (float, "number"), (Percent, "percent"), (datetime, "datetime"),
    (date, "date"), (time, "time"), (timedelta, "duration"), (ErrorCell, "error"), (object, "text"),
)  # fmt: skip


def duration_text(value: timedelta) -> str:
    """`36:00:00`: hours without a day's bound, as `[h]:mm:ss` shows them; fractions of a second only where there are some."""
    sign = "-" if value < timedelta() else ""
    seconds, micros = divmod(round(abs(value) / timedelta(microseconds=1)), 1_000_000)
    fraction = f".{micros:06}".rstrip("0") if micros else ""
    return f"{sign}{seconds // 3600:02}:{seconds // 60 % 60:02}:{seconds % 60:02}{fraction}"
