"""A table that is not as it was described: seen by the types of its values, before order and conditions go wrong in silence."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, datetime
from decimal import Decimal
from typing import Any

from app.connectors.cells import Unreadable
from app.connectors.sql.columns import Column, Family


class TableChanged(Exception):
    """The table is not as it was described: it has to be described anew. `cause` is what the driver said, if it did."""

    def __init__(self, cause: Exception | None = None) -> None:
        super().__init__("the table changed while it was read")
        self.cause = cause


TYPES: Mapping[Family, tuple[type, ...]] = {
    "text": (str, Unreadable), "integer": (int,), "float": (float,), "decimal": (Decimal,), "boolean": (bool,),
    "json": (str, Unreadable),
    "date": (date, Unreadable), "timestamp": (datetime, Unreadable), "instant": (datetime, Unreadable),
}  # fmt: skip


def require_types(
    rows: Sequence[Sequence[Any]], columns: Sequence[Column], types: Mapping[Family, tuple[type, ...]] = TYPES
) -> None:
    """Raises `TableChanged` when the first or the last row holds another type than its column was described with.

    `types`: what the driver gives for each family. Where a statement is prepared anew by itself, a changed type raises nothing at the
    server, and order and conditions would go on as for the old type.
    """
    for row in (rows[:1], rows[-1:]):
        for value, column in zip(row[0] if row else (), columns, strict=False):
            if value is not None and not isinstance(value, types[column.family]):
                raise TableChanged
