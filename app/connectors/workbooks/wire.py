"""How a cell goes from the child process to the gateway: JSON where JSON has the kind, else `[kind, text]`."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import date, datetime, time, timedelta
from typing import Any

from app.connectors.cells import FIRST_LONG, tagged_cell

ERROR = "error"
PERCENT = "percent"


def written(value: Any) -> Any:
    """A cell of the parser as JSON can carry it."""
    if value is None or isinstance(value, str | bool):
        return value
    if isinstance(value, int | float):
        if abs(value) >= FIRST_LONG:
            return ["long", repr(float(value))]
        return int(value) if value == int(value) else value
    if isinstance(value, datetime):
        return ["datetime", value.isoformat()]
    if isinstance(value, date):
        return ["date", value.isoformat()]
    if isinstance(value, time):
        return ["time", value.isoformat()]
    if isinstance(value, timedelta):
        return ["duration", str(value // timedelta(microseconds=1))]
    return str(value)


def written_row(cells: Iterable[Any]) -> list[Any]:
    """The cells of a row, empty texts as null; a list is one in this form already. What most cells are is told without a call."""
    return [
        (value or None)
        if (kind := type(value)) is str
        else (int(value) if value.is_integer() else value)
        if kind is float and -FIRST_LONG < value < FIRST_LONG
        else value
        if kind is list
        else written(value)
        for value in cells
    ]


def read(row: list[Any]) -> list[Any]:
    """The cells of a row; changes the list that it is given."""
    for index, value in enumerate(row):
        if type(value) is list:
            row[index] = tagged_cell(value)
    return row
