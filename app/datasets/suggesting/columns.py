"""The columns of a sample as proposals see them: members of nested objects stand as paths, blank cells are left out."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

MOST_VALUES = 200
_DEPTH = 3
_MEMBER = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")


@dataclass(frozen=True, slots=True)
class SampleColumn:
    """One raw column, or a member of its objects. `name` is what `from` takes; `values` are those that say something, with their rows."""

    name: str
    values: tuple[Any, ...]
    rows: tuple[Mapping[str, Any], ...]
    empty: int

    @property
    def spoken(self) -> str:
        """The name as it counts for words: of a path its last two members."""
        return " ".join(self.name.removeprefix("$.").split(".")[-2:]) if self.nested else self.name

    @property
    def nested(self) -> bool:
        """Whether it is a member of an object."""
        return self.name.startswith("$.")

    @property
    def texts(self) -> list[str]:
        """The values that are text, squeezed at both ends."""
        return [value.strip() for value in self.values if isinstance(value, str)]

    @property
    def distinct(self) -> list[Any]:
        """Each value once, in the order met; values that have no hash are left out."""
        return list(dict.fromkeys(value for value in self.values if not isinstance(value, list | dict)))

    def is_text(self) -> bool:
        """Whether every value is text."""
        return bool(self.values) and all(isinstance(value, str) for value in self.values)


def sample_columns(rows: Sequence[Mapping[str, Any]], missing: Iterable[str] = ()) -> list[SampleColumn]:
    """The columns of these rows in their order, members of objects behind the object. `missing`: texts that mean "no value"."""
    marks = frozenset(missing)
    names = list(dict.fromkeys(name for row in rows for name in row))
    return [column for name in names for column in _column(name, [(row.get(name), row) for row in rows], marks, 0)]


def _column(
    name: str, cells: list[tuple[Any, Mapping[str, Any]]], missing: frozenset[str], depth: int
) -> Iterator[SampleColumn]:
    said = [(value, row) for value, row in cells if not _says_nothing(value, missing)]
    kept = said[:MOST_VALUES]
    yield SampleColumn(name, tuple(value for value, _ in kept), tuple(row for _, row in kept), len(cells) - len(said))
    objects = [(value, row) for value, row in kept if isinstance(value, Mapping)]
    if not objects or len(objects) < len(kept) or depth >= _DEPTH or "coordinates" in objects[0][0]:
        return
    base = name if name.startswith("$.") else f"$.{name}"
    members = dict.fromkeys(member for value, _ in objects for member in value)
    for member in members:
        if _MEMBER.fullmatch(member) and _MEMBER.fullmatch(name.removeprefix("$.").split(".")[0]):
            inner = [(value.get(member), row) for value, row in objects]
            yield from _column(f"{base}.{member}", inner, missing, depth + 1)


def _says_nothing(value: Any, missing: frozenset[str]) -> bool:
    return value is None or (isinstance(value, str) and (not value.strip() or value.strip() in missing))
