"""Pages of a table of the datastore, in the order of its own row numbers, held against the portal's count."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from app.errors import SourceFailed, SourceFormatError

_OWN_COLUMNS = frozenset({"_id"})
_FIELD = "/source/resource"


class Table:
    """Where one read of a table stands. A page of rows with numbers begins with the last row of the page before, which must be the same."""

    def __init__(self) -> None:
        self.read = 0
        self.ended = False
        self._totals: list[int] = []
        self._last: int | None = None
        self._page: list[Any] = []

    @property
    def start(self) -> int:
        """Where the next page begins."""
        return self.read if self._last is None else self.read - 1

    def page(self, result: Any) -> list[Any]:
        """The records of a page without the datastore's own column.

        Raises `SourceFormatError` where the portal contradicts itself, `SourceFailed` where the table changed while it was read.
        """
        records = result.get("records") if isinstance(result, Mapping) else None
        if not isinstance(records, list):
            raise SourceFormatError("datastore_search gave no records", field="/source/url")
        total = result.get("total")
        if type(total) is int and result.get("total_was_estimated") is not True:
            self._totals.append(total)
        if self._last is not None:
            if not records or _number(records[0]) != self._last:
                raise _moved()
            records = records[1:]
        if records and records == self._page:
            raise SourceFormatError("the portal gives the same page again and again", field=_FIELD)
        self._page = records
        self.read += len(records)
        self._last = _number(records[-1]) if records else self._last
        if not records or (self._totals and self.read >= self._totals[-1]):
            self._close()
        return [_own(record) for record in records]

    def _close(self) -> None:
        self.ended = True
        if not self._totals or self._totals[-1] == self.read:
            return
        if len(set(self._totals)) > 1:
            raise _moved()
        detail = f"the portal says that the table has {self._totals[-1]} records and gave {self.read}"
        rule = "total_not_reached" if self.read < self._totals[-1] else "total_exceeded"
        raise SourceFormatError(detail, field=_FIELD, rule=rule)


def _number(record: Any) -> int | None:
    """The datastore's own number of a row; None for a view, which has none."""
    found = record.get("_id") if isinstance(record, dict) else None
    return found if type(found) is int else None


def _moved() -> SourceFailed:
    detail = "the table changed while it was read: records moved between its pages; read it again"
    return SourceFailed(detail, field=_FIELD, rule="moved_between_pages")


def _own(record: Any) -> Any:
    if not isinstance(record, dict):
        return record
    return {name: value for name, value in record.items() if name not in _OWN_COLUMNS}
