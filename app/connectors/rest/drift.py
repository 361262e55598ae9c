"""A service that calls a member otherwise in mid-read: seen before the values become null in silence."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from typing import Any

from app.errors import SourceSchemaMismatch


@dataclass(frozen=True, slots=True)
class Suspicion:
    """Members that may be called otherwise from a record on (`first`: its number), with their new names."""

    first: int
    pairs: tuple[tuple[str, str], ...]
    gone: tuple[str, ...]

    def confirm(self, again: Sequence[Any]) -> None:
        """Raises `SourceSchemaMismatch` where the first page, asked for once more, is renamed too.

        Where its records are as they were, those that follow are of another type: a list may be sorted by type.
        """
        records = [record for record in again if type(record) is dict]
        if any(old in record for record in records for old, _ in self.pairs) or not any(
            all(new in record for _, new in self.pairs) for record in records
        ):
            return
        detail = (
            f"from record {self.first} on no record has {', '.join(self.gone)}, as those before have, but another member in its stead; "
            "ask the source's owner, then map the new name"
        )
        raise SourceSchemaMismatch(detail, field="/fields", missing=list(self.gone))


class Members:
    """What the records of the pages of one read call their members.

    A member that some records lack is no sign: it may be null there. It may be renamed where a whole page has, in the stead of one that
    is wanted and those before have, another one that was on no page, and is otherwise as they are. Whether it is, the first page tells.
    """

    def __init__(self, wanted: Collection[str] | None) -> None:
        self._wanted = wanted
        self._names: list[str] = []
        self._met: set[str] = set()

    def look(self, records: Sequence[Any], first: int) -> Suspicion | None:
        """The next page; `first`: the number of its first record. What has to be made sure of, None for nothing."""
        kept = [record for record in (records[:1], records[-1:]) if record and type(record[0]) is dict]
        if not kept:
            return None
        begins, before = list(kept[0][0]), self._names
        self._names = list(kept[-1][0])
        found = None
        if begins != before and len(begins) == len(before):
            found = self._suspicion(before, begins, records, first)
        self._met.update(begins, self._names)
        return found

    def _suspicion(
        self, before: Sequence[str], begins: Sequence[str], records: Sequence[Any], first: int
    ) -> Suspicion | None:
        pairs = tuple((old, new) for old, new in zip(before, begins, strict=True) if old != new)
        gone = tuple(old for old, _ in pairs if self._wanted is None or old in self._wanted)
        if not gone or any(old in begins or new in self._met for old, new in pairs):
            return None
        whole = all(
            new in record and old not in record for record in records if type(record) is dict for old, new in pairs
        )
        return Suspicion(first, pairs, gone) if whole else None
