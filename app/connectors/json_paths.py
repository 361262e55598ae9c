"""Paths into JSON, as manifests write them: to the records of a document, to the marks of a page, into a column of a record.

`$` is the document; behind it `.name` or `['any name']` is a member, `[0]` a place in a list, `[*]` every item of it.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

_STEP = re.compile(r"\.([^.\[\]]+)|\['([^']+)'\]|\[(\*|\d+)\]")
_PATH = re.compile(rf"\$(?:{_STEP.pattern})*")
_SYNTAX = "a path is written $.a.b[0], a member with other signs $['a.b'], every item of a list $.a[*]"


class NothingThere(LookupError):
    """A document that has not what a path leads to; its text says what is missing, and no value."""


@dataclass(frozen=True, slots=True)
class JsonPath:
    """A path as it is written, and its steps: a member, a place, None for every item."""

    text: str
    steps: tuple[str | int | None, ...]

    @classmethod
    @lru_cache(maxsize=1024)
    def parse(cls, text: str) -> JsonPath:
        """The path. Raises `ValueError` where it is not written as one."""
        if _PATH.fullmatch(text) is None:
            raise ValueError(_SYNTAX)
        found = _STEP.findall(text)
        return cls(text, tuple(plain or quoted or (None if at == "*" else int(at)) for plain, quoted, at in found))

    @classmethod
    def in_record(cls, text: str) -> JsonPath:
        """The path of one value of a record. Raises `ValueError` where it is none."""
        path = cls.parse(text)
        if not path.steps or not isinstance(path.steps[0], str) or None in path.steps:
            raise ValueError(f"{_SYNTAX}; in a record it begins with a member and has no [*]")
        return path

    def values(self, document: Any) -> list[Any]:
        """Every value at the path; a place behind the end of a list has none. Raises `NothingThere`."""
        found = [document]
        for step in self.steps:
            found = [behind for value in found for behind in self._behind(value, step)]
        return found

    def items(self, document: Any) -> list[Any]:
        """What stands at the path, as a list: an array gives its items, a single value is one item.

        A null in the place of the list raises `NothingThere`: it is no empty list. A null among the items stays.
        """
        found = self.values(document)
        single = None not in self.steps and not (self.steps and isinstance(self.steps[-1], int))
        if single and found == [None]:
            raise NothingThere(self._null())
        return found[0] if len(found) == 1 and isinstance(found[0], list) else found

    def _behind(self, value: Any, step: str | int | None) -> list[Any]:
        if step is None:
            if value is None:
                raise NothingThere(self._null())
            return value if isinstance(value, list) else [value]
        if isinstance(step, int):
            return [value[step]] if isinstance(value, list) and step < len(value) else []
        if not isinstance(value, Mapping) or step not in value:
            raise NothingThere(f"there is nothing at {self.text}: no member {step}")
        return [value[step]]

    def _null(self) -> str:
        return f"there is null where {self.text} expects records"
