"""A service that calls a member otherwise in mid-read: seen before the values become null in silence."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import Any

from app.errors import SourceSchemaMismatch


class Members:
    """What the records of the pages of one read call their members.

    A member that some records lack is no sign: it may be null there. Renamed it is when a whole page has, where those before have the
    member that is wanted, another one that they have not, and is otherwise as they are.
    """

    def __init__(self, wanted: Collection[str] | None) -> None:
        self._wanted = wanted
        self._names: list[str] = []

    def look(self, records: Sequence[Any], first: int) -> None:
        """The next page; `first`: the number of its first record. Raises `SourceSchemaMismatch`."""
        kept = [record for record in (records[:1], records[-1:]) if record and type(record[0]) is dict]
        if not kept:
            return
        begins, before = list(kept[0][0]), self._names
        self._names = list(kept[-1][0])
        if begins == before or len(begins) != len(before):
            return
        pairs = [(old, new) for old, new in zip(before, begins, strict=True) if old != new]
        if any(old in begins or new in before for old, new in pairs) or not all(
            new in record and old not in record for record in records if type(record) is dict for old, new in pairs
        ):
            return
        gone = [old for old, _ in pairs if self._wanted is None or old in self._wanted]
        if gone:
            detail = (
                f"from record {first} on no record has {', '.join(gone)}, as those before have, but another member in its stead; "
                "ask the source's owner, then map the new name"
            )
            raise SourceSchemaMismatch(detail, field="/fields", missing=gone)
